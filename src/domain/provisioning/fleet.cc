// SPDX-License-Identifier: Apache-2.0
#include "domain/provisioning/fleet.h"

#include "base/log.h"
#include "base/text.h"
#include "domain/provisioning/claims.h"
#include "domain/provisioning/ownership.h"
#include "domain/provisioning/provision.h"
#include "domain/provisioning/templates.h"

namespace muster::provisioning {

namespace {

using store::Tx;

constexpr std::size_t kMaxParameters = 50;
constexpr std::size_t kMaxNameBytes = 2048;
constexpr std::size_t kMaxValueBytes = 4096;
constexpr std::size_t kMaxAnswerBytes = std::size_t{256} << 10;
constexpr std::string_view kSessionName = "fleet-provisioning";

Error denied(std::string message) {
  return make_error(ErrorKind::kAccessDenied, std::move(message));
}

struct Opened {
  ProvisioningTemplate item;
  security::Certificate certificate;
};

Result<Opened> open(Tx& tx, const FleetRequest& request) {
  const auto item = find_template(tx, request.template_name);
  if (!item || item->type != TemplateType::kFleet) {
    return not_found("Provisioning template " + request.template_name + " not found.");
  }
  if (!item->enabled) return invalid("Provisioning template " + item->name + " is not enabled.");
  // Its policy says so too; a policy that somebody attached besides does not widen a claim.
  if (const auto claim = find_claim(tx, request.claim_certificate_id)) {
    if (claim->template_name != item->name) return denied("The provisioning claim is for another template.");
    if (tx.now_ms() >= claim->expires_ms) return denied("The provisioning claim has expired.");
  }
  TRY(security::Certificate certificate, owned_certificate(tx, request.token));
  return Opened{*item, std::move(certificate)};
}

std::string hook_payload(const Context& context, const FleetRequest& request, const Opened& opened) {
  json::object parameters;
  for (const auto& [name, value] : request.parameters) parameters[name] = value;
  json::object payload{{"claimCertificateId", request.claim_certificate_id},
                       {"certificateId", opened.certificate.id},
                       {"certificatePem", opened.certificate.pem},
                       {"templateArn", template_arn(context.realm, opened.item.name)},
                       {"clientId", request.client_id}};
  payload["parameters"] = std::move(parameters);
  return to_text(payload);
}

}  // namespace

Status check_parameters(const Parameters& given) {
  const auto bad = [](std::string message) {
    return make_error(ErrorKind::kInvalid, std::move(message), "InvalidParameters");
  };
  if (given.size() > kMaxParameters)
    return bad("There are more than " + std::to_string(kMaxParameters) + " parameters.");
  for (const auto& [name, value] : given) {
    if (name.size() > kMaxNameBytes || value.size() > kMaxValueBytes) return bad("A parameter is too long.");
    if (name.starts_with("AWS::")) return bad("Parameter " + name + " cannot be given by a device.");
  }
  return {};
}

Result<HookCall> open_request(const Context& context, Tx& tx, const FleetRequest& request) {
  TRY(const Opened opened, open(tx, request));
  if (!opened.item.hook) return HookCall{};
  return HookCall{opened.item.hook->target_arn, hook_payload(context, request, opened)};
}

Result<Parameters> with_overrides(std::string_view answer, const Parameters& parameters) {
  const Error refused = denied("Access was denied by the pre-provisioning hook.");
  const auto parsed = parse_json(answer, {.max_bytes = kMaxAnswerBytes, .max_depth = 16});
  if (!parsed || !parsed->is_object()) return refused;
  const json::object& object = parsed->get_object();
  if (!get_bool(object, "allowProvisioning")) return refused;
  Parameters merged = parameters;
  if (has(object, "parameterOverrides")) {
    const json::object* overrides = find_object(object, "parameterOverrides");
    if (overrides == nullptr) return refused;
    for (const auto& member : *overrides) {
      if (!member.value().is_string()) return refused;
      merged[std::string(member.key())] = std::string(member.value().get_string());
    }
  }
  if (!check_parameters(merged)) return refused;
  return merged;
}

Result<FleetAnswer> provision_device(const Context& context, Tx& tx, const FleetRequest& request,
                                     const Parameters& parameters, Effects& effects) {
  TRY(const Opened opened, open(tx, request));
  TRY(const TemplateVersion version, get_template_version(tx, opened.item.name, opened.item.default_version));
  TRY(const Template source, parse_template(version.body, TemplateUse::kFleet));
  Parameters given = parameters;
  given.insert_or_assign(std::string(kCertificateIdParameter), opened.certificate.id);
  Result<Plan> plan = resolve(source, given);
  if (!plan) {
    Error error = std::move(plan).error();
    if (error.reason.empty()) error.reason = "InvalidParameters";
    return error;
  }
  TRY(iam::Principal role, role_principal(tx, context.realm, opened.item.role_arn, kSessionName,
                                          template_arn(context.realm, opened.item.name)));
  PrincipalRights rights(context.realm, std::move(role), {}, context.policies);
  TRY(Provisioned done, provision(context, tx, *plan, {}, rights, effects));
  spend_token(tx, request.token);
  return FleetAnswer{std::move(done.thing_name), std::move(plan->device_configuration), opened.certificate.id};
}

void FleetProvisioner::run(FleetRequest given, Done done) const {
  if (Status fine = check_parameters(given.parameters); !fine) return done(std::move(fine).error());
  auto request = std::make_shared<const FleetRequest>(std::move(given));
  auto hook = std::make_shared<HookCall>();
  store_.run(
      [this, request, hook](Tx& tx) -> Status {
        TRY(*hook, open_request(context_, tx, *request));
        return {};
      },
      [this, request, hook, done](Status status) {
        if (!status) return done(std::move(status).error());
        if (hook->function_arn.empty()) return finish(request, request->parameters, done);
        if (functions_ == nullptr) return done(denied("Access was denied by the pre-provisioning hook."));
        const std::string name = hook->function_arn;
        functions_->invoke(
            {name, std::move(hook->payload), kHookTimeoutMs}, [this, request, name, done](Result<std::string> answer) {
              if (!answer) {
                log::warn("pre-provisioning hook failed", {{"function", name}, {"reason", answer.error().message}});
                return done(denied("Access was denied by the pre-provisioning hook."));
              }
              auto merged = with_overrides(*answer, request->parameters);
              if (!merged) return done(std::move(merged).error());
              finish(request, *std::move(merged), done);
            });
      });
}

void FleetProvisioner::finish(std::shared_ptr<const FleetRequest> request, Parameters parameters, Done done) const {
  struct Outcome {
    FleetAnswer answer;
    Effects effects;
  };
  auto outcome = std::make_shared<Outcome>();
  store_.run(
      [this, request, outcome, parameters = std::move(parameters)](Tx& tx) -> Status {
        *outcome = {};
        TRY(outcome->answer, provision_device(context_, tx, *request, parameters, outcome->effects));
        return {};
      },
      [this, outcome, done = std::move(done)](Status status) {
        if (!status) return done(std::move(status).error());
        context_.tell(outcome->effects);
        done(std::move(outcome->answer));
      });
}

}  // namespace muster::provisioning
