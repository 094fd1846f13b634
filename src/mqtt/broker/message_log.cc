// SPDX-License-Identifier: Apache-2.0
#include "mqtt/broker/message_log.h"

#include <algorithm>

#include "mqtt/broker/stored_bytes.h"

namespace muster::mqtt {

namespace {

constexpr std::size_t kLazyBytes = 64 * 1024;
constexpr std::uint8_t kRetain = 4, kReleased = 8;

MessageRef read_message(StoredReader& reader) {
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

void read_entry(StoredReader& reader, const MessageRef& message, RestoredLog& into) {
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
  RestoredSession& queue = into.sessions[session];
  queue.last_number = std::max(queue.last_number, number);
  RestoredEntry& slot = queue.entries[number];
  entry.released |= slot.released;  // written again after it was released
  slot = std::move(entry);
}

}  // namespace

Status restore_record(std::string_view record, RestoredLog& into) {
  StoredReader reader(record);
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
    if (kind == 'V') {
      const std::string topic(reader.text());
      const std::string_view stored = reader.text();
      RestoredRetained& slot = into.retained[topic];
      if (reader.ok() && session >= slot.version) slot = {session, std::string(stored)};
      continue;
    }
    if (kind == 'E') {
      if (reader.ok()) into.sessions.erase(session);
      continue;
    }
    const bool with_number = kind == 'D' || kind == 'R';
    const std::uint64_t what = reader.number(with_number ? 8 : 2);
    if (!reader.ok()) break;
    RestoredSession& queue = into.sessions[session];
    if (with_number) queue.last_number = std::max(queue.last_number, what);
    if (kind == 'D') {
      queue.entries.erase(what);
    } else if (kind == 'R') {
      const auto entry = queue.entries.find(what);
      if (entry != queue.entries.end()) entry->second.released = true;
    } else if (kind == 'I') {
      queue.received.insert(static_cast<std::uint16_t>(what));
    } else if (kind == 'O') {
      queue.received.erase(static_cast<std::uint16_t>(what));
    } else {
      return internal("an unknown item");
    }
  }
  if (!reader.ok()) return internal("cut off");
  return {};
}

// Between the log's thread and a shard's loop: posted once however often the position moves meanwhile.
struct MessageLog::Posted {
  std::atomic<bool> wanted{false};
  std::atomic<bool> under_way{false};
  io::Loop* loop = nullptr;
  MessageLog* owner = nullptr;  // the loop's
};

SharedLog::SharedLog(std::unique_ptr<store::AppendLog> log) : log_(std::move(log)) {
  log_->on_durable([this](std::uint64_t position) {
    durable_ = position;
    const std::lock_guard lock(mutex_);
    for (MessageLog* reader : readers_) {
      const auto& posted = reader->posted_;
      if (!posted->wanted || posted->under_way.exchange(true)) continue;
      posted->loop->post([posted] {
        posted->under_way = false;
        if (posted->owner != nullptr) posted->owner->reached();
      });
    }
  });
}

SharedLog::~SharedLog() {
  log_.reset();  // its thread uses the rest
}

Status SharedLog::wait_until_durable() {
  if (log_->flush()) return {};
  return make_error(ErrorKind::kUnavailable, "the message log cannot be written; see the log");
}

void SharedLog::add(MessageLog* reader) {
  const std::lock_guard lock(mutex_);
  readers_.push_back(reader);
}

void SharedLog::remove(MessageLog* reader) {
  const std::lock_guard lock(mutex_);
  std::erase(readers_, reader);
}

// Changes and record together: trim() must not see the places that a record gives up before the record is on its way.
std::uint64_t SharedLog::append(std::string_view record, Living& changes, std::uint64_t pinned) {
  const std::lock_guard lock(mutex_);
  for (const auto& [segment, change] : changes) living_[segment] += change;
  changes.clear();
  const std::uint64_t position = record.empty() ? 0 : log_->append(record);
  if (pinned != 0) --living_[pinned];
  return position;
}

std::uint64_t SharedLog::pin() {
  const std::lock_guard lock(mutex_);
  const std::uint64_t segment = log_->segment();
  ++living_[segment];
  return segment;
}

std::uint64_t SharedLog::trim(std::size_t max_segments) {
  const std::lock_guard lock(mutex_);
  const std::uint64_t current = log_->segment();
  const std::uint64_t before = log_->first_segment();
  std::uint64_t first = current;
  for (auto at = living_.begin(); at != living_.end() && at->first < current;) {
    if (at->second > 0) {
      first = at->first;
      break;
    }
    at = living_.erase(at);
  }
  if (first > before) log_->remove_before(first);
  return current - first > max_segments ? first : 0;
}

MessageLog::MessageLog(io::Loop& loop, SharedLog& shared, OnDurable on_durable)
    : shared_(shared), on_durable_(std::move(on_durable)), posted_(std::make_shared<Posted>()) {
  posted_->loop = &loop;
  posted_->owner = this;
  shared_.add(this);
}

MessageLog::~MessageLog() {
  posted_->owner = nullptr;
  shared_.remove(this);
}

void MessageLog::header(char kind, std::uint64_t session) {
  open_.push_back(kind);
  put_number(open_, session, 8);
}

// Once a record: it may land behind the segment that was current when it was begun, never before it; that one is pinned
// until then, and counts for what lives in the record: segments go oldest first.
std::uint64_t MessageLog::segment() {
  if (segment_ == 0) segment_ = shared_.pin();
  return segment_;
}

void MessageLog::message(const Publish& packet, std::int64_t expires_ms, std::int64_t created_ms) {
  open_.push_back('M');
  put_number(open_, packet.qos, 1);
  put_number(open_, static_cast<std::uint64_t>(expires_ms), 8);
  put_number(open_, static_cast<std::uint64_t>(created_ms), 8);
  if (packet.properties.empty()) {
    put_number(open_, 0, 8);
    put_text(open_, packet.topic);
    put_text(open_, {});
  } else {
    const PropertyWriter kept = forwarded(packet.properties);
    put_number(open_, kept.view().present(), 8);
    put_text(open_, packet.topic);
    put_text(open_, kept.view().bytes());
  }
  put_text(open_, packet.payload);
}

std::uint64_t MessageLog::entry(const MessageEntry& entry, std::span<const std::uint32_t> identifiers) {
  header('T', entry.session);
  put_number(open_, entry.number, 8);
  put_number(open_,
             static_cast<std::uint64_t>(entry.qos) | (entry.retain ? kRetain : 0) | (entry.released ? kReleased : 0),
             1);
  const std::size_t count = std::min<std::size_t>(identifiers.size(), 255);
  put_number(open_, count, 1);
  for (std::size_t i = 0; i < count; ++i) put_number(open_, identifiers[i], 4);
  urgent_ = true;
  ++changes_[segment()];
  return segment_;
}

void MessageLog::released(std::uint64_t session, std::uint64_t number) {
  header('R', session);
  put_number(open_, number, 8);
  urgent_ = true;
}

std::uint64_t MessageLog::received(std::uint64_t session, std::uint16_t packet_id) {
  header('I', session);
  put_number(open_, packet_id, 2);
  urgent_ = true;
  ++changes_[segment()];
  return segment_;
}

std::uint64_t MessageLog::retained(std::uint64_t version, std::string_view topic, std::string_view stored) {
  header('V', version);
  put_text(open_, topic);
  put_text(open_, stored);
  urgent_ = true;
  ++changes_[segment()];
  return segment_;
}

void MessageLog::completed(std::uint64_t session, std::uint16_t packet_id, std::uint64_t where) {
  header('O', session);
  put_number(open_, packet_id, 2);
  urgent_ = true;
  if (where != 0) lost_place(where);
}

void MessageLog::done(std::uint64_t session, std::uint64_t number, std::uint64_t where) {
  header('D', session);
  put_number(open_, number, 8);
  lost_place(where);
}

void MessageLog::ended(std::uint64_t session) {
  header('E', session);
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

std::uint64_t MessageLog::commit() {
  if (open_.size() >= kLazyBytes) urgent_ = true;
  if (!urgent_) {
    if (waiters_.empty() && callbacks_.empty()) return 0;
    if (flying_.empty()) {
      Flying now{0, 0, std::exchange(waiters_, {}), std::exchange(callbacks_, {})};
      release(now);
      return 0;
    }
    Flying& last = flying_.back();
    last.waiters.insert(last.waiters.end(), waiters_.begin(), waiters_.end());
    waiters_.clear();
    for (auto& callback : callbacks_) last.callbacks.push_back(std::move(callback));
    callbacks_.clear();
    return 0;
  }
  urgent_ = false;
  Flying batch{round_++, 0, std::exchange(waiters_, {}), std::exchange(callbacks_, {})};
  posted_->wanted = true;  // before it can become durable
  batch.position = shared_.append(open_, changes_, segment_);
  const std::uint64_t position = batch.position;
  open_.clear();
  segment_ = 0;
  flying_.push_back(std::move(batch));
  return position;
}

void MessageLog::flush_lazy() {
  if (open_.empty()) {
    if (!changes_.empty()) shared_.append({}, changes_, 0);
  } else {
    urgent_ = true;
  }
}

bool MessageLog::durable_position(std::uint64_t position) {
  if (shared_.durable_position() >= position) return true;
  wants_news_ = true;
  posted_->wanted = true;
  return shared_.durable_position() >= position;  // in between
}

void MessageLog::reached() {
  const std::uint64_t position = shared_.durable_position();
  std::vector<Flying> ready;
  while (!flying_.empty() && flying_.front().position <= position) {
    durable_round_ = flying_.front().round;
    ready.push_back(std::move(flying_.front()));
    flying_.pop_front();
  }
  const bool news = std::exchange(wants_news_, false);
  if (flying_.empty()) posted_->wanted = false;
  if (ready.empty() && !news) return;
  for (Flying& batch : ready) release(batch);
  on_durable_({});  // another round: what waited to be sent may go
}

}  // namespace muster::mqtt
