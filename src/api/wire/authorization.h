// SPDX-License-Identifier: Apache-2.0
// What a call asks permission for: the operation's action, its resources as ARNs (the templates of the support list
// filled from the input) and the condition keys of the request. Pure functions. A member that is absent makes its
// resource "kind/*", never nothing; when a resource can be named by name or ARN, both are asked for.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "api/wire/model.h"
#include "base/ids.h"
#include "base/json.h"
#include "domain/iam/authorize.h"
#include "domain/iam/principal.h"
#include "io/http_server.h"

namespace muster::api {

struct AuthorizationInput {
  const model::Service& service;
  const model::Operation& operation;
  const Realm& realm;
  const iam::Principal& caller;
  const json::object& input;
  const io::HttpRequest& request;
  std::int64_t now_ms = 0;
};

// One request for most operations; two where two actions are asked (CopyObject). All must be allowed.
std::vector<iam::AuthorizationRequest> authorization_requests(const AuthorizationInput& input);

// What the store knows of the users, roles and groups that an IAM call names: their ARN with its path, their tags and
// boundary as condition keys, and what UpdateUser and UpdateGroup turn them into. Nothing for other services.
void complete_iam_requests(store::Tx& tx, const AuthorizationInput& input,
                           std::vector<iam::AuthorizationRequest>& requests);

// The condition keys that every request has, for handlers that ask for more than the pipeline did ("aws:SourceIp" ...).
std::map<std::string, std::vector<std::string>> request_context(const io::HttpRequest& request, const Realm& realm,
                                                                std::int64_t now_ms);

std::vector<std::string> resource_arns(const AuthorizationInput& input);
// Those that the input names: without "*" and the templates that a member was absent for.
std::vector<std::string> named_resource_arns(const AuthorizationInput& input);

}  // namespace muster::api
