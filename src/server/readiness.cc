// SPDX-License-Identifier: Apache-2.0
#include "server/readiness.h"

#include <mutex>

#include "store/keys.h"
#include "store/schema.h"

namespace muster::server {
namespace {

constexpr std::int64_t kProbeEveryMs = 1000;
constexpr std::int64_t kProbeDeadlineMs = 5000;

}  // namespace

struct Readiness::State {
  std::mutex mutex;
  bool stopping = false;
  bool probing = false;
  std::int64_t probe_started_ms = 0;
  std::optional<std::string> problem;
};

Readiness::Readiness(store::Store& store, const io::Clock& clock)
    : state_(std::make_shared<State>()), store_(store), clock_(clock) {
  state_->probe_started_ms = clock.steady_ms() - kProbeEveryMs;
}

void Readiness::set_stopping() {
  std::lock_guard lock(state_->mutex);
  state_->stopping = true;
}

std::optional<std::string> Readiness::not_ready() {
  std::int64_t now = clock_.steady_ms();
  bool probe = false;
  {
    std::lock_guard lock(state_->mutex);
    if (state_->stopping) return "stopping";
    if (!state_->probing && now - state_->probe_started_ms >= kProbeEveryMs) {
      state_->probing = probe = true;
      state_->probe_started_ms = now;
    }
  }
  if (probe) {
    auto body = [](store::Tx& tx) -> Status {
      tx.put(store::Key(store::table::kMeta).text("readiness"), std::to_string(tx.now_ms()));
      return {};
    };
    store_.run(body, [state = state_](Status status) {
      std::lock_guard lock(state->mutex);
      state->probing = false;
      state->problem = status ? std::nullopt : std::optional("the store refuses writes: " + status.error().message);
    });
  }
  std::lock_guard lock(state_->mutex);
  if (state_->probing && now - state_->probe_started_ms > kProbeDeadlineMs) return "the store does not answer";
  return state_->problem;
}

}  // namespace muster::server
