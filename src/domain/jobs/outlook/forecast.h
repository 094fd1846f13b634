// SPDX-License-Identifier: Apache-2.0
// Forecast: how a rollout will go on from now if nobody interferes: plan.h's decide() asked again and again on virtual
// time, so that it cannot differ from what the engine does. Pure. Who has to act is assumed to act at once (approval,
// pause, gates), other jobs to leave room, and every execution to succeed at once; what was assumed is in the answer.
// Bounds: kForecastSteps decisions; what is left then is reckoned at the last rate, but for a job with windows, whose
// finish is then not foreseen.
#pragma once

#include <cstdint>
#include <vector>

#include "domain/jobs/plan.h"

namespace muster::jobs {

inline constexpr int kForecastSteps = 5'000;
inline constexpr std::size_t kForecastPoints = 20;

struct ForecastPoint {
  std::int64_t at_ms = 0;
  std::int64_t rolled_out = 0;  // in all until then
};
struct Forecast {
  std::int64_t starts_ms = 0;    // of what is still to come; 0: nothing is
  std::int64_t finishes_ms = 0;  // the last execution is queued; 0: it will not come to that
  std::int64_t peak_rate = 0;    // a minute; 0: unlimited
  std::int64_t left_out = 0;     // executions that the schedule's end leaves out
  bool approximate = false;      // reckoned, not walked through to the end
  bool ended = false;            // the end of the schedule comes first
  bool assumed_approval = false, assumed_resume = false;
  std::size_t assumed_gates = 0;      // passed without waiting
  std::vector<ForecastPoint> points;  // at most kForecastPoints, the last of them the finish
};

// `left`: executions still to be created.
Forecast forecast(Job job, Facts facts, std::int64_t left, std::int64_t now_ms);

}  // namespace muster::jobs
