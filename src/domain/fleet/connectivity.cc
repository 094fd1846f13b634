// SPDX-License-Identifier: Apache-2.0
// kConnectivity: thing -> {on, at, why}.
#include "domain/fleet/connectivity.h"

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/log.h"
#include "domain/registry/things.h"
#include "store/keys.h"
#include "store/schema.h"

namespace muster::fleet {

namespace {

constexpr std::size_t kBatch = 200;
constexpr std::size_t kSettleBatch = 500;
constexpr auto kDrain = std::chrono::seconds(5);  // a stop waits for a write
constexpr int kDrainFailures = 30;
constexpr auto kDrainRetry = std::chrono::milliseconds(100);

}  // namespace

std::string connectivity_key(std::string_view thing) {
  return store::Key(store::table::kConnectivity).text(thing).str();
}

std::string encode(const Connectivity& connectivity) {
  json::object record{{"on", connectivity.connected}, {"at", connectivity.changed_ms}};
  if (!connectivity.disconnect_reason.empty()) record["why"] = connectivity.disconnect_reason;
  return to_text(record);
}

Result<Connectivity> decode_connectivity(std::string_view text) {
  Connectivity connectivity;
  if (text.empty()) return connectivity;
  TRY(const json::object record, parse_record(text));
  connectivity.connected = get_bool(record, "on");
  connectivity.changed_ms = get_int(record, "at");
  connectivity.disconnect_reason = get_string(record, "why");
  return connectivity;
}

json::object connectivity_shape(const Connectivity& connectivity) {
  json::object shape{{"connected", connectivity.connected}};
  if (connectivity.changed_ms > 0) shape["timestamp"] = connectivity.changed_ms;
  if (!connectivity.disconnect_reason.empty()) shape["disconnectReason"] = connectivity.disconnect_reason;
  return shape;
}

struct ConnectivityRecorder::State : std::enable_shared_from_this<State> {
  explicit State(store::Store& s) : store(s) {}

  struct Connected {
    std::string session;
    std::int64_t since_ms = 0;
  };
  using Changes = std::unordered_map<std::string, Connectivity>;

  store::Store& store;
  std::mutex mutex;
  std::condition_variable idle;
  std::unordered_map<std::string, Connected> connected;  // clients, whether things or not
  Changes waiting;
  bool on = false;
  bool writing = false;
  bool failed = false;  // the last write
  bool stopped = false;
  std::function<void()> on_failure;

