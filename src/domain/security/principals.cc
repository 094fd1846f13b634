// SPDX-License-Identifier: Apache-2.0
// kThingPrincipal: (thing, principal ARN) -> ""; kPrincipalThing: (principal ARN, thing) -> "".
#include "domain/security/principals.h"

#include "domain/registry/second_component.h"
#include "domain/registry/things.h"
#include "domain/security/certificates.h"
#include "store/keys.h"
#include "store/schema.h"

namespace muster::security {

namespace {

std::string thing_principal_key(std::string_view thing, std::string_view principal) {
  return store::Key(store::table::kThingPrincipal).text(thing).text(principal).str();
}
std::string principal_thing_key(std::string_view principal, std::string_view thing) {
  return store::Key(store::table::kPrincipalThing).text(principal).text(thing).str();
}

Result<std::string> certificate_of(store::Tx& tx, const Realm& realm, std::string_view principal) {
  auto id = certificate_in_arn(realm, principal);
  if (!id) return invalid("Invalid principal ARN: it must be the ARN of a certificate of this account");
  if (!find_certificate(tx, *id)) return not_found("The principal " + std::string(principal) + " does not exist.");
  return *std::move(id);
}

}  // namespace

Status attach_thing_principal(store::Tx& tx, const Realm& realm, std::string_view thing, std::string_view principal) {
  if (!registry::thing_exists(tx, thing)) return registry::thing_not_found(thing);
  TRY_VOID(certificate_of(tx, realm, principal));
  tx.put(thing_principal_key(thing, principal), "");
  tx.put(principal_thing_key(principal, thing), "");
  return {};
}

Status detach_thing_principal(store::Tx& tx, const Realm& realm, std::string_view thing, std::string_view principal) {
  if (!tx.get(thing_principal_key(thing, principal))) {
    if (!registry::thing_exists(tx, thing)) return registry::thing_not_found(thing);
    TRY_VOID(certificate_of(tx, realm, principal));
    return {};
  }
  tx.erase(thing_principal_key(thing, principal));
  tx.erase(principal_thing_key(principal, thing));
  return {};
}

Result<registry::Page<std::string>> list_thing_principals(store::Tx& tx, std::string_view thing,
                                                          const registry::PageRequest& page) {
  if (!registry::thing_exists(tx, thing)) return registry::thing_not_found(thing);
  return registry::second_components(tx, {store::table::kThingPrincipal, thing, "thing-principals"}, page);
}

Result<registry::Page<std::string>> list_principal_things(store::Tx& tx, const Realm& realm, std::string_view principal,
                                                          const registry::PageRequest& page) {
  TRY_VOID(certificate_of(tx, realm, principal));
  return registry::second_components(tx, {store::table::kPrincipalThing, principal, "principal-things"}, page);
}

std::vector<std::string> things_of_certificate(store::Tx& tx, const Realm& realm, std::string_view certificate_id,
                                               std::size_t limit) {
  std::string prefix = store::Key(store::table::kPrincipalThing).text(certificate_arn(realm, certificate_id)).str();
  std::vector<std::string> things;
  for (const store::KeyValue& item : tx.range({.begin = prefix, .end = store::after_prefix(prefix), .limit = limit})) {
    store::KeyReader reader(item.key);
    reader.text();
    if (auto thing = reader.text()) things.push_back(*std::move(thing));
  }
  return things;
}

bool is_attached(store::Tx& tx, const Realm& realm, std::string_view thing, std::string_view certificate_id) {
  return tx.get(thing_principal_key(thing, certificate_arn(realm, certificate_id))).has_value();
}

}  // namespace muster::security
