// SPDX-License-Identifier: Apache-2.0
#include "domain/jobs/plan.h"

#include <algorithm>
#include <cmath>

namespace muster::jobs {

namespace {

using enum ExecutionStatus;

std::int64_t failures(AbortFailure failure, const JobCounts& counts) {
  switch (failure) {
    case AbortFailure::kFailed:
      return counts.of(kFailed);
    case AbortFailure::kRejected:
      return counts.of(kRejected);
    case AbortFailure::kTimedOut:
      return counts.of(kTimedOut);
    case AbortFailure::kAll:
      break;
  }
  return counts.of(kFailed) + counts.of(kRejected) + counts.of(kTimedOut);
}

// Integers below 2^53: where the quotient is a decimal, this is the double that the decimal reads as.
double percent_of(std::int64_t part, std::int64_t whole) {
  return 100.0 * static_cast<double>(part) / static_cast<double>(whole);
}

std::string percent_text(double percent) {
  std::string text;
  append_json(text, json::value(std::round(percent * 100) / 100));
  if (text.ends_with(".0")) text.resize(text.size() - 2);
  return text + "%";
}

// So many executions stand before the gate. In hundredths of a percent, which are whole.
std::int64_t gate_at(const Gate& gate, std::int64_t fleet) {
  const std::int64_t hundredths = std::llround(gate.percent * 100);
  return std::max<std::int64_t>((hundredths * fleet + 9999) / 10000, 1);
}

bool has_succeeded(const Gate& gate, const JobCounts& counts) {
  if (!gate.success_percent || counts.pending() != 0 || counts.executed() == 0) return false;
  return percent_of(counts.of(kSucceeded), counts.executed()) >= *gate.success_percent;
}

struct NextGate {
  std::size_t index = 0;
  std::int64_t at = 0;
};
// The first gate that is neither passed nor open.
std::optional<NextGate> next_gate(const Job& job, const Facts& facts) {
  const auto& [notified, fleet, pace] = facts.rollout;
  for (std::size_t i = job.controls.gates_continued; i < job.controls.gates.size(); ++i) {
    if (fleet < 0) return NextGate{i, 1};
    const Gate& gate = job.controls.gates[i];
    const std::int64_t at = gate_at(gate, fleet);
    if (at >= fleet || notified > at) continue;
    if (notified == at && has_succeeded(gate, facts.counts)) continue;
    return NextGate{i, at};
  }
  return std::nullopt;
}

// The sooner of two moments, of which 0 is never.
std::int64_t sooner(std::int64_t a, std::int64_t b) {
  if (a == 0 || b == 0) return a + b;
  return std::min(a, b);
}

Decision wait(Wait why, std::int64_t wake_ms) {
  Decision decision;
  decision.wait = why;
  decision.wake_ms = wake_ms;
  return decision;
}

Decision act(Act what) {
  Decision decision;
  decision.act = what;
  return decision;
}

Decision decide_scheduled(const Job& job, const Facts& facts, const ScheduleState& schedule) {
  if (schedule.ended) return act(Act::kStart);  // for what is queued; nothing is rolled out any more
  if (job.controls.approval == Approval::kRequired) return wait(Wait::kApproval, job.schedule.end_ms);
  if (!schedule.started) return wait(Wait::kStartTime, schedule.next_change_ms);
  if (!schedule.open) return wait(Wait::kWindow, schedule.next_change_ms);
  if (facts.concurrency_full && !job.rolled_out) return wait(Wait::kConcurrency, schedule.next_change_ms);
  return act(Act::kStart);
}

Decision decide_rolled_out(const Job& job, const Facts& facts, const ScheduleState& schedule) {
  if (facts.counts.pending() != 0) {
    const bool kept_back = job.controls.paused && facts.counts.of(kQueued) != 0;
    return wait(kept_back ? Wait::kPaused : Wait::kDevices, schedule.next_change_ms);
  }
  if (job.selection == Selection::kSnapshot || schedule.ended) return act(Act::kComplete);
  return wait(Wait::kMembers, schedule.next_change_ms);
}

Decision decide_rollout(const Job& job, const Facts& facts, const ScheduleState& schedule, std::int64_t now_ms) {
  if (job.controls.paused) return wait(Wait::kPaused, schedule.next_change_ms);
  const auto gate = next_gate(job, facts);
  if (gate && facts.rollout.notified >= gate->at) {
    Decision hold = wait(Wait::kHold, schedule.next_change_ms);
    hold.gate = gate->index;
    return hold;
  }
  Decision decision = act(Act::kRollOut);
  decision.count = SIZE_MAX;
  decision.wake_ms = schedule.next_change_ms;
  if (job.rollout) {
    const std::int64_t rate = rate_at(*job.rollout, facts.rollout.notified, facts.counts.of(kSucceeded));
    const Allowance allowed = allowance(rate, facts.rollout.pace, now_ms);
    const std::int64_t wake_ms = sooner(allowed.next_ms, schedule.next_change_ms);
    if (allowed.count == 0) return wait(Wait::kRate, wake_ms);
    decision.count = static_cast<std::size_t>(allowed.count);
    decision.wake_ms = wake_ms;
  }
  if (gate) decision.count = std::min(decision.count, static_cast<std::size_t>(gate->at - facts.rollout.notified));
  return decision;
}

Decision decide_active(const Job& job, const Facts& facts, std::int64_t now_ms) {
  const ScheduleState schedule = schedule_at(job.schedule, now_ms);
  const bool stopped = job.schedule.end_behavior == EndBehavior::kStopRollout && job.rolled_out;
  if (schedule.ended && !stopped) return act(Act::kEnd);
  if (job.abort) {
    if (const auto criterion = abort_met(*job.abort, facts.counts)) {
      Decision decision = act(Act::kAbort);
      decision.criterion = *criterion;
      return decision;
    }
  }
  if (job.status == JobStatus::kScheduled) return decide_scheduled(job, facts, schedule);
  if (!schedule.ended && !schedule.open && !job.schedule.windows.empty()) return act(Act::kSuspend);
  if (job.rolled_out) return decide_rolled_out(job, facts, schedule);
  return decide_rollout(job, facts, schedule, now_ms);
}

}  // namespace

std::int64_t JobCounts::executed() const {
  return of(kSucceeded) + of(kFailed) + of(kRejected) + of(kTimedOut);
}

std::int64_t JobCounts::all() const {
  std::int64_t sum = 0;
  for (const std::int64_t count : by_status) sum += count;
  return sum;
}

std::optional<std::size_t> abort_met(const AbortConfig& config, const JobCounts& counts) {
  const std::int64_t executed = counts.executed();
  if (executed == 0) return std::nullopt;
  for (std::size_t i = 0; i < config.criteria.size(); ++i) {
    const AbortCriterion& criterion = config.criteria[i];
    if (executed < criterion.minimum_executed) continue;
    if (percent_of(failures(criterion.failure, counts), executed) >= criterion.threshold_percent) return i;
  }
  return std::nullopt;
}

std::string abort_comment(const AbortCriterion& criterion, const JobCounts& counts) {
  constexpr std::array<std::string_view, 4> kOutcomes{"FAILED", "REJECTED", "TIMED_OUT",
                                                      "FAILED, REJECTED or TIMED_OUT"};
  const std::int64_t failed = failures(criterion.failure, counts), executed = counts.executed();
  std::string text = "Job canceled by its abort criteria: " + std::to_string(failed) + " of " +
                     std::to_string(executed) + " executions are ";
  text += kOutcomes[static_cast<std::size_t>(criterion.failure)];
  if (executed != 0) text += " (" + percent_text(percent_of(failed, executed)) + ")";
  return text + "; the threshold is " + percent_text(criterion.threshold_percent) + " of at least " +
         std::to_string(criterion.minimum_executed) + ".";
}

Decision decide(const Job& job, const Facts& facts, std::int64_t now_ms) {
  if (job.status != JobStatus::kScheduled && job.status != JobStatus::kInProgress) return {};
  Decision decision = decide_active(job, facts, now_ms);
  if (job.rollout) decision.rate = rate_at(*job.rollout, facts.rollout.notified, facts.counts.of(kSucceeded));
  return decision;
}

std::optional<std::size_t> holding_gate(const Job& job, const Facts& facts) {
  const auto gate = next_gate(job, facts);
  if (!gate || facts.rollout.notified < gate->at) return std::nullopt;
  return gate->index;
}

std::optional<std::int64_t> room_before_gate(const Job& job, const Facts& facts) {
  const auto gate = next_gate(job, facts);
  if (!gate) return std::nullopt;
  return gate->at;
}

}  // namespace muster::jobs
