// SPDX-License-Identifier: Apache-2.0
// Things: named devices with attributes and a version. Synchronous over Tx&. Jobs live above: the service layer calls
// jobs::thing_deleted() in the same transaction as delete_thing(). A thing that is made or changed joins and leaves
// dynamic groups in the same call (dynamic_groups.h).
// Bounds: 50 attributes, names of 128 and values of 800 characters, 47 KB in all. Errors and wording as AWS IoT's
// CreateThing, UpdateThing, DeleteThing (API reference 2015-05-28); already-exists carries resourceId and resourceArn.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/ids.h"
#include "base/result.h"
#include "domain/registry/page.h"
#include "store/store.h"

namespace muster::registry {

using Attributes = std::map<std::string, std::string>;

struct Thing {
  std::string name;
  std::string id;  // UUID
  std::string type;
  std::string billing_group;
  Attributes attributes;
  std::int64_t version = 1;
  std::int64_t created_ms = 0;
};

std::string thing_arn(const Realm& realm, std::string_view name);

struct CreateThing {
  std::string name;
  std::string type;
  Attributes attributes;
  std::string billing_group = {};
};
// The existing thing when it has the same type, attributes and billing group.
Result<Thing> create_thing(store::Tx& tx, const Realm& realm, const CreateThing& wanted);
std::optional<Thing> find_thing(store::Tx& tx, std::string_view name);
bool thing_exists(store::Tx& tx, std::string_view name);
Result<Thing> get_thing(store::Tx& tx, std::string_view name);

struct UpdateThing {
  std::string name;
  std::optional<Attributes> attributes;  // an empty value removes the attribute
  bool merge = false;                    // else replaces all
  std::optional<std::string> type;
  bool remove_type = false;
  std::optional<std::int64_t> expected_version;
};
Result<Thing> update_thing(store::Tx& tx, const UpdateThing& change);

// Also leaves its groups. False when there was no such thing (AWS answers success). Refused while principals are
// attached.
Result<bool> delete_thing(store::Tx& tx, std::string_view name, std::optional<std::int64_t> expected_version);

struct ListThings {
  std::string attribute_name, attribute_value;  // both or none
  bool prefix = false;                          // attribute_value is a prefix
  std::string type;
  PageRequest page;
};
// By name, or by (value, name) with an attribute. A page may hold fewer than the limit and still have a next one, when
// attribute and type are asked for: the work of a page is bounded.
Result<Page<Thing>> list_things(store::Tx& tx, const ListThings& list);

// "Thing NAME not found." with AWS's wording.
Error thing_not_found(std::string_view name);

// Shared with groups: checks names, values, count and total size; drops attributes with empty values.
Result<Attributes> checked_attributes(const Attributes& wanted);

}  // namespace muster::registry
