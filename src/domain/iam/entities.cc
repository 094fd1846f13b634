// SPDX-License-Identifier: Apache-2.0
// kPolicyAttachment: policy ARN, "user" | "role" | "group" | "user-boundary" | "role-boundary", lower-case name -> the
// name as written.
#include "domain/iam/entities.h"

#include <algorithm>

#include "base/text.h"
#include "domain/iam/counts.h"
#include "domain/iam/identity_records.h"
#include "domain/iam/managed_policies.h"
#include "store/keys.h"
#include "store/schema.h"

namespace muster::iam {

namespace {

constexpr std::size_t kAttachedLimit = 10;

char table_of(EntityKind kind) {
  switch (kind) {
    case EntityKind::kUser:
      return store::table::kUser;
    case EntityKind::kRole:
      return store::table::kRole;
    case EntityKind::kGroup:
      return store::table::kIamGroup;
  }
  return store::table::kUser;
}

std::string_view capital(EntityKind kind) {
  return kind == EntityKind::kUser ? "User" : kind == EntityKind::kRole ? "Role" : "Group";
}

std::size_t inline_size(EntityKind kind) {
  return kind == EntityKind::kUser ? 2048 : kind == EntityKind::kRole ? 10240 : 5120;
}

std::string boundary_word(EntityKind kind) {
  return std::string(word(kind)) + "-boundary";
}

std::string attachment_key(std::string_view arn, std::string_view kind, std::string_view name) {
  return store::Key(store::table::kPolicyAttachment).text(arn).text(kind).text(lower(name)).str();
}

Error no_entity(EntityKind kind, std::string_view name) {
  return no_such_entity("The " + std::string(word(kind)) + " with name " + std::string(name) + " cannot be found.");
}

Result<json::object> get_record(store::Tx& tx, EntityKind kind, std::string_view name) {
  auto text = tx.get(identity_key(table_of(kind), name));
  if (!text) return no_entity(kind, name);
  return parse_record(*text);
}

void put_record(store::Tx& tx, EntityKind kind, const json::object& record) {
  tx.put(identity_key(table_of(kind), get_string(record, "name")), to_text(record));
}

Error no_inline_policy(EntityKind kind, std::string_view policy) {
  return no_such_entity("The " + std::string(word(kind)) + " policy with name " + std::string(policy) +
                        " cannot be found.");
}

constexpr std::size_t kPolicyUsersBatch = 100;

// Of a marker: the components behind the ARN, as they are in the key.
Result<std::string> position_of(std::string_view marker) {
  auto position = from_base64(marker);
  if (!position || position->empty()) return make_error(ErrorKind::kInvalid, "Invalid Marker.", "ValidationError");
  return *std::move(position);
}

// The entities of rows of the index by policy; none for a row that is not asked for, nor for the boundary of one that
// has the policy attached as well and so is in the list already.
std::vector<std::optional<Entity>> users_in(store::Tx& tx, std::string_view arn, const ListPolicyUsers& list,
                                            const std::vector<store::KeyValue>& rows) {
  std::vector<std::optional<Entity>> entities(rows.size());
  std::vector<EntityName> names;
  std::vector<std::size_t> places;
  std::vector<std::string> twice;
  std::vector<std::size_t> twice_places;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    store::KeyReader reader(rows[i].key);
    reader.text();
    const std::string kind = reader.text().value_or("");
    const bool as_boundary = kind.ends_with("-boundary");
    const EntityKind entity = kind.starts_with("role")    ? EntityKind::kRole
                              : kind.starts_with("group") ? EntityKind::kGroup
                                                          : EntityKind::kUser;
    if ((list.kind && *list.kind != entity) || !(as_boundary ? list.boundaries : list.attached)) continue;
    names.push_back({entity, rows[i].value});
    places.push_back(i);
    if (!as_boundary || !list.attached) continue;
    twice.push_back(attachment_key(arn, word(entity), rows[i].value));
    twice_places.push_back(i);
  }
  auto found = find_entities(tx, names);
  for (std::size_t i = 0; i < found.size(); ++i) entities[places[i]] = std::move(found[i]);
  const auto attached = tx.get_many_snapshot(twice);
  for (std::size_t i = 0; i < attached.size(); ++i)
    if (attached[i]) entities[twice_places[i]].reset();
  return entities;
}

}  // namespace

std::string_view word(EntityKind kind) {
  return kind == EntityKind::kUser ? "user" : kind == EntityKind::kRole ? "role" : "group";
}

std::string entity_arn(const Realm& realm, const Entity& entity) {
  return "arn:aws:iam::" + realm.account_id + ":" + std::string(word(entity.kind)) + entity.path + entity.name;
}

std::optional<Entity> find_entity(store::Tx& tx, EntityKind kind, std::string_view name) {
  auto text = tx.get(identity_key(table_of(kind), name));
  return text ? read_entity(kind, *text) : std::nullopt;
}

