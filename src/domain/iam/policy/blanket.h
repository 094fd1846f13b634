// SPDX-License-Identifier: Apache-2.0
// Blanket rights: what is allowed on every resource below a prefix, so that who has them need not ask for each. For
// callers whose context does not change between questions (a connection). Pure. Errs towards no: then evaluate() each.
#pragma once

#include <span>
#include <string_view>

#include "domain/iam/policy/eval.h"

namespace muster::iam {

// Whether evaluate() allows `action` on every ARN that begins with `prefix` ("arn:aws:iot:R:A:topic/"): some statement
// allows them all, and none denies the action on anything. Of identity-based and IoT policies.
bool allows_all_below(std::span<const PolicyPtr> policies, std::string_view action, std::string_view prefix,
                      const PolicyContext& context);

}  // namespace muster::iam
