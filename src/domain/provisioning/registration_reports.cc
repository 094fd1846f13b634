// SPDX-License-Identifier: Apache-2.0
#include "domain/provisioning/registration_reports.h"

#include "base/crypto.h"
#include "base/json.h"
#include "base/text.h"
#include "domain/objects/buckets.h"
#include "domain/objects/objects.h"
#include "store/keys.h"
#include "store/schema.h"

namespace muster::provisioning {

namespace {

using store::Tx;

constexpr std::size_t kRowsAtOnce = 8;
constexpr std::size_t kRowsErased = 500;

std::string_view code_of(const Error& error) {
  if (!error.reason.empty()) return error.reason;
  switch (error.kind) {
    case ErrorKind::kNotFound:
      return "ResourceNotFoundException";
    case ErrorKind::kAlreadyExists:
      return "ResourceAlreadyExistsException";
    case ErrorKind::kConflict:
    case ErrorKind::kVersionConflict:
      return "ConflictException";
    case ErrorKind::kLimit:
      return "LimitExceededException";
    case ErrorKind::kAccessDenied:
      return "AccessDeniedException";
    default:
      return "InvalidRequestException";
  }
}

void begin_line(std::string& out, std::int64_t line, std::int64_t offset) {
  out.append("{\"lineNumber\":").append(std::to_string(line));
  out.append(",\"offset\":").append(std::to_string(offset));
}

struct Written {
  std::unique_ptr<objects::BlobWriter> blob;
  std::int64_t bytes = 0;
  std::string etag;
};

// All rows of a kind, in the order of lines.
Result<Written> write_blob(store::Store& store, const objects::Blobs& blobs, const std::string& prefix) {
  Written out;
  TRY(out.blob, blobs.create());
  Digest digest(Digest::Kind::kMd5);
  store::RangeOptions options{.begin = prefix, .end = store::after_prefix(prefix), .limit = kRowsAtOnce};
  while (true) {
    TRY(const auto rows, store::run_blocking_for(
                             store, [&](Tx& tx) -> Result<std::vector<store::KeyValue>> { return tx.range(options); }));
    for (const store::KeyValue& row : rows) {
      TRY_VOID(out.blob->write(row.value));
      digest.update(row.value);
      out.bytes += static_cast<std::int64_t>(row.value.size());
    }
    if (rows.size() < options.limit) break;
    options.begin = store::after_key(rows.back().key);
  }
  out.etag = digest.finish();
  return out;
}

Status erase_rows(store::Store& store, const std::string& prefix) {
  for (bool more = true; more;) {
    TRY_VOID(store::run_blocking(store, [&](Tx& tx) -> Status {
      const auto rows = tx.range({.begin = prefix, .end = store::after_prefix(prefix), .limit = kRowsErased});
      for (const store::KeyValue& row : rows) tx.erase(row.key);
      more = rows.size() == kRowsErased;
      return {};
    }));
  }
  return {};
}

Status publish(store::Store& store, const objects::Blobs& blobs, const Realm& realm, const std::string& task_id,
               ReportKind kind) {
  const std::string prefix = report_prefix(task_id, kind);
  TRY(Written written, write_blob(store, blobs, prefix));
  if (written.bytes > 0) {
    TRY_VOID(written.blob->publish());
    const std::string bucket = report_bucket(realm);
    const Status named = store::run_blocking(store, [&](Tx& tx) -> Status {
      if (!objects::find_bucket(tx, bucket)) {
        TRY_VOID(objects::create_bucket(tx, realm, bucket, realm.region == "us-east-1" ? "" : realm.region));
      }
      objects::Object object{.key = report_object_key(task_id, kind), .blob = written.blob->id()};
      object.size = written.bytes;
      object.etag = to_hex(written.etag);
      object.headers["ContentType"] = "application/json";
      TRY_VOID(objects::put_object(tx, bucket, std::move(object)));
      return {};
    });
    if (!named) {
      if (named.error().kind == ErrorKind::kUnavailable) written.blob->keep_for_recovery();
      return named;
    }
    written.blob->settle();
  }
  return {};
}

}  // namespace

void ReportRows::add_result(std::int64_t line, std::int64_t offset, const Provisioned& done) {
  if (results_.empty()) first_result_ = line;
  begin_line(results_, line, offset);
  results_ += ",\"response\":{";
  if (!done.certificate_pem.empty()) {
    results_ += "\"CertificatePem\":";
    append_json_string(results_, done.certificate_pem);
    results_ += ',';
  }
  results_ += "\"ResourceArns\":{";
  bool first = true;
  for (const auto& [name, arn] : done.resource_arns) {
    if (!first) results_ += ',';
    first = false;
    append_json_string(results_, name);
    results_ += ':';
    append_json_string(results_, arn);
  }
  results_ += "}}}\n";
}

void ReportRows::add_error(std::int64_t line, std::int64_t offset, const Error& error) {
  if (errors_.empty()) first_error_ = line;
  begin_line(errors_, line, offset);
  errors_ += ",\"errorCode\":";
  append_json_string(errors_, code_of(error));
  errors_ += ",\"errorMessage\":";
  append_json_string(errors_, error.message);
  errors_ += "}\n";
}

void ReportRows::put(Tx& tx, RegistrationTask& task) const {
  if (!results_.empty()) {
    tx.put(report_row(task.id, ReportKind::kResults, first_result_), results_);
    task.has_results = true;
  }
  if (!errors_.empty()) {
    tx.put(report_row(task.id, ReportKind::kErrors, first_error_), errors_);
    task.has_errors = true;
  }
}

Status publish_reports(store::Store& store, const objects::Blobs& blobs, const Realm& realm,
                       const std::string& task_id) {
  for (const ReportKind kind : {ReportKind::kErrors, ReportKind::kResults}) {
    TRY_VOID(publish(store, blobs, realm, task_id, kind));
  }
  return {};
}

Status erase_report_rows(store::Store& store, const std::string& task_id) {
  for (const ReportKind kind : {ReportKind::kErrors, ReportKind::kResults}) {
    TRY_VOID(erase_rows(store, report_prefix(task_id, kind)));
  }
  return {};
}

}  // namespace muster::provisioning
