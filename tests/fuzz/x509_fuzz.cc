// SPDX-License-Identifier: Apache-2.0
// links: muster_domain_security
// Certificates, requests and what is made of their names. Input: one character that chooses what it is (d: DER of a
// certificate, p: PEM, r: PEM of a request), then the bytes. What is understood must be its own encoding, must not pass
// for issued by a CA that did not, and its variables must hold no wildcard.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "base/x509.h"
#include "domain/security/accepted_keys.h"
#include "domain/security/registration.h"

namespace {

using namespace muster;

void require(bool holds) {
  if (!holds) std::abort();
}

const x509::CertificateAuthority& authority() {
  static const x509::CertificateAuthority made =
      *x509::CertificateAuthority::create("fuzzed CA", {1'700'000'000'000, 1'900'000'000'000});
  return made;
}

void check(const x509::Certificate& certificate) {
  static const x509::Certificate kCa = *x509::parse_pem(authority().certificate_pem());
  const auto again = x509::parse_der(certificate.der);
  require(again && again->id == certificate.id && again->pem == certificate.pem);
  require(!x509::is_signed_by(certificate, kCa));
  const auto refused = security::check_accepted(certificate);
  require(refused || !refused.error().message.empty());
  const auto record = security::record_of(certificate, security::CertificateStatus::kActive);
  for (const auto& [name, values] : security::certificate_variables(record)) {
    if (name == "iot:Certificate.AvailableKeys") continue;
    for (const std::string& value : values) require(value.find_first_of("*?") == std::string::npos);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view rest(reinterpret_cast<const char*>(bytes) + 1, size - 1);
  if (bytes[0] == 'r') {
    const auto issued = authority().sign_request(rest, {1'700'000'000'000, 1'800'000'000'000});
    require(issued || !issued.error().message.empty());
    return 0;
  }
  const auto parsed = bytes[0] == 'p' ? x509::parse_pem(rest) : x509::parse_der(rest);
  if (parsed)
    check(*parsed);
  else
    require(!parsed.error().message.empty());
  return 0;
}
