// SPDX-License-Identifier: Apache-2.0
// Which certificates AWS IoT takes, of devices and of CAs: RSA of 2048 bits or more, or P-256, P-384, P-521, signed
// over SHA-256, SHA-384 or SHA-512. Pure. Source: AWS IoT developer guide, "Certificate signing algorithms supported by
// AWS IoT".
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "base/x509.h"

namespace muster::security {

Error certificate_refused(std::string message);  // kInvalid, CertificateValidationException

// A PEM that somebody sent, with a key and a signature as above; else certificate_refused, or kTooLarge.
Result<x509::Certificate> read_certificate_pem(std::string_view pem);
Status check_accepted(const x509::Certificate& certificate);

bool is_certificate_id(std::string_view id);  // 64 hexadecimal digits, lower case

}  // namespace muster::security
