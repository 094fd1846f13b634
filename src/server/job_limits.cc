// SPDX-License-Identifier: Apache-2.0
#include "server/job_limits.h"

namespace muster::server {

jobs::Limits job_limits(const Config& config) {
  jobs::Limits limits;
  limits.max_active_jobs = config.jobs_max_active;
  limits.max_concurrent_jobs = config.jobs_max_concurrent;
  limits.default_timeout_minutes = config.jobs_default_timeout_minutes;
  limits.queued_days = config.jobs_queued_days;
  limits.retention_days = config.jobs_retention_days;
  return limits;
}

}  // namespace muster::server
