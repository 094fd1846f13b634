// SPDX-License-Identifier: Apache-2.0
// Registering device certificates that somebody else signed: with their registered CA, or without one. Synchronous over
// Tx&. Errors: kInvalid with reason "CertificateValidationException", kConflict with "CertificateConflictException" or
// "CertificateStateException", kAlreadyExists. Source: AWS IoT API reference, RegisterCertificate and
// RegisterCertificateWithoutCA.
#pragma once

#include <string_view>

#include "base/ids.h"
#include "base/result.h"
#include "base/x509.h"
#include "domain/security/ca_certificates.h"
#include "domain/security/certificates.h"
#include "store/store.h"

namespace muster::security {

// The record to register, not yet stored: what the certificate says and the status.
Certificate record_of(const x509::Certificate& parsed, CertificateStatus status);
// The same for one that `ca` signed: in its mode and among its certificates.
Certificate record_of(const x509::Certificate& parsed, CertificateStatus status, const CaCertificate& ca);

// Signed by a registered, ACTIVE CA, which `ca_pem` names; empty: the one that signed it, if that is one alone.
Result<Certificate> register_with_ca(store::Tx& tx, const Realm& realm, std::string_view pem, std::string_view ca_pem,
                                     CertificateStatus status);
Result<Certificate> register_without_ca(store::Tx& tx, const Realm& realm, std::string_view pem,
                                        CertificateStatus status);

}  // namespace muster::security
