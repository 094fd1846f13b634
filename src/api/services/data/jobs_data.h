// SPDX-License-Identifier: Apache-2.0
// The four operations of service "iot-jobs-data": a device's view of its jobs over HTTPS. The same domain functions
// as over MQTT (api/device/jobs_topics); jobDocument is a string here, and numbers are whole seconds. The pipeline
// has authorised the caller, by SigV4 or client certificate. Source: service model iot-jobs-data 2017-09-29.
#pragma once

#include "api/services/iot/jobs.h"
#include "api/wire/operation.h"

namespace muster::api::data {

void register_jobs_data(Operations& operations, const iot::JobsServices& services);

}  // namespace muster::api::data
