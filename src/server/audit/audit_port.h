// SPDX-License-Identifier: Apache-2.0
// The device front's refusals, and its calls that change the control plane, as events of the audit log. Nobody waits
// for refusals: a device that is refused is answered at once, and its first refusal is in the file within the moment
// that the log's thread needs.
#pragma once

#include "api/device/denials.h"
#include "api/device/device_calls.h"
#include "base/ids.h"
#include "base/result.h"
#include "domain/audit/trail.h"
#include "io/http_server.h"

namespace muster::server {

void record_refusal(audit::Trail& trail, const Realm& realm, const api::device::Refused& refused);
void record_refused_upgrade(audit::Trail& trail, const io::HttpRequest& request, const Error& error);

// `trail` outlives what is made of it. Denials, strangers' failures and what was refused at first sight are collapsed.
api::device::DeviceCalls device_calls(audit::Trail& trail, const Realm& realm);
audit::Event event_of(const api::device::DeviceCall& call, const Realm& realm);

}  // namespace muster::server
