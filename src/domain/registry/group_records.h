// SPDX-License-Identifier: Apache-2.0
// Records of thing groups, and the walk through a hierarchy that listings of groups and of members share.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "domain/registry/groups.h"

namespace muster::registry {

std::optional<ThingGroup> read_group(std::string_view name, std::string_view text);
// Those being deleted too.
std::optional<ThingGroup> find_group_record(store::Tx& tx, std::string_view name, bool snapshot);

// From the top group down to the current one. advance() goes to the next group in preorder, children by name; false at
// the end. Works on although groups of the path are gone.
using GroupPath = std::vector<std::string>;
bool advance(store::Tx& tx, GroupPath& path, bool snapshot);
std::string join_path(const GroupPath& path);
GroupPath split_path(std::string_view text);

}  // namespace muster::registry
