// SPDX-License-Identifier: Apache-2.0
// The record of a thing as the files of the registry write it. Whoever writes it keeps the indexes that hang on it
// (kThingAttribute, kThingByType, kBillingGroupThing).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "domain/registry/things.h"

namespace muster::registry {

std::string thing_key(std::string_view name);
std::optional<Thing> read_thing(std::string_view name, std::string_view text);
void put_thing(store::Tx& tx, const Thing& thing);

std::string thing_by_type_key(std::string_view type, std::string_view thing);
std::string billing_group_thing_key(std::string_view group, std::string_view thing);

}  // namespace muster::registry
