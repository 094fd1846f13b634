// SPDX-License-Identifier: Apache-2.0
// kRoleAlias: name -> {role, duration_s, created_ms, modified_ms}
#include "domain/security/role_aliases.h"

#include "base/json.h"
#include "domain/registry/tags.h"
#include "domain/security/named_page.h"
#include "store/keys.h"
#include "store/schema.h"

namespace muster::security {
namespace {

constexpr std::int64_t kShortestS = 900, kLongestS = 43'200;

std::string alias_key(std::string_view name) {
  return store::Key(store::table::kRoleAlias).text(name).str();
}

void put(store::Tx& tx, const RoleAlias& alias) {
  tx.put(alias_key(alias.name), to_text(json::object{{"role", alias.role_arn},
                                                     {"duration_s", alias.credential_duration_s},
                                                     {"created_ms", alias.created_ms},
                                                     {"modified_ms", alias.modified_ms}}));
}

// Another account's role could only be handed out by that account.
Status check(const Realm& realm, const RoleAlias& alias) {
  const auto arn = parse_arn(alias.role_arn);
  const bool own = arn && arn->partition == "aws" && arn->service == "iam" && arn->region.empty() &&
                   arn->account_id == realm.account_id && arn->resource.starts_with("role/") &&
                   arn->resource.size() > 5;
  if (!own) return invalid("The role ARN is not one of a role of this account: " + alias.role_arn);
  if (alias.credential_duration_s < kShortestS || alias.credential_duration_s > kLongestS) {
    return invalid("credentialDurationSeconds must be between 900 and 43200");
  }
  return {};
}

}  // namespace

std::string role_alias_arn(const Realm& realm, std::string_view name) {
  return iot_arn(realm, "rolealias", name);
}

Result<RoleAlias> create_role_alias(store::Tx& tx, const Realm& realm, const RoleAlias& wanted) {
  if (tx.get(alias_key(wanted.name))) {
    Error error = make_error(ErrorKind::kAlreadyExists, "Role alias " + wanted.name + " already exists");
    error.fields["resourceId"] = wanted.name;
    error.fields["resourceArn"] = role_alias_arn(realm, wanted.name);
    return error;
  }
  TRY_VOID(check(realm, wanted));
  RoleAlias alias = wanted;
  alias.created_ms = alias.modified_ms = tx.now_ms();
  put(tx, alias);
  return alias;
}

std::optional<RoleAlias> find_role_alias(store::Tx& tx, std::string_view name) {
  const auto text = tx.get(alias_key(name));
  const auto record = text ? parse_record(*text) : Result<json::object>();
  if (!record) return std::nullopt;  // unreadable: nobody gets credentials by it
  RoleAlias alias;
  alias.name = name;
  alias.role_arn = get_string(*record, "role");
  alias.credential_duration_s = get_int(*record, "duration_s");
  alias.created_ms = get_int(*record, "created_ms");
  alias.modified_ms = get_int(*record, "modified_ms");
  return alias;
}

Result<RoleAlias> get_role_alias(store::Tx& tx, std::string_view name) {
  auto alias = find_role_alias(tx, name);
  if (!alias) return not_found("Role alias " + std::string(name) + " does not exist");
  return *std::move(alias);
}

Result<RoleAlias> update_role_alias(store::Tx& tx, const Realm& realm, std::string_view name,
                                    const RoleAliasChange& change) {
  TRY(RoleAlias alias, get_role_alias(tx, name));
  if (change.role_arn) alias.role_arn = *change.role_arn;
  if (change.credential_duration_s) alias.credential_duration_s = *change.credential_duration_s;
  TRY_VOID(check(realm, alias));
  alias.modified_ms = tx.now_ms();
  put(tx, alias);
  return alias;
}

Status delete_role_alias(store::Tx& tx, const Realm& realm, std::string_view name) {
  TRY_VOID(get_role_alias(tx, name));
  tx.erase(alias_key(name));
  registry::erase_tags(tx, role_alias_arn(realm, name));
  return {};
}

Result<registry::Page<std::string>> list_role_aliases(store::Tx& tx, const registry::PageRequest& page,
                                                      bool ascending) {
  return list_names(tx, store::table::kRoleAlias, "role-aliases", page, ascending);
}

}  // namespace muster::security
