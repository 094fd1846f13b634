// SPDX-License-Identifier: Apache-2.0
// sd_notify(3): tells the service manager that started us (NOTIFY_SOCKET) about readiness and stopping. Silent when
// there is none.
#pragma once

#include <string_view>

namespace muster::server {

// `state` as sd_notify: "READY=1", "STOPPING=1", "STATUS=...".
void notify_service_manager(std::string_view socket_path, std::string_view state);

}  // namespace muster::server
