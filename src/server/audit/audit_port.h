// SPDX-License-Identifier: Apache-2.0
// Refusals of the device front as events of the audit log. Nobody waits for these: a device that is refused is answered
// at once, and its first refusal is in the file within the moment that the log's thread needs.
#pragma once

#include "api/device/denials.h"
#include "base/ids.h"
#include "base/result.h"
#include "domain/audit/trail.h"
#include "io/http_server.h"

namespace muster::server {

void record_refusal(audit::Trail& trail, const Realm& realm, const api::device::Refused& refused);
void record_refused_upgrade(audit::Trail& trail, const io::HttpRequest& request, const Error& error);

}  // namespace muster::server
