// SPDX-License-Identifier: Apache-2.0
#include "domain/jobs/device_json.h"

#include <algorithm>

#include "base/json.h"

namespace muster::jobs {

namespace {

void append_seconds(std::string& out, std::string_view name, std::int64_t time_ms) {
  out.append(",\"").append(name).append("\":").append(std::to_string(time_ms / 1000));
}

void append_number(std::string& out, std::string_view name, std::int64_t value) {
  out.append(",\"").append(name).append("\":").append(std::to_string(value));
}

void append_details(std::string& out, const StatusDetails& details) {
  if (details.empty()) return;
  char separator = '{';
  out.append(",\"statusDetails\":");
  for (const auto& [key, value] : details) {
    out.push_back(separator);
    append_json_string(out, key);
    out.push_back(':');
    append_json_string(out, value);
    separator = ',';
  }
  out.push_back('}');
}

}  // namespace

void append_execution(std::string& out, const DeviceExecution& execution) {
  const Execution& e = execution.execution;
  out.append("{\"jobId\":");
  append_json_string(out, execution.job);
  out.append(",\"status\":\"").append(to_string(e.status)).append("\"");
  append_seconds(out, "queuedAt", e.queued_ms);
  if (e.started_ms != 0) append_seconds(out, "startedAt", e.started_ms);
  append_seconds(out, "lastUpdatedAt", e.updated_ms);
  append_number(out, "versionNumber", e.version);
  append_number(out, "executionNumber", e.number);
  append_details(out, e.details);
  if (const auto& left = execution.seconds_to_timeout) append_number(out, "approximateSecondsBeforeTimedOut", *left);
  if (execution.document) out.append(",\"jobDocument\":").append(*execution.document);
  out.push_back('}');
}

void append_execution_state(std::string& out, const Execution& execution) {
  out.append("{\"status\":\"").append(to_string(execution.status)).append("\"");
  append_number(out, "versionNumber", execution.version);
  append_details(out, execution.details);
  out.push_back('}');
}

void append_summaries(std::string& out, std::span<const PendingEntry> entries) {
  out.push_back('[');
  bool first = true;
  for (const auto& entry : entries) {
    if (!first) out.push_back(',');
    first = false;
    out.append("{\"jobId\":");
    append_json_string(out, entry.job);
    append_seconds(out, "queuedAt", entry.queued_ms);
    if (entry.started_ms != 0) append_seconds(out, "startedAt", entry.started_ms);
    append_seconds(out, "lastUpdatedAt", entry.updated_ms);
    append_number(out, "executionNumber", entry.number);
    append_number(out, "versionNumber", entry.version);
    out.push_back('}');
  }
  out.push_back(']');
}

std::string notify_payload(std::int64_t now_ms, std::span<const PendingEntry> entries) {
  // Started entries come first in the list.
  const auto queued = std::ranges::find(entries, ExecutionStatus::kQueued, &PendingEntry::status);
  const auto started_count = static_cast<std::size_t>(queued - entries.begin());
  std::string out = "{\"timestamp\":" + std::to_string(now_ms / 1000) + ",\"jobs\":{";
  if (started_count > 0) {
    out.append("\"IN_PROGRESS\":");
    append_summaries(out, entries.first(started_count));
  }
  if (started_count < entries.size()) {
    if (started_count > 0) out.push_back(',');
    out.append("\"QUEUED\":");
    append_summaries(out, entries.subspan(started_count));
  }
  out.append("}}");
  return out;
}

std::string notify_next_payload(std::int64_t now_ms, const DeviceExecution* execution) {
  std::string out = "{\"timestamp\":" + std::to_string(now_ms / 1000);
  if (execution != nullptr) {
    out.append(",\"execution\":");
    append_execution(out, *execution);
  }
  out.push_back('}');
  return out;
}

std::string jobs_topic(std::string_view thing, std::string_view suffix) {
  std::string topic = "$aws/things/";
  topic.append(thing).append("/jobs/").append(suffix);
  return topic;
}

}  // namespace muster::jobs
