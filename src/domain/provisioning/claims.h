// SPDX-License-Identifier: Apache-2.0
// Provisioning claims: a certificate of five minutes with a policy that allows the MQTT topics of one template alone
// (CreateProvisioningClaim). A timer deletes certificate and policy then; live connections end with it. Any other
// certificate that its IoT policies let publish there can serve as a claim, too; for those nothing is kept here.
// Synchronous over Tx&.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/x509.h"
#include "domain/provisioning/context.h"
#include "store/store.h"
#include "store/timers.h"

namespace muster::provisioning {

inline constexpr std::int64_t kClaimMs = 5 * 60 * 1000;
inline constexpr std::string_view kClaimTimer = "provisioning.claim";

struct Claim {
  std::string template_name;
  std::int64_t expires_ms = 0;
};

// `issued` is signed by the device CA and valid until then. kNotFound: the template.
Result<Claim> create_claim(const Context& context, store::Tx& tx, std::string_view template_name,
                           const x509::Certificate& issued);
std::optional<Claim> find_claim(store::Tx& tx, std::string_view certificate_id);
// The timer's work: the claim, its certificate and its policy.
Status expire_claim(const Context& context, store::Tx& tx, std::string_view certificate_id);

}  // namespace muster::provisioning
