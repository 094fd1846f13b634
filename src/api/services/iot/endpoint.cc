// SPDX-License-Identifier: Apache-2.0
#include "api/services/iot/registry_services.h"
#include "base/json.h"

namespace muster::api::iot {

void register_endpoint(Operations& operations, const SharedRegistry& services) {
  operations.add("iot", "DescribeEndpoint", [services](Call& call) -> io::Task<Reply> {
    const Endpoints& endpoints = services->endpoints;
    std::string_view type = get_string(call.input, "endpointType", "iot:Data");
    std::string address = endpoints.host;
    if (type == "iot:Jobs" || type == "iot:CredentialProvider") {
      if (endpoints.https_port != 443) address += ":" + std::to_string(endpoints.https_port);
    } else if (type != "iot:Data" && type != "iot:Data-ATS") {
      co_return invalid("Invalid endpoint type: " + std::string(type) +
                        " (iot:Data, iot:Data-ATS, iot:CredentialProvider, iot:Jobs)");
    }
    Reply reply;
    reply.output["endpointAddress"] = address;
    co_return reply;
  });
}

}  // namespace muster::api::iot
