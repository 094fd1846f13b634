// SPDX-License-Identifier: Apache-2.0
// OpenID Connect: the provider operations of service "iam" and AssumeRoleWithWebIdentity of "sts". Anybody may call the
// latter, unsigned: the token and the role's trust policy decide. Order: the token's form and algorithm, its issuer
// among the account's providers (nobody else is ever asked for keys), its signature, its claims, the trust policy.
#pragma once

#include "api/services/iam/web_identity_keys.h"
#include "api/wire/operation.h"
#include "base/ids.h"
#include "store/store.h"

namespace muster::api::iam_service {

struct WebIdentityServices {
  store::Store* store = nullptr;
  Realm realm;
  WebIdentityKeys* keys = nullptr;
};

void register_oidc_providers(Operations& operations, const WebIdentityServices& services);
void register_web_identity(Operations& operations, const WebIdentityServices& services);

}  // namespace muster::api::iam_service
