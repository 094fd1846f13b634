// SPDX-License-Identifier: Apache-2.0
#include "store/outbox.h"

#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <thread>

#include "base/log.h"
#include "store/keys.h"
#include "store/schema.h"

namespace muster::store {

namespace {

constexpr std::size_t kBatch = 1000;
// Handled messages are deleted together: one transaction for many, and none that a job update would wait for. What a
// crash within the delay leaves is delivered again.
constexpr auto kDeleteDelay = std::chrono::milliseconds(50);
constexpr std::size_t kDeleteAtOnce = 500;
constexpr auto kIdle = std::chrono::seconds(1);
constexpr auto kRetry = std::chrono::milliseconds(100);

const std::string& outbox_prefix() {
  static const std::string prefix(1, table::kOutbox);
  return prefix;
}

// qos, four bytes big-endian length of the topic, topic, payload.
std::string encode(const OutboxMessage& message) {
  std::string bytes;
  bytes.reserve(5 + message.topic.size() + message.payload.size());
  bytes.push_back(static_cast<char>(message.qos));
  for (int shift = 24; shift >= 0; shift -= 8) bytes.push_back(static_cast<char>(message.topic.size() >> shift));
  bytes.append(message.topic).append(message.payload);
  return bytes;
}

std::optional<OutboxMessage> decode(std::string_view bytes) {
  if (bytes.size() < 5) return std::nullopt;
  std::size_t topic = 0;
  for (std::size_t i = 1; i < 5; ++i) topic = topic << 8 | static_cast<unsigned char>(bytes[i]);
  if (bytes.size() - 5 < topic) return std::nullopt;
  return OutboxMessage{.topic = std::string(bytes.substr(5, topic)),
                       .payload = std::string(bytes.substr(5 + topic)),
                       .qos = static_cast<std::uint8_t>(bytes[0])};
}

}  // namespace

void enqueue(Tx& tx, const OutboxMessage& message) {
  tx.append(outbox_prefix(), encode(message));
}

// The thread reads after `cursor`, hands over, and goes on: the publisher may hold several batches at once, bounded by
// kMaxInHand. Deletes follow in the order in which batches are handled.
struct Outbox::State : std::enable_shared_from_this<Outbox::State> {
  State(Store& s, Publisher p) : store(s), publisher(std::move(p)) {}

  static constexpr std::size_t kMaxInHand = 8;

  Store& store;
  const Publisher publisher;
  std::mutex mutex;
  std::condition_variable changed;
  bool stopping = false;
  bool woken = true;
  std::string cursor = outbox_prefix();  // first key not yet read
  std::size_t in_hand = 0;               // batches with the publisher
  std::size_t deletes_running = 0;
  std::deque<std::string> handled;  // keys to delete
  std::optional<std::chrono::steady_clock::time_point> delete_at;
  bool refused = false;                           // the store refused a delete: no more until delete_at
  std::uint64_t wanted_pass = 0, empty_pass = 0;  // drain() waits for a pass that began after it and found nothing
  std::thread thread;

