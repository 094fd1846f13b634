// SPDX-License-Identifier: Apache-2.0
#include "mqtt/broker/message_log.h"

#include <atomic>

#include "base/log.h"

namespace muster::mqtt {

namespace {

constexpr std::size_t kLazyBytes = 64 * 1024;
constexpr std::uint8_t kRetain = 4, kReleased = 8;

void put(std::string& out, std::uint64_t value, unsigned bytes) {
  char text[8];
  for (unsigned i = 0; i < bytes; ++i) text[i] = static_cast<char>(value >> (8 * i));
  out.append(text, bytes);
}
void put_text(std::string& out, std::string_view text) {
  put(out, text.size(), 4);
  out += text;
}

class Reader {
 public:
  explicit Reader(std::string_view bytes) : rest_(bytes) {}
  std::uint64_t number(unsigned bytes) {
    if (rest_.size() < bytes) {
      ok_ = false;
      rest_ = {};
      return 0;
    }
    std::uint64_t value = 0;
    for (unsigned i = bytes; i-- > 0;) value = value << 8 | static_cast<unsigned char>(rest_[i]);
    rest_.remove_prefix(bytes);
    return value;
  }
  std::string_view text() {
    const std::uint64_t size = number(4);
    if (rest_.size() < size) {
      ok_ = false;
      rest_ = {};
      return {};
    }
    const std::string_view value = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return value;
  }
  bool ok() const { return ok_; }
  bool empty() const { return rest_.empty(); }

