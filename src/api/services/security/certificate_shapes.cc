// SPDX-License-Identifier: Apache-2.0
#include "api/services/security/certificate_shapes.h"

namespace muster::api::iot {

json::object certificate_reference(const RegistryServices& services, const security::Certificate& certificate) {
  return {{"certificateArn", security::certificate_arn(services.realm, certificate.id)},
          {"certificateId", certificate.id}};
}

json::array certificate_list(const RegistryServices& services, const std::vector<security::Certificate>& certificates) {
  json::array list;
  for (const security::Certificate& certificate : certificates) {
    json::object shape = certificate_reference(services, certificate);
    shape["status"] = to_string(certificate.status);
    shape["certificateMode"] = certificate.sni_only ? "SNI_ONLY" : "DEFAULT";
    shape["creationDate"] = certificate.created_ms;
    list.emplace_back(std::move(shape));
  }
  return list;
}

}  // namespace muster::api::iot
