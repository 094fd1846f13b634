// SPDX-License-Identifier: Apache-2.0
// Bulk registration tasks as the account keeps them: a template, a file of JSON lines in the object store, a role that
// bounds reading the file and every change, and how far the worker (registration_worker.h) is. Synchronous over Tx&.
// Reports are rows while the task runs and objects of the report bucket when it has ended. A task and its reports are
// removed 30 days after its end. Bounds: 100 tasks that have not ended.
// Errors as AWS IoT's StartThingRegistrationTask and so on (API reference 2015-05-28).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/ids.h"
#include "base/result.h"
#include "domain/registry/page.h"
#include "store/store.h"

namespace muster::provisioning {

enum class TaskStatus : std::uint8_t { kInProgress, kCompleted, kFailed, kCancelled, kCancelling };
std::string_view to_string(TaskStatus status);  // InProgress ...
std::optional<TaskStatus> task_status(std::string_view text);

enum class ReportKind : std::uint8_t { kErrors, kResults };
std::string_view to_string(ReportKind kind);  // ERRORS, RESULTS

struct RegistrationTask {
  std::string id;
  std::string template_body;
  std::string bucket, key;
  std::string role_arn;
  TaskStatus status = TaskStatus::kInProgress;
  std::string message;
  std::int64_t created_ms = 0, modified_ms = 0;
  // Of the file as it was at the start: another one under its key ends the task.
  std::string blob;
  std::int64_t size = 0;
  // Progress: all before `offset` is done, and counted.
  std::int64_t offset = 0;
  std::int64_t line = 0;
  std::int64_t succeeded = 0, failed = 0;
  std::int64_t malformed = 0;  // lines in a row that are no JSON
  bool has_results = false, has_errors = false;

  bool ended() const { return status != TaskStatus::kInProgress && status != TaskStatus::kCancelling; }
  int percentage() const;
};

struct StartTask {
  std::string template_body;
  std::string bucket, key;
  std::string role_arn;
};
// kInvalid: the template, the role's trust, a role that may not read the file, no such file. kThrottled: too many.
Result<RegistrationTask> start_task(store::Tx& tx, const Realm& realm, const StartTask& wanted);
std::optional<RegistrationTask> find_task(store::Tx& tx, std::string_view id);
Result<RegistrationTask> get_task(store::Tx& tx, std::string_view id);
// kInvalid when it has ended.
Status stop_task(store::Tx& tx, std::string_view id);
// Newest first. A page may be short although there is a next one.
Result<registry::Page<std::string>> list_tasks(store::Tx& tx, std::optional<TaskStatus> status,
                                               const registry::PageRequest& request);

// ---- for the worker

inline constexpr std::string_view kTaskTimer = "provisioning.task";
inline constexpr std::int64_t kTaskDeadlineMs = std::int64_t{24} * 3600 * 1000;
inline constexpr std::int64_t kTaskRetentionMs = std::int64_t{30} * 24 * 3600 * 1000;

std::string task_arn(const Realm& realm, std::string_view id);  // for aws:SourceArn of the role's trust
// The oldest one that has not ended.
std::optional<std::string> next_task(store::Tx& tx);
void put_task(store::Tx& tx, RegistrationTask& task);  // sets modified_ms; arms the removal when it has ended
// Whether the role may read the file.
Status check_task_role(store::Tx& tx, const Realm& realm, const RegistrationTask& task);
// Removes record, rows and the report objects: the timer's work.
Status remove_task(store::Tx& tx, const Realm& realm, std::string_view id);

std::string report_bucket(const Realm& realm);
std::string report_object_key(std::string_view task_id, ReportKind kind);
std::string report_prefix(std::string_view task_id, ReportKind kind);                        // of its rows
std::string report_row(std::string_view task_id, ReportKind kind, std::int64_t first_line);  // key

}  // namespace muster::provisioning
