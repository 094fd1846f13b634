// SPDX-License-Identifier: Apache-2.0
#include "domain/security/accepted_keys.h"

#include <algorithm>

namespace muster::security {

namespace {

constexpr int kMinRsaBits = 2048;
constexpr std::size_t kIdLength = 64;

}  // namespace

Error certificate_refused(std::string message) {
  return make_error(ErrorKind::kInvalid, std::move(message), "CertificateValidationException");
}

Status check_accepted(const x509::Certificate& certificate) {
  const bool rsa = certificate.key_algorithm == "RSA" || certificate.key_algorithm == "RSA-PSS";
  if (rsa && certificate.key_bits < kMinRsaBits)
    return certificate_refused("The RSA key of the certificate must have at least 2048 bits");
  if (!certificate.key_is_sound)
    return certificate_refused("The RSA key of the certificate has an exponent that protects nothing");
  if (certificate.serial.empty() || certificate.serial.starts_with('-'))
    return certificate_refused("The serial number of the certificate must not be negative");
  static constexpr std::string_view kCurves[] = {"P-256", "P-384", "P-521"};
  if (!rsa && std::ranges::find(kCurves, certificate.key_curve) == std::end(kCurves))
    return certificate_refused("The key of the certificate must be RSA, NIST P-256, NIST P-384 or NIST P-521");
  static constexpr std::string_view kDigests[] = {"SHA256", "SHA384", "SHA512"};
  if (std::ranges::find(kDigests, certificate.signature_digest) == std::end(kDigests))
    return certificate_refused("The certificate must be signed with SHA-256, SHA-384 or SHA-512");
  return {};
}

Result<x509::Certificate> read_certificate_pem(std::string_view pem) {
  auto parsed = x509::parse_pem(pem);
  if (!parsed) {
    Error error = std::move(parsed).error();
    if (error.kind == ErrorKind::kInvalid) error.reason = "CertificateValidationException";
    return error;
  }
  TRY_VOID(check_accepted(*parsed));
  return parsed;
}

bool is_certificate_id(std::string_view id) {
  return id.size() == kIdLength &&
         std::ranges::all_of(id, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

}  // namespace muster::security
