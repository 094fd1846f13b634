// SPDX-License-Identifier: Apache-2.0
// TokenRights: what a custom authoriser's answer allows, compiled: its IoT policies and what their variables stand for.
// Immutable; any thread. A document that does not compile denies everything.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "api/device/transport_identity.h"
#include "base/ids.h"
#include "domain/iam/policy/cache.h"
#include "domain/iam/policy/eval.h"
#include "domain/iam/principal.h"

namespace muster::api::device {

// Whom an accepted answer vouches for: the name is the authoriser's choice, so the ARN is the authoriser's.
iam::Principal token_principal(const Realm& realm, const TokenAnswer& answer);

class TokenRights {
 public:
  TokenRights(const Realm& realm, const TokenQuestion& question, const TokenAnswer& answer);

  bool allows(std::string_view action, std::string_view resource) const;  // a whole ARN
  // "topic/", "topicfilter/" or "client/" and its name.
  bool allows(std::string_view action, std::string_view kind, std::string_view name) const;
  // A wildcard of the filter has to stand in the policy itself, not come out of a variable.
  bool allows_filter(std::string_view filter) const;

 private:
  bool evaluate(std::string_view action, std::string_view resource, const iam::PolicyContext& context) const;

  std::string prefix_;
  std::vector<iam::PolicyPtr> policies_;
  iam::PolicyContext context_, plain_context_;
};

}  // namespace muster::api::device
