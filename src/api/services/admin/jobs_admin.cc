// SPDX-License-Identifier: Apache-2.0
#include "api/services/admin/jobs_admin.h"

#include <algorithm>

#include "api/services/iot/jobs_shapes.h"
#include "api/services/iot/tags.h"
#include "base/text.h"
#include "domain/jobs/controls.h"
#include "domain/jobs/engine.h"
#include "domain/jobs/outlook/failure_reasons.h"
#include "domain/jobs/outlook/preview.h"
#include "domain/jobs/outlook/why.h"
#include "domain/registry/tags.h"
#include "store/transact.h"

namespace muster::api::admin {
namespace {

using iot::JobsServices;
using jobs::Effects;
using store::Tx;

constexpr std::int64_t kMinuteMs = 60'000;

// What a job's controls are now, in words and for machines.
Result<json::object> control_shape(const JobsServices& services, Tx& tx, std::string_view job_id) {
  TRY(const auto job, jobs::get_job(services.context, tx, job_id));
  TRY(const Finding waits, jobs::explain_rollout(services.context, tx, *job));
  constexpr std::string_view kApprovals[] = {"not_needed", "required", "approved"};
  return json::object{{"jobId", job->id},
                      {"status", jobs::to_string(job->status)},
                      {"paused", job->controls.paused},
                      {"approval", kApprovals[static_cast<std::size_t>(job->controls.approval)]},
                      {"gates", static_cast<std::int64_t>(job->controls.gates.size())},
                      {"gatesContinued", static_cast<std::int64_t>(job->controls.gates_continued)},
                      {"waitCode", waits.code},
                      {"waitSentence", waits.sentence}};
}

// The tag takes the value, or goes when there is none.
Result<json::object> set_tag(const JobsServices& services, Tx& tx, std::string_view job_id, std::string_view tag,
                             std::optional<std::string> value, Effects& effects) {
  const std::string arn = iot_arn(services.context.realm, "job", job_id);
  if (value) {
    TRY_VOID(registry::tag_resource(tx, arn, {{std::string(tag), *value}}));
  } else {
    TRY_VOID(registry::untag_resource(tx, arn, {std::string(tag)}));
  }
  TRY_VOID(jobs::change_controls(services.context, tx, job_id, registry::tags_of(tx, arn), effects));
  return control_shape(services, tx, job_id);
}

Result<json::object> pause(const JobsServices& services, Tx& tx, const json::object& input, Effects& effects) {
  return set_tag(services, tx, get_string(input, "jobId"), jobs::kPauseTag, "true", effects);
}

Result<json::object> resume(const JobsServices& services, Tx& tx, const json::object& input, Effects& effects) {
  return set_tag(services, tx, get_string(input, "jobId"), jobs::kPauseTag, std::nullopt, effects);
}

Result<json::object> approve(const JobsServices& services, Tx& tx, const json::object& input, Effects& effects) {
  const auto id = get_string(input, "jobId");
  TRY(const auto job, jobs::get_job(services.context, tx, id));
  if (job->controls.approval == jobs::Approval::kNotNeeded) {
    return invalid("Job " + job->id + " needs no approval: it was not created with the tag muster:approval=required.");
  }
  return set_tag(services, tx, id, jobs::kApprovalTag, "approved", effects);
}

// The gate that holds now, or those up to `gate`.
Result<json::object> go_on(const JobsServices& services, Tx& tx, const json::object& input, Effects& effects) {
  const auto id = get_string(input, "jobId"), gate = get_string(input, "gate");
  TRY(const auto job, jobs::get_job(services.context, tx, id));
  if (job->controls.gates.empty()) return invalid("Job " + job->id + " has no gates: it has no tag muster:hold.");
  if (!gate.empty()) return set_tag(services, tx, id, jobs::kContinueTag, std::string(gate), effects);
  TRY(const jobs::Facts facts, jobs::read_facts(services.context, tx, *job));
  const auto holding = job->is_active() ? jobs::holding_gate(*job, facts) : std::nullopt;
  if (!holding) return invalid("Job " + job->id + " is not held at a gate now; name one to pass it in advance.");
  return set_tag(services, tx, id, jobs::kContinueTag, std::to_string(*holding + 1), effects);
}

// ---- previews

json::object preview_shape(const iot::Planned& planned) {
  const auto& preview = planned.preview;
  json::object shape{{"things", preview.things},
                     {"executions", preview.executions},
                     {"lookedAt", static_cast<std::int64_t>(preview.sample.size())},
                     {"sampled", preview.sampled},
                     {"overlaps", preview.overlaps},
                     {"findings", to_json(jobs::explain(planned.job, preview))}};
  if (preview.offline) shape["offline"] = *preview.offline;
  if (preview.rollout.starts_ms != 0) shape["starts"] = preview.rollout.starts_ms;
  if (preview.rollout.finishes_ms != 0) shape["finishes"] = preview.rollout.finishes_ms;
  json::array points;
  for (const auto& point : preview.rollout.points) {
    points.emplace_back(json::object{{"at", point.at_ms}, {"rolledOut", point.rolled_out}});
  }
  shape["rollout"] = std::move(points);
  return shape;
}

using Plan = std::function<Result<iot::Planned>(const JobsServices&, Tx&, const Call&)>;

Handler preview_handler(std::shared_ptr<const JobsServices> services, Plan plan) {
  return [services, plan](Call& call) -> io::Task<Reply> {
    auto run = [&](Tx& tx) { return plan(*services, tx, call); };
    CO_TRY(iot::Planned found, co_await store::transact(*services->store, run));
    CO_TRY(const iot::Planned planned, co_await iot::with_offline(*services, std::move(found)));
    Reply reply;
    reply.output = preview_shape(planned);
    co_return reply;
  };
}

Result<iot::Planned> preview_job(const JobsServices& services, Tx& tx, const Call& call) {
  const auto id = get_string(call.input, "jobId");
  TRY(const auto job, jobs::get_job(services.context, tx, id));
  TRY(auto preview, jobs::preview_job(services.context, tx, id));
  return iot::Planned{*job, std::move(preview)};
}

Result<iot::Planned> preview_new_job(const JobsServices& services, Tx& tx, const Call& call) {
  json::object input = call.input;
  input["document"] = "{}";  // a preview needs none
  TRY(jobs::NewJob request, iot::new_job(input, call.now_ms));
  TRY(const registry::Tags tags, iot::read_tags(input));
  TRY(request.controls, jobs::controls_from_tags(tags));
  TRY(auto job, jobs::planned_job(services.context, tx, request));
  if (job.selection != jobs::Selection::kContinuous && !job.schedule.windows.empty()) {
    return invalid("schedulingConfig.maintenanceWindows need targetSelection CONTINUOUS.");
  }
  TRY(auto preview, jobs::preview_new_job(services.context, tx, job));
  return iot::Planned{std::move(job), std::move(preview)};
}

// ---- progress

json::array reasons_shape(const std::vector<jobs::FailureReason>& reasons) {
  json::array list;
  for (const auto& reason : reasons) {
    list.emplace_back(
        json::object{{"status", jobs::to_string(reason.status)}, {"reason", reason.reason}, {"count", reason.count}});
  }
  return list;
}

// Of an active rollout: how fast, and when it will have queued everything.
void put_pace(json::object& shape, const jobs::Job& job, const jobs::Facts& facts, std::int64_t now_ms) {
  const std::int64_t left = jobs::left_to_roll_out(job, facts, facts.rollout.fleet);
  std::int64_t last_minute = 0;
  for (const auto& release : facts.rollout.pace.recent) {
    if (release.at_ms > now_ms - kMinuteMs) last_minute += release.count;
  }
  shape["releasedLastMinute"] = last_minute;
  shape["ratePerMinute"] = jobs::decide(job, facts, now_ms).rate;
  const jobs::Forecast rollout = jobs::forecast(job, facts, left, now_ms);
  if (rollout.finishes_ms != 0) shape["rolledOutBy"] = rollout.finishes_ms;
}

Result<json::object> progress(const JobsServices& services, Tx& tx, const json::object& input, Effects&) {
  const auto id = get_string(input, "jobId");
  TRY(const auto job, jobs::get_job(services.context, tx, id));
  TRY(const jobs::Facts facts, jobs::read_facts(services.context, tx, *job));
  const Finding waits = jobs::explain_decision(services.context, *job, facts, tx.now_ms());
  json::object counts;
  for (const auto status : jobs::kAllStatuses) counts[jobs::to_string(status)] = facts.counts.of(status);
  json::object shape{{"jobId", job->id},
                     {"status", jobs::to_string(job->status)},
                     {"targetSelection", jobs::to_string(job->selection)},
                     {"rolledOut", job->rolled_out},
                     {"fleet", facts.rollout.fleet},
                     {"executions", facts.counts.all()},
                     {"counts", std::move(counts)},
                     {"now", tx.now_ms()},
                     {"createdAt", job->created_ms},
                     {"waitCode", waits.code},
                     {"waitSentence", waits.sentence}};
  if (job->started_ms != 0) shape["startedAt"] = job->started_ms;
  if (job->completed_ms != 0) shape["completedAt"] = job->completed_ms;
  if (job->is_active()) put_pace(shape, *job, facts, tx.now_ms());
  TRY(const auto reasons, jobs::failure_reasons(services.context, tx, id));
  shape["failureReasons"] = reasons_shape(reasons);
  return shape;
}

}  // namespace

void register_jobs_admin(Operations& operations, const iot::JobsServices& given) {
  const auto services = std::make_shared<const JobsServices>(given);
  const auto add = [&](std::string_view operation, iot::JobsBody body) {
    operations.add("muster", operation, iot::jobs_handler(services, std::move(body)));
  };
  add("PauseJob", pause);
  add("ResumeJob", resume);
  add("ApproveJob", approve);
  add("ContinueJob", go_on);
  add("GetJobProgress", progress);
  operations.add("muster", "PreviewJob", preview_handler(services, preview_job));
  operations.add("muster", "PreviewNewJob", preview_handler(services, preview_new_job));
}

}  // namespace muster::api::admin
