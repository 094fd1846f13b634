// SPDX-License-Identifier: Apache-2.0
// Constraints of the models that need look-around, which RE2 does not have, as functions over the whole value. The
// generator names them (tools/modelgen/patterns.py) where a pattern cannot be translated. Pure functions.
#pragma once

#include <string_view>

namespace muster::api {

using Predicate = bool (*)(std::string_view value);
Predicate find_predicate(std::string_view name);  // nullptr when there is none

}  // namespace muster::api
