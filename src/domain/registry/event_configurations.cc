// SPDX-License-Identifier: Apache-2.0
// kEventConfigurations: {"on": ["JOB", ...], "created": ms, "modified": ms}.
#include "domain/registry/event_configurations.h"

#include <algorithm>

#include "base/json.h"
#include "store/keys.h"
#include "store/schema.h"

namespace muster::registry {

namespace {

std::string record_key() {
  return store::Key(store::table::kEventConfigurations).text("account").str();
}

bool is_on(const json::object& record, std::string_view kind) {
  const json::array* on = find_array(record, "on");
  return on != nullptr && std::ranges::any_of(*on, [&](const json::value& name) {
           return name.is_string() && std::string_view(name.get_string()) == kind;
         });
}

}  // namespace

Result<EventConfigurations> event_configurations(store::Tx& tx) {
  EventConfigurations configurations;
  json::object record;
  if (const auto text = tx.get(record_key())) {
    TRY(record, parse_record(*text));
  }
  for (const std::string_view kind : kEventKinds) configurations.enabled.emplace(kind, is_on(record, kind));
  configurations.created_ms = get_int(record, "created");
  configurations.modified_ms = get_int(record, "modified");
  return configurations;
}

Status update_event_configurations(store::Tx& tx, const std::map<std::string, bool>& change) {
  TRY(EventConfigurations configurations, event_configurations(tx));
  for (const auto& [kind, enabled] : change) {
    const auto known = configurations.enabled.find(kind);
    if (known == configurations.enabled.end()) return invalid("Unknown event type " + kind + ".");
    if (enabled && std::ranges::find(kPublishedEvents, kind) == kPublishedEvents.end()) {
      return invalid("Events of type " + kind + " are not supported by Muster: JOB and JOB_EXECUTION can be enabled.");
    }
    known->second = enabled;
  }
  json::array on;
  for (const auto& [kind, enabled] : configurations.enabled) {
    if (enabled) on.emplace_back(kind);
  }
  const std::int64_t created_ms = configurations.created_ms != 0 ? configurations.created_ms : tx.now_ms();
  tx.put(record_key(),
         to_text(json::object{{"on", std::move(on)}, {"created", created_ms}, {"modified", tx.now_ms()}}));
  return {};
}

bool event_enabled(store::Tx& tx, std::string_view kind) {
  const auto text = tx.get_snapshot(record_key());
  if (!text) return false;
  const auto record = parse_record(*text);
  return record && is_on(*record, kind);
}

}  // namespace muster::registry
