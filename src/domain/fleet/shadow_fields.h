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

// A value costs memory up to 700 bytes when no other thing has it, nor its field. Of a shadow with more than this the
// last are left out: metadata first, then what differs, what is reported, what is desired.
inline constexpr std::size_t kShadowValues = 1000;
// How many were left out.
Result<std::size_t> add_shadow_fields(std::string_view record, std::string_view shadow, registry::FieldValues& fields);

// {desired, reported, metadata, hasDelta, version}
Result<std::optional<json::object>> shadow_object(std::string_view record);

}  // namespace muster::fleet
