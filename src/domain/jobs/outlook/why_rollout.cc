// SPDX-License-Identifier: Apache-2.0
// Why a rollout waits.
#include <algorithm>

#include "base/text.h"
#include "domain/jobs/engine.h"
#include "domain/jobs/jobs.h"
#include "domain/jobs/outlook/forecast.h"
#include "domain/jobs/outlook/why.h"

namespace muster::jobs {

namespace {

std::string number(std::int64_t n) {
  return std::to_string(n);
}
std::string time_text(std::int64_t ms) {
  return to_iso8601(ms, false);
}
std::string percent_text(double percent) {
  std::string text = to_text(json::value(percent));
  if (text.ends_with(".0")) text.resize(text.size() - 2);
  return text + "%";
}
std::string titled(const Job& job) {
  return "Job " + job.id;
}

void add_counts(const JobCounts& counts, Finding& finding) {
  for (const auto status : kAllStatuses) {
    if (counts.of(status) != 0) finding.facts[std::string(to_string(status))] = number(counts.of(status));
  }
}

std::string counts_text(const JobCounts& counts) {
  std::string text;
  for (const auto status : kAllStatuses) {
    if (counts.of(status) == 0) continue;
    text += (text.empty() ? "" : ", ") + number(counts.of(status)) + " " + std::string(to_string(status));
  }
  return text.empty() ? "no executions" : text;
}

Finding explain_end(const Job& job) {
  Finding finding{"job." + lower(to_string(job.status)), titled(job) + " is " + std::string(to_string(job.status)), {}};
  if (job.completed_ms != 0) {
    finding.sentence += " since " + time_text(job.completed_ms);
    finding.facts["since"] = time_text(job.completed_ms);
  }
  if (!job.reason_code.empty()) {
    finding.sentence += ", reason " + job.reason_code;
    finding.facts["reasonCode"] = job.reason_code;
  }
  if (!job.comment.empty()) {
    finding.sentence += ": " + job.comment;
    finding.facts["comment"] = job.comment;
  }
  if (!finding.sentence.ends_with('.')) finding.sentence += ".";
  return finding;
}

Finding explain_hold(const Job& job, const Facts& facts, std::size_t index) {
  const Gate& gate = job.controls.gates[index];
  Finding finding{"job.waits.gate", "", {}};
  finding.facts = {{"gate", number(static_cast<std::int64_t>(index) + 1)},
                   {"gates", number(static_cast<std::int64_t>(job.controls.gates.size()))},
                   {"percent", percent_text(gate.percent)},
                   {"rolledOut", number(facts.rollout.notified)},
                   {"fleet", number(facts.rollout.fleet)}};
  add_counts(facts.counts, finding);
  finding.sentence = titled(job) + " is held at gate " + finding.facts["gate"] + " of " + finding.facts["gates"] +
                     " (" + percent_text(gate.percent) + "): " + number(facts.rollout.notified) + " of " +
                     number(facts.rollout.fleet) + " executions are rolled out (" + counts_text(facts.counts) + "). ";
  const std::string by_hand = "muster job continue " + job.id;
  if (!gate.success_percent) {
    finding.sentence += "It goes on by hand: " + by_hand + ".";
    return finding;
  }
  finding.facts["successPercent"] = percent_text(*gate.success_percent);
  const std::int64_t executed = facts.counts.executed();
  finding.sentence += "It opens when all of them have ended and " + percent_text(*gate.success_percent) +
                      " of them succeeded; " + number(facts.counts.pending()) + " are pending and " +
                      number(facts.counts.of(ExecutionStatus::kSucceeded)) + " of " + number(executed) +
                      " succeeded. Or by hand: " + by_hand + ".";
  return finding;
}

Finding explain_rate(const Job& job, const Facts& facts, const Decision& decision, std::int64_t now_ms) {
  const std::int64_t left = std::max<std::int64_t>(facts.rollout.fleet - facts.rollout.notified, 0);
  const Forecast rollout = forecast(job, facts, left, now_ms);
  Finding finding{"job.waits.rate", "", {}};
  finding.facts = {{"ratePerMinute", number(decision.rate)},
                   {"rolledOut", number(facts.rollout.notified)},
                   {"fleet", number(facts.rollout.fleet)}};
  finding.sentence = titled(job) + " is rolled out at " + number(decision.rate) +
                     " executions a minute: " + number(facts.rollout.notified) + " of " + number(facts.rollout.fleet) +
                     " so far";
  if (decision.wake_ms != 0) {
    finding.facts["next"] = time_text(decision.wake_ms);
    finding.sentence += ", the next at " + time_text(decision.wake_ms);
  }
  if (rollout.finishes_ms != 0) {
    finding.facts["finish"] = time_text(rollout.finishes_ms);
    finding.sentence +=
        std::string(", the last ") + (rollout.approximate ? "about " : "") + "at " + time_text(rollout.finishes_ms);
  }
  finding.sentence += ".";
  return finding;
}

Finding explain_window(const Job& job, std::int64_t now_ms) {
  Finding finding{"job.waits.window", titled(job) + " is outside its maintenance windows", {}};
  const auto openings = next_rollouts(job.schedule, now_ms, 1);
  if (!openings.empty()) {
    finding.facts["opens"] = time_text(openings.front());
    finding.sentence += "; the next opens at " + time_text(openings.front());
  } else {
    finding.sentence += ", and none opens before the end of its schedule";
  }
  finding.sentence += ".";
  return finding;
}

Finding explain_devices(const Job& job, const Facts& facts) {
  Finding finding{"job.waits.devices", "", {}};
  add_counts(facts.counts, finding);
  finding.sentence = titled(job) +
                     " is rolled out and waits for its devices: " + number(facts.counts.of(ExecutionStatus::kQueued)) +
                     " QUEUED, " + number(facts.counts.of(ExecutionStatus::kInProgress)) + " IN_PROGRESS.";
  return finding;
}

Finding explain_wait(const Context& context, const Job& job, const Facts& facts, const Decision& decision,
                     std::int64_t now_ms) {
  switch (decision.wait) {
    case Wait::kNothing:
      return explain_end(job);
    case Wait::kApproval:
      return {"job.waits.approval", titled(job) + " waits for approval: muster job approve " + job.id + ".", {}};
    case Wait::kStartTime:
      return {"job.waits.start",
              titled(job) + " starts at " + time_text(job.schedule.start_ms) + ".",
              {{"start", time_text(job.schedule.start_ms)}}};
    case Wait::kWindow:
      return explain_window(job, now_ms);
    case Wait::kConcurrency:
      return {"job.waits.concurrency",
              titled(job) + " waits until fewer than " + number(context.limits.max_concurrent_jobs) +
                  " jobs are rolling out.",
              {{"limit", number(context.limits.max_concurrent_jobs)}}};
    case Wait::kPaused:
      return {"job.waits.paused",
              titled(job) +
                  " is paused: nothing more is queued, and what is queued is not offered. muster job resume " + job.id +
                  " lets it go on.",
              {}};
    case Wait::kHold:
      return explain_hold(job, facts, decision.gate);
    case Wait::kRate:
      return explain_rate(job, facts, decision, now_ms);
    case Wait::kDevices:
      return explain_devices(job, facts);
    case Wait::kMembers:
      break;
  }
  return {"job.waits.members", titled(job) + " has nothing pending and waits for things to join its groups.", {}};
}

}  // namespace

Finding explain_decision(const Context& context, const Job& job, const Facts& facts, std::int64_t now_ms) {
  if (!job.is_active()) return explain_end(job);
  const Decision decision = decide(job, facts, now_ms);
  switch (decision.act) {
    case Act::kWait:
      return explain_wait(context, job, facts, decision, now_ms);
    case Act::kStart:
      return {"job.starts", titled(job) + " is about to start.", {}};
    case Act::kSuspend:
      return {"job.suspends", titled(job) + " is about to be suspended: its maintenance window has closed.", {}};
    case Act::kRollOut:
      return {"job.rolls_out",
              titled(job) +
                  " is being rolled out now: " + number(std::max(facts.rollout.notified, facts.counts.all())) +
                  " executions of about " + number(facts.rollout.fleet) + " so far.",
              {{"fleet", number(facts.rollout.fleet)}}};
    case Act::kAbort:
      return {"job.aborts", abort_comment(job.abort->criteria[decision.criterion], facts.counts), {}};
    case Act::kEnd:
      return {"job.ends",
              titled(job) + " is about to end: the end of its schedule has come.",
              {{"end", time_text(job.schedule.end_ms)}}};
    case Act::kComplete:
      break;
  }
  return {"job.completes", titled(job) + " is about to complete: nothing is pending.", {}};
}

Result<Finding> explain_rollout(const Context& context, store::Tx& tx, const Job& job) {
  if (!job.is_active()) return explain_end(job);
  TRY(const Facts facts, read_facts(context, tx, job));
  return explain_decision(context, job, facts, tx.now_ms());
}

Result<Findings> explain_job(const Context& context, store::Tx& tx, std::string_view job_id) {
  TRY(const auto job, find_job(context, tx, job_id));
  if (!job) {
    return Findings{{"job.unknown", "There is no job " + std::string(job_id) + ".", {{"job", std::string(job_id)}}}};
  }
  TRY(auto rollout, explain_rollout(context, tx, *job));
  const JobCounts counts = job_counts(tx, job_id);
  Finding state{
      "job.state",
      "Job " + job->id + " is " + std::string(to_string(job->status)) + " with " + counts_text(counts) + ".",
      {{"status", std::string(to_string(job->status))}, {"selection", std::string(to_string(job->selection))}}};
  add_counts(counts, state);
  return Findings{std::move(state), std::move(rollout)};
}

}  // namespace muster::jobs
