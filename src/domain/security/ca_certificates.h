// SPDX-License-Identifier: Apache-2.0
// Registered CA certificates: whose device certificates may be registered, by an operation or at their first connect.
// The id is the SHA-256 of the DER in hex. Whoever registers a CA proves that he holds its key: with a certificate that
// the CA signed over the account's registration code (mode DEFAULT), or not at all (SNI_ONLY). A CA that is INACTIVE
// registers nobody; certificates that it signed before go on working. Synchronous over Tx&.
// Bounds: 10 CAs of one subject. Source: AWS IoT developer guide, "Manage your CA certificates".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "base/x509.h"
#include "domain/registry/page.h"
#include "store/store.h"

namespace muster::security {

// Of automatic registration. A body (which takes a role) or the name of a template, or nothing. Whether template and
// role are good is their own domain's to say.
struct RegistrationConfig {
  std::string template_body;
  std::string role_arn;
  std::string template_name;
  bool empty() const { return template_body.empty() && role_arn.empty() && template_name.empty(); }
};

struct CaCertificate {
  std::string id;
  std::string pem;
  bool active = false;
  bool sni_only = false;
  bool auto_registration = false;
  RegistrationConfig registration;
  std::string subject;  // RFC 2253
  std::int64_t not_before_ms = 0, not_after_ms = 0;
  std::int64_t created_ms = 0, modified_ms = 0;
  std::string generation_id;
  std::int64_t customer_version = 1;
};

std::string ca_certificate_arn(const Realm& realm, std::string_view id);  // arn:aws:iot:R:A:cacert/ID
std::optional<std::string> ca_certificate_in_arn(const Realm& realm, std::string_view arn);

// The account's code, made by the first question; 64 hexadecimal digits.
std::string registration_code(store::Tx& tx);
Status delete_registration_code(store::Tx& tx);  // kNotFound when there is none

struct CaRegistration {
  std::string pem;
  std::string verification_pem;  // empty exactly when sni_only
  bool sni_only = false;
  bool active = false;
  bool auto_registration = false;
  RegistrationConfig registration;
};
// kAlreadyExists; kLimit; kInvalid with reason "CertificateValidationException" or
// "RegistrationCodeValidationException".
Result<CaCertificate> register_ca_certificate(store::Tx& tx, const Realm& realm, const CaRegistration& wanted);

std::optional<CaCertificate> find_ca_certificate(store::Tx& tx, std::string_view id);
Result<CaCertificate> get_ca_certificate(store::Tx& tx, std::string_view id);

struct CaUpdate {
  std::optional<bool> active;
  std::optional<bool> auto_registration;
  std::optional<RegistrationConfig> registration;
  bool remove_registration = false;  // the config goes and automatic registration ends
};
Result<CaCertificate> update_ca_certificate(store::Tx& tx, std::string_view id, const CaUpdate& update);
// Must be INACTIVE (reason "CertificateStateException"). Certificates that it signed stay.
Status delete_ca_certificate(store::Tx& tx, std::string_view id);

// By time of creation; with a template, those alone that register by it.
Result<registry::Page<CaCertificate>> list_ca_certificates(store::Tx& tx, const registry::PageRequest& page,
                                                           bool ascending, std::string_view template_name = {});

// The registered CAs whose key signed the certificate, ACTIVE ones first. Usually none or one; a renewed CA with the
// same key is another one. At most 10, by their quota.
std::vector<CaCertificate> issuers_of(store::Tx& tx, const x509::Certificate& certificate);
// The first of them, if it is ACTIVE and in date. kInvalid when that is no certificate.
Result<std::optional<CaCertificate>> issuer_of(store::Tx& tx, std::string_view der);

}  // namespace muster::security
