// SPDX-License-Identifier: Apache-2.0
#include "domain/provisioning/just_in_time.h"

#include "base/json.h"
#include "domain/iam/sessions.h"
#include "domain/provisioning/provision.h"
#include "domain/provisioning/savepoint.h"
#include "domain/provisioning/templates.h"
#include "domain/security/accepted_keys.h"
#include "domain/security/registration.h"
#include "store/outbox.h"

namespace muster::provisioning {

namespace {

using security::CertificateStatus;
using store::Tx;

struct Instruction {
  std::string body;
  std::string role_arn;
  std::string source_arn;
};

Result<Instruction> instruction_of(Tx& tx, const Realm& realm, const security::CaCertificate& ca) {
  const security::RegistrationConfig& config = ca.registration;
  if (config.template_name.empty()) {
    return Instruction{config.template_body, config.role_arn, security::ca_certificate_arn(realm, ca.id)};
  }
  TRY(const ProvisioningTemplate item, get_template(tx, config.template_name));
  if (item.type != TemplateType::kJustInTime)
    return invalid("Provisioning template " + item.name + " is not for JITP.");
  if (!item.enabled) return invalid("Provisioning template " + item.name + " is not enabled.");
  TRY(TemplateVersion version, get_template_version(tx, item.name, item.default_version));
  return Instruction{std::move(version.body), item.role_arn, template_arn(realm, item.name)};
}

// The thing's name.
Result<std::string> provision_certificate(const Context& context, Tx& tx, const security::CaCertificate& ca,
                                          const security::Certificate& certificate, Effects& effects) {
  TRY(const Instruction instruction, instruction_of(tx, context.realm, ca));
  TRY(const Template source, parse_template(instruction.body, TemplateUse::kJustInTime));
  TRY(const Plan plan, resolve(source, certificate_parameters(certificate)));
  TRY(iam::Principal role,
      role_principal(tx, context.realm, instruction.role_arn, "just-in-time-provisioning", instruction.source_arn));
  PrincipalRights rights(context.realm, std::move(role), {}, context.policies);
  Savepoint savepoint(tx);
  Effects own;
  TRY(Provisioned done, provision(context, savepoint, plan, {}, rights, own));
  TRY_VOID(savepoint.release());
  effects = std::move(own);
  return std::move(done.thing_name);
}

// The form of the message: AWS IoT blog, "Just-in-Time Registration of Device Certificates".
void announce(const Context& context, Tx& tx, const security::CaCertificate& ca,
              const security::Certificate& certificate, Effects& effects) {
  const json::object event{{"certificateId", certificate.id},
                           {"caCertificateId", ca.id},
                           {"timestamp", tx.now_ms()},
                           {"certificateStatus", to_string(CertificateStatus::kPendingActivation)},
                           {"awsAccountId", context.realm.account_id},
                           {"certificateRegistrationTimestamp", std::to_string(certificate.created_ms)}};
  store::enqueue(tx, {.topic = "$aws/events/certificates/registered/" + ca.id, .payload = to_text(event)});
  effects.messages = true;
}

}  // namespace

Parameters certificate_parameters(const security::Certificate& certificate) {
  static constexpr std::pair<std::string_view, std::string_view> kNames[] = {
      {"iot:Certificate.Subject.Country", "AWS::IoT::Certificate::Country"},
      {"iot:Certificate.Subject.Organization", "AWS::IoT::Certificate::Organization"},
      {"iot:Certificate.Subject.OrganizationalUnit", "AWS::IoT::Certificate::OrganizationalUnit"},
      {"iot:Certificate.Subject.DistinguishedNameQualifier", "AWS::IoT::Certificate::DistinguishedNameQualifier"},
      {"iot:Certificate.Subject.State", "AWS::IoT::Certificate::StateName"},
      {"iot:Certificate.Subject.CommonName", "AWS::IoT::Certificate::CommonName"},
      {"iot:Certificate.Subject.SerialNumber", "AWS::IoT::Certificate::SerialNumber"},
  };
  Parameters parameters{{std::string(kCertificateIdParameter), certificate.id}};
  const auto variables = security::certificate_variables(certificate);
  for (const auto& [variable, parameter] : kNames) {
    for (const auto& [name, values] : variables) {
      if (name == variable && values.size() == 1) parameters.emplace(parameter, values.front());
    }
  }
  return parameters;
}

Result<FirstSight> first_sight(const Context& context, Tx& tx, const x509::Certificate& certificate, Effects& effects) {
  auto known = security::find_certificate(tx, certificate.id);
  if (known && known->status != CertificateStatus::kPendingActivation) return FirstSight{};
  TRY(const auto ca, security::issuer_of(tx, certificate.der));
  if (!ca || !ca->auto_registration) return FirstSight{};
  const std::int64_t now_ms = tx.now_ms();
  if (now_ms < certificate.not_before_ms || now_ms > certificate.not_after_ms) return FirstSight{};
  // One that waits for something else than its CA, a fleet's token say, is not ours.
  if (known && known->ca_certificate_id != ca->id) return FirstSight{};
  if (!known && !security::check_accepted(certificate)) return FirstSight{};
  FirstSight sight{.what = FirstSight::What::kAnnounced, .registered = !known};
  if (!known) {
    const auto record = security::record_of(certificate, CertificateStatus::kPendingActivation, *ca);
    TRY(known, security::register_certificate(tx, context.realm, record));
  }
  if (ca->registration.empty()) {
    announce(context, tx, *ca, *known, effects);
    return sight;
  }
  Result<std::string> done = provision_certificate(context, tx, *ca, *known, effects);
  if (done) {
    sight.what = FirstSight::What::kProvisioned;
    sight.thing_name = *std::move(done);
    return sight;
  }
  // The store's trouble is nobody's fault.
  if (done.error().kind == ErrorKind::kUnavailable || done.error().kind == ErrorKind::kInternal) return done.error();
  sight.what = FirstSight::What::kFailed;
  sight.why = done.error().message;
  sight.error = done.error().kind;
  return sight;
}

Status check_registration_config(Tx& tx, const Realm& realm, const security::RegistrationConfig& config) {
  if (config.empty()) return {};
  if (!config.template_name.empty()) {
    if (!config.template_body.empty() || !config.role_arn.empty()) {
      return invalid("registrationConfig takes either templateName or templateBody and roleArn");
    }
    const auto item = find_template(tx, config.template_name);
    if (!item) return invalid("Provisioning template " + config.template_name + " not found.");
    if (item->type != TemplateType::kJustInTime)
      return invalid("Provisioning template " + item->name + " is not of type JITP.");
    return {};
  }
  if (config.template_body.empty() || config.role_arn.empty()) {
    return invalid("registrationConfig needs both templateBody and roleArn");
  }
  TRY_VOID(parse_template(config.template_body, TemplateUse::kJustInTime));
  return iam::check_service_role(tx, realm, config.role_arn, "iot.amazonaws.com");
}

}  // namespace muster::provisioning
