// SPDX-License-Identifier: Apache-2.0
// IAM groups: users who share policies. Synchronous over Tx&. Errors as in identities.h; policies in entities.h.
// Quotas as AWS: 10 groups a user, 300 groups. Renaming writes two rows for each user of the group, so for 5000 at
// most.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "domain/iam/entities.h"
#include "domain/iam/identities.h"
#include "store/store.h"

namespace muster::iam {

Result<Entity> create_group(store::Tx& tx, std::string_view name, std::string_view path);
Result<NamePage<Entity>> list_groups(store::Tx& tx, const ListNames& list);
// Empty: stays.
Status update_group(store::Tx& tx, std::string_view name, std::string_view new_name, std::string_view new_path);
Status delete_group(store::Tx& tx, std::string_view name);  // kConflict while it has users or policies

Status add_user_to_group(store::Tx& tx, std::string_view group, std::string_view user);  // twice is a success
Status remove_user_from_group(store::Tx& tx, std::string_view group, std::string_view user);
// Names, in lower case, sorted. Snapshot: for listings.
std::vector<std::string> groups_of_user(store::Tx& tx, std::string_view user, bool snapshot = false);
Result<NamePage<std::string>> list_users_of_group(store::Tx& tx, std::string_view group, const ListNames& list);
// UpdateUser gave it another name.
void move_memberships(store::Tx& tx, std::string_view user, std::string_view new_name);

}  // namespace muster::iam
