// SPDX-License-Identifier: Apache-2.0
#include "store/store.h"

#include <condition_variable>
#include <mutex>

namespace muster::store {

Status run_blocking(Store& store, const Store::Body& body) {
  struct Wait {
    std::mutex mutex;
    std::condition_variable changed;
    bool done = false;
    Status status;
  };
  // Shared: the engine's thread may still be inside notify when the waiter has left.
  auto wait = std::make_shared<Wait>();
  store.run(body, [wait](Status status) {
    const std::lock_guard lock(wait->mutex);
    wait->status = std::move(status);
    wait->done = true;
    wait->changed.notify_one();
  });
  std::unique_lock lock(wait->mutex);
  wait->changed.wait(lock, [&] { return wait->done; });
  return std::move(wait->status);
}

}  // namespace muster::store
