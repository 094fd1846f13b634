// SPDX-License-Identifier: Apache-2.0
#include "domain/security/registration.h"

#include <algorithm>

#include "domain/security/accepted_keys.h"

namespace muster::security {

namespace {

// The CA that counts for the certificate: the named one, or the only one that signed it.
Result<CaCertificate> ca_of(store::Tx& tx, const x509::Certificate& parsed, std::string_view ca_pem) {
  std::vector<CaCertificate> issuers = issuers_of(tx, parsed);
  if (ca_pem.empty()) {
    if (issuers.empty()) return certificate_refused("The CA certificate that signed the certificate is not registered");
    if (issuers.size() > 1)
      return make_error(ErrorKind::kConflict,
                        "More than one registered CA certificate signed the certificate: give the CA certificate",
                        "CertificateConflictException");
    return issuers.front();
  }
  TRY(const x509::Certificate named, read_certificate_pem(ca_pem));
  if (!find_ca_certificate(tx, named.id)) return certificate_refused("The CA certificate is not registered");
  const auto found = std::ranges::find(issuers, named.id, &CaCertificate::id);
  if (found == issuers.end()) return certificate_refused("The certificate is not signed by the CA certificate");
  return *found;
}

}  // namespace

Certificate record_of(const x509::Certificate& parsed, CertificateStatus status) {
  Certificate certificate;
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

Certificate record_of(const x509::Certificate& parsed, CertificateStatus status, const CaCertificate& ca) {
  Certificate certificate = record_of(parsed, status);
  certificate.ca_certificate_id = ca.id;
  certificate.sni_only = ca.sni_only;
  return certificate;
}

Result<Certificate> register_with_ca(store::Tx& tx, const Realm& realm, std::string_view pem, std::string_view ca_pem,
                                     CertificateStatus status) {
  TRY(const x509::Certificate parsed, read_certificate_pem(pem));
  TRY(const CaCertificate ca, ca_of(tx, parsed, ca_pem));
  if (!ca.active) return certificate_state_refused("The CA certificate is not ACTIVE (certificateId=" + ca.id + ")");
  return register_certificate(tx, realm, record_of(parsed, status, ca));
}

Result<Certificate> register_without_ca(store::Tx& tx, const Realm& realm, std::string_view pem,
                                        CertificateStatus status) {
  TRY(const x509::Certificate parsed, read_certificate_pem(pem));
  Certificate wanted = record_of(parsed, status);
  wanted.sni_only = true;
  return register_certificate(tx, realm, wanted);
}

}  // namespace muster::security