std::vector<std::optional<Entity>> find_entities(store::Tx& tx, const std::vector<EntityName>& names) {
  std::vector<std::string> keys;
  keys.reserve(names.size());
  for (const EntityName& name : names) keys.push_back(identity_key(table_of(name.kind), name.name));
  std::vector<std::optional<Entity>> entities;
  const auto texts = tx.get_many_snapshot(keys);
  for (std::size_t i = 0; i < texts.size(); ++i)
    entities.push_back(texts[i] ? read_entity(names[i].kind, *texts[i]) : std::nullopt);
  return entities;
}

std::optional<Entity> read_entity(EntityKind kind, std::string_view text) {
  auto record = parse_record(text);
  if (!record) return std::nullopt;
  Entity entity;
  entity.kind = kind;
  entity.name = get_string(*record, "name");
  entity.path = get_string(*record, "path", "/");
  entity.id = get_string(*record, "id");
  entity.created_ms = get_int(*record, "created_ms");
  entity.policies = text_map(*record, "policies");
  entity.tags = text_map(*record, "tags");
  entity.attached = text_list(*record, "attached");
  entity.boundary = get_string(*record, "boundary");
  return entity;
}

Result<Entity> get_entity(store::Tx& tx, EntityKind kind, std::string_view name) {
  auto entity = find_entity(tx, kind, name);
  if (!entity) return no_entity(kind, name);
  return *std::move(entity);
}

Status put_inline_policy(store::Tx& tx, EntityKind kind, std::string_view name, std::string_view policy,
                         std::string_view document) {
  TRY(json::object record, get_record(tx, kind, name));
  TextMap policies = text_map(record, "policies");
  const std::string owner = std::string(word(kind)) + " " + std::string(get_string(record, "name"));
  TRY_VOID(check_inline_policy(policies, policy, document, inline_size(kind), owner));
  policies.insert_or_assign(std::string(policy), std::string(document));
  record["policies"] = to_object(policies);
  put_record(tx, kind, record);
  return {};
}

Result<std::string> get_inline_policy(store::Tx& tx, EntityKind kind, std::string_view name, std::string_view policy) {
  TRY(json::object record, get_record(tx, kind, name));
  TextMap policies = text_map(record, "policies");
  auto found = policies.find(std::string(policy));
  if (found == policies.end()) return no_inline_policy(kind, policy);
  return found->second;
}

Status delete_inline_policy(store::Tx& tx, EntityKind kind, std::string_view name, std::string_view policy) {
  TRY(json::object record, get_record(tx, kind, name));
  TextMap policies = text_map(record, "policies");
  if (policies.erase(std::string(policy)) == 0) return no_inline_policy(kind, policy);
  record["policies"] = to_object(policies);
  put_record(tx, kind, record);
  return {};
}

Status merge_tags(TextMap& into, const TextMap& tags) {
  for (const auto& [key, value] : tags) {
    std::erase_if(into, [&](const auto& tag) { return equals_ignore_case(tag.first, key); });
    into.emplace(key, value);
  }
  return check_tags(into);
}

void erase_tags(TextMap& from, const std::vector<std::string>& keys) {
  for (const std::string& key : keys)
    std::erase_if(from, [&](const auto& tag) { return equals_ignore_case(tag.first, key); });
}

Status tag_entity(store::Tx& tx, EntityKind kind, std::string_view name, const TextMap& tags) {
  TRY(json::object record, get_record(tx, kind, name));
  TextMap merged = text_map(record, "tags");
  TRY_VOID(merge_tags(merged, tags));
  record["tags"] = to_object(merged);
  put_record(tx, kind, record);
  return {};
}

Status untag_entity(store::Tx& tx, EntityKind kind, std::string_view name, const std::vector<std::string>& keys) {
  TRY(json::object record, get_record(tx, kind, name));
  TextMap left = text_map(record, "tags");
  erase_tags(left, keys);
  record["tags"] = to_object(left);
  put_record(tx, kind, record);
  return {};
}

Status attach_policy(store::Tx& tx, const Realm& realm, EntityKind kind, std::string_view name, std::string_view arn) {
  TRY(json::object record, get_record(tx, kind, name));
  if (!managed_policy_exists(tx, realm, arn))
    return no_such_entity("Policy " + std::string(arn) + " does not exist or is not attachable.");
  std::vector<std::string> attached = text_list(record, "attached");
  if (std::ranges::find(attached, arn) != attached.end()) return {};
  if (attached.size() >= kAttachedLimit)
    return limit_exceeded("Cannot exceed quota for PoliciesPer" + std::string(capital(kind)) + ": " +
                          std::to_string(kAttachedLimit));
  attached.emplace_back(arn);
  record["attached"] = to_array(attached);
  put_record(tx, kind, record);
  tx.put(attachment_key(arn, word(kind), name), get_string(record, "name"));
  count_use(tx, arn, false, 1);
  return {};
}

