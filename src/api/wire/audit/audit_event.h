// SPDX-License-Identifier: Apache-2.0
// What the audit log keeps of one exchange (pipeline_stages.h), and whether it does. Pure functions.
#pragma once

#include <optional>
#include <string>

#include "api/wire/model.h"
#include "base/ids.h"
#include "base/result.h"
#include "domain/audit/event.h"
#include "domain/iam/principal.h"

namespace muster::api {

struct Exchange;

// Whether an operation only reads, by its name. What cannot be told is a change.
bool is_read_only(const model::Operation& operation);
// Of a data plane: messages, jobs of devices, shadows, objects. Their successful calls are recorded on demand only.
bool is_data_plane(const model::Service& service, const model::Operation* operation);

audit::Identity identity_of(const iam::Principal& caller, const Realm& realm);

// Parameters and resources, taken before the handler gets the input.
struct AuditedInput {
  std::string parameters;  // JSON text, or empty
  std::vector<audit::Resource> resources;
};
AuditedInput audited_input(const Exchange& exchange, const Realm& realm);

enum class Recorded : std::uint8_t { kNot, kCall, kDenial };
// kDenial: refused for who made it, or a stranger's call that failed: collapsed when they come in numbers.
Recorded how_recorded(const Exchange& exchange, bool data_events);

audit::Event audit_event(const Exchange& exchange, const Realm& realm);

}  // namespace muster::api
