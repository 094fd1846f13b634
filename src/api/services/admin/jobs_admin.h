// SPDX-License-Identifier: Apache-2.0
// Operations of service "muster" on jobs: pause, resume, approve and continue a rollout, look ahead (previews), and
// watch one. The four that change something write the reserved tags of domain/jobs/controls.h, in one transaction with
// what follows from them, so both ways to a control show the same. The resource of each is the job's ARN.
#pragma once

#include "api/services/iot/jobs.h"
#include "api/wire/operation.h"

namespace muster::api::admin {

void register_jobs_admin(Operations& operations, const iot::JobsServices& services);

}  // namespace muster::api::admin
