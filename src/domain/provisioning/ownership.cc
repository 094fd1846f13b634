// SPDX-License-Identifier: Apache-2.0
// kOwnershipToken: hex SHA-256 of the token -> {certificate, expires_ms}.
#include "domain/provisioning/ownership.h"

#include "base/crypto.h"
#include "base/json.h"
#include "base/text.h"
#include "domain/registry/policy_links.h"
#include "domain/security/principals.h"
#include "domain/security/registration.h"
#include "store/keys.h"
#include "store/schema.h"
#include "store/timers.h"

namespace muster::provisioning {

namespace {

using security::CertificateStatus;
using store::Tx;

constexpr std::size_t kMaxTokenBytes = 4096;

std::string token_key(std::string_view digest) {
  return store::Key(store::table::kOwnershipToken).text(digest).str();
}

Error invalid_token(std::string message) {
  return make_error(ErrorKind::kInvalid, std::move(message), "InvalidCertificateOwnershipToken");
}

}  // namespace

std::string new_ownership_token() {
  return to_base64url(random_bytes(32));
}

Status own_certificate(const Context& context, Tx& tx, const x509::Certificate& issued, std::string_view token) {
  TRY_VOID(security::register_certificate(tx, context.realm,
                                          security::record_of(issued, CertificateStatus::kPendingActivation)));
  const std::string digest = sha256_hex(token);
  const std::int64_t expires_ms = tx.now_ms() + kOwnershipMs;
  tx.put(token_key(digest), to_text(json::object{{"certificate", issued.id}, {"expires_ms", expires_ms}}));
  store::arm(tx, kOwnershipTimer, digest, expires_ms);
  return {};
}

Result<security::Certificate> owned_certificate(Tx& tx, std::string_view token) {
  if (token.empty()) return invalid_token("Certificate ownership token cannot be empty.");
  if (token.size() > kMaxTokenBytes) return invalid_token("Invalid certificate ownership token.");
  const auto text = tx.get(token_key(sha256_hex(token)));
  if (!text) return invalid_token("Invalid certificate ownership token.");
  TRY(const json::object record, parse_record(*text));
  if (tx.now_ms() >= get_int(record, "expires_ms")) return invalid_token("Certificate ownership token has expired.");
  auto certificate = security::find_certificate(tx, get_string(record, "certificate"));
  if (!certificate) return invalid_token("Invalid certificate ownership token.");
  return *std::move(certificate);
}

void spend_token(Tx& tx, std::string_view token) {
  const std::string digest = sha256_hex(token);
  tx.erase(token_key(digest));
  store::disarm(tx, kOwnershipTimer, digest);
}

Status expire_token(const Context& context, Tx& tx, std::string_view digest) {
  const auto text = tx.get(token_key(digest));
  if (!text) return {};
  tx.erase(token_key(digest));
  TRY(const json::object record, parse_record(*text));
  const auto certificate = security::find_certificate(tx, get_string(record, "certificate"));
  if (!certificate || certificate->status != CertificateStatus::kPendingActivation) return {};
  const std::string arn = security::certificate_arn(context.realm, certificate->id);
  const bool attached =
      !registry::policies_of_target(tx, arn).empty() || security::has_things(tx, context.realm, certificate->id);
  if (attached) return {};
  return security::delete_certificate(tx, context.realm, certificate->id, true);
}

}  // namespace muster::provisioning