 private:
  std::string_view rest_;
  bool ok_ = true;
};

MessageRef read_message(Reader& reader) {
  auto* message = new Message;
  MessageRef owner(message);
  message->qos = static_cast<std::uint8_t>(reader.number(1) & 3);
  message->expires_ms = static_cast<std::int64_t>(reader.number(8));
  message->created_ms = static_cast<std::int64_t>(reader.number(8));
  message->present = reader.number(8);
  message->topic = reader.text();
  message->properties = reader.text();
  message->payload = reader.text();
  return owner;
}

void read_entry(Reader& reader, const MessageRef& message, RestoredQueues& into) {
  const std::uint64_t session = reader.number(8);
  const std::uint64_t number = reader.number(8);
  const std::uint64_t flags = reader.number(1);
  RestoredEntry entry;
  entry.message = message;
  entry.qos = static_cast<std::uint8_t>(flags & 3);
  entry.retain = (flags & kRetain) != 0;
  entry.released = (flags & kReleased) != 0;
  const std::uint64_t count = reader.number(1);
  for (std::uint64_t i = 0; i < count && reader.ok(); ++i) {
    entry.identifiers.push_back(static_cast<std::uint32_t>(reader.number(4)));
  }
  if (!reader.ok() || !message) return;
  RestoredEntry& slot = into[session].entries[number];
  entry.released |= slot.released;  // written again after it was released
  slot = std::move(entry);
}

}  // namespace

void restore_record(std::string_view record, RestoredQueues& into) {
  Reader reader(record);
  MessageRef message;
  while (reader.ok() && !reader.empty()) {
    const auto kind = static_cast<char>(reader.number(1));
    if (kind == 'M') {
      message = read_message(reader);
      continue;
    }
    if (kind == 'T') {
      read_entry(reader, message, into);
      continue;
    }
    const std::uint64_t session = reader.number(8);
    if (kind == 'E') {
      if (reader.ok()) into.erase(session);
      continue;
    }
    const bool with_number = kind == 'D' || kind == 'R';
    const std::uint64_t what = reader.number(with_number ? 8 : 2);
    if (!reader.ok()) break;
    const auto at = into.find(session);
    if (kind == 'D') {
      if (at != into.end()) at->second.entries.erase(what);
    } else if (kind == 'R') {
      if (at == into.end()) continue;
      const auto entry = at->second.entries.find(what);
      if (entry != at->second.entries.end()) entry->second.released = true;
    } else if (kind == 'I') {
      into[session].received.insert(static_cast<std::uint16_t>(what));
    } else if (kind == 'O') {
      if (at != into.end()) at->second.received.erase(static_cast<std::uint16_t>(what));
    } else {
      log::error("mqtt: unknown item in the message log, the rest of its record is ignored");
      return;
    }
  }
  if (!reader.ok()) log::error("mqtt: a record of the message log is cut off, its rest is ignored");
}

// Between the log's thread and the loop: the newest position, posted once however often it moves meanwhile.
struct MessageLog::Posted {
  std::atomic<std::uint64_t> position{0};
  std::atomic<bool> under_way{false};
  MessageLog* owner = nullptr;  // the loop's
};

MessageLog::MessageLog(io::Loop& loop, std::unique_ptr<store::AppendLog> log, OnDurable on_durable)
    : log_(std::move(log)), on_durable_(std::move(on_durable)), posted_(std::make_shared<Posted>()) {
  posted_->owner = this;
  log_->on_durable([posted = posted_, owner_loop = &loop](std::uint64_t position) {
    posted->position.store(position, std::memory_order_release);
    if (posted->under_way.exchange(true)) return;
    owner_loop->post([posted] {
      posted->under_way = false;
      if (posted->owner != nullptr) posted->owner->reached(posted->position.load(std::memory_order_acquire));
    });
  });
}

MessageLog::~MessageLog() {
  posted_->owner = nullptr;
}

void MessageLog::header(char kind, std::uint64_t session) {
  open_.push_back(kind);
  put(open_, session, 8);
}

void MessageLog::message(const Publish& packet, std::int64_t expires_ms, std::int64_t created_ms) {
  open_.push_back('M');
  put(open_, packet.qos, 1);
  put(open_, static_cast<std::uint64_t>(expires_ms), 8);
  put(open_, static_cast<std::uint64_t>(created_ms), 8);
  if (packet.properties.empty()) {
    put(open_, 0, 8);
    put_text(open_, packet.topic);
    put_text(open_, {});
  } else {
    const PropertyWriter kept = forwarded(packet.properties);
    put(open_, kept.view().present(), 8);
    put_text(open_, packet.topic);
    put_text(open_, kept.view().bytes());
  }
  put_text(open_, packet.payload);
}

std::uint64_t MessageLog::entry(const MessageEntry& entry, const std::vector<std::uint32_t>& identifiers) {
  header('T', entry.session);
  put(open_, entry.number, 8);
  put(open_, static_cast<std::uint64_t>(entry.qos) | (entry.retain ? kRetain : 0) | (entry.released ? kReleased : 0),
      1);
  const std::size_t count = std::min<std::size_t>(identifiers.size(), 255);
  put(open_, count, 1);
  for (std::size_t i = 0; i < count; ++i) put(open_, identifiers[i], 4);
  urgent_ = true;
  const std::uint64_t segment = log_->segment();
  ++segments_[segment].live;
  return segment;
}

void MessageLog::released(std::uint64_t session, std::uint64_t number) {
  header('R', session);
  put(open_, number, 8);
  urgent_ = true;
}

void MessageLog::received(std::uint64_t session, std::uint16_t packet_id) {
  header('I', session);
  put(open_, packet_id, 2);
  urgent_ = true;
  segments_[log_->segment()].received = true;
}

void MessageLog::completed(std::uint64_t session, std::uint16_t packet_id) {
  header('O', session);
  put(open_, packet_id, 2);
  urgent_ = true;
}

void MessageLog::done(std::uint64_t session, std::uint64_t number, std::uint64_t segment) {
  header('D', session);
  put(open_, number, 8);
  lost_place(segment);
}

void MessageLog::ended(std::uint64_t session) {
  header('E', session);
}

void MessageLog::lost_place(std::uint64_t segment) {
  const auto at = segments_.find(segment);
  if (at != segments_.end() && at->second.live > 0) --at->second.live;
}

void MessageLog::wait(Waiter waiter) {
  waiters_.push_back(waiter);
}
void MessageLog::wait(std::function<void()> durable) {
  callbacks_.push_back(std::move(durable));
}

void MessageLog::release(Flying& batch) {
  if (!batch.waiters.empty()) on_durable_(batch.waiters);
  for (const auto& callback : batch.callbacks) callback();
}

void MessageLog::commit() {
  if (open_.size() >= kLazyBytes) urgent_ = true;
  const bool waited = !waiters_.empty() || !callbacks_.empty();
  if (!urgent_) {
    if (!waited) return;
    if (flying_.empty()) {
      Flying now{0, 0, std::exchange(waiters_, {}), std::exchange(callbacks_, {})};
      return release(now);
    }
    Flying& last = flying_.back();
    last.waiters.insert(last.waiters.end(), waiters_.begin(), waiters_.end());
    waiters_.clear();
    for (auto& callback : callbacks_) last.callbacks.push_back(std::move(callback));
    callbacks_.clear();
    return;
  }
  urgent_ = false;
  Flying batch{round_++, 0, std::exchange(waiters_, {}), std::exchange(callbacks_, {})};
  batch.position = log_->append(std::move(open_));
  open_.clear();
  flying_.push_back(std::move(batch));
}

void MessageLog::flush_lazy() {
  if (!open_.empty()) urgent_ = true;
}

void MessageLog::reached(std::uint64_t position) {
  std::vector<Flying> done;
  while (!flying_.empty() && flying_.front().position <= position) {
    durable_round_ = flying_.front().round;
    done.push_back(std::move(flying_.front()));
    flying_.pop_front();
  }
  if (done.empty()) return;
  for (Flying& batch : done) release(batch);
  on_durable_({});  // another round: what waited to be sent may go
}

Status MessageLog::wait_until_durable() {
  if (log_->flush()) return {};
  return make_error(ErrorKind::kUnavailable, "the message log cannot be written; see the log");
}

bool MessageLog::trim(std::size_t max_segments) {
  const std::uint64_t current = log_->segment();
  std::uint64_t first = log_->first_segment();
  bool received = false;
  const std::uint64_t before = first;
  for (; first < current; ++first) {
    const auto at = segments_.find(first);
    if (at == segments_.end()) continue;
    if (at->second.live > 0) break;
    received |= at->second.received;
    segments_.erase(at);
  }
  if (first != before) {
    if (received && rewrite_received_) {
      rewrite_received_();
      flush_lazy();
      commit();
    }
    log_->remove_before(first);
  }
  return current - first > max_segments;
}

}  // namespace muster::mqtt
