// SPDX-License-Identifier: Apache-2.0
// IoT policies: up to 5 versions of a document, one of them the default, attached to certificates and thing groups.
// Synchronous over Tx&. Documents are checked by domain/iam/policy_document; at most 2048 characters without white
// space, 10 policies a certificate or identity, 2 a thing group (AWS IoT quotas).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "domain/registry/page.h"
#include "store/store.h"

namespace muster::security {

struct PolicyVersion {
  std::int64_t number = 1;
  std::string document;
  std::int64_t created_ms = 0;
};

struct Policy {
  std::string name;
  std::map<std::int64_t, PolicyVersion> versions;
  std::int64_t default_version = 1;
  std::int64_t last_version = 1;
  std::int64_t created_ms = 0, modified_ms = 0;
  std::string generation_id;
  const PolicyVersion& current() const { return versions.at(default_version); }
};

std::string policy_arn(const Realm& realm, std::string_view name);

Result<Policy> create_policy(store::Tx& tx, const Realm& realm, std::string_view name, std::string_view document);
std::optional<Policy> find_policy(store::Tx& tx, std::string_view name);
Result<Policy> get_policy(store::Tx& tx, std::string_view name);
// Refused while it has targets or more than one version.
Status delete_policy(store::Tx& tx, std::string_view name);
Result<registry::Page<std::string>> list_policies(store::Tx& tx, const registry::PageRequest& page,
                                                  bool ascending = true);

Result<PolicyVersion> create_policy_version(store::Tx& tx, std::string_view name, std::string_view document,
                                            bool set_as_default);
Result<PolicyVersion> get_policy_version(const Policy& policy, std::string_view version_id);
Status delete_policy_version(store::Tx& tx, std::string_view name, std::string_view version_id);
Status set_default_policy_version(store::Tx& tx, std::string_view name, std::string_view version_id);

// `target` is the ARN of a certificate or thing group that exists, or an Amazon Cognito identity (principals.h), of
// which nobody here knows whether it exists. Attaching or detaching twice is a success.
Status attach_policy(store::Tx& tx, const Realm& realm, std::string_view name, std::string_view target);
Status detach_policy(store::Tx& tx, const Realm& realm, std::string_view name, std::string_view target);
// With `recursive`, a group's ancestors' policies too.
Result<registry::Page<std::string>> list_attached_policies(store::Tx& tx, const Realm& realm, std::string_view target,
                                                           bool recursive, const registry::PageRequest& page);
Result<registry::Page<std::string>> list_policy_targets(store::Tx& tx, std::string_view name,
                                                        const registry::PageRequest& page);

struct EffectivePolicy {
  std::string name;
  std::int64_t version = 0;
  std::string document;
};
// What decides for a principal. Compile the documents with iam::compile_stored(): an unreadable policy comes with an
// empty document, which denies everything.
struct EffectiveRights {
  std::vector<EffectivePolicy> policies;  // by name
  std::vector<std::string> things;        // that count
  std::vector<std::string> groups;        // of the things, with their ancestors
};
// Of a certificate: attached to it, and to the groups (and their ancestors) of the things that it is attached to; of
// `thing` alone when one is given (it counts only if it is attached).
EffectiveRights effective_rights(store::Tx& tx, const Realm& realm, std::string_view certificate_id,
                                 std::string_view thing = {});
std::vector<EffectivePolicy> effective_policies(store::Tx& tx, const Realm& realm, std::string_view certificate_id,
                                                std::string_view thing = {});
// Of a principal that is a certificate's ARN or an identity, of a thing whoever connects for it, or of both. kInvalid
// when neither is given, kNotFound for what does not exist.
struct RightsOf {
  std::string_view principal;
  std::string_view thing;
};
Result<EffectiveRights> rights_of(store::Tx& tx, const Realm& realm, const RightsOf& whom);

}  // namespace muster::security
