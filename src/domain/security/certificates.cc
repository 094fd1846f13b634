// SPDX-License-Identifier: Apache-2.0
// kCertificate: id -> {pem, status, ca, sni_only, not_before_ms, not_after_ms, created_ms, modified_ms, generation,
// customer_version, subject, issuer, serial, transfer, previous_owner}. kCertificateByTime: (created_ms, id) -> "".
// kCertificateOfCa: (CA id, created_ms, id) -> "".
#include "domain/security/certificates.h"

#include <algorithm>

#include "base/crypto.h"
#include "base/json.h"
#include "domain/registry/policy_links.h"
#include "domain/security/accepted_keys.h"
#include "domain/security/certificate_records.h"
#include "domain/security/policies.h"
#include "domain/security/principals.h"
#include "store/keys.h"
#include "store/schema.h"

namespace muster::security {

namespace {

constexpr std::string_view kStatusNames[] = {"ACTIVE",           "INACTIVE",          "REVOKED",
                                             "PENDING_TRANSFER", "REGISTER_INACTIVE", "PENDING_ACTIVATION"};

std::string certificate_key(std::string_view id) {
  return store::Key(store::table::kCertificate).text(id).str();
}
std::string time_key(const Certificate& certificate) {
  return store::Key(store::table::kCertificateByTime).integer(certificate.created_ms).text(certificate.id).str();
}
std::string of_ca_prefix(std::string_view ca_id) {
  return store::Key(store::table::kCertificateOfCa).text(ca_id).str();
}
std::string of_ca_key(const Certificate& certificate) {
  return store::Key(store::table::kCertificateOfCa)
      .text(certificate.ca_certificate_id)
      .integer(certificate.created_ms)
      .text(certificate.id)
      .str();
}

std::optional<Certificate> read_certificate(std::string_view id, std::string_view text) {
  auto record = parse_record(text);
  if (!record) return std::nullopt;
  Certificate certificate;
  certificate.id = id;
  certificate.pem = get_string(*record, "pem");
  // A record that names no known status counts as inactive.
  certificate.status = certificate_status(get_string(*record, "status")).value_or(CertificateStatus::kInactive);
  certificate.ca_certificate_id = get_string(*record, "ca");
  certificate.sni_only = get_bool(*record, "sni_only");
  certificate.not_before_ms = get_int(*record, "not_before_ms");
  certificate.not_after_ms = get_int(*record, "not_after_ms");
  certificate.created_ms = get_int(*record, "created_ms");
  certificate.modified_ms = get_int(*record, "modified_ms");
  certificate.generation_id = get_string(*record, "generation");
  certificate.customer_version = get_int(*record, "customer_version", 1);
  certificate.subject = get_string(*record, "subject");
  certificate.issuer = get_string(*record, "issuer");
  certificate.serial_number = get_string(*record, "serial");
  certificate.previous_owner = get_string(*record, "previous_owner");
  if (const json::object* transfer = find_object(*record, "transfer"))
    certificate.transfer = CertificateTransfer{
        std::string(get_string(*transfer, "to")), std::string(get_string(*transfer, "message")),
        get_int(*transfer, "started_ms"),         get_int(*transfer, "accepted_ms"),
        get_int(*transfer, "rejected_ms"),        std::string(get_string(*transfer, "reject_reason"))};
  return certificate;
}

}  // namespace

void put_certificate(store::Tx& tx, const Certificate& certificate) {
  json::object record{{"pem", certificate.pem},
                      {"status", to_string(certificate.status)},
                      {"sni_only", certificate.sni_only},
                      {"not_before_ms", certificate.not_before_ms},
                      {"not_after_ms", certificate.not_after_ms},
                      {"created_ms", certificate.created_ms},
                      {"modified_ms", certificate.modified_ms},
                      {"generation", certificate.generation_id},
                      {"customer_version", certificate.customer_version},
                      {"subject", certificate.subject},
                      {"issuer", certificate.issuer},
                      {"serial", certificate.serial_number}};
  if (!certificate.ca_certificate_id.empty()) record["ca"] = certificate.ca_certificate_id;
  if (!certificate.previous_owner.empty()) record["previous_owner"] = certificate.previous_owner;
  if (const auto& transfer = certificate.transfer)
    record["transfer"] = json::object{{"to", transfer->to},
                                      {"message", transfer->message},
                                      {"started_ms", transfer->started_ms},
                                      {"accepted_ms", transfer->accepted_ms},
                                      {"rejected_ms", transfer->rejected_ms},
                                      {"reject_reason", transfer->reject_reason}};
  tx.put(certificate_key(certificate.id), to_text(record));
}

std::string_view to_string(CertificateStatus status) {
  return kStatusNames[static_cast<std::size_t>(status)];
}

std::optional<CertificateStatus> certificate_status(std::string_view text) {
  auto found = std::ranges::find(kStatusNames, text);
  if (found == std::end(kStatusNames)) return std::nullopt;
  return static_cast<CertificateStatus>(found - std::begin(kStatusNames));
}

std::string certificate_arn(const Realm& realm, std::string_view id) {
  return iot_arn(realm, "cert", id);
}

std::optional<std::string> certificate_in_arn(const Realm& realm, std::string_view arn) {
  auto id = name_in_iot_arn(realm, "cert", arn);
  if (!id || !is_certificate_id(*id)) return std::nullopt;
  return id;
}

Result<Certificate> register_certificate(store::Tx& tx, const Realm& realm, const Certificate& wanted) {
  if (tx.get(certificate_key(wanted.id))) {
    Error error = make_error(ErrorKind::kAlreadyExists, "The certificate is already provisioned or registered");
    error.fields["resourceId"] = wanted.id;
    error.fields["resourceArn"] = certificate_arn(realm, wanted.id);
    return error;
  }
  Certificate certificate = wanted;
  certificate.created_ms = certificate.modified_ms = tx.now_ms();
  certificate.generation_id = random_uuid();
  certificate.customer_version = 1;
  put_certificate(tx, certificate);
  tx.put(time_key(certificate), "");
  if (!certificate.ca_certificate_id.empty()) tx.put(of_ca_key(certificate), "");
  return certificate;
}

std::optional<Certificate> find_certificate(store::Tx& tx, std::string_view id) {
  auto text = tx.get(certificate_key(id));
  return text ? read_certificate(id, *text) : std::nullopt;
}

Result<Certificate> get_certificate(store::Tx& tx, std::string_view id) {
  auto certificate = find_certificate(tx, id);
  if (!certificate)
    return not_found("The certificate given in the request does not exist (certificateId=" + std::string(id) + ")");
  return *std::move(certificate);
}

Error certificate_state_refused(std::string message) {
  return make_error(ErrorKind::kConflict, std::move(message), "CertificateStateException");
}

Result<Certificate> update_certificate(store::Tx& tx, std::string_view id, CertificateStatus status) {
  TRY(Certificate certificate, get_certificate(tx, id));
  const bool settable = status == CertificateStatus::kActive || status == CertificateStatus::kInactive ||
                        status == CertificateStatus::kRevoked;
  if (!settable) return invalid("The status " + std::string(to_string(status)) + " cannot be set by UpdateCertificate");
  if (certificate.status == CertificateStatus::kPendingTransfer)
    return certificate_state_refused("The certificate is being transferred (certificateId=" + certificate.id + ")");
  certificate.status = status;
  certificate.modified_ms = tx.now_ms();
  ++certificate.customer_version;
  put_certificate(tx, certificate);
  return certificate;
}

Status delete_certificate(store::Tx& tx, const Realm& realm, std::string_view id, bool force) {
  TRY(Certificate certificate, get_certificate(tx, id));
  if (certificate.status == CertificateStatus::kActive)
    return certificate_state_refused("Certificate must be deactivated (not ACTIVE) before deletion.");
  if (certificate.status == CertificateStatus::kPendingTransfer)
    return certificate_state_refused("Certificate is being transferred: cancel the transfer before deletion.");
  std::string arn = certificate_arn(realm, id);
  auto conflict = [&](std::string_view what) {
    return make_error(ErrorKind::kConflict, std::string(what) + " must be detached before deletion (arn: " + arn + ")",
                      "DeleteConflictException");
  };
  if (has_things(tx, realm, id)) return conflict("Things");
  TRY(auto policies, list_attached_policies(tx, realm, arn, false, registry::PageRequest{.token = {}, .limit = 1}));
  if (!force && !policies.items.empty()) return conflict("Certificate policies");
  registry::detach_all_policies(tx, arn);
  tx.erase(certificate_key(id));
  tx.erase(time_key(certificate));
  if (!certificate.ca_certificate_id.empty()) tx.erase(of_ca_key(certificate));
  return {};
}

Result<registry::Page<Certificate>> list_by_time(store::Tx& tx, const CertificateListing& listing,
                                                 const registry::PageRequest& request) {
  TRY(std::string position, registry::page_position(listing.name, request.token));
  store::RangeOptions options;
  options.begin = listing.prefix;
  options.end = store::after_prefix(options.begin);
  if (!position.empty()) {
    std::string at = listing.prefix + position;
    if (listing.ascending)
      options.begin = store::after_key(at);
    else
      options.end = std::min(options.end, at);
  }
  options.limit = request.limit + 1;
  options.reverse = !listing.ascending;
  options.snapshot = true;
  registry::Page<Certificate> page;
  if (options.begin >= options.end) return page;
  auto found = tx.range(options);
  for (std::size_t i = 0; i < found.size(); ++i) {
    if (i == request.limit) {
      page.next_token =
          registry::page_token(listing.name, std::string_view(found[i - 1].key).substr(listing.prefix.size()));
      return page;
    }
    // The table's tag stands in for itself: the reader skips one byte.
    store::KeyReader reader(std::string_view(found[i].key).substr(listing.prefix.size() - 1));
    reader.integer();
    auto id = reader.text();
    auto text = id ? tx.get_snapshot(certificate_key(*id)) : std::nullopt;
    auto certificate = text ? read_certificate(*id, *text) : std::nullopt;
    if (certificate) page.items.push_back(*std::move(certificate));
  }
  return page;
}

Result<registry::Page<Certificate>> list_certificates(store::Tx& tx, const registry::PageRequest& request,
                                                      bool ascending) {
  return list_by_time(tx,
                      {ascending ? "certificates" : "certificates-descending",
                       std::string(1, store::table::kCertificateByTime), ascending},
                      request);
}

Result<registry::Page<Certificate>> list_certificates_of_ca(store::Tx& tx, std::string_view ca_id,
                                                            const registry::PageRequest& request, bool ascending) {
  const std::string name = ascending ? "certificates-of-ca:" : "certificates-of-ca-descending:";
  return list_by_time(tx, {name + std::string(ca_id), of_ca_prefix(ca_id), ascending}, request);
}

}  // namespace muster::security
