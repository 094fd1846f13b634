// SPDX-License-Identifier: Apache-2.0
#include "store/timers.h"

#include <condition_variable>
#include <map>
#include <mutex>
#include <thread>

#include "base/log.h"
#include "base/text.h"
#include "store/keys.h"
#include "store/schema.h"

namespace muster::store {

namespace {

constexpr std::size_t kBatch = 256;
constexpr std::int64_t kRetryMs = 60'000;
constexpr std::int64_t kIdleMs = 1'000;
constexpr std::int64_t kLeastWaitMs = 5;  // bounds what timers armed for the past can cost

std::string due_key(std::int64_t due_ms, std::string_view kind, std::string_view id) {
  return Key(table::kTimer).integer(due_ms).text(kind).text(id).str();
}
std::string id_key(std::string_view kind, std::string_view id) {
  return Key(table::kTimerById).text(kind).text(id).str();
}

struct Timer {
  std::int64_t due_ms = 0;
  std::string kind, id, payload;
};

std::optional<Timer> read_timer(const KeyValue& entry) {
  KeyReader key(entry.key);
  auto due_ms = key.integer();
  auto kind = key.text();
  auto id = key.text();
  if (!due_ms || !kind || !id) return std::nullopt;
  return Timer{*due_ms, *std::move(kind), *std::move(id), entry.value};
}

// Removes the timer if it is still armed for that time; false when it was moved, disarmed or fired meanwhile.
bool take(Tx& tx, const Timer& timer) {
  const std::string due = due_key(timer.due_ms, timer.kind, timer.id);
  if (!tx.get(due)) return false;
  tx.erase(due);
  const std::string by_id = id_key(timer.kind, timer.id);
  if (tx.get(by_id) == std::to_string(timer.due_ms)) tx.erase(by_id);
  return true;
}

// Refusals of the store, not of the handler: the timer stays armed as it is and is tried again soon.
bool is_passing(const Error& error) {
  return error.kind == ErrorKind::kUnavailable || error.kind == ErrorKind::kThrottled ||
         error.kind == ErrorKind::kConflict;
}

}  // namespace

void disarm(Tx& tx, std::string_view kind, std::string_view id) {
  const std::string by_id = id_key(kind, id);
  const auto old = tx.get(by_id);
  if (!old) return;
  if (const auto due_ms = parse_int(*old)) tx.erase(due_key(*due_ms, kind, id));
  tx.erase(by_id);
}

void arm(Tx& tx, std::string_view kind, std::string_view id, std::int64_t due_ms, std::string_view payload) {
  disarm(tx, kind, id);
  tx.put(due_key(due_ms, kind, id), payload);
  tx.put(id_key(kind, id), std::to_string(due_ms));
}

void rearm(Tx& tx, std::string_view kind, std::string_view id, Rearm times) {
  if (times.from_ms == times.to_ms) return;
  if (times.from_ms != 0) tx.erase(due_key(times.from_ms, kind, id));
  if (times.to_ms != 0) tx.put(due_key(times.to_ms, kind, id), {});
}

struct Timers::State {
  State(Store& s, std::function<std::int64_t()> n) : store(s), now(std::move(n)) {}

  Store& store;
  const std::function<std::int64_t()> now;
  std::map<std::string, TimerHandler, std::less<>> handlers;
  std::mutex mutex;
  std::condition_variable changed;
  bool stopping = false;
  std::thread thread;

