// SPDX-License-Identifier: Apache-2.0
// HttpInvoker: functions behind endpoints that speak Lambda's Invoke: POST URL/2015-03-31/functions/NAME/invocations,
// the payload as the body, X-Amz-Function-Error when the function ended in an error. Such are AWS's runtime interface
// emulator and whatever else serves that path. Owned by server/wiring; thread-safe; immutable.
// Bounds: payloads and answers 6 MiB, as Lambda's. Source: Lambda API reference, Invoke.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "domain/functions/invoker.h"
#include "io/http_client.h"

namespace muster::functions {

// Function name -> base URL without a slash at its end; "*" stands for every other function.
using FunctionEndpoints = std::map<std::string, std::string, std::less<>>;
// From "NAME=URL" each. kInvalid names the one that is wrong, or that is there twice.
Result<FunctionEndpoints> parse_function_endpoints(const std::vector<std::string>& lines);

class HttpInvoker final : public FunctionInvoker {
 public:
  HttpInvoker(io::HttpClient& client, FunctionEndpoints endpoints);
  bool knows(std::string_view function_arn) const override;
  void invoke(Invocation invocation, Done done) override;

 private:
  const std::string* endpoint_of(std::string_view name) const;

  io::HttpClient& client_;
  const FunctionEndpoints endpoints_;
};

}  // namespace muster::functions
