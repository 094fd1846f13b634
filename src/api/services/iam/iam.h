// SPDX-License-Identifier: Apache-2.0
// Operations of services "iam" and "sts": users, access keys, inline policies, roles, GetCallerIdentity, AssumeRole.
// server/wiring calls both register functions once; what they capture outlives the Operations.
#pragma once

#include "api/wire/operation.h"
#include "base/ids.h"
#include "domain/iam/credentials.h"
#include "store/store.h"

namespace muster::api::iam_service {

struct IamServices {
  store::Store* store = nullptr;
  Realm realm;
  iam::StoreCredentials* credentials = nullptr;  // told of changed keys; may be null
};

void register_users(Operations& operations, const IamServices& services);
void register_access_keys(Operations& operations, const IamServices& services);
void register_roles(Operations& operations, const IamServices& services);
void register_iam(Operations& operations, const IamServices& services);  // all of the above
void register_sts(Operations& operations, const IamServices& services);

}  // namespace muster::api::iam_service
