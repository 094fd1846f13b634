// SPDX-License-Identifier: Apache-2.0
// Billing groups: flat, versioned, tagged; a thing is in at most one. Synchronous over Tx&. The membership is in the
// thing's record (things.h) and listed by group in kBillingGroupThing; it is no part of the thing's version.
// Bounds: a description of 2028 characters. Source: AWS IoT API reference 2015-05-28 "CreateBillingGroup" and so on.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/ids.h"
#include "base/result.h"
#include "domain/registry/page.h"
#include "store/store.h"

namespace muster::registry {

struct BillingGroup {
  std::string name;
  std::string id;  // UUID
  std::string description;
  std::int64_t version = 1;
  std::int64_t created_ms = 0;
};

std::string billing_group_arn(const Realm& realm, std::string_view name);

// The existing group when it has the same description.
Result<BillingGroup> create_billing_group(store::Tx& tx, const Realm& realm, std::string_view name,
                                          std::string_view description);
std::optional<BillingGroup> find_billing_group(store::Tx& tx, std::string_view name);
Result<BillingGroup> get_billing_group(store::Tx& tx, std::string_view name);

struct UpdateBillingGroup {
  std::string name;
  std::optional<std::string> description;
  std::optional<std::int64_t> expected_version;
};
Result<BillingGroup> update_billing_group(store::Tx& tx, const UpdateBillingGroup& change);

// Drops its tags. Success when there is no such group; kInvalid while things are in it.
Status delete_billing_group(store::Tx& tx, const Realm& realm, std::string_view name,
                            std::optional<std::int64_t> expected_version);

struct ListBillingGroups {
  std::string name_prefix;
  PageRequest page;
};
Result<Page<std::string>> list_billing_groups(store::Tx& tx, const ListBillingGroups& list);

// kNotFound: the thing or the group; kInvalid when the thing is in another one. Again: success without effect.
Status add_thing_to_billing_group(store::Tx& tx, std::string_view group, std::string_view thing);
// kNotFound: the thing or the group. Success when the thing is not in it.
Status remove_thing_from_billing_group(store::Tx& tx, std::string_view group, std::string_view thing);
Result<Page<std::string>> list_things_in_billing_group(store::Tx& tx, std::string_view group, const PageRequest& page);

Error billing_group_not_found(std::string_view name);

}  // namespace muster::registry
