// SPDX-License-Identifier: Apache-2.0
// Task<T>: a coroutine that ends in a Result<T>. Awaited by its caller in the same statement, or spawned on a Loop that
// owns it. See STYLE.md for the form an await may take.
#pragma once

#include <boost/asio/awaitable.hpp>

#include "base/result.h"

namespace muster::io {

template <class T>
using Task = boost::asio::awaitable<Result<T>>;

}  // namespace muster::io
