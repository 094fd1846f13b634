// SPDX-License-Identifier: Apache-2.0
// A shadow in the fleet index: its fields below "shadow." or "shadow.name.NAME.", and its object in search results.
// Arrays give a field one value an element; names of nested members are joined by dots. Pure functions. Fails only on
// a corrupt record; a deleted shadow has neither fields nor object.
#pragma once

#include <optional>
#include <string_view>

#include "base/json.h"
#include "base/result.h"
#include "domain/registry/fleet_query.h"

namespace muster::fleet {

Status add_shadow_fields(std::string_view record, std::string_view shadow, registry::FieldValues& fields);

// {desired, reported, metadata, hasDelta, version}
Result<std::optional<json::object>> shadow_object(std::string_view record);

}  // namespace muster::fleet
