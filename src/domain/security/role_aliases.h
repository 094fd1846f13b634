// SPDX-License-Identifier: Apache-2.0
// Role aliases: names by which devices get credentials of an IAM role without knowing it. Synchronous over Tx&. The
// role is of this account; that it exists, trusts the credentials provider and has sessions that long is asked when
// credentials are, as on AWS. Source: AWS IoT API reference, CreateRoleAlias; AWS IoT developer guide,
// "Authorizing direct calls to AWS services".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/ids.h"
#include "base/result.h"
#include "domain/registry/page.h"
#include "store/store.h"

namespace muster::security {

struct RoleAlias {
  std::string name;
  std::string role_arn;
  std::int64_t credential_duration_s = 3600;  // 900..43200
  std::int64_t created_ms = 0, modified_ms = 0;
};

std::string role_alias_arn(const Realm& realm, std::string_view name);

// kAlreadyExists with resourceId and resourceArn. kInvalid: not the ARN of a role of this account.
Result<RoleAlias> create_role_alias(store::Tx& tx, const Realm& realm, const RoleAlias& wanted);
std::optional<RoleAlias> find_role_alias(store::Tx& tx, std::string_view name);
Result<RoleAlias> get_role_alias(store::Tx& tx, std::string_view name);

struct RoleAliasChange {
  std::optional<std::string> role_arn;
  std::optional<std::int64_t> credential_duration_s;
};
Result<RoleAlias> update_role_alias(store::Tx& tx, const Realm& realm, std::string_view name,
                                    const RoleAliasChange& change);
Status delete_role_alias(store::Tx& tx, const Realm& realm, std::string_view name);
Result<registry::Page<std::string>> list_role_aliases(store::Tx& tx, const registry::PageRequest& page, bool ascending);

}  // namespace muster::security
