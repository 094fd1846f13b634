// SPDX-License-Identifier: Apache-2.0
// Device JSON: executions and pending lists as devices read them over MQTT, in replies and in notifications alike:
// numbers are whole seconds, jobDocument is an object, members that do not apply are left out (jobs spec 2.4, 2.6).
// Pure functions that append text; nothing is built as a tree, because every transition writes some.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "domain/jobs/executions.h"
#include "domain/jobs/pending.h"

namespace muster::jobs {

// {"jobId":..,"status":.., ... ,"jobDocument":{..}}
void append_execution(std::string& out, const DeviceExecution& execution);
// {"status":..,"versionNumber":..,"statusDetails":{..}}
void append_execution_state(std::string& out, const Execution& execution);
// [{"jobId":..,"queuedAt":..,"startedAt":..,"lastUpdatedAt":..,"executionNumber":..,"versionNumber":..}]
void append_summaries(std::string& out, std::span<const PendingEntry> entries);

// ListNotification: a status without entries is left out.
std::string notify_payload(std::int64_t now_ms, std::span<const PendingEntry> entries);
// NextNotification; nullptr: nothing is pending.
std::string notify_next_payload(std::int64_t now_ms, const DeviceExecution* execution);

std::string jobs_topic(std::string_view thing, std::string_view suffix);  // $aws/things/T/jobs/SUFFIX

}  // namespace muster::jobs
