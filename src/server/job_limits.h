// SPDX-License-Identifier: Apache-2.0
// The limits of Jobs as the settings have them.
#pragma once

#include "domain/jobs/context.h"
#include "server/config.h"

namespace muster::server {

jobs::Limits job_limits(const Config& config);

}  // namespace muster::server
