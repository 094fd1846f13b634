// SPDX-License-Identifier: Apache-2.0
// Reports of bulk registration: JSON lines, {lineNumber, offset, response: {CertificatePem, ResourceArns}} for what
// succeeded and {lineNumber, offset, errorCode, errorMessage} for what did not. Rows of the store, one a batch and
// kind, written with the batch; when the task ends they become objects of the report bucket. Source of the form:
// aws-iot-device-management-workshop, bulk-result.py; AWS documents none.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/ids.h"
#include "base/result.h"
#include "domain/objects/blobs.h"
#include "domain/provisioning/provision.h"
#include "domain/provisioning/registration_tasks.h"
#include "store/store.h"

namespace muster::provisioning {

class ReportRows {
 public:
  void add_result(std::int64_t line, std::int64_t offset, const Provisioned& done);
  void add_error(std::int64_t line, std::int64_t offset, const Error& error);
  void put(store::Tx& tx, RegistrationTask& task) const;

 private:
  std::string results_, errors_;
  std::int64_t first_result_ = 0, first_error_ = 0;
};

// Makes the rows of a task objects. Blocks; may be called again after a crash at any point. The rows stay until the
// task has ended, and go by erase_report_rows().
Status publish_reports(store::Store& store, const objects::Blobs& blobs, const Realm& realm,
                       const std::string& task_id);
Status erase_report_rows(store::Store& store, const std::string& task_id);

}  // namespace muster::provisioning
