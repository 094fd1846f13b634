// SPDX-License-Identifier: Apache-2.0
// What users, roles and groups have in common: inline policies, attached managed policies, a permissions boundary (not
// groups), tags (not groups) and their ARN with its path. Works on the stored record, so that it never loses what a
// kind has besides. Synchronous over Tx&. Errors and wording as in identities.h.
// Quotas as AWS: 10 managed policies an entity, 50 tags, inline policies of 2048 (user), 10240 (role) and 5120 (group)
// characters.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "domain/iam/identities.h"
#include "store/store.h"

namespace muster::iam {

enum class EntityKind : std::uint8_t { kUser, kRole, kGroup };
std::string_view word(EntityKind kind);  // "user"

struct Entity {
  EntityKind kind = EntityKind::kUser;
  std::string name;
  std::string path = "/";
  std::string id;
  std::int64_t created_ms = 0;
  std::map<std::string, std::string> policies;
  std::map<std::string, std::string> tags;
  std::vector<std::string> attached;
  std::string boundary;
};
std::string entity_arn(const Realm& realm, const Entity& entity);
std::optional<Entity> find_entity(store::Tx& tx, EntityKind kind, std::string_view name);
std::optional<Entity> read_entity(EntityKind kind, std::string_view record);  // as it is stored
// For listings: one round trip, without conflicts; in the order of `names`.
struct EntityName {
  EntityKind kind = EntityKind::kUser;
  std::string name;
};
std::vector<std::optional<Entity>> find_entities(store::Tx& tx, const std::vector<EntityName>& names);
Result<Entity> get_entity(store::Tx& tx, EntityKind kind, std::string_view name);

Status put_inline_policy(store::Tx& tx, EntityKind kind, std::string_view name, std::string_view policy,
                         std::string_view document);
Result<std::string> get_inline_policy(store::Tx& tx, EntityKind kind, std::string_view name, std::string_view policy);
Status delete_inline_policy(store::Tx& tx, EntityKind kind, std::string_view name, std::string_view policy);

Status tag_entity(store::Tx& tx, EntityKind kind, std::string_view name,
                  const std::map<std::string, std::string>& tags);
Status untag_entity(store::Tx& tx, EntityKind kind, std::string_view name, const std::vector<std::string>& keys);

// Attaching twice is a success, as on AWS. A policy must exist (managed_policies.h).
Status attach_policy(store::Tx& tx, const Realm& realm, EntityKind kind, std::string_view name, std::string_view arn);
Status detach_policy(store::Tx& tx, EntityKind kind, std::string_view name, std::string_view arn);
Status put_boundary(store::Tx& tx, const Realm& realm, EntityKind kind, std::string_view name, std::string_view arn);
Status delete_boundary(store::Tx& tx, EntityKind kind, std::string_view name);

// Of the index by policy: who has it attached, or as its boundary. Each once; groups, roles, users. A page may have
// fewer than asked for, or none, and still go on.
struct ListPolicyUsers {
  std::optional<EntityKind> kind;
  bool attached = true, boundaries = true;
  std::string path_prefix = "/";
  std::string marker;
  std::size_t limit = 100;
};
Result<NamePage<Entity>> list_policy_users(store::Tx& tx, std::string_view arn, const ListPolicyUsers& list);
bool policy_is_used(store::Tx& tx, std::string_view arn);  // for decisions; counts are in counts.h
// Tells the index that an entity has another name: UpdateUser, UpdateGroup.
void move_attachments(store::Tx& tx, const Entity& entity, std::string_view new_name);
void forget_boundary(store::Tx& tx, EntityKind kind, std::string_view name, std::string_view arn);

// Adds or replaces, keys without regard to case as IAM; checks the quota.
Status merge_tags(std::map<std::string, std::string>& into, const std::map<std::string, std::string>& tags);
void erase_tags(std::map<std::string, std::string>& from, const std::vector<std::string>& keys);

// The ARN of a name as requests give it ("arn:aws:iam::A:user/ann"), with the path of whoever has that name now; the
// same text when nobody has. For authorization, which knows the name only.
std::string with_path(store::Tx& tx, const Realm& realm, std::string_view arn);

}  // namespace muster::iam
