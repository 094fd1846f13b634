// SPDX-License-Identifier: Apache-2.0
#include "domain/security/certificates.h"
#include "api/services/iot/things_handler.h"
#include "api/services/security/certificate_shapes.h"
#include "base/x509.h"
#include "domain/security/registration.h"
#include "store/transact.h"

namespace muster::api::iot {

namespace {

using security::CertificateStatus;
using store::Tx;

constexpr std::int64_t kBackdatedMs = 120'000;           // for clocks of devices that are a little behind
constexpr std::int64_t kNotAfterMs = 2'524'607'999'000;  // 2049-12-31T23:59:59Z, as AWS

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
    security::Certificate wanted = security::record_of(issued->certificate, status);
    auto store_it = [&](Tx& tx) { return security::register_certificate(tx, services->realm, wanted); };
    CO_TRY(security::Certificate certificate, co_await store::transact(*services->store, store_it));
    Reply reply;
    reply.output = certificate_reference(*services, certificate);
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

// ACTIVE, INACTIVE or REVOKED, as the model says.
Result<CertificateStatus> status_of_input(const json::object& input) {
  if (!has(input, "status"))
    return get_bool(input, "setAsActive") ? CertificateStatus::kActive : CertificateStatus::kInactive;
  const auto status = security::certificate_status(get_string(input, "status"));
  const bool settable = status == CertificateStatus::kActive || status == CertificateStatus::kInactive ||
                        status == CertificateStatus::kRevoked;
  if (!settable) return invalid("The status of a new certificate must be ACTIVE, INACTIVE or REVOKED");
  if (has(input, "setAsActive") && get_bool(input, "setAsActive") != (status == CertificateStatus::kActive))
    return invalid("setAsActive and status do not agree");
  return *status;
}

Result<json::object> register_certificate(const RegistryServices& services, Tx& tx, const json::object& input,
                                          Changes&) {
  TRY(const CertificateStatus status, status_of_input(input));
  TRY(const auto certificate, security::register_with_ca(tx, services.realm, get_string(input, "certificatePem"),
                                                         get_string(input, "caCertificatePem"), status));
  return certificate_reference(services, certificate);
}

Result<json::object> register_without_ca(const RegistryServices& services, Tx& tx, const json::object& input,
                                         Changes&) {
  TRY(const CertificateStatus status, status_of_input(input));
  TRY(const auto certificate,
      security::register_without_ca(tx, services.realm, get_string(input, "certificatePem"), status));
  return certificate_reference(services, certificate);
}

json::object transfer_shape(const security::CertificateTransfer& transfer) {
  json::object shape{{"transferDate", transfer.started_ms}};
  if (!transfer.message.empty()) shape["transferMessage"] = transfer.message;
  if (transfer.accepted_ms != 0) shape["acceptDate"] = transfer.accepted_ms;
  if (transfer.rejected_ms != 0) shape["rejectDate"] = transfer.rejected_ms;
  if (!transfer.reject_reason.empty()) shape["rejectReason"] = transfer.reject_reason;
  return shape;
}

Result<json::object> describe_certificate(const RegistryServices& services, Tx& tx, const json::object& input,
                                          Changes&) {
  TRY(auto certificate, security::get_certificate(tx, get_string(input, "certificateId")));
  json::object description = certificate_reference(services, certificate);
  if (!certificate.ca_certificate_id.empty()) description["caCertificateId"] = certificate.ca_certificate_id;
  description["status"] = to_string(certificate.status);
  description["certificatePem"] = certificate.pem;
  description["ownedBy"] = services.realm.account_id;
  if (!certificate.previous_owner.empty()) description["previousOwnedBy"] = certificate.previous_owner;
  if (certificate.transfer) description["transferData"] = transfer_shape(*certificate.transfer);
  description["creationDate"] = certificate.created_ms;
  description["lastModifiedDate"] = certificate.modified_ms;
  description["customerVersion"] = certificate.customer_version;
  description["generationId"] = certificate.generation_id;
  description["validity"] =
      json::object{{"notBefore", certificate.not_before_ms}, {"notAfter", certificate.not_after_ms}};
  description["certificateMode"] = certificate.sni_only ? "SNI_ONLY" : "DEFAULT";
  return json::object{{"certificateDescription", std::move(description)}};
}

Result<json::object> update_certificate(const RegistryServices&, Tx& tx, const json::object& input, Changes&) {
  const auto status = security::certificate_status(get_string(input, "newStatus"));
  if (!status) return invalid("Invalid newStatus");
  TRY_VOID(security::update_certificate(tx, get_string(input, "certificateId"), *status));
  return json::object();
}

Result<json::object> delete_certificate(const RegistryServices& services, Tx& tx, const json::object& input, Changes&) {
  TRY_VOID(security::delete_certificate(tx, services.realm, get_string(input, "certificateId"),
                                        get_bool(input, "forceDelete")));
  return json::object();
}

Result<json::object> list_certificates(const RegistryServices& services, Tx& tx, const json::object& input, Changes&) {
  TRY(auto page, security::list_certificates(tx, marker_page_of_input(input), get_bool(input, "ascendingOrder")));
  json::object output{{"certificates", certificate_list(services, page.items)}};
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
  register_ca_certificates(operations, services);
  register_transfers(operations, services);
  register_principals(operations, services);
  register_policy_questions(operations, services);
}

}  // namespace muster::api::iot
