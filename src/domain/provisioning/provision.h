// SPDX-License-Identifier: Apache-2.0
// provision(): does what a resolved template says, in the caller's transaction: all of it or nothing. The thing is
// made, or changed as OverrideSettings say; the certificate is registered or found, and gets its status; policies are
// made and attached; the thing joins its groups and the certificate. Each call that this stands for is asked of Rights.
// Where the template says nothing, a thing that is there already stays as it is, and a certificate gets the status of
// the template; a revoked certificate, or one in transfer, stays what it is and is an error.
// Source: AWS IoT developer guide, "Provisioning templates", "Override settings".
#pragma once

#include <map>
#include <optional>
#include <string>

#include "base/result.h"
#include "base/x509.h"
#include "domain/provisioning/context.h"
#include "domain/provisioning/rights.h"
#include "domain/provisioning/template.h"
#include "store/store.h"

namespace muster::provisioning {

// What is made outside of the transaction: signatures and the parsing of certificates.
struct Material {
  std::optional<x509::Certificate> certificate;  // of the plan's signing request or PEM
};
Result<Material> prepare(const Context& context, const Plan& plan, std::int64_t now_ms);

struct Provisioned {
  std::string thing_name;
  std::string certificate_id;
  std::string certificate_pem;
  std::map<std::string, std::string> resource_arns;  // by logical name
};
// kAccessDenied: Rights; kNotFound: a group, policy or certificate that is named; kConflict with reason
// "ResourceRegistrationFailureException": OverrideSettings say FAIL, or the certificate cannot have that status.
Result<Provisioned> provision(const Context& context, store::Tx& tx, const Plan& plan, const Material& material,
                              Rights& rights, Effects& effects);

// Of certificates that are issued here.
inline constexpr std::int64_t kCertificateBackdatedMs = 120'000;           // for clocks that are a little behind
inline constexpr std::int64_t kCertificateNotAfterMs = 2'524'607'999'000;  // 2049-12-31T23:59:59Z, as AWS

}  // namespace muster::provisioning
