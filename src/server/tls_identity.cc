// SPDX-License-Identifier: Apache-2.0
#include "server/tls_identity.h"

#include "base/text.h"

namespace muster::server {
namespace {

constexpr std::int64_t kDayMs = 86'400'000;
// Clients' clocks differ: what is issued now is valid since yesterday.
constexpr std::int64_t kSkewMs = kDayMs;
constexpr std::int64_t kServerValidityMs = 397 * kDayMs;  // the most that browsers accept
constexpr std::int64_t kRenewBeforeMs = 30 * kDayMs;

Result<x509::CertificateAuthority> ensure_authority(const DataDir& data, std::int64_t now_ms) {
  auto certificate = data.read("ca.pem"), key = data.read("ca.key");
  if (certificate && key) return x509::CertificateAuthority::load(*certificate, *key);
  // The key is written first: a certificate without key, after a crash in between, is no CA yet and is made anew.
  if (certificate) return internal(data.file("ca.key") + " is missing but ca.pem is there: restore it from a backup");
  x509::Validity validity{.not_before_ms = now_ms - kSkewMs, .not_after_ms = kDeviceNotAfterMs};
  TRY(auto authority, x509::CertificateAuthority::create("Muster device CA", validity));
  TRY_VOID(data.write("ca.key", authority.key_pem()));
  TRY_VOID(data.write("ca.pem", authority.certificate_pem()));
  return authority;
}

std::string joined(const std::vector<std::string>& names) {
  std::string out;
  for (const auto& name : names) out += name + "\n";
  return out;
}

bool still_good(const std::string& chain, const std::string& key, const x509::CertificateAuthority& authority,
                std::int64_t now_ms) {
  auto end = chain.find("-----END CERTIFICATE-----");
  if (end == std::string::npos) return false;
  auto leaf = x509::parse_pem(chain.substr(0, end + 25));
  return leaf && x509::verify_issued_by(*leaf, authority.certificate_pem(), now_ms) &&
         x509::key_matches(leaf->pem, key) && leaf->not_after_ms - now_ms > kRenewBeforeMs;
}

}  // namespace

Result<TlsIdentity> ensure_tls_identity(const DataDir& data, const std::vector<std::string>& names,
                                        std::int64_t now_ms) {
  TRY(auto authority, ensure_authority(data, now_ms));
  TlsIdentity identity{.authority = authority, .chain_pem = {}, .key_pem = {}, .ca_file = data.file("ca.pem")};
  auto chain = data.read("server.pem"), key = data.read("server.key"), old_names = data.read("server.names");
  if (chain && key && old_names == joined(names) && still_good(*chain, *key, authority, now_ms)) {
    identity.chain_pem = *chain;
    identity.key_pem = *key;
    return identity;
  }
  x509::Validity validity{.not_before_ms = now_ms - kSkewMs, .not_after_ms = now_ms + kServerValidityMs};
  TRY(auto issued, authority.issue_server(names, validity));
  identity.chain_pem = issued.certificate.pem + authority.certificate_pem();
  identity.key_pem = issued.key.private_pem;
  TRY_VOID(data.write("server.key", identity.key_pem));
  TRY_VOID(data.write("server.pem", identity.chain_pem));
  TRY_VOID(data.write("server.names", joined(names)));
  return identity;
}

}  // namespace muster::server
