// SPDX-License-Identifier: Apache-2.0
// Which filters below '$' a client may subscribe to: those that can match a topic on which this server publishes or
// answers. Everything else of AWS's reserved topics (rules, tunnels, registry events) is refused
// rather than accepted and never served. What clients may publish below '$' is what an IngressHook takes. Pure
// functions. Source: AWS IoT developer guide, "Reserved topics".
#pragma once

#include <string_view>

namespace muster::api::device {

// True for filters without '$' in front, and for "$share/GROUP/FILTER" when FILTER may be subscribed to. `filter` is
// valid MQTT. `sys`: $SYS/broker/... is published.
bool is_served_filter(std::string_view filter, bool sys);

// Topics of the Jobs API on which the server speaks and clients listen: .../accepted, .../rejected, notify,
// notify-next and those two of a namespace.
bool is_jobs_answer_topic(std::string_view topic);

}  // namespace muster::api::device
