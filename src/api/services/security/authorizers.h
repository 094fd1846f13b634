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
void register_authorizers(Operations& operations, const AuthorizerServices& services);

}  // namespace muster::api::iot
