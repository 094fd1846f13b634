// SPDX-License-Identifier: Apache-2.0
// Custom authorisers: the record that names a function which decides about devices without certificates, the keys that
// sign their tokens, and which one is asked when a device names none. Synchronous over Tx&. How one is asked is
// authorizer_exchange.h. Bounds: 2 keys an authoriser, RSA of 2048 bits or more (AWS IoT quotas).
// Source: AWS IoT API reference, CreateAuthorizer; AWS IoT developer guide, "Creating and managing custom authorizers".
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/ids.h"
#include "base/result.h"
#include "domain/registry/page.h"
#include "store/store.h"

namespace muster::security {

struct CustomAuthorizer {
  std::string name;
  std::string function_arn;    // checked by the caller: of this account, known here
  std::string token_key_name;  // names the header, query parameter or user-name parameter with the token
  std::map<std::string, std::string> public_keys;  // name -> PEM
  bool signing_disabled = false;
  bool active = false;
  bool cache_for_http = false;
  std::int64_t created_ms = 0, modified_ms = 0;
};

std::string authorizer_arn(const Realm& realm, std::string_view name);

// kAlreadyExists; kInvalid: signing is on and there is no token key name or no key, or a key is not RSA.
Result<CustomAuthorizer> create_authorizer(store::Tx& tx, const Realm& realm, const CustomAuthorizer& wanted);
std::optional<CustomAuthorizer> find_authorizer(store::Tx& tx, std::string_view name);
Result<CustomAuthorizer> get_authorizer(store::Tx& tx, std::string_view name);

struct AuthorizerChange {
  std::optional<std::string> function_arn, token_key_name;
  std::optional<std::map<std::string, std::string>> public_keys;  // all of them
  std::optional<bool> active, cache_for_http;
};
// kInvalid also when the default authoriser would become inactive.
Result<CustomAuthorizer> update_authorizer(store::Tx& tx, std::string_view name, const AuthorizerChange& change);
// kConflict (DeleteConflictException) while it is active or the default.
Status delete_authorizer(store::Tx& tx, const Realm& realm, std::string_view name);
Result<registry::Page<std::string>> list_authorizers(store::Tx& tx, const registry::PageRequest& page, bool ascending,
                                                     std::optional<bool> active);

// kAlreadyExists when another one is the default; kInvalid when it is not active.
Result<CustomAuthorizer> set_default_authorizer(store::Tx& tx, const Realm& realm, std::string_view name);
std::optional<std::string> default_authorizer(store::Tx& tx);
Status clear_default_authorizer(store::Tx& tx);  // kNotFound when there is none

}  // namespace muster::security
