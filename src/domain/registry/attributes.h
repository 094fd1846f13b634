// SPDX-License-Identifier: Apache-2.0
// Attributes of things and groups: their bounds, their form in records, and the merge rule of updates.
#pragma once

#include "base/json.h"
#include "domain/registry/things.h"

namespace muster::registry {

Attributes attributes_of(const json::object& record);
bool is_attribute_name(std::string_view name);
json::object to_object(const Attributes& attributes);
// UpdateThing and UpdateThingGroup: merge or replace; an empty value removes. Checked.
Result<Attributes> changed_attributes(const Attributes& current, const Attributes& change, bool merge);

}  // namespace muster::registry
