// SPDX-License-Identifier: Apache-2.0
// Device certificates: identity, status and PEM; the id is the SHA-256 of the DER in hex, as on AWS. Synchronous over
// Tx&; keys and signatures are made outside of the transaction (base/x509). A deactivated or revoked certificate takes
// effect on live connections through PolicyGenerations.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "domain/registry/page.h"
#include "store/store.h"

namespace muster::security {

enum class CertificateStatus : std::uint8_t {
  kActive,
  kInactive,
  kRevoked,
  kPendingTransfer,
  kRegisterInactive,
  kPendingActivation
};
std::string_view to_string(CertificateStatus status);  // ACTIVE ...
std::optional<CertificateStatus> certificate_status(std::string_view text);

// Of a certificate that is on its way to another owner, or was (domain/security/transfers.h).
struct CertificateTransfer {
  std::string to;  // account
  std::string message;
  std::int64_t started_ms = 0;
  std::int64_t accepted_ms = 0;
  std::int64_t rejected_ms = 0;
  std::string reject_reason;
};

struct Certificate {
  std::string id;
  std::string pem;
  CertificateStatus status = CertificateStatus::kInactive;
  std::string ca_certificate_id;  // empty: issued by this server's CA, or registered without CA
  bool sni_only = false;          // registered without its CA
  std::int64_t not_before_ms = 0, not_after_ms = 0;
  std::int64_t created_ms = 0, modified_ms = 0;
  std::string generation_id;
  std::int64_t customer_version = 1;
  std::string subject, issuer;  // RFC 2253
  std::string serial_number;    // hex
  std::optional<CertificateTransfer> transfer;
  std::string previous_owner;  // account; empty: there was none
};

std::string certificate_arn(const Realm& realm, std::string_view id);
// The certificate id in an ARN of this realm.
std::optional<std::string> certificate_in_arn(const Realm& realm, std::string_view arn);

// kAlreadyExists with resourceId and resourceArn when the id is known.
Result<Certificate> register_certificate(store::Tx& tx, const Realm& realm, const Certificate& wanted);
std::optional<Certificate> find_certificate(store::Tx& tx, std::string_view id);
Result<Certificate> get_certificate(store::Tx& tx, std::string_view id);
// To ACTIVE, INACTIVE or REVOKED: the others are the server's own (kInvalid). Not of one that is being transferred
// (reason "CertificateStateException").
// kConflict with reason CertificateStateException: what the status forbids, of certificates of devices and of CAs.
Error certificate_state_refused(std::string message);
Result<Certificate> update_certificate(store::Tx& tx, std::string_view id, CertificateStatus status);
// Must be neither ACTIVE nor being transferred (reason "CertificateStateException") and detached from things and
// policies ("DeleteConflictException"); `force` drops its policies.
Status delete_certificate(store::Tx& tx, const Realm& realm, std::string_view id, bool force);
// By time of creation.
Result<registry::Page<Certificate>> list_certificates(store::Tx& tx, const registry::PageRequest& page,
                                                      bool ascending = true);
// Those that were registered with that CA, by time of creation.
Result<registry::Page<Certificate>> list_certificates_of_ca(store::Tx& tx, std::string_view ca_id,
                                                            const registry::PageRequest& page, bool ascending = true);

// The policy variables that a certificate supplies: iot:CertificateId, iot:Certificate.SerialNumber,
// iot:Certificate.Subject.CommonName, iot:Certificate.Issuer.Organization ... The plain name is the first value of
// an attribute, NAME.1 the second; NAME.List has all, for conditions. Source: AWS IoT developer guide, "X.509
// certificate AWS IoT Core policy variables".
using CertificateVariables = std::vector<std::pair<std::string, std::vector<std::string>>>;
CertificateVariables certificate_variables(const Certificate& certificate);

}  // namespace muster::security