  // One page of timers from `cursor` on. Nullopt when the store cannot be read.
  std::optional<std::vector<Timer>> read(const std::string& cursor, std::size_t limit);
  bool fire(const std::vector<Timer>& timers);
  Status handle(Tx& tx, const Timer& timer, std::function<void()>& committed) const;
  bool postpone(const Timer& timer, const Error& error);
  std::int64_t fire_due();
  bool is_stopping() {
    const std::lock_guard lock(mutex);
    return stopping;
  }
  void loop();
};

std::optional<std::vector<Timer>> Timers::State::read(const std::string& cursor, std::size_t limit) {
  std::vector<KeyValue> entries;
  const Status status = run_blocking(store, [&](Tx& tx) -> Status {
    const std::string end = after_prefix(std::string(1, table::kTimer));
    entries = tx.range({.begin = cursor, .end = end, .limit = limit, .snapshot = true});
    return {};
  });
  if (!status) {
    log::warn("timers cannot be read; they will be tried again", {{"error", status.error().message}});
    return std::nullopt;
  }
  std::vector<Timer> timers;
  for (const auto& entry : entries) {
    if (auto timer = read_timer(entry)) {
      timers.push_back(*std::move(timer));
    } else {
      log::error("a timer's key is malformed; it is left alone", {{"key", to_hex(entry.key)}});
    }
  }
  return timers;
}

Status Timers::State::handle(Tx& tx, const Timer& timer, std::function<void()>& committed) const {
  committed = nullptr;
  if (!take(tx, timer)) return {};
  const auto handler = handlers.find(timer.kind);
  if (handler == handlers.end()) return internal("no handler for timers of this kind");
  return handler->second(tx, timer.id, timer.payload, committed);
}

bool Timers::State::postpone(const Timer& timer, const Error& error) {
  if (is_passing(error)) return false;
  log::error("a timer failed; it is tried again in a minute",
             {{"kind", timer.kind}, {"id", timer.id}, {"error", error.message}});
  const Status status = run_blocking(store, [&](Tx& tx) -> Status {
    if (take(tx, timer)) arm(tx, timer.kind, timer.id, std::max(timer.due_ms, now()) + kRetryMs, timer.payload);
    return {};
  });
  if (!status) log::warn("a failed timer could not be moved", {{"error", status.error().message}});
  return status.has_value();
}

// All at once, so that they share group commits; returns when each has ended. False when the store refused one.
bool Timers::State::fire(const std::vector<Timer>& timers) {
  struct Round {
    std::mutex mutex;
    std::condition_variable ended;
    std::size_t left = 0;
    std::vector<std::pair<std::size_t, Error>> failed;
  };
  auto round = std::make_shared<Round>();
  round->left = timers.size();
  for (std::size_t i = 0; i < timers.size(); ++i) {
    auto committed = std::make_shared<std::function<void()>>();
    store.run([this, &timer = timers[i], committed](Tx& tx) { return handle(tx, timer, *committed); },
              [round, i, committed](const Status& status) {
                if (status && *committed) (*committed)();
                const std::lock_guard lock(round->mutex);
                if (!status) round->failed.emplace_back(i, status.error());
                if (--round->left == 0) round->ended.notify_all();
              });
  }
  std::unique_lock lock(round->mutex);
  round->ended.wait(lock, [&] { return round->left == 0; });
  bool accepted = true;
  for (const auto& [i, error] : round->failed) accepted = postpone(timers[i], error) && accepted;
  return accepted;
}

// Goes through what is due once, in order: a handler that arms its timer again for a time gone by does not keep it
// here.
std::int64_t Timers::State::fire_due() {
  const std::int64_t now_ms = now();
  const std::string first(1, table::kTimer);
  std::string cursor = first;
  bool accepted = true;
  while (!is_stopping()) {
    auto timers = read(cursor, kBatch);
    if (!timers) return now_ms + kIdleMs;
    const bool full = !timers->empty() && timers->back().due_ms <= now_ms;
    std::erase_if(*timers, [&](const Timer& timer) { return timer.due_ms > now_ms; });
    if (!timers->empty()) {
      cursor = after_key(due_key(timers->back().due_ms, timers->back().kind, timers->back().id));
      accepted = fire(*timers) && accepted;
    }
    if (!full) break;
  }
  if (!accepted) return now_ms + kIdleMs;
  const auto next = read(first, 1);
  if (!next) return now_ms + kIdleMs;
  return next->empty() ? -1 : next->front().due_ms;
}

void Timers::State::loop() {
  std::unique_lock lock(mutex);
  while (!stopping) {
    lock.unlock();
    const std::int64_t next_ms = fire_due();
    const std::int64_t now_ms = now();
    lock.lock();
    // Wakes by itself once a second: the wall clock may be set, and another process may arm timers.
    const std::int64_t wait_ms =
        next_ms < 0 ? kIdleMs : std::clamp<std::int64_t>(next_ms - now_ms, kLeastWaitMs, kIdleMs);
    changed.wait_for(lock, std::chrono::milliseconds(wait_ms), [&] { return stopping; });
  }
}

Timers::Timers(Store& store, std::function<std::int64_t()> now)
    : state_(std::make_shared<State>(store, std::move(now))) {}

Timers::~Timers() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->stopping = true;
    state_->changed.notify_all();
  }
  if (state_->thread.joinable()) state_->thread.join();
}

void Timers::handle(std::string_view kind, TimerHandler handler) {
  state_->handlers.insert_or_assign(std::string(kind), std::move(handler));
}

void Timers::start_thread() {
  if (state_->thread.joinable()) return;
  state_->thread = std::thread([state = state_.get()] { state->loop(); });
}

std::int64_t Timers::fire_due() {
  return state_->fire_due();
}

}  // namespace muster::store
