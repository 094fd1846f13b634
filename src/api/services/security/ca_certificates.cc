// SPDX-License-Identifier: Apache-2.0
#include "domain/security/ca_certificates.h"
#include "api/services/iot/tags.h"
#include "api/services/iot/things_handler.h"
#include "api/services/security/certificate_shapes.h"
#include "domain/provisioning/just_in_time.h"

namespace muster::api::iot {

namespace {

using store::Tx;

json::object reference(const RegistryServices& services, const security::CaCertificate& ca) {
  return {{"certificateArn", security::ca_certificate_arn(services.realm, ca.id)}, {"certificateId", ca.id}};
}

security::RegistrationConfig registration_of_input(const json::object& input) {
  const json::object* config = find_object(input, "registrationConfig");
  if (config == nullptr) return {};
  return {std::string(get_string(*config, "templateBody")), std::string(get_string(*config, "roleArn")),
          std::string(get_string(*config, "templateName"))};
}

Result<json::object> get_registration_code(const RegistryServices&, Tx& tx, const json::object&, Changes&) {
  return json::object{{"registrationCode", security::registration_code(tx)}};
}

Result<json::object> delete_registration_code(const RegistryServices&, Tx& tx, const json::object&, Changes&) {
  TRY_VOID(security::delete_registration_code(tx));
  return json::object();
}

Result<json::object> register_ca(const RegistryServices& services, Tx& tx, const json::object& input, Changes&) {
  security::CaRegistration wanted;
  wanted.pem = get_string(input, "caCertificate");
  wanted.verification_pem = get_string(input, "verificationCertificate");
  wanted.sni_only = get_string(input, "certificateMode") == "SNI_ONLY";
  wanted.active = get_bool(input, "setAsActive");
  wanted.auto_registration = get_bool(input, "allowAutoRegistration");
  wanted.registration = registration_of_input(input);
  TRY_VOID(provisioning::check_registration_config(tx, services.realm, wanted.registration));
  TRY(const auto ca, security::register_ca_certificate(tx, services.realm, wanted));
  json::object output = reference(services, ca);
  TRY(const registry::Tags tags, read_tags(input));
  TRY_VOID(refuse_reserved_tags(tags));
  if (!tags.empty()) TRY_VOID(registry::tag_resource(tx, security::ca_certificate_arn(services.realm, ca.id), tags));
  return output;
}

Result<json::object> describe_ca(const RegistryServices& services, Tx& tx, const json::object& input, Changes&) {
  TRY(const auto ca, security::get_ca_certificate(tx, get_string(input, "certificateId")));
  json::object description = reference(services, ca);
  description["status"] = ca.active ? "ACTIVE" : "INACTIVE";
  description["certificatePem"] = ca.pem;
  description["ownedBy"] = services.realm.account_id;
  description["creationDate"] = ca.created_ms;
  description["autoRegistrationStatus"] = ca.auto_registration ? "ENABLE" : "DISABLE";
  description["lastModifiedDate"] = ca.modified_ms;
  description["customerVersion"] = ca.customer_version;
  description["generationId"] = ca.generation_id;
  description["validity"] = json::object{{"notBefore", ca.not_before_ms}, {"notAfter", ca.not_after_ms}};
  description["certificateMode"] = ca.sni_only ? "SNI_ONLY" : "DEFAULT";
  json::object output{{"certificateDescription", std::move(description)}};
  if (!ca.registration.empty()) {
    json::object config;
    const auto& registration = ca.registration;
    if (!registration.template_body.empty()) config["templateBody"] = registration.template_body;
    if (!registration.role_arn.empty()) config["roleArn"] = registration.role_arn;
    if (!registration.template_name.empty()) config["templateName"] = registration.template_name;
    output["registrationConfig"] = std::move(config);
  }
  return output;
}

Result<json::object> list_cas(const RegistryServices& services, Tx& tx, const json::object& input, Changes&) {
  TRY(const auto page,
      security::list_ca_certificates(tx, marker_page_of_input(input), get_bool(input, "ascendingOrder"),
                                     get_string(input, "templateName")));
  json::array list;
  for (const security::CaCertificate& ca : page.items) {
    json::object shape = reference(services, ca);
    shape["status"] = ca.active ? "ACTIVE" : "INACTIVE";
    shape["creationDate"] = ca.created_ms;
    list.emplace_back(std::move(shape));
  }
  json::object output{{"certificates", std::move(list)}};
  if (!page.next_token.empty()) output["nextMarker"] = page.next_token;
  return output;
}

Result<json::object> update_ca(const RegistryServices& services, Tx& tx, const json::object& input, Changes&) {
  security::CaUpdate update;
  if (has(input, "newStatus")) update.active = get_string(input, "newStatus") == "ACTIVE";
  if (has(input, "newAutoRegistrationStatus"))
    update.auto_registration = get_string(input, "newAutoRegistrationStatus") == "ENABLE";
  if (has(input, "registrationConfig")) {
    update.registration = registration_of_input(input);
    TRY_VOID(provisioning::check_registration_config(tx, services.realm, *update.registration));
  }
  update.remove_registration = get_bool(input, "removeAutoRegistration");
  TRY_VOID(security::update_ca_certificate(tx, get_string(input, "certificateId"), update));
  return json::object();
}

Result<json::object> delete_ca(const RegistryServices& services, Tx& tx, const json::object& input, Changes&) {
  const std::string_view id = get_string(input, "certificateId");
  TRY_VOID(security::delete_ca_certificate(tx, id));
  registry::erase_tags(tx, security::ca_certificate_arn(services.realm, id));
  return json::object();
}

Result<json::object> list_by_ca(const RegistryServices& services, Tx& tx, const json::object& input, Changes&) {
  const std::string_view id = get_string(input, "caCertificateId");
  TRY(const auto page,
      security::list_certificates_of_ca(tx, id, marker_page_of_input(input), get_bool(input, "ascendingOrder")));
  json::object output{{"certificates", certificate_list(services, page.items)}};
  if (!page.next_token.empty()) output["nextMarker"] = page.next_token;
  return output;
}

}  // namespace

void register_ca_certificates(Operations& operations, const SharedRegistry& services) {
  auto add = [&](std::string_view operation, RegistryBody body) {
    operations.add("iot", operation, registry_handler(services, std::move(body)));
  };
  add("GetRegistrationCode", get_registration_code);
  add("DeleteRegistrationCode", delete_registration_code);
  add("RegisterCACertificate", register_ca);
  add("DescribeCACertificate", describe_ca);
  add("ListCACertificates", list_cas);
  add("UpdateCACertificate", update_ca);
  add("DeleteCACertificate", delete_ca);
  add("ListCertificatesByCA", list_by_ca);
}

}  // namespace muster::api::iot
