// SPDX-License-Identifier: Apache-2.0
// Device shadows in the store: get, update, delete, list. Synchronous over Tx&; answers are the payloads that a client
// gets, over MQTT and over HTTPS alike. What others hear of it (update/accepted, delta, documents, delete/accepted) is
// put into the outbox in the same transaction, so that who was told of a change finds it and who subscribes loses none;
// only where somebody subscribes, which nobody does for most of a million shadows.
//
// A shadow needs no thing of its name in the registry and stays when that is deleted, as on AWS. A deleted one leaves
// its version for 48 hours (a tombstone), so that a new one of its name goes on counting; a timer removes it then.
// Source: AWS IoT developer guide, "Interacting with shadows", "Device Shadow MQTT topics".
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "domain/registry/page.h"
#include "domain/shadows/document.h"
#include "domain/shadows/payloads.h"
#include "store/store.h"
#include "store/timers.h"

namespace muster::shadows {

inline constexpr std::int64_t kTombstoneMs = std::int64_t{48} * 3'600'000;

// Both are valid names; an empty shadow is the classic one.
struct ShadowId {
  std::string thing;
  std::string shadow;
};
std::string shadow_key(const ShadowId& id);
// $aws/things/THING/shadow[/name/SHADOW]/SUFFIX
std::string shadow_topic(const ShadowId& id, std::string_view suffix);

// Whether anybody subscribes to the topic; asked within transactions. Null: everybody does.
using Wanted = std::function<bool(std::string_view topic)>;

// kNotFound "No shadow exists with name: '...'".
Result<std::string> get_shadow(store::Tx& tx, const ShadowId& id, const Token& token);

Result<std::string> update_shadow(store::Tx& tx, const ShadowId& id, const Update& update, const Token& token,
                                  const Wanted& wanted);
Result<std::string> delete_shadow(store::Tx& tx, const ShadowId& id, const Token& token, const Wanted& wanted);

// Names of the thing's named shadows in byte order; none when there is no such thing. A page ends after 500 rows,
// deleted shadows counted: it may so have fewer names than asked for, or none, and still go on.
Result<registry::Page<std::string>> list_named_shadows(store::Tx& tx, std::string_view thing,
                                                       const registry::PageRequest& page);

// Null when there is none, or only a tombstone. For what is built from shadows (fleet index).
Result<std::optional<Document>> find_shadow(store::Tx& tx, const ShadowId& id);

// Removes tombstones when their time has come. Before the timers' start.
void register_timers(store::Timers& timers);

}  // namespace muster::shadows
