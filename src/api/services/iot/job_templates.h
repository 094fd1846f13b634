// SPDX-License-Identifier: Apache-2.0
// Job templates at the API: custom and managed ones (domain/jobs/templates.h), and what CreateJob needs of them.
// register_jobs() calls register_job_templates(); the handlers share its JobsServices.
#pragma once

#include <memory>

#include "api/services/iot/jobs.h"
#include "api/wire/operation.h"
#include "base/result.h"
#include "domain/jobs/jobs.h"
#include "store/store.h"

namespace muster::api::iot {

void register_job_templates(Operations& operations, const std::shared_ptr<const JobsServices>& services);

// jobs::apply_template for CreateJob. A role that only the template names must be the caller's to pass, as if it stood
// in the request: the document may be the caller's own. kAccessDenied.
Status use_template(const JobsServices& services, store::Tx& tx, const Call& call, jobs::NewJob& job);

}  // namespace muster::api::iot
