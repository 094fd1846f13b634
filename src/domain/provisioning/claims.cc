// SPDX-License-Identifier: Apache-2.0
// kProvisioningClaim: certificate id -> {template, policy, expires_ms}.
#include "domain/provisioning/claims.h"

#include "base/json.h"
#include "domain/provisioning/templates.h"
#include "domain/security/policies.h"
#include "domain/security/registration.h"
#include "store/keys.h"
#include "store/schema.h"

namespace muster::provisioning {

namespace {

using store::Tx;

std::string claim_key(std::string_view certificate_id) {
  return store::Key(store::table::kProvisioningClaim).text(certificate_id).str();
}

json::object statement(json::array actions, json::array resources) {
  return {{"Effect", "Allow"}, {"Action", std::move(actions)}, {"Resource", std::move(resources)}};
}

// What AWS's developer guide recommends for claims, for one template.
std::string claim_document(const Realm& realm, std::string_view name) {
  const auto below = [&](std::string_view kind) {
    json::array resources;
    const std::string topics[] = {"$aws/certificates/create/*", "$aws/certificates/create-from-csr/*",
                                  "$aws/provisioning-templates/" + std::string(name) + "/provision/*"};
    for (const std::string& topic : topics) resources.emplace_back(iot_arn(realm, kind, topic));
    return resources;
  };
  json::array statements{statement({"iot:Connect"}, {iot_arn(realm, "client", "*")}),
                         statement({"iot:Publish", "iot:Receive"}, below("topic")),
                         statement({"iot:Subscribe"}, below("topicfilter"))};
  return to_text(json::object{{"Version", "2012-10-17"}, {"Statement", std::move(statements)}});
}

}  // namespace

Result<Claim> create_claim(const Context& context, Tx& tx, std::string_view template_name,
                           const x509::Certificate& issued) {
  TRY_VOID(get_template(tx, template_name));
  const Claim claim{std::string(template_name), tx.now_ms() + kClaimMs};
  const std::string policy = "provisioning-claim-" + issued.id.substr(0, 32);
  TRY_VOID(security::register_certificate(tx, context.realm,
                                          security::record_of(issued, security::CertificateStatus::kActive)));
  TRY_VOID(security::create_policy(tx, context.realm, policy, claim_document(context.realm, template_name)));
  TRY_VOID(security::attach_policy(tx, context.realm, policy, security::certificate_arn(context.realm, issued.id)));
  tx.put(
      claim_key(issued.id),
      to_text(json::object{{"template", claim.template_name}, {"policy", policy}, {"expires_ms", claim.expires_ms}}));
  store::arm(tx, kClaimTimer, issued.id, claim.expires_ms);
  return claim;
}

std::optional<Claim> find_claim(Tx& tx, std::string_view certificate_id) {
  const auto text = tx.get(claim_key(certificate_id));
  const auto record = text ? parse_record(*text) : Result<json::object>(internal("absent"));
  if (!record) return std::nullopt;
  return Claim{std::string(get_string(*record, "template")), get_int(*record, "expires_ms")};
}

Status expire_claim(const Context& context, Tx& tx, std::string_view certificate_id) {
  const auto text = tx.get(claim_key(certificate_id));
  if (!text) return {};
  TRY(const json::object record, parse_record(*text));
  const std::string policy(get_string(record, "policy"));
  const std::string arn = security::certificate_arn(context.realm, certificate_id);
  if (const auto certificate = security::find_certificate(tx, certificate_id)) {
    if (certificate->status == security::CertificateStatus::kActive) {
      TRY_VOID(security::update_certificate(tx, certificate_id, security::CertificateStatus::kInactive));
    }
    TRY_VOID(security::delete_certificate(tx, context.realm, certificate_id, true));
  }
  // Somebody may have given it versions or targets of its own: then it is theirs.
  if (security::find_policy(tx, policy)) {
    if (Status gone = security::delete_policy(tx, policy); !gone && gone.error().kind != ErrorKind::kConflict) {
      return gone;
    }
  }
  tx.erase(claim_key(certificate_id));
  return {};
}

}  // namespace muster::provisioning
