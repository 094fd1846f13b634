// SPDX-License-Identifier: Apache-2.0
// Certificates that devices get by $aws/certificates/create and create-from-csr, and the tokens that prove whose they
// are. Such a certificate is PENDING_ACTIVATION; its token, of which the digest is kept, is good once and for an hour.
// When the hour is over and nobody has activated or attached the certificate, a timer deletes it. Synchronous over Tx&.
// Source: AWS IoT developer guide, "Device provisioning MQTT API".
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/x509.h"
#include "domain/provisioning/context.h"
#include "domain/security/certificates.h"
#include "store/store.h"

namespace muster::provisioning {

inline constexpr std::int64_t kOwnershipMs = 60 * 60 * 1000;
inline constexpr std::string_view kOwnershipTimer = "provisioning.token";

std::string new_ownership_token();  // 256 random bits; outside of the transaction

Status own_certificate(const Context& context, store::Tx& tx, const x509::Certificate& issued, std::string_view token);
// The certificate of a token that is known and not expired. kInvalid with reason "InvalidCertificateOwnershipToken".
Result<security::Certificate> owned_certificate(store::Tx& tx, std::string_view token);
void spend_token(store::Tx& tx, std::string_view token);
// The timer's work; `digest` is its id.
Status expire_token(const Context& context, store::Tx& tx, std::string_view digest);

}  // namespace muster::provisioning
