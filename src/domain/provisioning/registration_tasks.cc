// SPDX-License-Identifier: Apache-2.0
// kRegistrationTask: id -> the members of RegistrationTask. kRegistrationTaskByTime: (descending created_ms, id) ->
// status. kRegistrationReport: (id, kind, first line) -> JSON lines of one batch.
#include "domain/provisioning/registration_tasks.h"

#include <algorithm>
#include <array>

#include "base/crypto.h"
#include "base/json.h"
#include "domain/objects/buckets.h"
#include "domain/objects/objects.h"
#include "domain/provisioning/rights.h"
#include "domain/provisioning/template.h"
#include "store/keys.h"
#include "store/schema.h"
#include "store/timers.h"

namespace muster::provisioning {

namespace {

using store::Tx;

constexpr std::array kStatusNames{std::string_view("InProgress"), std::string_view("Completed"),
                                  std::string_view("Failed"), std::string_view("Cancelled"),
                                  std::string_view("Cancelling")};
constexpr std::size_t kUnfinishedLimit = 100;
constexpr std::size_t kScanLimit = 2000;
constexpr std::size_t kRowsErased = 500;
constexpr std::string_view kListing = "registration-tasks";

std::string task_key(std::string_view id) {
  return store::Key(store::table::kRegistrationTask).text(id).str();
}
std::string time_key(const RegistrationTask& task) {
  return store::Key(store::table::kRegistrationTaskByTime).descending(task.created_ms).text(task.id).str();
}

std::optional<std::string> id_of_time_key(std::string_view key) {
  store::KeyReader reader(key);
  reader.descending();
  return reader.text();
}

bool is_unfinished(std::string_view status) {
  return status == to_string(TaskStatus::kInProgress) || status == to_string(TaskStatus::kCancelling);
}

std::optional<RegistrationTask> read_task(std::string_view id, std::string_view text) {
  const auto record = parse_record(text);
  if (!record) return std::nullopt;
  RegistrationTask task;
  task.id = id;
  task.template_body = get_string(*record, "template");
  task.bucket = get_string(*record, "bucket");
  task.key = get_string(*record, "key");
  task.role_arn = get_string(*record, "role");
  task.status = task_status(get_string(*record, "status")).value_or(TaskStatus::kFailed);
  task.message = get_string(*record, "message");
  task.created_ms = get_int(*record, "created_ms");
  task.modified_ms = get_int(*record, "modified_ms");
  task.blob = get_string(*record, "blob");
  task.size = get_int(*record, "size");
  task.offset = get_int(*record, "offset");
  task.line = get_int(*record, "line");
  task.succeeded = get_int(*record, "succeeded");
  task.failed = get_int(*record, "failed");
  task.malformed = get_int(*record, "malformed");
  task.has_results = get_bool(*record, "results");
  task.has_errors = get_bool(*record, "errors");
  return task;
}

Result<objects::Object> object_of(Tx& tx, const RegistrationTask& task) {
  auto object = objects::get_object(tx, task.bucket, task.key);
  if (!object) return invalid("The input file s3://" + task.bucket + "/" + task.key + " does not exist.");
  return object;
}

std::size_t count_unfinished(Tx& tx) {
  store::RangeOptions options{.begin = std::string(1, store::table::kRegistrationTaskByTime), .limit = kScanLimit};
  options.end = store::after_prefix(options.begin);
  const auto rows = tx.range(options);
  return static_cast<std::size_t>(
      std::ranges::count_if(rows, [](const store::KeyValue& row) { return is_unfinished(row.value); }));
}

}  // namespace

std::string_view to_string(TaskStatus status) {
  return kStatusNames[static_cast<std::size_t>(status)];
}

std::optional<TaskStatus> task_status(std::string_view text) {
  const auto found = std::ranges::find(kStatusNames, text);
  if (found == kStatusNames.end()) return std::nullopt;
  return static_cast<TaskStatus>(found - kStatusNames.begin());
}

std::string_view to_string(ReportKind kind) {
  return kind == ReportKind::kErrors ? "ERRORS" : "RESULTS";
}

int RegistrationTask::percentage() const {
  if (status == TaskStatus::kCompleted || size == 0) return ended() ? 100 : 0;
  return static_cast<int>(offset * 100 / size);
}

std::string task_arn(const Realm& realm, std::string_view id) {
  return iot_arn(realm, "thingregistrationtask", id);
}

Result<RegistrationTask> start_task(Tx& tx, const Realm& realm, const StartTask& wanted) {
  TRY_VOID(parse_template(wanted.template_body, TemplateUse::kRegister));
  if (count_unfinished(tx) >= kUnfinishedLimit) {
    return make_error(ErrorKind::kThrottled, "There are too many bulk registration tasks that have not ended.");
  }
  RegistrationTask task;
  task.id = random_uuid();
  task.template_body = wanted.template_body;
  task.bucket = wanted.bucket;
  task.key = wanted.key;
  task.role_arn = wanted.role_arn;
  task.created_ms = tx.now_ms();
  // Before the file is looked for: who may not read it does not learn whether it is there.
  if (Status may = check_task_role(tx, realm, task); !may) return invalid(may.error().message);
  TRY(const objects::Object object, object_of(tx, task));
  task.blob = object.blob;
  task.size = object.size;
  put_task(tx, task);
  return task;
}

std::optional<RegistrationTask> find_task(Tx& tx, std::string_view id) {
  const auto text = tx.get(task_key(id));
  return text ? read_task(id, *text) : std::nullopt;
}

Result<RegistrationTask> get_task(Tx& tx, std::string_view id) {
  auto task = find_task(tx, id);
  if (!task) return not_found("Thing registration task " + std::string(id) + " not found.");
  return *std::move(task);
}

Status stop_task(Tx& tx, std::string_view id) {
  TRY(RegistrationTask task, get_task(tx, id));
  if (task.ended()) {
    return invalid("Thing registration task " + task.id + " has ended: it is " + std::string(to_string(task.status)) +
                   ".");
  }
  task.status = TaskStatus::kCancelling;
  put_task(tx, task);
  return {};
}

Result<registry::Page<std::string>> list_tasks(Tx& tx, std::optional<TaskStatus> status,
                                               const registry::PageRequest& request) {
  TRY(const std::string position, registry::page_position(kListing, request.token));
  const std::string first(1, store::table::kRegistrationTaskByTime);
  store::RangeOptions options{.begin = position.empty() ? first : first + position + '\0',
                              .end = store::after_prefix(first),
                              .limit = kScanLimit,
                              .snapshot = true};
  registry::Page<std::string> page;
  std::string last;
  const auto rows = tx.range(options);
  for (const store::KeyValue& row : rows) {
    if (page.items.size() == request.limit) {
      page.next_token = registry::page_token(kListing, last);
      return page;
    }
    last = row.key.substr(1);
    if (status && row.value != to_string(*status)) continue;
    if (auto id = id_of_time_key(row.key)) page.items.push_back(*std::move(id));
  }
  if (rows.size() == kScanLimit) page.next_token = registry::page_token(kListing, last);
  return page;
}

std::optional<std::string> next_task(Tx& tx) {
  store::RangeOptions options{.begin = std::string(1, store::table::kRegistrationTaskByTime),
                              .limit = kScanLimit,
                              .reverse = true,
                              .snapshot = true};
  options.end = store::after_prefix(options.begin);
  while (true) {
    const auto rows = tx.range(options);
    for (const store::KeyValue& row : rows) {
      if (is_unfinished(row.value)) return id_of_time_key(row.key);
    }
    if (rows.size() < kScanLimit) return std::nullopt;
    options.end = rows.back().key;
  }
}

void put_task(Tx& tx, RegistrationTask& task) {
  task.modified_ms = tx.now_ms();
  const json::object record{{"template", task.template_body},
                            {"bucket", task.bucket},
                            {"key", task.key},
                            {"role", task.role_arn},
                            {"status", to_string(task.status)},
                            {"message", task.message},
                            {"created_ms", task.created_ms},
                            {"modified_ms", task.modified_ms},
                            {"blob", task.blob},
                            {"size", task.size},
                            {"offset", task.offset},
                            {"line", task.line},
                            {"succeeded", task.succeeded},
                            {"failed", task.failed},
                            {"malformed", task.malformed},
                            {"results", task.has_results},
                            {"errors", task.has_errors}};
  tx.put(task_key(task.id), to_text(record));
  tx.put(time_key(task), to_string(task.status));
  if (task.ended()) store::arm(tx, kTaskTimer, task.id, tx.now_ms() + kTaskRetentionMs);
}

Status check_task_role(Tx& tx, const Realm& realm, const RegistrationTask& task) {
  TRY(iam::Principal role, role_principal(tx, realm, task.role_arn, "bulk-registration", task_arn(realm, task.id)));
  PrincipalRights rights(realm, std::move(role), {}, nullptr);
  return rights.allow(tx, "s3:GetObject", {"arn:aws:s3:::" + task.bucket + "/" + task.key});
}

Status remove_task(Tx& tx, const Realm& realm, std::string_view id) {
  const auto task = find_task(tx, id);
  if (!task) return {};
  for (const ReportKind kind : {ReportKind::kErrors, ReportKind::kResults}) {
    if (objects::find_bucket(tx, report_bucket(realm))) {
      TRY_VOID(objects::delete_object(tx, report_bucket(realm), report_object_key(id, kind)));
    }
  }
  // Rows that a crash at its end left behind.
  for (const ReportKind kind : {ReportKind::kErrors, ReportKind::kResults}) {
    const std::string prefix = report_prefix(id, kind);
    const auto rows = tx.range({.begin = prefix, .end = store::after_prefix(prefix), .limit = kRowsErased});
    for (const store::KeyValue& row : rows) tx.erase(row.key);
    if (rows.size() == kRowsErased) {
      store::arm(tx, kTaskTimer, id, tx.now_ms());
      return {};
    }
  }
  tx.erase(task_key(id));
  tx.erase(time_key(*task));
  return {};
}

std::string report_bucket(const Realm& realm) {
  return "iot-registration-reports-" + realm.account_id;
}

std::string report_object_key(std::string_view task_id, ReportKind kind) {
  return std::string(task_id) + (kind == ReportKind::kErrors ? "/errors.json" : "/results.json");
}

std::string report_prefix(std::string_view task_id, ReportKind kind) {
  return store::Key(store::table::kRegistrationReport).text(task_id).text(to_string(kind)).str();
}

std::string report_row(std::string_view task_id, ReportKind kind, std::int64_t first_line) {
  return store::Key(store::table::kRegistrationReport).text(task_id).text(to_string(kind)).integer(first_line).str();
}

}  // namespace muster::provisioning
