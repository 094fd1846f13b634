// SPDX-License-Identifier: Apache-2.0
// Operations of service "iot": role aliases and custom authorisers. TestInvokeAuthorizer calls the function as a
// connection would, and answers what it said once it is checked.
#pragma once

#include "api/wire/operation.h"
#include "base/ids.h"
#include "domain/functions/invoker.h"
#include "store/store.h"

namespace muster::api::iot {

struct AuthorizerServices {
  store::Store* store = nullptr;
  Realm realm;
  functions::FunctionInvoker* invoker = nullptr;
};

void register_role_aliases(Operations& operations, const AuthorizerServices& services);
// One transaction that is all of the call.
using AuthorizerBody = Result<json::object> (*)(const AuthorizerServices& services, store::Tx& tx,
                                                const json::object& input);
Handler authorizer_handler(const std::shared_ptr<const AuthorizerServices>& services, AuthorizerBody body);

void register_authorizers(Operations& operations, const AuthorizerServices& services);

}  // namespace muster::api::iot
