// SPDX-License-Identifier: Apache-2.0
// The condition keys (and policy variables) that Muster supplies to evaluations. A policy that names another one is
// refused when it is created: a Deny on a key that never comes would silently be no protection.
#pragma once

#include <string_view>

#include "domain/iam/policy/document.h"

namespace muster::iam {

// `lower_key` in lower case. kIot policies know the iot: keys and aws:SourceIp; the others all but iot:.
bool is_supplied_condition_key(std::string_view lower_key, PolicyUse use);

}  // namespace muster::iam
