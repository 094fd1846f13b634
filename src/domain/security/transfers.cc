// SPDX-License-Identifier: Apache-2.0
// kCertificateOfCa: ("outgoing", created_ms, id) -> "": beside the ids of CAs, which have 64 digits.
#include "domain/security/transfers.h"

#include "domain/security/certificate_records.h"
#include "domain/security/policies.h"
#include "domain/security/principals.h"
#include "store/keys.h"
#include "store/schema.h"

namespace muster::security {

namespace {

std::string outgoing_prefix() {
  return store::Key(store::table::kCertificateOfCa).text("outgoing").str();
}
std::string outgoing_key(const Certificate& certificate) {
  return store::Key(store::table::kCertificateOfCa)
      .text("outgoing")
      .integer(certificate.created_ms)
      .text(certificate.id)
      .str();
}

Error transfer_conflict(std::string message) {
  return make_error(ErrorKind::kConflict, std::move(message), "TransferConflictException");
}

Result<Certificate> waiting(store::Tx& tx, std::string_view id) {
  TRY(Certificate certificate, get_certificate(tx, id));
  if (certificate.status != CertificateStatus::kPendingTransfer || !certificate.transfer)
    return make_error(ErrorKind::kConflict,
                      "The certificate is not being transferred (certificateId=" + std::string(id) + ")",
                      "TransferAlreadyCompletedException");
  return certificate;
}

void end_transfer(store::Tx& tx, Certificate& certificate, CertificateStatus status) {
  certificate.status = status;
  certificate.modified_ms = tx.now_ms();
  ++certificate.customer_version;
  put_certificate(tx, certificate);
  tx.erase(outgoing_key(certificate));
}

}  // namespace

Result<Certificate> start_transfer(store::Tx& tx, const Realm& realm, std::string_view id, std::string_view account,
                                   std::string_view message) {
  TRY(Certificate certificate, get_certificate(tx, id));
  if (account != realm.account_id)
    return invalid("targetAwsAccount " + std::string(account) + " does not exist here: this server has one account, " +
                   realm.account_id);
  if (certificate.status == CertificateStatus::kActive)
    return certificate_state_refused("Certificate must be deactivated (not ACTIVE) before it is transferred.");
  if (certificate.status == CertificateStatus::kPendingTransfer)
    return certificate_state_refused("The certificate is being transferred already (certificateId=" + certificate.id +
                                     ")");
  const std::string arn = certificate_arn(realm, id);
  if (has_things(tx, realm, id))
    return transfer_conflict("Things must be detached before the certificate is transferred (arn: " + arn + ")");
  TRY(const auto policies,
      list_attached_policies(tx, realm, arn, false, registry::PageRequest{.token = {}, .limit = 1}));
  if (!policies.items.empty())
    return transfer_conflict("Policies must be detached before the certificate is transferred (arn: " + arn + ")");
  certificate.status = CertificateStatus::kPendingTransfer;
  certificate.transfer =
      CertificateTransfer{std::string(account), std::string(message), tx.now_ms(), 0, 0, std::string()};
  certificate.modified_ms = tx.now_ms();
  ++certificate.customer_version;
  put_certificate(tx, certificate);
  tx.put(outgoing_key(certificate), "");
  return certificate;
}

Status cancel_transfer(store::Tx& tx, std::string_view id) {
  TRY(Certificate certificate, waiting(tx, id));
  certificate.transfer.reset();
  end_transfer(tx, certificate, CertificateStatus::kInactive);
  return {};
}

Status accept_transfer(store::Tx& tx, const Realm& realm, std::string_view id, bool active) {
  TRY(Certificate certificate, waiting(tx, id));
  certificate.transfer->accepted_ms = tx.now_ms();
  certificate.previous_owner = realm.account_id;
  end_transfer(tx, certificate, active ? CertificateStatus::kActive : CertificateStatus::kInactive);
  return {};
}

Status reject_transfer(store::Tx& tx, std::string_view id, std::string_view reason) {
  TRY(Certificate certificate, waiting(tx, id));
  certificate.transfer->rejected_ms = tx.now_ms();
  certificate.transfer->reject_reason = reason;
  end_transfer(tx, certificate, CertificateStatus::kInactive);
  return {};
}

Result<registry::Page<Certificate>> list_outgoing(store::Tx& tx, const registry::PageRequest& page, bool ascending) {
  return list_by_time(
      tx, {ascending ? "certificates-outgoing" : "certificates-outgoing-descending", outgoing_prefix(), ascending},
      page);
}

}  // namespace muster::security