Status detach_policy(store::Tx& tx, EntityKind kind, std::string_view name, std::string_view arn) {
  TRY(json::object record, get_record(tx, kind, name));
  std::vector<std::string> attached = text_list(record, "attached");
  if (std::erase(attached, arn) == 0) return no_such_entity("Policy " + std::string(arn) + " was not found.");
  record["attached"] = to_array(attached);
  put_record(tx, kind, record);
  tx.erase(attachment_key(arn, word(kind), name));
  count_use(tx, arn, false, -1);
  return {};
}

Status put_boundary(store::Tx& tx, const Realm& realm, EntityKind kind, std::string_view name, std::string_view arn) {
  TRY(json::object record, get_record(tx, kind, name));
  if (!managed_policy_exists(tx, realm, arn))
    return no_such_entity("Policy " + std::string(arn) + " does not exist or is not attachable.");
  forget_boundary(tx, kind, name, get_string(record, "boundary"));
  record["boundary"] = arn;
  put_record(tx, kind, record);
  tx.put(attachment_key(arn, boundary_word(kind), name), get_string(record, "name"));
  count_use(tx, arn, true, 1);
  return {};
}

Status delete_boundary(store::Tx& tx, EntityKind kind, std::string_view name) {
  TRY(json::object record, get_record(tx, kind, name));
  forget_boundary(tx, kind, name, get_string(record, "boundary"));
  record.erase("boundary");
  put_record(tx, kind, record);
  return {};
}

void forget_boundary(store::Tx& tx, EntityKind kind, std::string_view name, std::string_view arn) {
  if (arn.empty()) return;
  tx.erase(attachment_key(arn, boundary_word(kind), name));
  count_use(tx, arn, true, -1);
}

bool policy_is_used(store::Tx& tx, std::string_view arn) {
  const std::string prefix = store::Key(store::table::kPolicyAttachment).text(arn).str();
  return !tx.range({.begin = prefix, .end = store::after_prefix(prefix), .limit = 1}).empty();
}

Result<NamePage<Entity>> list_policy_users(store::Tx& tx, std::string_view arn, const ListPolicyUsers& list) {
  const std::string prefix = store::Key(store::table::kPolicyAttachment).text(arn).str();
  store::RangeOptions range{.begin = prefix, .end = store::after_prefix(prefix), .limit = kPolicyUsersBatch};
  range.snapshot = true;
  if (!list.marker.empty()) {
    TRY(const std::string after, position_of(list.marker));
    range.begin = store::after_key(prefix + after);
  }
  NamePage<Entity> page;
  std::string last;
  for (std::size_t rows = 0;;) {
    const auto found = tx.range(range);
    const auto entities = users_in(tx, arn, list, found);
    for (std::size_t i = 0; i < found.size(); ++i) {
      const bool wanted = entities[i] && entities[i]->path.starts_with(list.path_prefix);
      if (rows >= kRowsAPage || (wanted && page.items.size() >= list.limit)) {
        page.next_marker = std::move(last);
        return page;
      }
      if (wanted) page.items.push_back(*entities[i]);
      last = to_base64(std::string_view(found[i].key).substr(prefix.size()));
      ++rows;
    }
    if (found.size() < range.limit) return page;
    range.begin = store::after_key(found.back().key);
  }
}

void move_attachments(store::Tx& tx, const Entity& entity, std::string_view new_name) {
  for (const std::string& arn : entity.attached) {
    tx.erase(attachment_key(arn, word(entity.kind), entity.name));
    tx.put(attachment_key(arn, word(entity.kind), new_name), new_name);
  }
  if (entity.boundary.empty()) return;
  tx.erase(attachment_key(entity.boundary, boundary_word(entity.kind), entity.name));
  tx.put(attachment_key(entity.boundary, boundary_word(entity.kind), new_name), new_name);
}

std::string with_path(store::Tx& tx, const Realm& realm, std::string_view arn) {
  const std::string prefix = "arn:aws:iam::" + realm.account_id + ":";
  if (!arn.starts_with(prefix)) return std::string(arn);
  const std::string_view rest = arn.substr(prefix.size());
  for (EntityKind kind : {EntityKind::kUser, EntityKind::kRole, EntityKind::kGroup}) {
    const std::string head = std::string(word(kind)) + "/";
    if (!rest.starts_with(head) || rest.find('/', head.size()) != std::string_view::npos) continue;
    auto entity = find_entity(tx, kind, rest.substr(head.size()));
    return entity ? entity_arn(realm, *entity) : std::string(arn);
  }
  return std::string(arn);
}

}  // namespace muster::iam
