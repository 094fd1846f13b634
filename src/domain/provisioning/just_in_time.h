// SPDX-License-Identifier: Apache-2.0
// Just-in-time registration and provisioning: what the first connection of a certificate does that nobody knows, when a
// registered, ACTIVE CA with automatic registration has signed it. It is registered as PENDING_ACTIVATION, and then the
// CA's template is done (JITP), or $aws/events/certificates/registered/CA says so to whoever decides (JITR). The
// connection itself is refused; a provisioned device's next one succeeds. Synchronous over Tx&.
// A template that fails leaves the certificate PENDING_ACTIVATION, and the next connection tries again.
// Source: AWS IoT developer guide, "Just-in-time registration", "Just-in-time provisioning".
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "base/x509.h"
#include "domain/provisioning/context.h"
#include "domain/provisioning/template.h"
#include "domain/security/ca_certificates.h"
#include "domain/security/certificates.h"
#include "store/store.h"

namespace muster::provisioning {

struct FirstSight {
  enum class What : std::uint8_t {
    kNothing,      // no such CA, or the certificate is known and does not wait
    kAnnounced,    // JITR
    kProvisioned,  // JITP
    kFailed,       // JITP: `why`
  };
  What what = What::kNothing;
  std::string why;
  ErrorKind error = ErrorKind::kUnset;  // of `why`
  bool registered = false;              // it was not there before
  std::string thing_name;               // JITP
};
// `certificate`: its key was proved by the handshake.
Result<FirstSight> first_sight(const Context& context, store::Tx& tx, const x509::Certificate& certificate,
                               Effects& effects);

// AWS::IoT::Certificate::... of a certificate, from its subject; what it has not is not there.
Parameters certificate_parameters(const security::Certificate& certificate);

// Whether a CA's configuration can be carried out: for who registers or updates one. kInvalid says why not.
Status check_registration_config(store::Tx& tx, const Realm& realm, const security::RegistrationConfig& config);

}  // namespace muster::provisioning
