// SPDX-License-Identifier: Apache-2.0
#include "mqtt/broker/journal.h"

#include <algorithm>
#include <utility>

#include "base/log.h"

namespace muster::mqtt {

namespace {

constexpr std::int64_t kFirstRetryMs = 100;
constexpr std::int64_t kLongestRetryMs = 5000;

struct Change {
  std::string key;
  std::string value;
  bool erase = false;
};

}  // namespace

struct Journal::State : std::enable_shared_from_this<Journal::State> {
  struct Batch {
    std::vector<Change> changes;
    std::vector<Waiter> waiters;
    std::vector<std::function<void()>> callbacks;
    void clear() {
      changes.clear();
      waiters.clear();
      callbacks.clear();
    }
  };

  State(io::Loop& owner, store::Store& target, OnDurable durable)
      : loop(owner), store(target), on_durable(std::move(durable)) {}

  void start();
  void finished(const Status& status);
  void release(Batch& batch);

  io::Loop& loop;
  store::Store& store;
  OnDurable on_durable;
  Batch open;
  // Shared with the transaction's body, which may run on a thread of the store; not touched here until it is done.
  std::shared_ptr<Batch> running;
  std::shared_ptr<Batch> spare = std::make_shared<Batch>();
  std::unique_ptr<io::Loop::TimerToken> retry;
  std::int64_t retry_ms = kFirstRetryMs;
  std::uint64_t batches = 0;
  bool failing = false;
  bool closed = false;
};

void Journal::State::start() {
  store::Store::Body body = [batch = running](store::Tx& tx) -> Status {
    for (const Change& change : batch->changes) {
      if (change.erase) {
        tx.erase(change.key);
      } else {
        tx.put(change.key, change.value);
      }
    }
    return {};
  };
  std::weak_ptr<State> weak = weak_from_this();
  io::Loop* owner = &loop;
  store.run(std::move(body), [weak, owner](Status status) {
    // Always by way of the loop: the store calls on a thread of its own, or before run() returned. A journal that is
    // gone may have taken its loop along.
    if (const auto alive = weak.lock(); alive && !alive->closed) {
      owner->post([weak, status = std::move(status)] {
        if (const auto self = weak.lock(); self && !self->closed) self->finished(status);
      });
    }
  });
}

void Journal::State::finished(const Status& status) {
  if (!status) {
    if (!failing) {
      log::error("mqtt: sessions cannot be stored, acknowledgements wait",
                 {{"error", status.error().message}, {"changes", std::uint64_t{running->changes.size()}}});
    }
    failing = true;
    retry = loop.after_ms(retry_ms, [weak = weak_from_this()] {
      if (const auto self = weak.lock(); self && !self->closed) self->start();
    });
    retry_ms = std::min(retry_ms * 2, kLongestRetryMs);
    return;
  }
  if (failing) log::info("mqtt: sessions are stored again");
  failing = false;
  retry.reset();
  retry_ms = kFirstRetryMs;
  ++batches;
  const std::shared_ptr<Batch> done = std::exchange(running, nullptr);
  release(*done);
  done->clear();
  if (!spare) spare = done;
}

void Journal::State::release(Batch& batch) {
  on_durable(batch.waiters);
  // By value: a callback may collect more.
  const auto callbacks = std::exchange(batch.callbacks, {});
  for (const auto& callback : callbacks) callback();
}

Journal::Journal(io::Loop& loop, store::Store& store, OnDurable on_durable)
    : state_(std::make_shared<State>(loop, store, std::move(on_durable))) {}

Journal::~Journal() {
  state_->closed = true;
}

void Journal::put(std::string key, std::string value) {
  state_->open.changes.push_back({std::move(key), std::move(value), false});
}

void Journal::erase(std::string key) {
  state_->open.changes.push_back({std::move(key), {}, true});
}

void Journal::wait(Waiter waiter) {
  state_->open.waiters.push_back(waiter);
}
void Journal::wait(std::function<void()> durable) {
  state_->open.callbacks.push_back(std::move(durable));
}

void Journal::commit() {
  State& state = *state_;
  if (state.running) return;  // finished() makes the broker end another round
  if (state.open.changes.empty()) {
    if (state.open.waiters.empty() && state.open.callbacks.empty()) return;
    State::Batch batch = std::exchange(state.open, {});
    state.release(batch);
    return;
  }
  state.running = state.spare ? std::exchange(state.spare, nullptr) : std::make_shared<State::Batch>();
  std::swap(*state.running, state.open);
  state.start();
}

bool Journal::idle() const {
  return !state_->running && state_->open.changes.empty() && state_->open.waiters.empty() &&
         state_->open.callbacks.empty();
}
bool Journal::failing() const {
  return state_->failing;
}
std::uint64_t Journal::batches() const {
  return state_->batches;
}

}  // namespace muster::mqtt
