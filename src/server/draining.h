// SPDX-License-Identifier: Apache-2.0
// Bounded waits of a stop, on the main thread only.
#pragma once

#include <cstdint>
#include <functional>

namespace muster::server {

// Looks every few milliseconds; false when `deadline_ms` passed first.
bool wait_for(const std::function<bool()>& condition, std::int64_t deadline_ms);
// Calls `begin` with a callback and waits until that was called, on any thread.
bool wait_for_call(const std::function<void(std::function<void()> done)>& begin, std::int64_t deadline_ms);

}  // namespace muster::server
