// SPDX-License-Identifier: Apache-2.0
// Operations of services "iam" and "sts": users, groups, roles, their policies, boundaries and tags, managed policies,
// access keys, simulation, the account; GetCallerIdentity, AssumeRole, GetSessionToken. server/wiring calls
// register_iam() and register_sts() once; what they share outlives the Operations.
// Policy documents in answers are percent-encoded, as IAM returns them (SDKs decode them).
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "api/wire/operation.h"
#include "base/ids.h"
#include "domain/iam/credentials.h"
#include "domain/iam/entities.h"
#include "domain/iam/identities.h"
#include "domain/iam/managed_policies.h"
#include "store/store.h"

namespace muster::api::iam_service {

struct IamServices {
  store::Store* store = nullptr;
  Realm realm;
  iam::StoreCredentials* credentials = nullptr;  // told of changed keys; may be null
};

void register_iam(Operations& operations, const IamServices& services);
void register_sts(Operations& operations, const IamServices& services);

// Parts of register_iam.
using SharedIam = std::shared_ptr<const IamServices>;
void register_users(Operations& operations, const SharedIam& services);
void register_access_keys(Operations& operations, const SharedIam& services);
void register_roles(Operations& operations, const SharedIam& services);
void register_groups(Operations& operations, const SharedIam& services);
void register_entities(Operations& operations, const SharedIam& services);  // what the three have in common
void register_managed_policies(Operations& operations, const SharedIam& services);
void register_account(Operations& operations, const SharedIam& services);
void register_simulation(Operations& operations, const SharedIam& services);

// A handler that runs `body` in one transaction.
using IamBody = std::function<Result<json::object>(const IamServices& services, store::Tx& tx, const Call& call)>;
Handler iam_handler(const SharedIam& services, IamBody body);

// Marker and MaxItems; the page is marked with IsTruncated and Marker.
iam::ListNames list_of_input(const json::object& input);
void mark_page(json::object& output, const std::string& next_marker);
// [begin, end) of a list whose items have these keys, sorted: the page that Marker and MaxItems name.
struct Slice {
  std::size_t begin = 0, end = 0;
  std::string next_marker;
};
Result<Slice> slice_of_input(const json::object& input, const std::vector<std::string>& keys);

std::string path_of_input(const json::object& input, std::string_view member = "Path");  // "/" when absent
std::map<std::string, std::string> tags_of_input(const json::object& input);
std::vector<std::string> texts_of_input(const json::object& input, std::string_view member);
Result<json::object> tags_page(const std::map<std::string, std::string>& tags, const json::object& input);
json::array tags_shape(const std::map<std::string, std::string>& tags);
json::object user_shape(const Realm& realm, const iam::User& user);
json::object role_shape(const Realm& realm, const iam::Role& role);
json::object group_shape(const Realm& realm, const iam::Entity& group);
json::object policy_shape(store::Tx& tx, const iam::ManagedPolicy& policy);
json::object version_shape(const iam::ManagedPolicy& policy, const iam::PolicyVersion& version, bool with_document);
// A listing of several tables one after the other; markers name the section and the place in it. Each section takes the
// place and how many there is still room for. Answers the next marker, empty at the end. A page may have fewer items
// than asked for, or none, and still go on, as IAM documents it.
struct SectionPage {
  std::size_t count = 0;
  std::string next_marker;
};
using Section = std::function<Result<SectionPage>(const iam::ListNames& list)>;
Result<std::string> page_of_sections(const json::object& input, const std::vector<Section>& sections);
// AWS's managed policies by name; `keep` leaves out.
iam::NamePage<iam::ManagedPolicy> aws_policies(const iam::ListNames& list,
                                               const std::function<bool(const iam::ManagedPolicy&)>& keep);
void add_boundary(json::object& shape, const std::string& boundary);
json::array attached_shape(const std::vector<std::string>& arns);

}  // namespace muster::api::iam_service
