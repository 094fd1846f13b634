// SPDX-License-Identifier: Apache-2.0
// kThingPrincipal: (thing, principal) -> kind; kPrincipalThing: (principal, thing) -> kind. The kind is "" or
// "exclusive".
#include "domain/security/principals.h"

#include <algorithm>

#include "domain/registry/second_component.h"
#include "domain/registry/things.h"
#include "domain/security/certificates.h"
#include "store/keys.h"
#include "store/schema.h"

namespace muster::security {

namespace {

constexpr std::string_view kExclusiveValue = "exclusive";

std::string thing_principal_key(std::string_view thing, std::string_view principal) {
  return store::Key(store::table::kThingPrincipal).text(thing).text(principal).str();
}
std::string principal_things_prefix(std::string_view principal) {
  return store::Key(store::table::kPrincipalThing).text(principal).str();
}
std::string principal_thing_key(std::string_view principal, std::string_view thing) {
  return store::Key(store::table::kPrincipalThing).text(principal).text(thing).str();
}

AttachmentKind kind_of(std::string_view value) {
  return value == kExclusiveValue ? AttachmentKind::kExclusive : AttachmentKind::kNonExclusive;
}

// Whether one more thing may be attached to the principal, of which `thing` is none yet.
Status check_exclusive(store::Tx& tx, const Realm& realm, std::string_view principal, AttachmentKind kind) {
  const std::string prefix = principal_things_prefix(principal);
  const auto first = tx.range({.begin = prefix, .end = store::after_prefix(prefix), .limit = 1});
  if (!first.empty() && kind_of(first.front().value) == AttachmentKind::kExclusive)
    return invalid("The principal is attached exclusively to another thing");
  if (kind == AttachmentKind::kNonExclusive) return {};
  if (!certificate_in_arn(realm, principal))
    return invalid("Only a certificate can be attached exclusively to a thing");
  if (!first.empty())
    return invalid("The principal is attached to another thing: it cannot be attached exclusively to this one");
  return {};
}

Result<registry::Page<Attachment>> attachments(store::Tx& tx, const registry::IndexOwner& index,
                                               std::optional<AttachmentKind> kind,
                                               const registry::PageRequest& request) {
  TRY(registry::Page<std::string> names, registry::second_components(tx, index, request));
  registry::Page<Attachment> page;
  page.next_token = std::move(names.next_token);
  for (std::string& name : names.items) {
    const auto value = tx.get_snapshot(store::Key(index.table).text(index.owner).text(name).str());
    if (!value || (kind && kind_of(*value) != *kind)) continue;
    page.items.push_back({std::move(name), kind_of(*value)});
  }
  return page;
}

}  // namespace

std::string_view to_string(AttachmentKind kind) {
  return kind == AttachmentKind::kExclusive ? "EXCLUSIVE_THING" : "NON_EXCLUSIVE_THING";
}

std::optional<AttachmentKind> attachment_kind(std::string_view text) {
  for (const AttachmentKind kind : {AttachmentKind::kNonExclusive, AttachmentKind::kExclusive})
    if (text == to_string(kind)) return kind;
  return std::nullopt;
}

bool is_identity(std::string_view principal) {
  constexpr std::size_t kUuid = 36;
  const std::size_t colon = principal.find(':');
  if (colon == std::string_view::npos || colon < 9 || colon > 25 || principal.size() != colon + 1 + kUuid) return false;
  const auto in_region = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; };
  if (!std::ranges::all_of(principal.substr(0, colon), in_region)) return false;
  const std::string_view uuid = principal.substr(colon + 1);
  for (std::size_t i = 0; i < kUuid; ++i) {
    const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
    const char c = uuid[i];
    const bool hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
    if (dash ? c != '-' : !hex) return false;
  }
  return true;
}

Status check_principal(store::Tx& tx, const Realm& realm, std::string_view principal) {
  if (is_identity(principal)) return {};
  const auto id = certificate_in_arn(realm, principal);
  if (!id)
    return invalid(
        "Invalid principal: it must be the ARN of a certificate of this account, or an Amazon Cognito identity ID");
  if (!find_certificate(tx, *id)) return not_found("The principal " + std::string(principal) + " does not exist.");
  return {};
}

