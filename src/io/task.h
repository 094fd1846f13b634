// SPDX-License-Identifier: Apache-2.0
// Task<T>: a coroutine that ends in a Result<T>. Awaited by its caller in the same statement, or spawned on a Loop that
// owns it. See STYLE.md for the form an await may take.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <cstdint>

#include "base/result.h"

namespace muster::io {

template <class T>
using Task = boost::asio::awaitable<Result<T>>;

// Suspends the calling coroutine, which runs on a Loop, for that long.
boost::asio::awaitable<void> sleep_ms(std::int64_t delay_ms);

}  // namespace muster::io