  bool is_connected(const std::string& client) {
    const std::lock_guard lock(mutex);
    return connected.contains(client);
  }
  void note(std::string client, Connectivity change, std::unique_lock<std::mutex>& lock);
  void write(std::unique_lock<std::mutex>& lock);
  void written(const Status& status, std::shared_ptr<const Changes> batch);
};

void ConnectivityRecorder::State::note(std::string client, Connectivity change, std::unique_lock<std::mutex>& lock) {
  if (!on || stopped) return;
  waiting[std::move(client)] = std::move(change);
  if (!writing) write(lock);
}

// The store may call back before run() returns: without the lock.
void ConnectivityRecorder::State::write(std::unique_lock<std::mutex>& lock) {
  writing = true;
  auto batch = std::make_shared<Changes>();
  while (!waiting.empty() && batch->size() < kBatch) batch->insert(waiting.extract(waiting.begin()));
  lock.unlock();
  auto body = [batch](store::Tx& tx) -> Status {
    for (const auto& [client, change] : *batch)
      if (registry::thing_exists(tx, client)) tx.put(connectivity_key(client), encode(change));
    return {};
  };
  store.run(body, [self = shared_from_this(), batch](Status status) { self->written(status, batch); });
  lock.lock();
}

void ConnectivityRecorder::State::written(const Status& status, std::shared_ptr<const Changes> batch) {
  std::unique_lock lock(mutex);
  writing = false;
  failed = !status;
  if (!status) {
    log::warn("connectivity of things could not be recorded", {{"reason", status.error().message}});
    // Younger changes win. Tried again with the next change, or by who is told.
    for (const auto& [client, change] : *batch) waiting.emplace(client, change);
    if (on_failure && !stopped) on_failure();
  } else if (!waiting.empty() && on && !stopped) {
    write(lock);
  }
  if (!writing) idle.notify_all();
}

ConnectivityRecorder::ConnectivityRecorder(store::Store& store) : state_(std::make_shared<State>(store)) {}

ConnectivityRecorder::~ConnectivityRecorder() {
  stop();
}

void ConnectivityRecorder::connected(std::string_view client, std::string_view session, std::int64_t now_ms) {
  std::unique_lock lock(state_->mutex);
  state_->connected[std::string(client)] = {.session = std::string(session), .since_ms = now_ms};
  state_->note(std::string(client), {.connected = true, .changed_ms = now_ms, .disconnect_reason = {}}, lock);
}

void ConnectivityRecorder::disconnected(std::string_view client, std::string_view session, std::string_view reason,
                                        std::int64_t now_ms) {
  std::unique_lock lock(state_->mutex);
  auto found = state_->connected.find(std::string(client));
  if (found == state_->connected.end() || found->second.session != session) return;
  state_->connected.erase(found);
  state_->note(std::string(client),
               {.connected = false, .changed_ms = now_ms, .disconnect_reason = std::string(reason)}, lock);
}

void ConnectivityRecorder::recall(std::string_view thing) {
  std::unique_lock lock(state_->mutex);
  auto found = state_->connected.find(std::string(thing));
  if (found == state_->connected.end()) return;
  state_->note(found->first, {.connected = true, .changed_ms = found->second.since_ms, .disconnect_reason = {}}, lock);
}

void ConnectivityRecorder::on_failure(std::function<void()> told) {
  const std::lock_guard lock(state_->mutex);
  state_->on_failure = std::move(told);
}

void ConnectivityRecorder::retry() {
  std::unique_lock lock(state_->mutex);
  if (state_->on && !state_->stopped && !state_->writing && !state_->waiting.empty()) state_->write(lock);
}

bool ConnectivityRecorder::set_on(bool on) {
  std::unique_lock lock(state_->mutex);
  if (std::exchange(state_->on, on) == on || state_->stopped) return false;
  if (!on) {
    state_->waiting.clear();
    return false;
  }
  for (const auto& [client, since] : state_->connected)
    state_->waiting[client] = {.connected = true, .changed_ms = since.since_ms, .disconnect_reason = {}};
  if (!state_->writing && !state_->waiting.empty()) state_->write(lock);
  return true;
}

// A client that connects meanwhile is in the map before its record is written: a settlement that has not seen it
// conflicts with that write and runs again.
Status ConnectivityRecorder::settle(std::int64_t now_ms, std::string_view reason) {
  const std::string prefix(1, store::table::kConnectivity);
  std::string begin = prefix;
  for (;;) {
    TRY(const std::string next, store::run_blocking_for(state_->store, [&](store::Tx& tx) -> Result<std::string> {
          const auto rows =
              tx.range({.begin = begin, .end = store::after_prefix(prefix), .limit = kSettleBatch, .snapshot = true});
          for (const store::KeyValue& row : rows) {
            auto client = store::KeyReader(row.key).text();
            TRY(const Connectivity seen, decode_connectivity(row.value));
            if (!client || !seen.connected) continue;
            TRY(Connectivity now, decode_connectivity(tx.get(row.key).value_or("")));
            if (!now.connected || state_->is_connected(*client)) continue;
            tx.put(row.key,
                   encode({.connected = false, .changed_ms = now_ms, .disconnect_reason = std::string(reason)}));
          }
          return rows.size() < kSettleBatch ? std::string() : store::after_key(rows.back().key);
        }));
    if (next.empty()) return {};
    begin = next;
  }
}

void ConnectivityRecorder::stop() {
  std::unique_lock lock(state_->mutex);
  const auto is_idle = [this] { return !state_->writing; };
  for (int failures = 0; state_->on && !state_->stopped;) {
    if (!state_->idle.wait_for(lock, kDrain, is_idle) || state_->waiting.empty()) break;
    if (std::exchange(state_->failed, false)) {
      if (++failures > kDrainFailures) break;
      state_->idle.wait_for(lock, kDrainRetry);
    }
    if (!state_->writing) state_->write(lock);
  }
  state_->stopped = true;
  state_->on_failure = nullptr;
  if (state_->on && !state_->waiting.empty())
    log::warn("connectivity of things was not recorded before the stop", {{"things", state_->waiting.size()}});
  state_->idle.wait(lock, is_idle);
}

}  // namespace muster::fleet
