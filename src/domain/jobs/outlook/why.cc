// SPDX-License-Identifier: Apache-2.0
// Why a thing is or is not offered a job.
#include "domain/jobs/outlook/why.h"

#include <algorithm>
#include <optional>

#include "base/text.h"
#include "domain/jobs/executions.h"
#include "domain/jobs/membership.h"
#include "domain/jobs/pending.h"
#include "domain/registry/groups.h"
#include "domain/registry/things.h"

namespace muster::jobs {

namespace {

constexpr std::size_t kNamed = 3;  // of those ahead in the queue

std::string number(std::int64_t n) {
  return std::to_string(n);
}
std::string time_text(std::int64_t ms) {
  return to_iso8601(ms, false);
}
std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const auto& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

struct Question {
  const Context& context;
  store::Tx& tx;
  std::string_view thing;
  std::shared_ptr<const Job> job;
};

// ---- not targeted

// Root first, the group itself last.
std::vector<std::string> path_of(store::Tx& tx, std::string_view name) {
  const auto group = registry::find_group(tx, name);
  std::vector<std::string> path = group ? group->ancestors : std::vector<std::string>();
  path.emplace_back(name);
  return path;
}

struct Nearest {
  std::string group;   // targeted
  std::string member;  // group of the thing
  std::size_t common = 0;
  bool below = false;  // the target is below the thing's group
};

// The targeted group that shares most of its path with one of the thing's groups.
std::optional<Nearest> nearest_group(const Question& q, const std::vector<std::string>& groups) {
  std::optional<Nearest> best;
  for (const auto& target : q.job->targets) {
    const auto name = name_in_iot_arn(q.context.realm, "thinggroup", target);
    if (!name) continue;
    const auto wanted = path_of(q.tx, *name);
    for (const auto& group : groups) {
      const auto path = path_of(q.tx, group);
      const auto [end, _] = std::ranges::mismatch(path, wanted);
      const auto common = static_cast<std::size_t>(end - path.begin());
      if (common == 0 || (best && best->common >= common)) continue;
      best = Nearest{*name, group, common, common == path.size()};
    }
  }
  return best;
}

Finding not_targeted(const Question& q) {
  Finding finding{"execution.not_targeted", "", {}};
  const auto groups = registry::groups_of_thing(q.tx, q.thing);
  const std::string who = "Thing " + std::string(q.thing);
  finding.sentence = who + " is not in any target of job " + q.job->id;
  finding.facts = {{"targets", joined(q.job->targets)}, {"groups", joined(groups)}};
  if (groups.empty()) {
    finding.sentence += ": it is in no group and not targeted itself";
  } else if (const auto near = nearest_group(q, groups)) {
    finding.facts["nearestGroup"] = near->group;
    finding.sentence += "; the nearest is group " + near->group + ": the thing is in " + near->member +
                        (near->below ? ", which is above it" : ", beside it in the same hierarchy");
  } else {
    finding.sentence += "; its groups are " + joined(groups) + ", of other hierarchies";
  }
  finding.sentence += ".";
  return finding;
}

// ---- targeted, without an execution

Result<Findings> no_execution(const Question& q) {
  if (!is_targeted(q.context, q.tx, *q.job, q.thing)) return Findings{not_targeted(q)};
  TRY(auto rollout, explain_rollout(q.context, q.tx, *q.job));
  const std::string who = "Thing " + std::string(q.thing) + " is targeted by job " + q.job->id;
  if (q.job->is_active() && !q.job->rolled_out) {
    return Findings{{"execution.not_rolled_out", who + ", whose rollout has not come to it yet.", {}},
                    std::move(rollout)};
  }
  if (q.job->selection == Selection::kSnapshot) {
    return Findings{{"execution.joined_later",
                     who + ", but has no execution: a SNAPSHOT job is for those who are targeted while it is rolled "
                           "out, and that is over. CONTINUOUS jobs follow their groups.",
                     {}},
                    std::move(rollout)};
  }
  return Findings{
      {"execution.none", who + ", but has no execution: it was deleted, or the job takes nobody any more.", {}},
      std::move(rollout)};
}

// ---- queued

Finding in_queue(const Execution& execution, const std::vector<PendingEntry>& ahead) {
  Finding finding{"execution.queued.behind", "", {}};
  std::string names;
  for (std::size_t i = 0; i < ahead.size() && i < kNamed; ++i) {
    names += (names.empty() ? "" : ", ") + ahead[i].job + " (" + std::string(to_string(ahead[i].status));
    if (ahead[i].priority != 0) names += ", priority " + number(ahead[i].priority);
    names += ")";
  }
  if (ahead.size() > kNamed) names += ", ...";
  const auto position = static_cast<std::int64_t>(ahead.size()) + 1;
  finding.facts = {{"position", number(position)}, {"priority", number(execution.priority)}, {"ahead", names}};
  finding.sentence = "It is number " + number(position) + " of those on offer to the thing, with priority " +
                     number(execution.priority) + ", behind " + names + ".";
  if (ahead.front().status == ExecutionStatus::kInProgress) {
    finding.sentence += " The one IN_PROGRESS has to end first: $next and start-next mean it until then.";
  }
  return finding;
}

// What is on offer before the job's execution, of the same namespace; nullopt: it is not found among the first.
Result<std::optional<std::vector<PendingEntry>>> offered_ahead(const Question& q, const Execution& execution) {
  TRY(const auto entries, read_pending(q.tx, q.thing, kWhyPending));
  std::vector<PendingEntry> ahead;
  for (const auto& entry : entries) {
    if (entry.is(q.job->id, execution.number)) return std::optional(std::move(ahead));
    if (entry.namespace_id != execution.namespace_id) continue;
    TRY(const auto job, find_job(q.context, q.tx, entry.job));
    if (job && is_offered(*job, entry.status)) ahead.push_back(entry);
  }
  return std::optional<std::vector<PendingEntry>>();
}

Status explain_queued(const Question& q, const Execution& execution, Findings& findings) {
  if (is_withdrawn(*q.job, execution.status)) {
    findings.push_back({"execution.withdrawn", "The job is being canceled, and this execution with it.", {}});
    return {};
  }
  if (!is_offered(*q.job, execution.status)) {
    findings.push_back({"execution.hidden", "It is not offered to the device now.", {}});
    TRY(auto rollout, explain_rollout(q.context, q.tx, *q.job));
    // What keeps a rollout back need not be what hides: a pause hides while a rollout has other things to wait for.
    if (q.job->controls.paused && rollout.code != "job.waits.paused") {
      findings.push_back({"job.paused", "Job " + q.job->id + " is paused.", {}});
    }
    findings.push_back(std::move(rollout));
    return {};
  }
  TRY(const auto ahead, offered_ahead(q, execution));
  if (!ahead) {
    findings.push_back({"execution.queued.far",
                        "More than " + number(kWhyPending) + " executions of this thing come before it.",
                        {{"lookedAt", number(kWhyPending)}}});
  } else if (!ahead->empty()) {
    findings.push_back(in_queue(execution, *ahead));
  } else {
    findings.push_back({"execution.offered",
                        "It is the one on offer: notify-next named it, and a device that asks for $next gets it.",
                        {{"position", "1"}}});
  }
  return {};
}

// ---- started and ended

Finding in_progress(const Execution& execution, std::int64_t now_ms) {
  Finding finding{"execution.in_progress.deadline", "", {}};
  const std::int64_t due_ms = execution.due_ms();
  if (due_ms == 0) {
    finding.sentence = "It has no deadline.";
    return finding;
  }
  const bool step = execution.step_deadline_ms == due_ms;
  finding.facts = {{"deadline", time_text(due_ms)}, {"timer", step ? "step" : "in-progress"}};
  finding.sentence = std::string(due_ms > now_ms ? "It becomes" : "It is about to become") + " TIMED_OUT at " +
                     time_text(due_ms) + " by its " + (step ? "step" : "in-progress") + " timer.";
  return finding;
}

// Retries that the configuration still leaves for an execution that ends so; nullopt: none are configured for it.
std::optional<std::int64_t> retries_left(const RetryConfig& config, const Execution& execution, bool failed) {
  for (const auto& criterion : config.criteria) {
    if (criterion.failure == RetryFailure::kAll) return criterion.retries - execution.retries.all();
    if (criterion.failure == RetryFailure::kFailed && failed) return criterion.retries - execution.retries.failed;
    if (criterion.failure == RetryFailure::kTimedOut && !failed) return criterion.retries - execution.retries.timed_out;
  }
  return std::nullopt;
}

void explain_retries(const Job& job, const Execution& execution, Findings& findings) {
  const bool failed = execution.status != ExecutionStatus::kTimedOut;
  const bool can_retry = execution.status == ExecutionStatus::kFailed ||
                         execution.status == ExecutionStatus::kTimedOut || !is_terminal(execution.status);
  if (!can_retry || (!job.retry && execution.retries.all() == 0)) return;
  Finding finding{"execution.retries", "", {{"used", number(execution.retries.all())}}};
  finding.sentence =
      number(execution.retries.all()) + (execution.retries.all() == 1 ? " retry was" : " retries were") + " used";
  const auto left = job.retry ? retries_left(*job.retry, execution, failed) : std::nullopt;
  const std::string_view of = failed ? "FAILED" : "TIMED_OUT";
  if (left) {
    const std::int64_t rest = std::max<std::int64_t>(*left, 0);
    finding.facts["left"] = number(rest);
    finding.sentence += ", " + number(rest) + (rest == 1 ? " is" : " are") + " left for " + std::string(of);
  } else {
    finding.sentence += ", none is configured for " + std::string(of);
  }
  finding.sentence += ".";
  findings.push_back(std::move(finding));
}

std::string details_text(const StatusDetails& details) {
  std::string text;
  for (const auto& [key, value] : details) text += (text.empty() ? "" : ", ") + key + "=" + value;
  return text;
}

Finding state_of(const Question& q, const Execution& execution) {
  Finding finding{"execution." + lower(to_string(execution.status)), "", {}};
  const std::int64_t since_ms = execution.status == ExecutionStatus::kQueued       ? execution.queued_ms
                                : execution.status == ExecutionStatus::kInProgress ? execution.started_ms
                                                                                   : execution.updated_ms;
  finding.facts = {{"status", std::string(to_string(execution.status))},
                   {"since", time_text(since_ms)},
                   {"executionNumber", number(execution.number)}};
  finding.sentence = "Execution " + number(execution.number) + " of job " + q.job->id + " on thing " +
                     std::string(q.thing) + " is " + std::string(to_string(execution.status)) + " since " +
                     time_text(since_ms);
  for (const auto& [key, value] : execution.details) finding.facts["statusDetails." + key] = value;
  if (!execution.details.empty()) finding.sentence += " (" + details_text(execution.details) + ")";
  finding.sentence += ".";
  return finding;
}

Finding thing_unknown(std::string_view thing) {
  return {"thing.unknown", "There is no thing " + std::string(thing) + ".", {{"thing", std::string(thing)}}};
}

}  // namespace

Result<Findings> explain_execution(const Context& context, store::Tx& tx, std::string_view thing,
                                   std::string_view job_id) {
  Findings findings;
  const bool known = registry::thing_exists(tx, thing);
  if (!known) findings.push_back(thing_unknown(thing));
  TRY(auto job, find_job(context, tx, job_id));
  if (!job) {
    findings.push_back({"job.unknown", "There is no job " + std::string(job_id) + ".", {{"job", std::string(job_id)}}});
    return findings;
  }
  const Question q{context, tx, thing, std::move(job)};
  TRY(const auto execution, find_execution(tx, thing, job_id));
  if (!execution) {
    if (!known) return findings;
    return no_execution(q);
  }
  findings.push_back(state_of(q, *execution));
  if (execution->status == ExecutionStatus::kQueued) TRY_VOID(explain_queued(q, *execution, findings));
  if (execution->status == ExecutionStatus::kInProgress) {
    findings.push_back(in_progress(*execution, tx.now_ms()));
    if (is_withdrawn(*q.job, execution->status)) {
      findings.push_back({"execution.withdrawn", "The job is being canceled, and this execution with it.", {}});
    }
  }
  explain_retries(*q.job, *execution, findings);
  return findings;
}

Result<Findings> explain_thing(const Context& context, store::Tx& tx, std::string_view thing) {
  if (!registry::thing_exists(tx, thing)) return Findings{thing_unknown(thing)};
  TRY(const auto entries, read_pending(tx, thing, kWhyPending));
  if (entries.empty()) {
    return Findings{{"thing.nothing_pending", "Nothing is pending for thing " + std::string(thing) + ".", {}}};
  }
  Findings findings;
  std::int64_t position = 0;
  for (const auto& entry : entries) {
    TRY(const auto job, find_job(context, tx, entry.job));
    const bool offered = job && is_offered(*job, entry.status);
    Finding finding{offered ? "pending.offered" : "pending.hidden", "", {{"job", entry.job}}};
    finding.facts["status"] = to_string(entry.status);
    finding.facts["priority"] = number(entry.priority);
    if (!entry.namespace_id.empty()) finding.facts["namespaceId"] = entry.namespace_id;
    finding.sentence = entry.job + " is " + std::string(to_string(entry.status)) + " since " +
                       time_text(entry.status == ExecutionStatus::kQueued ? entry.queued_ms : entry.started_ms);
    if (entry.priority != 0) finding.sentence += " with priority " + number(entry.priority);
    if (!entry.namespace_id.empty()) finding.sentence += " in namespace " + entry.namespace_id;
    if (offered) {
      finding.facts["position"] = number(++position);
      finding.sentence += ": on offer, number " + number(position) + ".";
    } else if (job) {
      TRY(const auto rollout, explain_rollout(context, tx, *job));
      finding.facts["reason"] = rollout.code;
      finding.sentence += ": not on offer. " + rollout.sentence;
    } else {
      finding.sentence += ": not on offer, its job is gone.";
    }
    findings.push_back(std::move(finding));
    if (findings.size() == 20) break;
  }
  if (entries.size() > findings.size()) {
    findings.push_back(
        {"pending.more", "More than " + number(static_cast<std::int64_t>(findings.size())) + " are pending.", {}});
  }
  return findings;
}

}  // namespace muster::jobs
