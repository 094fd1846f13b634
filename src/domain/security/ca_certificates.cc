// SPDX-License-Identifier: Apache-2.0
// kCaCertificate: id -> {pem, active, sni_only, auto_registration, template_body, role_arn, template_name, subject,
// not_before_ms, not_after_ms, created_ms, modified_ms, generation, customer_version}. kCertificateOfCa, beside the
// certificates of CAs, whose ids have 64 digits: ("subject", SHA-256 of the subject, id) -> "", ("time", created_ms,
// id)
// -> "". kRegistrationCode: "account" -> {code}.
#include "domain/security/ca_certificates.h"

#include <algorithm>

#include "base/crypto.h"
#include "base/json.h"
#include "domain/security/accepted_keys.h"
#include "domain/security/certificates.h"
#include "store/keys.h"
#include "store/schema.h"

namespace muster::security {

namespace {

constexpr std::size_t kSameSubject = 10;
constexpr std::size_t kCodeBytes = 32;

std::string ca_key(std::string_view id) {
  return store::Key(store::table::kCaCertificate).text(id).str();
}
std::string subject_prefix(std::string_view subject) {
  return store::Key(store::table::kCertificateOfCa).text("subject").text(sha256_hex(subject)).str();
}
std::string subject_key(const CaCertificate& ca) {
  return store::Key(store::table::kCertificateOfCa).text("subject").text(sha256_hex(ca.subject)).text(ca.id).str();
}
std::string time_prefix() {
  return store::Key(store::table::kCertificateOfCa).text("time").str();
}
std::string time_key(const CaCertificate& ca) {
  return store::Key(store::table::kCertificateOfCa).text("time").integer(ca.created_ms).text(ca.id).str();
}
std::string code_key() {
  return store::Key(store::table::kRegistrationCode).text("account").str();
}

std::optional<CaCertificate> read_ca(std::string_view id, std::string_view text) {
  const auto record = parse_record(text);
  if (!record) return std::nullopt;
  CaCertificate ca;
  ca.id = id;
  ca.pem = get_string(*record, "pem");
  ca.active = get_bool(*record, "active");
  ca.sni_only = get_bool(*record, "sni_only");
  ca.auto_registration = get_bool(*record, "auto_registration");
  ca.registration.template_body = get_string(*record, "template_body");
  ca.registration.role_arn = get_string(*record, "role_arn");
  ca.registration.template_name = get_string(*record, "template_name");
  ca.subject = get_string(*record, "subject");
  ca.not_before_ms = get_int(*record, "not_before_ms");
  ca.not_after_ms = get_int(*record, "not_after_ms");
  ca.created_ms = get_int(*record, "created_ms");
  ca.modified_ms = get_int(*record, "modified_ms");
  ca.generation_id = get_string(*record, "generation");
  ca.customer_version = get_int(*record, "customer_version", 1);
  return ca;
}

void put_ca(store::Tx& tx, const CaCertificate& ca) {
  json::object record{{"pem", ca.pem},
                      {"active", ca.active},
                      {"sni_only", ca.sni_only},
                      {"auto_registration", ca.auto_registration},
                      {"subject", ca.subject},
                      {"not_before_ms", ca.not_before_ms},
                      {"not_after_ms", ca.not_after_ms},
                      {"created_ms", ca.created_ms},
                      {"modified_ms", ca.modified_ms},
                      {"generation", ca.generation_id},
                      {"customer_version", ca.customer_version}};
  const RegistrationConfig& registration = ca.registration;
  if (!registration.template_body.empty()) record["template_body"] = registration.template_body;
  if (!registration.role_arn.empty()) record["role_arn"] = registration.role_arn;
  if (!registration.template_name.empty()) record["template_name"] = registration.template_name;
  tx.put(ca_key(ca.id), to_text(record));
}

std::vector<std::string> ids_of_subject(store::Tx& tx, std::string_view subject) {
  const std::string prefix = subject_prefix(subject);
  std::vector<std::string> ids;
  for (const store::KeyValue& item :
       tx.range({.begin = prefix, .end = store::after_prefix(prefix), .limit = kSameSubject})) {
    store::KeyReader reader(item.key);
    reader.text();
    reader.text();
    if (auto id = reader.text()) ids.push_back(*std::move(id));
  }
  return ids;
}

Error code_refused(std::string message) {
  return make_error(ErrorKind::kInvalid, std::move(message), "RegistrationCodeValidationException");
}

// That who registers the CA holds its key: it signed a certificate over this account's code.
Status check_possession(store::Tx& tx, const x509::Certificate& ca, std::string_view verification_pem) {
  TRY(const x509::Certificate proof, read_certificate_pem(verification_pem));
  if (!x509::is_signed_by(proof, ca))
    return certificate_refused("The verification certificate is not signed by the CA certificate");
  const auto record = tx.get(code_key());
  if (!record) return code_refused("There is no registration code: get one with GetRegistrationCode");
  TRY(const json::object code, parse_record(*record));
  if (!equal_constant_time(get_string(code, "code"), proof.common_name))
    return code_refused("The common name of the verification certificate is not the registration code");
  if (tx.now_ms() > proof.not_after_ms || tx.now_ms() < proof.not_before_ms)
    return certificate_refused("The verification certificate is not valid at this time");
  return {};
}

Status check_registration(const RegistrationConfig& registration) {
  if (!registration.template_body.empty() && !registration.template_name.empty())
    return invalid("registrationConfig may have a templateBody or a templateName, not both");
  if (!registration.template_body.empty() && registration.role_arn.empty())
    return invalid("registrationConfig needs a roleArn with its templateBody");
  if (!registration.role_arn.empty() && registration.template_body.empty())
    return invalid("registrationConfig needs a templateBody with its roleArn");
  return {};
}

}  // namespace

std::string ca_certificate_arn(const Realm& realm, std::string_view id) {
  return iot_arn(realm, "cacert", id);
}

std::optional<std::string> ca_certificate_in_arn(const Realm& realm, std::string_view arn) {
  auto id = name_in_iot_arn(realm, "cacert", arn);
  if (!id || !is_certificate_id(*id)) return std::nullopt;
  return id;
}

std::string registration_code(store::Tx& tx) {
  if (const auto record = tx.get(code_key()))
    if (const auto code = parse_record(*record)) return std::string(get_string(*code, "code"));
  std::string code = random_hex(kCodeBytes);
  tx.put(code_key(), to_text(json::object{{"code", code}}));
  return code;
}

Status delete_registration_code(store::Tx& tx) {
  if (!tx.get(code_key())) return not_found("There is no registration code");
  tx.erase(code_key());
  return {};
}

Result<CaCertificate> register_ca_certificate(store::Tx& tx, const Realm& realm, const CaRegistration& wanted) {
  if (wanted.sni_only && !wanted.verification_pem.empty())
    return invalid("verificationCertificate must be empty when certificateMode is SNI_ONLY");
  if (!wanted.sni_only && wanted.verification_pem.empty())
    return invalid("verificationCertificate must not be empty when certificateMode is DEFAULT");
  TRY_VOID(check_registration(wanted.registration));
  TRY(const x509::Certificate parsed, read_certificate_pem(wanted.pem));
  if (!parsed.is_ca) return certificate_refused("The certificate is not one of a certificate authority");
  if (tx.now_ms() > parsed.not_after_ms) return certificate_refused("The CA certificate has expired");
  if (tx.get(ca_key(parsed.id))) {
    Error error = make_error(ErrorKind::kAlreadyExists, "The CA certificate is already registered");
    error.fields["resourceId"] = parsed.id;
    error.fields["resourceArn"] = ca_certificate_arn(realm, parsed.id);
    return error;
  }
  if (!wanted.sni_only) TRY_VOID(check_possession(tx, parsed, wanted.verification_pem));
  if (ids_of_subject(tx, parsed.subject).size() >= kSameSubject)
    return make_error(ErrorKind::kLimit,
                      "There are already " + std::to_string(kSameSubject) + " CA certificates with this subject");
  CaCertificate ca;
  ca.id = parsed.id;
  ca.pem = parsed.pem;
  ca.active = wanted.active;
  ca.sni_only = wanted.sni_only;
  ca.auto_registration = wanted.auto_registration;
  ca.registration = wanted.registration;
  ca.subject = parsed.subject;
  ca.not_before_ms = parsed.not_before_ms;
  ca.not_after_ms = parsed.not_after_ms;
  ca.created_ms = ca.modified_ms = tx.now_ms();
  ca.generation_id = random_uuid();
  put_ca(tx, ca);
  tx.put(subject_key(ca), "");
  tx.put(time_key(ca), "");
  return ca;
}

std::optional<CaCertificate> find_ca_certificate(store::Tx& tx, std::string_view id) {
  const auto text = tx.get(ca_key(id));
  return text ? read_ca(id, *text) : std::nullopt;
}

Result<CaCertificate> get_ca_certificate(store::Tx& tx, std::string_view id) {
  auto ca = find_ca_certificate(tx, id);
  if (!ca) return not_found("The CA certificate does not exist (certificateId=" + std::string(id) + ")");
  return *std::move(ca);
}

Result<CaCertificate> update_ca_certificate(store::Tx& tx, std::string_view id, const CaUpdate& update) {
  TRY(CaCertificate ca, get_ca_certificate(tx, id));
  if (update.remove_registration && update.registration)
    return invalid("removeAutoRegistration cannot be combined with a registrationConfig");
  if (update.remove_registration && update.auto_registration.value_or(false))
    return invalid("removeAutoRegistration cannot be combined with newAutoRegistrationStatus ENABLE");
  if (update.active) ca.active = *update.active;
  if (update.auto_registration) ca.auto_registration = *update.auto_registration;
  if (update.registration) {
    TRY_VOID(check_registration(*update.registration));
    ca.registration = *update.registration;
  }
  if (update.remove_registration) {
    ca.registration = {};
    ca.auto_registration = false;
  }
  ca.modified_ms = tx.now_ms();
  ++ca.customer_version;
  put_ca(tx, ca);
  return ca;
}

Status delete_ca_certificate(store::Tx& tx, std::string_view id) {
  TRY(const CaCertificate ca, get_ca_certificate(tx, id));
  if (ca.active) return certificate_state_refused("CA certificate must be deactivated (not ACTIVE) before deletion.");
  tx.erase(ca_key(id));
  tx.erase(subject_key(ca));
  tx.erase(time_key(ca));
  return {};
}

Result<registry::Page<CaCertificate>> list_ca_certificates(store::Tx& tx, const registry::PageRequest& request,
                                                           bool ascending, std::string_view template_name) {
  constexpr std::size_t kReadAtOnce = 250;
  const std::string listing =
      (ascending ? "ca-certificates:" : "ca-certificates-descending:") + std::string(template_name);
  TRY(const std::string position, registry::page_position(listing, request.token));
  const std::string prefix = time_prefix();
  store::RangeOptions options{
      .begin = prefix, .end = store::after_prefix(prefix), .limit = kReadAtOnce, .reverse = !ascending};
  options.snapshot = true;
  if (!position.empty()) {
    if (ascending)
      options.begin = std::max(options.begin, store::after_key(prefix + position));
    else
      options.end = std::min(options.end, prefix + position);
  }
  registry::Page<CaCertificate> page;
  std::string last;
  while (options.begin < options.end) {
    const auto found = tx.range(options);
    for (const store::KeyValue& item : found) {
      store::KeyReader reader(item.key);
      reader.text();
      reader.integer();
      const auto id = reader.text();
      const auto text = id ? tx.get_snapshot(ca_key(*id)) : std::nullopt;
      auto ca = text ? read_ca(*id, *text) : std::nullopt;
      if (!ca || (!template_name.empty() && ca->registration.template_name != template_name)) continue;
      if (page.items.size() == request.limit) {
        page.next_token = registry::page_token(listing, last);
        return page;
      }
      last = item.key.substr(prefix.size());
      page.items.push_back(*std::move(ca));
    }
    if (found.size() < kReadAtOnce) break;
    if (ascending)
      options.begin = store::after_key(found.back().key);
    else
      options.end = found.back().key;
  }
  return page;
}

std::vector<CaCertificate> issuers_of(store::Tx& tx, const x509::Certificate& certificate) {
  std::vector<CaCertificate> issuers;
  for (const std::string& id : ids_of_subject(tx, certificate.issuer)) {
    auto ca = find_ca_certificate(tx, id);
    if (!ca) continue;
    const auto parsed = x509::parse_pem(ca->pem);
    if (parsed && x509::is_signed_by(certificate, *parsed)) issuers.push_back(*std::move(ca));
  }
  std::ranges::sort(issuers, [](const CaCertificate& a, const CaCertificate& b) { return a.active > b.active; });
  return issuers;
}

Result<std::optional<CaCertificate>> issuer_of(store::Tx& tx, std::string_view der) {
  TRY(const x509::Certificate certificate, x509::parse_der(der));
  for (CaCertificate& ca : issuers_of(tx, certificate)) {
    const bool in_date = tx.now_ms() >= ca.not_before_ms && tx.now_ms() <= ca.not_after_ms;
    if (ca.active && in_date) return std::optional(std::move(ca));
  }
  return std::optional<CaCertificate>();
}

}  // namespace muster::security
