// SPDX-License-Identifier: Apache-2.0
// Managed policies with versions: those of the account, and a selection of AWS's own (arn:aws:iam::aws:policy/...),
// which cannot be changed. Synchronous over Tx&. Errors carry AWS's IAM codes in `reason`.
// Quotas as AWS: 5 versions, 6144 characters (white space not counted). Names are unique without regard to case.
#pragma once

#include <cstdint>
#include <functional>
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

struct PolicyVersion {
  std::string id;  // "v1"
  std::string document;
  std::int64_t created_ms = 0;
};

struct ManagedPolicy {
  std::string name;
  std::string path = "/";
  std::string id;   // ANPA...
  std::string arn;  // with path
  std::string description;
  std::int64_t created_ms = 0;
  std::int64_t updated_ms = 0;
  std::int64_t next_version = 1;
  std::string default_version;
  std::vector<PolicyVersion> versions;  // oldest first
  std::map<std::string, std::string> tags;
  bool by_aws = false;

  const PolicyVersion* find(std::string_view version) const;
};

Result<ManagedPolicy> create_managed_policy(store::Tx& tx, const Realm& realm, const ManagedPolicy& wanted,
                                            std::string_view document);  // name, path, description, tags are taken
std::optional<ManagedPolicy> find_managed_policy(store::Tx& tx, const Realm& realm, std::string_view arn);
Result<ManagedPolicy> get_managed_policy(store::Tx& tx, const Realm& realm, std::string_view arn);
bool managed_policy_exists(store::Tx& tx, const Realm& realm, std::string_view arn);
// The default version's document; nullopt when the policy is gone.
std::optional<std::string> managed_document(store::Tx& tx, const Realm& realm, std::string_view arn);
// The account's own, by lower-case name; `path_prefix` over paths.
// `keep` leaves out; null: none.
Result<NamePage<ManagedPolicy>> list_managed_policies(store::Tx& tx, const Realm& realm, const ListNames& list,
                                                      const std::function<bool(const ManagedPolicy&)>& keep = {});
const std::vector<ManagedPolicy>& aws_managed_policies();  // by name
Status delete_managed_policy(store::Tx& tx, const Realm& realm, std::string_view arn);

Result<PolicyVersion> create_managed_version(store::Tx& tx, const Realm& realm, std::string_view arn,
                                             std::string_view document, bool as_default);
Result<PolicyVersion> get_managed_version(store::Tx& tx, const Realm& realm, std::string_view arn,
                                          std::string_view version);
Status delete_managed_version(store::Tx& tx, const Realm& realm, std::string_view arn, std::string_view version);
Status set_default_managed_version(store::Tx& tx, const Realm& realm, std::string_view arn, std::string_view version);

Status tag_managed_policy(store::Tx& tx, const Realm& realm, std::string_view arn,
                          const std::map<std::string, std::string>& tags);
Status untag_managed_policy(store::Tx& tx, const Realm& realm, std::string_view arn,
                            const std::vector<std::string>& keys);

}  // namespace muster::iam
