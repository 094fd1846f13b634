// SPDX-License-Identifier: Apache-2.0
#include "domain/security/role_aliases.h"

#include "api/services/iot/tags.h"
#include "api/services/iot/things_handler.h"
#include "api/services/security/authorizers.h"
#include "store/transact.h"

namespace muster::api::iot {
namespace {

using store::Tx;

json::object names(const Realm& realm, const security::RoleAlias& alias) {
  return {{"roleAlias", alias.name}, {"roleAliasArn", security::role_alias_arn(realm, alias.name)}};
}

Result<json::object> create(const AuthorizerServices& services, Tx& tx, const json::object& input) {
  security::RoleAlias wanted;
  wanted.name = get_string(input, "roleAlias");
  wanted.role_arn = get_string(input, "roleArn");
  wanted.credential_duration_s = get_int(input, "credentialDurationSeconds", 3600);
  TRY(const auto alias, security::create_role_alias(tx, services.realm, wanted));
  TRY(const registry::Tags tags, read_tags(input));
  TRY_VOID(refuse_reserved_tags(tags));
  const std::string arn = security::role_alias_arn(services.realm, alias.name);
  if (!tags.empty()) TRY_VOID(registry::tag_resource(tx, arn, tags));
  return names(services.realm, alias);
}

Result<json::object> describe(const AuthorizerServices& services, Tx& tx, const json::object& input) {
  TRY(const auto alias, security::get_role_alias(tx, get_string(input, "roleAlias")));
  json::object description = names(services.realm, alias);
  description["roleArn"] = alias.role_arn;
  description["owner"] = services.realm.account_id;
  description["credentialDurationSeconds"] = alias.credential_duration_s;
  description["creationDate"] = alias.created_ms;
  description["lastModifiedDate"] = alias.modified_ms;
  return json::object{{"roleAliasDescription", std::move(description)}};
}

Result<json::object> update(const AuthorizerServices& services, Tx& tx, const json::object& input) {
  security::RoleAliasChange change;
  if (has(input, "roleArn")) change.role_arn = std::string(get_string(input, "roleArn"));
  if (has(input, "credentialDurationSeconds")) {
    change.credential_duration_s = get_int(input, "credentialDurationSeconds");
  }
  TRY(const auto alias, security::update_role_alias(tx, services.realm, get_string(input, "roleAlias"), change));
  return names(services.realm, alias);
}

Result<json::object> erase(const AuthorizerServices& services, Tx& tx, const json::object& input) {
  TRY_VOID(security::delete_role_alias(tx, services.realm, get_string(input, "roleAlias")));
  return json::object();
}

Result<json::object> list(const AuthorizerServices&, Tx& tx, const json::object& input) {
  TRY(auto page, security::list_role_aliases(tx, marker_page_of_input(input), get_bool(input, "ascendingOrder", true)));
  json::object output{{"roleAliases", string_list(std::move(page.items))}};
  if (!page.next_token.empty()) output["nextMarker"] = page.next_token;
  return output;
}

}  // namespace

void register_role_aliases(Operations& operations, const AuthorizerServices& given) {
  const auto services = std::make_shared<const AuthorizerServices>(given);
  const auto add = [&](std::string_view operation, AuthorizerBody body) {
    operations.add("iot", operation, authorizer_handler(services, body));
  };
  add("CreateRoleAlias", create);
  add("DescribeRoleAlias", describe);
  add("UpdateRoleAlias", update);
  add("DeleteRoleAlias", erase);
  add("ListRoleAliases", list);
}

}  // namespace muster::api::iot
