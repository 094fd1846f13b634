// SPDX-License-Identifier: Apache-2.0
// Readiness: whether the server can do its work, found by writing: a small durable commit, at most one a second and
// only when somebody asks, so that health checks cannot load the disk. Thread-safe; the store and clock outlive it.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "io/env.h"
#include "store/store.h"

namespace muster::server {

class Readiness {
 public:
  Readiness(store::Store& store, const io::Clock& clock);
  // Why not, or nullopt: ready. Starts a probe when the last one is a second old; answers from what is known.
  std::optional<std::string> not_ready();
  void set_stopping();

 private:
  struct State;
  std::shared_ptr<State> state_;
  store::Store& store_;
  const io::Clock& clock_;
};

}  // namespace muster::server
