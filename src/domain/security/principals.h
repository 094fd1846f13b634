// SPDX-License-Identifier: Apache-2.0
// Thing <-> principal attachments, kept in both directions. A principal is a certificate's ARN or an Amazon Cognito
// identity ("REGION:UUID"), whose existence nobody here can check. A certificate that is attached exclusively has that
// one thing, which then stands for its connections whatever their client id. Bound: kThingsPerPrincipal, as its rights
// are read from the groups of all of them. Synchronous over Tx&. Source: AWS IoT
// developer guide, "Associating an AWS IoT thing to an MQTT client connection".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "domain/registry/page.h"
#include "store/store.h"

namespace muster::security {

// More are refused when they are attached.
inline constexpr std::size_t kThingsPerPrincipal = 1000;

enum class AttachmentKind : std::uint8_t { kNonExclusive, kExclusive };
std::string_view to_string(AttachmentKind kind);  // NON_EXCLUSIVE_THING, EXCLUSIVE_THING
std::optional<AttachmentKind> attachment_kind(std::string_view text);

bool is_identity(std::string_view principal);  // "us-east-1:" and a UUID
// kInvalid for what is no principal of this account, kNotFound for a certificate that does not exist.
Status check_principal(store::Tx& tx, const Realm& realm, std::string_view principal);

// Attaching twice is a success; not with the other kind. kInvalid when the principal, attached exclusively, would have
// two things, or otherwise more than kThingsPerPrincipal. No kind given: not exclusively, or as it is.
Status attach_thing_principal(store::Tx& tx, const Realm& realm, std::string_view thing, std::string_view principal,
                              std::optional<AttachmentKind> kind = std::nullopt);
Status detach_thing_principal(store::Tx& tx, const Realm& realm, std::string_view thing, std::string_view principal);

Result<registry::Page<std::string>> list_thing_principals(store::Tx& tx, std::string_view thing,
                                                          const registry::PageRequest& page);
Result<registry::Page<std::string>> list_principal_things(store::Tx& tx, const Realm& realm, std::string_view principal,
                                                          const registry::PageRequest& page);
struct Attachment {
  std::string name;  // of the other side
  AttachmentKind kind = AttachmentKind::kNonExclusive;
};
// The same with their kind, or of one kind alone.
Result<registry::Page<Attachment>> list_thing_attachments(store::Tx& tx, std::string_view thing,
                                                          std::optional<AttachmentKind> kind,
                                                          const registry::PageRequest& page);
Result<registry::Page<Attachment>> list_principal_attachments(store::Tx& tx, const Realm& realm,
                                                              std::string_view principal,
                                                              std::optional<AttachmentKind> kind,
                                                              const registry::PageRequest& page);

// All things of a principal, by name: rights are decided by them, so none may be missing.
std::vector<std::string> things_of_principal(store::Tx& tx, std::string_view principal);
std::vector<std::string> things_of_certificate(store::Tx& tx, const Realm& realm, std::string_view certificate_id);
bool has_things(store::Tx& tx, const Realm& realm, std::string_view certificate_id);
// The thing that the certificate is attached to exclusively.
std::optional<std::string> exclusive_thing(store::Tx& tx, const Realm& realm, std::string_view certificate_id);
bool is_principal_attached(store::Tx& tx, std::string_view thing, std::string_view principal);
bool is_attached(store::Tx& tx, const Realm& realm, std::string_view thing, std::string_view certificate_id);

}  // namespace muster::security
