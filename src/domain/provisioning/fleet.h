// SPDX-License-Identifier: Apache-2.0
// Fleet provisioning: what $aws/provisioning-templates/T/provision asks for. A device proves by its token which
// certificate is its own, the template's function may refuse it or change its parameters, and the template is done in
// one transaction in which the token is spent. FleetProvisioner runs the steps; it lives as long as the server, any
// thread. Parameters named AWS::... are the server's to give and refused from devices and functions.
// Bounds: 50 parameters, 2,048 characters a name, 4,096 a value; a function has 5 seconds and whatever else it answers
// than {"allowProvisioning": true} denies.
// Source: AWS IoT developer guide, "Device provisioning MQTT API", "Pre-provisioning hooks".
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/json.h"
#include "base/result.h"
#include "domain/functions/invoker.h"
#include "domain/provisioning/context.h"
#include "domain/provisioning/template.h"
#include "store/store.h"

namespace muster::provisioning {

inline constexpr std::int64_t kHookTimeoutMs = 5000;

struct FleetRequest {
  std::string template_name;
  std::string token;
  Parameters parameters;
  std::string client_id;
  std::string claim_certificate_id;  // of the connection; empty: it has none
};

struct FleetAnswer {
  std::string thing_name;
  json::object device_configuration;
  std::string certificate_id;  // the device's
};

Status check_parameters(const Parameters& given);

struct HookCall {
  std::string function_arn;  // empty: there is none
  std::string payload;
};
// Before the function is asked: the template is there, enabled and of this type, token and claim are good.
Result<HookCall> open_request(const Context& context, store::Tx& tx, const FleetRequest& request);
// The parameters with the function's overrides; kAccessDenied. Pure.
Result<Parameters> with_overrides(std::string_view answer, const Parameters& parameters);
// All is looked at again, then done.
Result<FleetAnswer> provision_device(const Context& context, store::Tx& tx, const FleetRequest& request,
                                     const Parameters& parameters, Effects& effects);

class FleetProvisioner {
 public:
  // `functions` may be null: templates with a function then deny. References outlive it.
  FleetProvisioner(const Context& context, store::Store& store, functions::FunctionInvoker* functions)
      : context_(context), store_(store), functions_(functions) {}

  using Done = std::function<void(Result<FleetAnswer>)>;
  // `done` once, on any thread, when the outcome is durable.
  void run(FleetRequest request, Done done) const;

 private:
  void finish(std::shared_ptr<const FleetRequest> request, Parameters parameters, Done done) const;

  const Context& context_;
  store::Store& store_;
  functions::FunctionInvoker* const functions_;
};

}  // namespace muster::provisioning
