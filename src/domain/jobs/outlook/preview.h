// SPDX-License-Identifier: Apache-2.0
// Preview: what a job would do, or still will, before anything is sent: targets and overlaps, executions, rate and
// finish, things that are offline now, and what stands in its way (other jobs in their queues, the role, the schedule).
// Reads snapshots and writes nothing. Bounds: looks at kPreviewThings things at most, an equal share of each target;
// beyond that it says that it looked at a sample. Who is online is the broker's to say: the caller asks it about
// `sample` and fills in `offline`.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/finding.h"
#include "base/result.h"
#include "domain/jobs/context.h"
#include "domain/jobs/job.h"
#include "domain/jobs/jobs.h"
#include "domain/jobs/outlook/forecast.h"
#include "store/store.h"

namespace muster::jobs {

inline constexpr std::size_t kPreviewThings = 1000;

struct PreviewTarget {
  std::string arn;
  std::int64_t things = 0;  // members, with those of child groups
};
// Things of the sample of which something is true, and the first few of their names.
struct Concerned {
  std::int64_t count = 0;
  std::vector<std::string> examples;  // at most 3
  void add(const std::string& thing);
};
// A thing as the broker may know it: by its name, or by a certificate that is attached to it.
struct SampledThing {
  std::string name;
  std::vector<std::string> certificate_ids;
};
struct Preview {
  std::vector<PreviewTarget> targets;
  std::int64_t things = 0;      // targeted; a thing in two targets counts twice
  std::int64_t executions = 0;  // to be created from now on
  bool sampled = false;         // not every thing was looked at; counts of things are those of the sample
  std::vector<SampledThing> sample;
  std::int64_t overlaps = 0;            // looked at in more than one target
  Concerned in_progress;                // have another job's execution in progress
  Concerned behind;                     // another job's execution of higher priority is queued
  Concerned crowded;                    // have kCrowded or more pending
  std::optional<std::int64_t> offline;  // of the sample; nullopt: nobody asked
  bool concurrency_full = false;        // so many jobs roll out now that this one may not start
  std::string role_problem;             // the documents' URLs cannot be signed; empty: they can, or there are none
  Forecast rollout;
};

inline constexpr std::size_t kCrowded = 10;

// The job that a request would make, unchecked but for targets: kInvalid, kNotFound.
Result<Job> planned_job(const Context& context, store::Tx& tx, const NewJob& request);
// Of a job that does not exist yet.
Result<Preview> preview_new_job(const Context& context, store::Tx& tx, const Job& job);
// Of what is left of one that does. kNotFound.
Result<Preview> preview_job(const Context& context, store::Tx& tx, std::string_view job_id);

// Executions that a rollout has still to create, of `fleet`: by its own count where it keeps one, which retries are not
// in.
std::int64_t left_to_roll_out(const Job& job, const Facts& facts, std::int64_t fleet);

Findings explain(const Job& job, const Preview& preview);

}  // namespace muster::jobs
