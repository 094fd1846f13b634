// SPDX-License-Identifier: Apache-2.0
#include "domain/security/certificates.h"
#include "api/services/iot/things_handler.h"
#include "base/text.h"
#include "base/x509.h"
#include "store/transact.h"

namespace muster::api::iot {

namespace {

using security::CertificateStatus;
using store::Tx;

constexpr std::int64_t kBackdatedMs = 120'000;           // for clocks of devices that are a little behind
constexpr std::int64_t kNotAfterMs = 2'524'607'999'000;  // 2049-12-31T23:59:59Z, as AWS

security::Certificate record_of(const x509::Certificate& parsed, CertificateStatus status) {
  security::Certificate certificate;
  certificate.id = parsed.id;
  certificate.pem = parsed.pem;
  certificate.status = status;
  certificate.not_before_ms = parsed.not_before_ms;
  certificate.not_after_ms = parsed.not_after_ms;
  certificate.subject = parsed.subject;
  certificate.issuer = parsed.issuer;
  certificate.serial_number = parsed.serial;
  return certificate;
}

// Ids are hexadecimal in any case, with or without 0x.
std::string id_of_input(const json::object& input) {
  std::string id = lower(get_string(input, "certificateId"));
  if (id.starts_with("0x")) id.erase(0, 2);
  return id;
}

json::object reference(const RegistryServices& services, const security::Certificate& certificate) {
  return {{"certificateArn", security::certificate_arn(services.realm, certificate.id)},
          {"certificateId", certificate.id}};
}

// Issues with `make` (slow: off the loop), registers, answers.
using Issue = std::function<Result<x509::Issued>(const x509::CertificateAuthority&, const x509::Validity&,
                                                 const json::object& input)>;
Handler issuing_handler(const SharedRegistry& services, Issue make) {
  return [services, make = std::move(make)](Call& call) -> io::Task<Reply> {
    if (services->authority == nullptr) co_return make_error(ErrorKind::kUnavailable, "There is no device CA.");
    x509::Validity validity{call.now_ms - kBackdatedMs, kNotAfterMs};
    auto work = [&] { return make(*services->authority, validity, call.input); };
    Result<x509::Issued> issued;
    if (services->pool != nullptr)
      issued = co_await services->pool->run(work);
    else
      issued = work();
    if (!issued) co_return std::move(issued).error();
    CertificateStatus status =
        get_bool(call.input, "setAsActive") ? CertificateStatus::kActive : CertificateStatus::kInactive;
    security::Certificate wanted = record_of(issued->certificate, status);
    auto store_it = [&](Tx& tx) { return security::register_certificate(tx, services->realm, wanted); };
    CO_TRY(security::Certificate certificate, co_await store::transact(*services->store, store_it));
    Changes changes;
    changes.certificates.push_back(certificate.id);
    announce(*services, changes);
    Reply reply;
    reply.output = reference(*services, certificate);
    reply.output["certificatePem"] = certificate.pem;
    if (!issued->key.private_pem.empty())
      reply.output["keyPair"] =
          json::object{{"PublicKey", issued->key.public_pem}, {"PrivateKey", issued->key.private_pem}};
    co_return reply;
  };
}

Result<x509::Issued> issue_keys(const x509::CertificateAuthority& authority, const x509::Validity& validity,
                                const json::object&) {
  return authority.issue_device(x509::KeyKind::kRsa2048, validity);
}

Result<x509::Issued> issue_from_csr(const x509::CertificateAuthority& authority, const x509::Validity& validity,
                                    const json::object& input) {
  return authority.sign_request(get_string(input, "certificateSigningRequest"), validity);
}

Result<CertificateStatus> status_of_input(const json::object& input) {
  if (!has(input, "status"))
    return get_bool(input, "setAsActive") ? CertificateStatus::kActive : CertificateStatus::kInactive;
  auto status = security::certificate_status(get_string(input, "status"));
  if (!status || (*status != CertificateStatus::kActive && *status != CertificateStatus::kInactive))
    return invalid("The status of a new certificate must be ACTIVE or INACTIVE");
  if (has(input, "setAsActive") && get_bool(input, "setAsActive") != (*status == CertificateStatus::kActive))
    return invalid("setAsActive and status do not agree");
  return *status;
}

Result<json::object> register_one(const RegistryServices& services, Tx& tx, const json::object& input, Changes& changes,
                                  bool sni_only) {
  TRY(CertificateStatus status, status_of_input(input));
  auto parsed = x509::parse_pem(get_string(input, "certificatePem"));
  if (!parsed) {
    Error error = std::move(parsed).error();
    if (error.kind == ErrorKind::kInvalid) error.reason = "CertificateValidationException";
    return error;
  }
  security::Certificate wanted = record_of(*parsed, status);
  wanted.sni_only = sni_only;
  TRY(auto certificate, security::register_certificate(tx, services.realm, wanted));
  changes.certificates.push_back(certificate.id);
  return reference(services, certificate);
}

Result<json::object> register_certificate(const RegistryServices& services, Tx& tx, const json::object& input,
                                          Changes& changes) {
  return register_one(services, tx, input, changes, false);
}

Result<json::object> register_without_ca(const RegistryServices& services, Tx& tx, const json::object& input,
                                         Changes& changes) {
  return register_one(services, tx, input, changes, true);
}

Result<json::object> describe_certificate(const RegistryServices& services, Tx& tx, const json::object& input,
                                          Changes&) {
  TRY(auto certificate, security::get_certificate(tx, id_of_input(input)));
  json::object description = reference(services, certificate);
  if (!certificate.ca_certificate_id.empty()) description["caCertificateId"] = certificate.ca_certificate_id;
  description["status"] = to_string(certificate.status);
  description["certificatePem"] = certificate.pem;
  description["ownedBy"] = services.realm.account_id;
  description["creationDate"] = certificate.created_ms;
  description["lastModifiedDate"] = certificate.modified_ms;
  description["customerVersion"] = certificate.customer_version;
  description["generationId"] = certificate.generation_id;
  description["validity"] =
      json::object{{"notBefore", certificate.not_before_ms}, {"notAfter", certificate.not_after_ms}};
  description["certificateMode"] = certificate.sni_only ? "SNI_ONLY" : "DEFAULT";
  return json::object{{"certificateDescription", std::move(description)}};
}

Result<json::object> update_certificate(const RegistryServices&, Tx& tx, const json::object& input, Changes& changes) {
  auto status = security::certificate_status(get_string(input, "newStatus"));
  if (!status) return invalid("Invalid newStatus");
  std::string id = id_of_input(input);
  TRY_VOID(security::update_certificate(tx, id, *status));
  changes.certificates.push_back(std::move(id));
  return json::object();
}

Result<json::object> delete_certificate(const RegistryServices& services, Tx& tx, const json::object& input,
                                        Changes& changes) {
  std::string id = id_of_input(input);
  TRY_VOID(security::delete_certificate(tx, services.realm, id, get_bool(input, "forceDelete")));
  changes.certificates.push_back(std::move(id));
  return json::object();
}

Result<json::object> list_certificates(const RegistryServices& services, Tx& tx, const json::object& input, Changes&) {
  TRY(auto page, security::list_certificates(tx, marker_page_of_input(input), get_bool(input, "ascendingOrder")));
  json::array certificates;
  for (const security::Certificate& certificate : page.items) {
    json::object shape = reference(services, certificate);
    shape["status"] = to_string(certificate.status);
    shape["certificateMode"] = certificate.sni_only ? "SNI_ONLY" : "DEFAULT";
    shape["creationDate"] = certificate.created_ms;
    certificates.emplace_back(std::move(shape));
  }
  json::object output{{"certificates", std::move(certificates)}};
  if (!page.next_token.empty()) output["nextMarker"] = page.next_token;
  return output;
}

}  // namespace

void register_certificates(Operations& operations, const SharedRegistry& services) {
  auto add = [&](std::string_view operation, RegistryBody body) {
    operations.add("iot", operation, registry_handler(services, std::move(body)));
  };
  operations.add("iot", "CreateKeysAndCertificate", issuing_handler(services, issue_keys));
  operations.add("iot", "CreateCertificateFromCsr", issuing_handler(services, issue_from_csr));
  add("RegisterCertificate", register_certificate);
  add("RegisterCertificateWithoutCA", register_without_ca);
  add("DescribeCertificate", describe_certificate);
  add("UpdateCertificate", update_certificate);
  add("DeleteCertificate", delete_certificate);
  add("ListCertificates", list_certificates);
}

}  // namespace muster::api::iot
