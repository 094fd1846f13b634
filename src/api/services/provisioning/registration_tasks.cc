// SPDX-License-Identifier: Apache-2.0
#include "domain/provisioning/registration_tasks.h"

#include "api/services/iot/things_handler.h"
#include "api/services/provisioning/provisioning.h"
#include "store/transact.h"

namespace muster::api::iot {

namespace {

using provisioning::ReportKind;
using provisioning::TaskStatus;
using store::Tx;

Result<json::object> start(const ProvisioningServices& services, Tx& tx, const Call& call) {
  const provisioning::StartTask wanted{.template_body = std::string(get_string(call.input, "templateBody")),
                                       .bucket = std::string(get_string(call.input, "inputFileBucket")),
                                       .key = std::string(get_string(call.input, "inputFileKey")),
                                       .role_arn = std::string(get_string(call.input, "roleArn"))};
  TRY(const auto task, provisioning::start_task(tx, services.context->realm, wanted));
  return json::object{{"taskId", task.id}};
}

Result<json::object> describe(const ProvisioningServices&, Tx& tx, const Call& call) {
  TRY(const auto task, provisioning::get_task(tx, get_string(call.input, "taskId")));
  json::object shape{{"taskId", task.id},
                     {"creationDate", task.created_ms},
                     {"lastModifiedDate", task.modified_ms},
                     {"templateBody", task.template_body},
                     {"inputFileBucket", task.bucket},
                     {"inputFileKey", task.key},
                     {"roleArn", task.role_arn},
                     {"status", to_string(task.status)},
                     {"successCount", task.succeeded},
                     {"failureCount", task.failed},
                     {"percentageProgress", task.percentage()}};
  if (!task.message.empty()) shape["message"] = task.message;
  return shape;
}

Result<json::object> list(const ProvisioningServices&, Tx& tx, const Call& call) {
  std::optional<TaskStatus> status;
  if (has(call.input, "status")) status = provisioning::task_status(get_string(call.input, "status"));
  TRY(auto page, provisioning::list_tasks(tx, status, page_of_input(call.input)));
  json::object output{{"taskIds", string_list(std::move(page.items))}};
  if (!page.next_token.empty()) output["nextToken"] = page.next_token;
  return output;
}

Result<json::object> stop(const ProvisioningServices&, Tx& tx, const Call& call) {
  TRY_VOID(provisioning::stop_task(tx, get_string(call.input, "taskId")));
  return json::object();
}

// One file a kind: always one page, so no token was ever given out.
Result<json::object> list_reports(const ProvisioningServices& services, Tx& tx, const Call& call) {
  if (has(call.input, "nextToken")) return invalid("Invalid next token");
  const std::string_view type = get_string(call.input, "reportType");
  const ReportKind kind = type == to_string(ReportKind::kErrors) ? ReportKind::kErrors : ReportKind::kResults;
  const auto task = provisioning::find_task(tx, get_string(call.input, "taskId"));
  // The operation models no ResourceNotFoundException.
  if (!task) return invalid("Thing registration task " + std::string(get_string(call.input, "taskId")) + " not found.");
  json::array links;
  if (task->ended() && (kind == ReportKind::kErrors ? task->has_errors : task->has_results)) {
    links.emplace_back(services.sign_report(provisioning::report_bucket(services.context->realm),
                                            provisioning::report_object_key(task->id, kind), tx.now_ms()));
  }
  return json::object{{"resourceLinks", std::move(links)}, {"reportType", type}};
}

Handler waking(const SharedProvisioning& services, ProvisioningBody body) {
  Handler handler = provisioning_handler(services, std::move(body));
  return [services, handler = std::move(handler)](Call& call) -> io::Task<Reply> {
    CO_TRY(Reply reply, co_await handler(call));
    services->wake_worker();
    co_return reply;
  };
}

}  // namespace

void register_registration_tasks(Operations& operations, const SharedProvisioning& services) {
  operations.add("iot", "StartThingRegistrationTask", waking(services, start));
  operations.add("iot", "StopThingRegistrationTask", waking(services, stop));
  operations.add("iot", "DescribeThingRegistrationTask", provisioning_handler(services, describe));
  operations.add("iot", "ListThingRegistrationTasks", provisioning_handler(services, list));
  operations.add("iot", "ListThingRegistrationTaskReports", provisioning_handler(services, list_reports));
}

}  // namespace muster::api::iot
