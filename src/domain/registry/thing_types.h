// SPDX-License-Identifier: Apache-2.0
// Thing types: what things of a kind have in common, and may be deprecated. Synchronous over Tx&. A thing has at most
// one; the association is the thing's (things.h), listed by type in kThingByType.
// Bounds: 3 searchable attributes, a description of 2028 characters. Errors: as AWS IoT's CreateThingType,
// DeprecateThingType, DeleteThingType (API reference 2015-05-28), developer guide "Thing types".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "domain/registry/page.h"
#include "store/store.h"

namespace muster::registry {

struct ThingType {
  std::string name;
  std::string id;  // UUID
  std::string description;
  std::vector<std::string> searchable_attributes;
  std::int64_t created_ms = 0;
  std::int64_t deprecated_ms = 0;  // 0: not deprecated

  bool is_deprecated() const { return deprecated_ms != 0; }
};

std::string thing_type_arn(const Realm& realm, std::string_view name);

struct CreateThingType {
  std::string name;
  std::string description;
  std::vector<std::string> searchable_attributes;
};
// The existing type when it was created alike.
Result<ThingType> create_thing_type(store::Tx& tx, const Realm& realm, const CreateThingType& wanted);
std::optional<ThingType> find_thing_type(store::Tx& tx, std::string_view name);
Result<ThingType> get_thing_type(store::Tx& tx, std::string_view name);

struct UpdateThingType {
  std::string name;
  std::optional<std::string> description;
  std::optional<std::vector<std::string>> searchable_attributes;
};
Result<ThingType> update_thing_type(store::Tx& tx, const UpdateThingType& change);

// Deprecates, or with `undo` makes it usable again. Doing it once more changes nothing, not even the date.
Status deprecate_thing_type(store::Tx& tx, std::string_view name, bool undo);
// kInvalid unless it was deprecated kDeleteAfterDeprecation_ms ago and no thing is of it.
inline constexpr std::int64_t kDeleteAfterDeprecation_ms = 5 * 60 * 1000;
Status delete_thing_type(store::Tx& tx, const Realm& realm, std::string_view name);

struct ListThingTypes {
  std::string name;  // that one alone
  PageRequest page;
};
Result<Page<ThingType>> list_thing_types(store::Tx& tx, const ListThingTypes& list);

// kNotFound; kInvalid when it is deprecated: for whoever gives a thing this type.
Status check_new_association(store::Tx& tx, std::string_view type);
bool has_things_of_type(store::Tx& tx, std::string_view type);

Error thing_type_not_found(std::string_view name);

}  // namespace muster::registry
