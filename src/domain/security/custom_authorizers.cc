// SPDX-License-Identifier: Apache-2.0
// kAuthorizer: name -> {function, token_key, keys {name: pem}, unsigned, active, cache, created_ms, modified_ms};
// "" -> {name} of the default.
#include "domain/security/custom_authorizers.h"

#include "base/json.h"
#include "base/public_key.h"
#include "domain/registry/tags.h"
#include "domain/security/named_page.h"
#include "store/keys.h"
#include "store/schema.h"

namespace muster::security {
namespace {

constexpr std::size_t kMaxKeys = 2;
constexpr std::size_t kScanned = 100;

std::string authorizer_key(std::string_view name) {
  return store::Key(store::table::kAuthorizer).text(name).str();
}

void put(store::Tx& tx, const CustomAuthorizer& authorizer) {
  json::object keys;
  for (const auto& [name, pem] : authorizer.public_keys) keys[name] = pem;
  tx.put(authorizer_key(authorizer.name), to_text(json::object{{"function", authorizer.function_arn},
                                                               {"token_key", authorizer.token_key_name},
                                                               {"keys", std::move(keys)},
                                                               {"unsigned", authorizer.signing_disabled},
                                                               {"active", authorizer.active},
                                                               {"cache", authorizer.cache_for_http},
                                                               {"created_ms", authorizer.created_ms},
                                                               {"modified_ms", authorizer.modified_ms}}));
}

Status check(const CustomAuthorizer& authorizer) {
  if (authorizer.public_keys.size() > kMaxKeys) {
    return make_error(ErrorKind::kLimit, "An authorizer can have at most 2 token signing public keys");
  }
  for (const auto& [name, pem] : authorizer.public_keys) {
    const auto key = PublicKey::from_pem(pem);
    if (!key || key->kind() != PublicKey::Kind::kRsa) {
      return invalid("Token signing public key " + name + " is not a PEM-encoded RSA public key of 2048 bits or more");
    }
  }
  if (authorizer.signing_disabled) return {};
  if (authorizer.token_key_name.empty()) return invalid("tokenKeyName is required when signing is enabled");
  if (authorizer.public_keys.empty()) return invalid("tokenSigningPublicKeys is required when signing is enabled");
  return {};
}

}  // namespace

std::string authorizer_arn(const Realm& realm, std::string_view name) {
  return iot_arn(realm, "authorizer", name);
}

Result<CustomAuthorizer> create_authorizer(store::Tx& tx, const Realm& realm, const CustomAuthorizer& wanted) {
  if (tx.get(authorizer_key(wanted.name))) {
    Error error = make_error(ErrorKind::kAlreadyExists, "Authorizer " + wanted.name + " already exists");
    error.fields["resourceId"] = wanted.name;
    error.fields["resourceArn"] = authorizer_arn(realm, wanted.name);
    return error;
  }
  TRY_VOID(check(wanted));
  CustomAuthorizer authorizer = wanted;
  authorizer.created_ms = authorizer.modified_ms = tx.now_ms();
  put(tx, authorizer);
  return authorizer;
}

std::optional<CustomAuthorizer> find_authorizer(store::Tx& tx, std::string_view name) {
  if (name.empty()) return std::nullopt;
  const auto text = tx.get(authorizer_key(name));
  const auto record = text ? parse_record(*text) : Result<json::object>();
  if (!record) return std::nullopt;  // unreadable: it lets nobody in
  CustomAuthorizer authorizer;
  authorizer.name = name;
  authorizer.function_arn = get_string(*record, "function");
  authorizer.token_key_name = get_string(*record, "token_key");
  if (const json::object* keys = find_object(*record, "keys")) {
    for (const auto& key : *keys) {
      if (key.value().is_string()) authorizer.public_keys.emplace(key.key(), key.value().get_string());
    }
  }
  authorizer.signing_disabled = get_bool(*record, "unsigned");
  authorizer.active = get_bool(*record, "active");
  authorizer.cache_for_http = get_bool(*record, "cache");
  authorizer.created_ms = get_int(*record, "created_ms");
  authorizer.modified_ms = get_int(*record, "modified_ms");
  return authorizer;
}

Result<CustomAuthorizer> get_authorizer(store::Tx& tx, std::string_view name) {
  auto authorizer = find_authorizer(tx, name);
  if (!authorizer) return not_found("Authorizer " + std::string(name) + " does not exist");
  return *std::move(authorizer);
}

Result<CustomAuthorizer> update_authorizer(store::Tx& tx, std::string_view name, const AuthorizerChange& change) {
  TRY(CustomAuthorizer authorizer, get_authorizer(tx, name));
  if (change.function_arn) authorizer.function_arn = *change.function_arn;
  if (change.token_key_name) authorizer.token_key_name = *change.token_key_name;
  if (change.public_keys) authorizer.public_keys = *change.public_keys;
  if (change.active) authorizer.active = *change.active;
  if (change.cache_for_http) authorizer.cache_for_http = *change.cache_for_http;
  if (!authorizer.active && default_authorizer(tx) == authorizer.name) {
    return invalid("The default authorizer cannot be made inactive; clear the default first");
  }
  TRY_VOID(check(authorizer));
  authorizer.modified_ms = tx.now_ms();
  put(tx, authorizer);
  return authorizer;
}

Status delete_authorizer(store::Tx& tx, const Realm& realm, std::string_view name) {
  TRY(const CustomAuthorizer authorizer, get_authorizer(tx, name));
  if (authorizer.active || default_authorizer(tx) == authorizer.name) {
    return make_error(ErrorKind::kConflict,
                      "Authorizer " + authorizer.name + " is active or the default and cannot be deleted",
                      "DeleteConflictException");
  }
  tx.erase(authorizer_key(name));
  registry::erase_tags(tx, authorizer_arn(realm, name));
  return {};
}

Result<registry::Page<std::string>> list_authorizers(store::Tx& tx, const registry::PageRequest& request,
                                                     bool ascending, std::optional<bool> active) {
  constexpr std::string_view kListing = "authorizers";
  if (!active) return list_names(tx, store::table::kAuthorizer, kListing, request, ascending);
  const std::string listing = std::string(kListing) + (ascending ? "" : "-descending");
  registry::Page<std::string> out;
  registry::PageRequest scan{request.token, kScanned};
  for (;;) {
    TRY(const auto page, list_names(tx, store::table::kAuthorizer, kListing, scan, ascending));
    for (const std::string& name : page.items) {
      const auto authorizer = find_authorizer(tx, name);
      if (!authorizer || authorizer->active != *active) continue;
      if (out.items.size() == request.limit) {
        out.next_token = registry::page_token(listing, out.items.back());
        return out;
      }
      out.items.push_back(name);
    }
    if (page.next_token.empty()) return out;
    scan.token = page.next_token;
  }
}

Result<CustomAuthorizer> set_default_authorizer(store::Tx& tx, const Realm& realm, std::string_view name) {
  TRY(CustomAuthorizer authorizer, get_authorizer(tx, name));
  if (!authorizer.active) return invalid("Authorizer " + authorizer.name + " is not active");
  const auto current = default_authorizer(tx);
  if (current && *current != name) {
    Error error = make_error(ErrorKind::kAlreadyExists, "There is a default authorizer already: " + *current);
    error.fields["resourceId"] = *current;
    error.fields["resourceArn"] = authorizer_arn(realm, *current);
    return error;
  }
  tx.put(authorizer_key(""), to_text(json::object{{"name", authorizer.name}}));
  return authorizer;
}

std::optional<std::string> default_authorizer(store::Tx& tx) {
  const auto text = tx.get(authorizer_key(""));
  const auto record = text ? parse_record(*text) : Result<json::object>();
  if (!record) return std::nullopt;
  return std::string(get_string(*record, "name"));
}

Status clear_default_authorizer(store::Tx& tx) {
  if (!tx.get(authorizer_key(""))) return not_found("There is no default authorizer");
  tx.erase(authorizer_key(""));
  return {};
}

}  // namespace muster::security
