// SPDX-License-Identifier: Apache-2.0
// transact(): the awaitable form of Store::run for coroutines: runs the body, suspends until the commit is durable, and
// resumes on the coroutine's own executor.
#pragma once

#include <memory>
#include <type_traits>
#include <utility>

#include "io/task.h"
#include "store/store.h"

namespace muster::store {

io::Task<void> transact_status(Store& store, Store::Body body);

// Body: Result<T>(Tx&), possibly run more than once. Captures by value or reference to what outlives the await.
template <class F, class R = std::invoke_result_t<F&, Tx&>>
boost::asio::awaitable<R> transact(Store& store, F body) {
  auto result = std::make_shared<R>();
  auto shared = std::make_shared<F>(std::move(body));
  Store::Body wrapped = [result, shared](Tx& tx) -> Status {
    *result = (*shared)(tx);
    if (!*result) return result->error();
    return {};
  };
  Status status = co_await transact_status(store, std::move(wrapped));
  if (!status) co_return std::move(status).error();
  co_return std::move(*result);
}

}  // namespace muster::store
