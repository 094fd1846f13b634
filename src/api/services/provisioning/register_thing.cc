// SPDX-License-Identifier: Apache-2.0
// CreateProvisioningClaim and RegisterThing.
#include "api/services/provisioning/provisioning.h"
#include "base/x509.h"
#include "domain/provisioning/claims.h"
#include "domain/provisioning/provision.h"
#include "store/transact.h"

namespace muster::api::iot {

namespace {

using provisioning::Effects;
using store::Tx;

Handler claim_handler(const SharedProvisioning& services) {
  return [services](Call& call) -> io::Task<Reply> {
    const provisioning::Context& context = *services->context;
    if (context.authority == nullptr) co_return make_error(ErrorKind::kUnavailable, "There is no device CA.");
    const x509::Validity validity{call.now_ms - provisioning::kCertificateBackdatedMs,
                                  call.now_ms + provisioning::kClaimMs};
    auto work = [&context, validity] { return context.authority->issue_device(x509::KeyKind::kRsa2048, validity); };
    CO_TRY(const x509::Issued issued, co_await off_loop(*services, work));
    const std::string name(get_string(call.input, "templateName"));
    auto body = [&](Tx& tx) { return provisioning::create_claim(context, tx, name, issued.certificate); };
    CO_TRY(const provisioning::Claim claim, co_await store::transact(*services->store, body));
    Reply reply;
    reply.output = {{"certificateId", issued.certificate.id},
                    {"certificatePem", issued.certificate.pem},
                    {"expiration", claim.expires_ms}};
    reply.output["keyPair"] =
        json::object{{"PublicKey", issued.key.public_pem}, {"PrivateKey", issued.key.private_pem}};
    co_return reply;
  };
}

Result<provisioning::Plan> plan_of_input(const json::object& input) {
  TRY(const auto source,
      provisioning::parse_template(get_string(input, "templateBody"), provisioning::TemplateUse::kRegister));
  provisioning::Parameters given;
  if (const json::object* parameters = find_object(input, "parameters")) {
    for (const auto& member : *parameters) {
      if (member.value().is_string()) given.emplace(member.key(), member.value().get_string());
    }
  }
  return provisioning::resolve(source, given);
}

Handler register_thing_handler(const SharedProvisioning& services) {
  return [services](Call& call) -> io::Task<Reply> {
    const provisioning::Context& context = *services->context;
    CO_TRY(const provisioning::Plan plan, plan_of_input(call.input));
    auto work = [&context, &plan, now_ms = call.now_ms] { return provisioning::prepare(context, plan, now_ms); };
    CO_TRY(const provisioning::Material material, co_await off_loop(*services, work));
    Effects effects;
    auto body = [&](Tx& tx) {
      effects = {};
      auto rights = caller_rights(*services, call);
      return provisioning::provision(context, tx, plan, material, rights, effects);
    };
    CO_TRY(const provisioning::Provisioned done, co_await store::transact(*services->store, body));
    context.tell(effects);
    Reply reply;
    if (!done.certificate_pem.empty()) reply.output["certificatePem"] = done.certificate_pem;
    json::object arns;
    for (const auto& [name, arn] : done.resource_arns) arns[name] = arn;
    reply.output["resourceArns"] = std::move(arns);
    co_return reply;
  };
}

}  // namespace

void register_provisioning_claims(Operations& operations, const SharedProvisioning& services) {
  operations.add("iot", "CreateProvisioningClaim", claim_handler(services));
}

void register_thing_registration(Operations& operations, const SharedProvisioning& services) {
  operations.add("iot", "RegisterThing", register_thing_handler(services));
}

}  // namespace muster::api::iot
