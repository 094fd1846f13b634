// SPDX-License-Identifier: Apache-2.0
// Operations of services "iam" and "sts": users, access keys, inline policies, roles, GetCallerIdentity, AssumeRole.
// server/wiring calls register_iam() and register_sts() once; what they share outlives the Operations.
// Policy documents in answers are percent-encoded, as IAM returns them (SDKs decode them).
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "api/wire/operation.h"
#include "base/ids.h"
#include "domain/iam/credentials.h"
#include "domain/iam/identities.h"
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

// A handler that runs `body` in one transaction.
using IamBody = std::function<Result<json::object>(const IamServices& services, store::Tx& tx, const Call& call)>;
Handler iam_handler(const SharedIam& services, IamBody body);

// Marker and MaxItems; the page is marked with IsTruncated and Marker.
iam::ListNames list_of_input(const json::object& input);
void mark_page(json::object& output, const std::string& next_marker);
// Names of inline policies, paged by name.
Result<json::object> policy_names(const std::map<std::string, std::string>& policies, const json::object& input);
// Only "/": a request names identities without their path, so policies on ARNs with one could not be decided.
Result<std::string> path_of_input(const json::object& input);
std::map<std::string, std::string> tags_of_input(const json::object& input);

}  // namespace muster::api::iam_service
