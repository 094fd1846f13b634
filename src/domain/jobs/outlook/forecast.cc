// SPDX-License-Identifier: Apache-2.0
#include "domain/jobs/outlook/forecast.h"

#include <algorithm>
#include <utility>

namespace muster::jobs {

namespace {

constexpr std::int64_t kMinuteMs = 60'000;

class Walk {
 public:
  Walk(Job job, Facts facts, std::int64_t left, std::int64_t now_ms)
      : job_(std::move(job)), facts_(std::move(facts)), left_(left), now_ms_(now_ms) {
    facts_.concurrency_full = false;
    // Executions that wait for their devices change nothing of when the others are queued, but hold gates.
    settle_pending();
  }

  Forecast run() {
    for (int i = 0; i < kForecastSteps && left_ > 0; ++i) {
      const Decision decision = decide(job_, facts_, now_ms_);
      rate_ = decision.rate;
      if (!follow(decision)) return finish();
    }
    if (left_ > 0) reckon();
    return finish();
  }

 private:
  void settle_pending() {
    auto& counts = facts_.counts.by_status;
    for (const auto status : {ExecutionStatus::kQueued, ExecutionStatus::kInProgress}) {
      auto& pending = counts[static_cast<std::size_t>(status)];
      counts[static_cast<std::size_t>(ExecutionStatus::kSucceeded)] += std::exchange(pending, 0);
    }
  }

  // False: it goes no further.
  bool follow(const Decision& decision) {
    switch (decision.act) {
      case Act::kStart:
        job_.status = JobStatus::kInProgress;
        return true;
      case Act::kSuspend:
        job_.status = JobStatus::kScheduled;
        return true;
      case Act::kRollOut:
        release(decision);
        return true;
      case Act::kEnd:
        result_.ended = true;
        return false;
      case Act::kAbort:
      case Act::kComplete:
        return false;
      case Act::kWait:
        break;
    }
    return wait(decision);
  }

  bool wait(const Decision& decision) {
    switch (decision.wait) {
      case Wait::kApproval:
        result_.assumed_approval = true;
        job_.controls.approval = Approval::kApproved;
        return true;
      case Wait::kPaused:
        result_.assumed_resume = true;
        job_.controls.paused = false;
        return true;
      case Wait::kHold:
        ++result_.assumed_gates;
        job_.controls.gates_continued = decision.gate + 1;
        return true;
      case Wait::kStartTime:
      case Wait::kWindow:
      case Wait::kRate:
        if (decision.wake_ms <= now_ms_) return false;
        now_ms_ = decision.wake_ms;
        return true;
      case Wait::kNothing:
      case Wait::kConcurrency:
      case Wait::kDevices:
      case Wait::kMembers:
        break;
    }
    return false;
  }

  void release(const Decision& decision) {
    const auto count =
        static_cast<std::int64_t>(std::min<std::size_t>(decision.count, static_cast<std::size_t>(left_)));
    left_ -= count;
    facts_.rollout.notified += count;
    facts_.counts.by_status[static_cast<std::size_t>(ExecutionStatus::kSucceeded)] += count;
    if (decision.rate != 0) record_release(facts_.rollout.pace, decision.rate, count, now_ms_);
    result_.peak_rate = std::max(result_.peak_rate, decision.rate);
    if (result_.starts_ms == 0) result_.starts_ms = now_ms_;
    // One a minute: how far it is at the last release of the minute.
    if (points_.empty() || now_ms_ - minute_ms_ >= kMinuteMs) {
      points_.emplace_back();
      minute_ms_ = now_ms_;
    }
    points_.back() = {now_ms_, facts_.rollout.notified};
  }

  // What the steps did not reach, at the rate of the last of them.
  void reckon() {
    result_.approximate = true;
    if (rate_ <= 0 || !job_.schedule.windows.empty()) return;
    now_ms_ += left_ * kMinuteMs / rate_;
    if (job_.schedule.end_ms != 0 && now_ms_ > job_.schedule.end_ms) {
      result_.ended = true;
      left_ = std::min(left_, (now_ms_ - job_.schedule.end_ms) * rate_ / kMinuteMs);
      return;
    }
    facts_.rollout.notified += std::exchange(left_, 0);
  }

  Forecast finish() {
    result_.left_out = left_;
    if (left_ == 0 && result_.starts_ms != 0) {
      result_.finishes_ms = now_ms_;
      if (points_.back().at_ms != now_ms_) points_.push_back({now_ms_, facts_.rollout.notified});
    }
    const std::size_t every = points_.size() / kForecastPoints + 1;
    for (std::size_t i = 0; i < points_.size(); ++i) {
      if (i % every == every - 1 || i + 1 == points_.size()) result_.points.push_back(points_[i]);
    }
    return std::move(result_);
  }

  Job job_;
  Facts facts_;
  std::int64_t left_ = 0;
  std::int64_t now_ms_ = 0;
  std::int64_t rate_ = 0;
  Forecast result_;
  std::int64_t minute_ms_ = 0;  // when the minute of the last point began
  std::vector<ForecastPoint> points_;
};

}  // namespace

Forecast forecast(Job job, Facts facts, std::int64_t left, std::int64_t now_ms) {
  return Walk(std::move(job), std::move(facts), left, now_ms).run();
}

}  // namespace muster::jobs