  void loop();
  bool delete_many() const { return handled.size() >= kDeleteAtOnce && !refused; }
  bool pass();
  std::optional<std::vector<KeyValue>> read();
  void hand_over(std::vector<KeyValue> entries);
  void finished(std::vector<std::string> keys);
  void delete_handled(std::unique_lock<std::mutex>& lock);
};

std::optional<std::vector<KeyValue>> Outbox::State::read() {
  std::vector<KeyValue> entries;
  // Snapshot: a queue is appended to all the time. What a crash could still take back is not released by the store.
  const Status status = run_blocking(store, [&](Tx& tx) -> Status {
    entries = tx.range({.begin = cursor, .end = after_prefix(outbox_prefix()), .limit = kBatch, .snapshot = true});
    return {};
  });
  if (status) return entries;
  log::warn("outbox cannot read; it will try again", {{"error", status.error().message}});
  return std::nullopt;
}

void Outbox::State::finished(std::vector<std::string> keys) {
  const std::lock_guard lock(mutex);
  --in_hand;
  for (auto& key : keys) handled.push_back(std::move(key));
  if (!delete_at) delete_at = std::chrono::steady_clock::now() + kDeleteDelay;
  changed.notify_all();
}

void Outbox::State::hand_over(std::vector<KeyValue> entries) {
  std::vector<OutboxMessage> batch;
  // Shared: whoever delivers copies the callback for every message.
  auto keys = std::make_shared<std::vector<std::string>>();
  batch.reserve(entries.size());
  keys->reserve(entries.size());
  for (auto& entry : entries) {
    if (auto message = decode(entry.value)) {
      if (!message->topic.empty()) batch.push_back(*std::move(message));
    } else {
      log::error("outbox holds a malformed message; it is dropped", {{"bytes", entry.value.size()}});
    }
    keys->push_back(std::move(entry.key));
  }
  auto once = std::make_shared<std::atomic_flag>();
  publisher(std::move(batch), [self = shared_from_this(), keys, once] {
    if (!once->test_and_set()) self->finished(std::move(*keys));
  });
}

void Outbox::State::delete_handled(std::unique_lock<std::mutex>& lock) {
  while (!handled.empty()) {
    const auto count = static_cast<std::ptrdiff_t>(std::min(handled.size(), kBatch));
    auto keys = std::make_shared<std::vector<std::string>>(std::move_iterator(handled.begin()),
                                                           std::move_iterator(handled.begin() + count));
    handled.erase(handled.begin(), handled.begin() + count);
    ++deletes_running;
    lock.unlock();
    store.run(
        [keys](Tx& tx) -> Status {
          for (const auto& key : *keys) tx.erase(key);
          return {};
        },
        [self = shared_from_this(), keys](const Status& status) {
          const std::lock_guard done_lock(self->mutex);
          --self->deletes_running;
          if (!status) {  // kept for the next round: otherwise a restart delivers them again
            for (auto& key : *keys) self->handled.push_back(std::move(key));
            self->delete_at = std::chrono::steady_clock::now() + kRetry;
            self->refused = true;
          }
          self->changed.notify_all();
        });
    lock.lock();
    if (refused) break;
  }
  if (handled.empty()) delete_at.reset();
}

// Reads and hands over one batch; false when there was none.
bool Outbox::State::pass() {
  auto entries = read();
  if (!entries) {
    std::unique_lock lock(mutex);
    changed.wait_for(lock, kRetry, [&] { return stopping; });
    woken = true;
    return false;
  }
  if (entries->empty()) return false;
  cursor = after_key(entries->back().key);
  {
    const std::lock_guard lock(mutex);
    ++in_hand;
  }
  hand_over(*std::move(entries));
  return true;
}

void Outbox::State::loop() {
  std::unique_lock lock(mutex);
  while (!stopping) {
    const bool room = in_hand < kMaxInHand;
    if (room && woken) {
      woken = false;
      const auto this_pass = wanted_pass;
      lock.unlock();
      const bool more = pass();
      lock.lock();
      if (more) {
        woken = true;
      } else {
        empty_pass = std::max(empty_pass, this_pass);
        changed.notify_all();
      }
    }
    const auto now = std::chrono::steady_clock::now();
    if (delete_many() || (delete_at && *delete_at <= now)) {
      delete_at.reset();
      refused = false;
      delete_handled(lock);
    }
    const auto wake_at = std::min(delete_at.value_or(now + kIdle), now + kIdle);
    const bool quiet = !changed.wait_until(lock, wake_at, [&] {
      return stopping || (woken && in_hand < kMaxInHand) || delete_many() || (delete_at && *delete_at < wake_at);
    });
    // Looks by itself now and then: another process of a shared store may have written, or a wake() was forgotten.
    if (quiet && !delete_at) woken = true;
  }
  delete_handled(lock);
  changed.wait(lock, [&] { return deletes_running == 0; });
}

Outbox::Outbox(Store& store, Publisher publisher) : state_(std::make_shared<State>(store, std::move(publisher))) {
  // A message without topic is nothing but a place: once it has been read, the cursor is behind all that an earlier
  // process delivered and deleted, which an LSM engine would otherwise step over at every look.
  store.run(
      [](Tx& tx) -> Status {
        enqueue(tx, {});
        return {};
      },
      [](const Status&) {});
  state_->thread = std::thread([state = state_.get()] { state->loop(); });
}

Outbox::~Outbox() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->stopping = true;
    state_->changed.notify_all();
  }
  state_->thread.join();
}

void Outbox::wake() {
  const std::lock_guard lock(state_->mutex);
  if (std::exchange(state_->woken, true)) return;
  state_->changed.notify_all();
}

void Outbox::drain() {
  std::unique_lock lock(state_->mutex);
  const auto pass = ++state_->wanted_pass;
  state_->woken = true;
  state_->delete_at = std::chrono::steady_clock::now();
  state_->changed.notify_all();
  state_->changed.wait(lock, [&] { return state_->stopping || (state_->empty_pass >= pass && state_->in_hand == 0); });
  // What the publisher has handled since is deleted too, so that a stop right after delivers nothing twice.
  state_->delete_at = std::chrono::steady_clock::now();
  state_->changed.notify_all();
  state_->changed.wait(lock,
                       [&] { return state_->stopping || (state_->handled.empty() && state_->deletes_running == 0); });
}

}  // namespace muster::store