Status attach_thing_principal(store::Tx& tx, const Realm& realm, std::string_view thing, std::string_view principal,
                              std::optional<AttachmentKind> kind) {
  if (!registry::thing_exists(tx, thing)) return registry::thing_not_found(thing);
  TRY_VOID(check_principal(tx, realm, principal));
  if (const auto id = certificate_in_arn(realm, principal)) {
    const auto certificate = find_certificate(tx, *id);
    if (certificate && certificate->status == CertificateStatus::kPendingTransfer)
      return invalid("The certificate is being transferred (certificateId=" + *id + ")");
  }
  const auto existing = tx.get(thing_principal_key(thing, principal));
  if (existing) {
    if (!kind || kind_of(*existing) == *kind) return {};
    return invalid("The principal is attached to the thing as " + std::string(to_string(kind_of(*existing))) +
                   ": detach it first");
  }
  const AttachmentKind wanted = kind.value_or(AttachmentKind::kNonExclusive);
  TRY_VOID(check_exclusive(tx, realm, principal, wanted));
  const std::string prefix = principal_things_prefix(principal);
  const auto others = tx.range({.begin = prefix, .end = store::after_prefix(prefix), .limit = kThingsPerPrincipal});
  if (others.size() >= kThingsPerPrincipal)
    return invalid("The principal is attached to the maximum number of things, " + std::to_string(kThingsPerPrincipal));
  const std::string_view value = wanted == AttachmentKind::kExclusive ? kExclusiveValue : std::string_view();
  tx.put(thing_principal_key(thing, principal), value);
  tx.put(principal_thing_key(principal, thing), value);
  return {};
}

Status detach_thing_principal(store::Tx& tx, const Realm& realm, std::string_view thing, std::string_view principal) {
  if (!tx.get(thing_principal_key(thing, principal))) {
    if (!registry::thing_exists(tx, thing)) return registry::thing_not_found(thing);
    return check_principal(tx, realm, principal);
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
  TRY_VOID(check_principal(tx, realm, principal));
  return registry::second_components(tx, {store::table::kPrincipalThing, principal, "principal-things"}, page);
}

Result<registry::Page<Attachment>> list_thing_attachments(store::Tx& tx, std::string_view thing,
                                                          std::optional<AttachmentKind> kind,
                                                          const registry::PageRequest& page) {
  if (!registry::thing_exists(tx, thing)) return registry::thing_not_found(thing);
  return attachments(tx, {store::table::kThingPrincipal, thing, "thing-attachments"}, kind, page);
}

Result<registry::Page<Attachment>> list_principal_attachments(store::Tx& tx, const Realm& realm,
                                                              std::string_view principal,
                                                              std::optional<AttachmentKind> kind,
                                                              const registry::PageRequest& page) {
  TRY_VOID(check_principal(tx, realm, principal));
  return attachments(tx, {store::table::kPrincipalThing, principal, "principal-attachments"}, kind, page);
}

std::vector<std::string> things_of_principal(store::Tx& tx, std::string_view principal) {
  constexpr std::size_t kBatch = 1000;
  const std::string prefix = principal_things_prefix(principal);
  std::vector<std::string> things;
  std::string begin = prefix;
  for (;;) {
    const auto items = tx.range({.begin = begin, .end = store::after_prefix(prefix), .limit = kBatch});
    for (const store::KeyValue& item : items) {
      store::KeyReader reader(item.key);
      reader.text();
      if (auto thing = reader.text()) things.push_back(*std::move(thing));
    }
    if (items.size() < kBatch) return things;
    begin = items.back().key + '\0';
  }
}

std::vector<std::string> things_of_certificate(store::Tx& tx, const Realm& realm, std::string_view certificate_id) {
  return things_of_principal(tx, certificate_arn(realm, certificate_id));
}

bool has_things(store::Tx& tx, const Realm& realm, std::string_view certificate_id) {
  const std::string prefix = principal_things_prefix(certificate_arn(realm, certificate_id));
  return !tx.range({.begin = prefix, .end = store::after_prefix(prefix), .limit = 1}).empty();
}

std::optional<std::string> exclusive_thing(store::Tx& tx, const Realm& realm, std::string_view certificate_id) {
  const std::string prefix = principal_things_prefix(certificate_arn(realm, certificate_id));
  const auto first = tx.range({.begin = prefix, .end = store::after_prefix(prefix), .limit = 1});
  if (first.empty() || kind_of(first.front().value) != AttachmentKind::kExclusive) return std::nullopt;
  store::KeyReader reader(first.front().key);
  reader.text();
  return reader.text();
}

bool is_principal_attached(store::Tx& tx, std::string_view thing, std::string_view principal) {
  return tx.get(thing_principal_key(thing, principal)).has_value();
}

bool is_attached(store::Tx& tx, const Realm& realm, std::string_view thing, std::string_view certificate_id) {
  return is_principal_attached(tx, thing, certificate_arn(realm, certificate_id));
}

}  // namespace muster::security
