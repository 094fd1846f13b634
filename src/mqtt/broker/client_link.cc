// SPDX-License-Identifier: Apache-2.0
#include "mqtt/broker/client_link.h"

#include <algorithm>
#include <cstring>

#include "base/log.h"
#include "mqtt/broker/shard.h"

namespace muster::mqtt {

namespace {
constexpr std::size_t kSpareBuffers = 256;
constexpr std::size_t kLargestSpare = 64 * 1024;
constexpr std::int64_t kIdleLookMs = 60'000;  // for a connection without a deadline at present
}  // namespace

ClientLink::ClientLink(Shard& broker, std::uint64_t link_id, std::unique_ptr<io::Stream> connected, Arrival arrival)
    : id(link_id),
      listener(arrival.listener),
      stream(std::move(connected)),
      identity(std::move(arrival.identity)),
      connection(broker.hub.limits, broker.steady_ms),
      broker_(broker),
      kept_(std::move(arrival.initial)) {
  stats = &broker.listener_stats(listener);
  records_ = stream->peer().tls || identity != nullptr;
  limits_rates_ = broker.hub.options.max_publishes_per_second != 0 || broker.hub.options.max_bytes_per_second != 0;
  ++stats->connections;
}

ClientLink::~ClientLink() {
  broker_.hub.stranger_bytes -= counted_;
  --stats->connections;
}

bool ClientLink::within_strangers_bound() {
  const std::size_t now = connection.connected() ? 0 : kept_.size();
  if (now != counted_) {
    broker_.hub.stranger_bytes += now;
    broker_.hub.stranger_bytes -= counted_;
  }
  counted_ = now;
  return now <= kSmallConnect || broker_.hub.stranger_bytes <= broker_.hub.options.max_stranger_bytes;
}

void ClientLink::wait_readable() {
  if (waiting_readable_) return;
  waiting_readable_ = true;
  stream->when_readable([this] {
    waiting_readable_ = false;
    broker_.refresh_time();
    pump();
    broker_.need_round_end();
  });
}

std::size_t ClientLink::handle(std::string_view bytes) {
  const std::size_t before = out_.size();
  const std::size_t consumed = connection.receive(bytes, broker_.steady_ms, *this, out_);
  if (out_.size() != before) out();
  if (moving_) {
    broker_.move_away(*this, moving_to_, std::string(bytes));
    return bytes.size();
  }
  if (clogged()) update_pause();
  return consumed;
}

void ClientLink::pump() {
  if (lingering) return discard();
  if (ended || pumping_) return;
  pumping_ = true;
  std::size_t budget = kReadBudget;
  if (!kept_.empty() && !stuck()) {
    const std::size_t consumed = handle(kept_);
    kept_.erase(0, consumed);
  }
  while (!ended && !stuck() && budget > 0 && read_once(budget)) {
  }
  pumping_ = false;
  if (ended) return;
  if (!within_strangers_bound()) {
    ++broker_.stats.refused;
    std::string().swap(kept_);  // now: a round may see thousands of these
    within_strangers_bound();
    return broker_.end_link(*this, "too many incomplete CONNECTs", WillAction::kDrop, EndCause::kThrottled);
  }
  if (kept_.empty() && kept_.capacity() > sizeof(std::string)) std::string().swap(kept_);
  if (!stuck()) wait_readable();
}

bool ClientLink::read_once(std::size_t& budget) {
  io::IoOutcome outcome;
  std::size_t asked = kReadSize;
  if (kept_.size() <= kKeptInShared) {
    std::string& shared = broker_.read_buffer;
    const std::size_t before = kept_.size();
    std::memcpy(shared.data(), kept_.data(), before);
    outcome = stream->read(std::span(shared.data() + before, kReadSize));
    if (outcome.kind == io::IoOutcome::Kind::kMoved) {
      const std::string_view all(shared.data(), before + outcome.bytes);
      const std::size_t consumed = handle(all);
      kept_.assign(all.substr(consumed));
    }
  } else {
    // A large packet: it grows as its bytes arrive, whatever its header promises.
    const std::size_t before = kept_.size();
    const std::size_t wanted = connection.wanted(kept_);
    asked = wanted > before ? std::min(wanted - before, kReadSize) : kReadSize;
    kept_.resize(before + asked);
    outcome = stream->read(std::span(kept_.data() + before, asked));
    const bool moved = outcome.kind == io::IoOutcome::Kind::kMoved;
    kept_.resize(before + (moved ? outcome.bytes : 0));
    if (moved) kept_.erase(0, handle(kept_));
  }
  switch (outcome.kind) {
    case io::IoOutcome::Kind::kMoved:
      stats->bytes_in += outcome.bytes;
      count_bytes(outcome.bytes);
      budget -= std::min(budget, outcome.bytes);
      return records_ || outcome.bytes == asked;
    case io::IoOutcome::Kind::kWouldBlock:
      return false;
    case io::IoOutcome::Kind::kClosed:
      peer_gone = true;
      broker_.end_link(*this, "closed by the client without DISCONNECT", WillAction::kPublish,
                       EndCause::kConnectionLost);
      return false;
    case io::IoOutcome::Kind::kFailed:
      peer_gone = true;
      broker_.end_link(*this, "connection lost", WillAction::kPublish, EndCause::kConnectionLost);
      return false;
  }
  return false;
}

std::string& ClientLink::out() {
  if (!dirty) {
    dirty = true;
    broker_.dirty.push_back(this);
    broker_.need_round_end();
  }
  if (out_.empty() && out_.capacity() <= sizeof(std::string) && !broker_.spare_output.empty()) {
    out_ = std::move(broker_.spare_output.back());
    broker_.spare_output.pop_back();
  }
  return out_;
}

bool ClientLink::clogged() const {
  return pending_output() > broker_.hub.options.max_output_bytes;
}

void ClientLink::flush_if_large() {
  if (pending_output() >= kFlushAt) flush();
}

void ClientLink::flush() {
  if (waiting_writable_ || broken) return;
  while (written_ < out_.size()) {
    const io::IoOutcome outcome = stream->write(std::string_view(out_).substr(written_));
    if (outcome.kind == io::IoOutcome::Kind::kMoved) {
      written_ += outcome.bytes;
      stats->bytes_out += outcome.bytes;
      count_bytes(outcome.bytes);
      blocked_since_ms = 0;
      continue;
    }
    if (outcome.kind == io::IoOutcome::Kind::kWouldBlock) break;
    broken = true;
    broker_.broken.push_back(id);
    broker_.need_round_end();
    out_.clear();
    written_ = 0;
    return;
  }
  if (written_ == out_.size()) {
    out_.clear();
    written_ = 0;
    blocked_since_ms = 0;
    if (out_.capacity() > sizeof(std::string)) {
      if (out_.capacity() <= kLargestSpare && broker_.spare_output.size() < kSpareBuffers) {
        broker_.spare_output.push_back(std::move(out_));
      }
      out_ = std::string();
    }
    return;
  }
  if (written_ >= kFlushAt) {
    out_.erase(0, written_);
    written_ = 0;
  }
  if (ended) return;
  if (blocked_since_ms == 0) blocked_since_ms = broker_.steady_ms;
  if (!watched) {
    watched = true;
    broker_.blocked.push_back(id);
  }
  waiting_writable_ = true;
  stream->when_writable([this] {
    waiting_writable_ = false;
    broker_.refresh_time();
    out();  // flushed, the queue drained and reading resumed at the end of the round
  });
}

bool ClientLink::linger() {
  waiting_writable_ = false;
  flush();
  if (broken || peer_gone || broker_.stopping) return false;
  lingering = true;
  grant.reset();
  std::string().swap(kept_);
  within_strangers_bound();
  if (pending_output() == 0) {
    stream->shutdown_write();
  } else {
    finish_writing();
  }
  look_second_ = broker_.deadlines.add(id, broker_.steady_ms + kLingerMs);
  wait_readable();
  return true;
}

// The rest of what was said last, as the socket takes it.
void ClientLink::finish_writing() {
  stream->when_writable([this] {
    if (!lingering) return;
    flush();
    if (broken) return close();
    if (pending_output() > 0) return finish_writing();
    stream->shutdown_write();
  });
}

// At most a budget at a time, for at most kLingerMs.
void ClientLink::discard() {
  std::size_t budget = kReadBudget;
  while (budget > 0) {
    const io::IoOutcome outcome = stream->read(std::span(broker_.read_buffer));
    if (outcome.kind == io::IoOutcome::Kind::kWouldBlock) break;
    if (outcome.kind != io::IoOutcome::Kind::kMoved) return close();
    budget -= std::min(budget, outcome.bytes);
  }
  wait_readable();
}

void ClientLink::close() {
  lingering = false;
  peer_gone = true;
  broker_.ended.push_back(id);
  broker_.need_round_end();
}

void ClientLink::reschedule() {
  std::int64_t due_ms = connection.deadline_ms();
  if (due_ms == 0) due_ms = broker_.steady_ms + kIdleLookMs;
  if (grant && grant->expires_ms() != 0) {
    due_ms = std::min(due_ms, broker_.steady_ms + std::max<std::int64_t>(0, grant->expires_ms() - broker_.now_ms));
  }
  const std::int64_t second = (due_ms + 999) / 1000;
  if (look_second_ != 0 && look_second_ <= second) return;
  look_second_ = broker_.deadlines.add(id, due_ms);
}

void ClientLink::check_deadline(std::int64_t second) {
  if (second != look_second_) return;  // another entry counts
  look_second_ = 0;
  if (lingering) return close();
  if (ended) return;
  if (grant && grant->expires_ms() != 0 && grant->expires_ms() <= broker_.now_ms) {
    return broker_.disconnect(*this, Reason::kMaximumConnectTime, "its credentials have expired",
                              EndCause::kCredentialsExpired);
  }
  const std::size_t before = out_.size();
  connection.expire(broker_.steady_ms, *this, out_);
  if (out_.size() != before) out();
  if (!ended) reschedule();
}

void ClientLink::check_rates() {
  const std::int64_t second = broker_.steady_ms / 1000;
  if (second != second_) {
    second_ = second;
    second_publishes_ = second_publishes_ > 0 ? 1 : 0;
    second_bytes_ = 0;
  }
  const BrokerOptions& options = broker_.hub.options;
  const bool above = (options.max_publishes_per_second != 0 && second_publishes_ >= options.max_publishes_per_second) ||
                     (options.max_bytes_per_second != 0 && second_bytes_ >= options.max_bytes_per_second);
  if (above && ready) throttle();
}

void ClientLink::throttle() {
  if (throttled_) return;
  throttled_ = true;
  broker_.throttled.push_back(id);
  update_pause();
}

bool ClientLink::begin_second() {
  if ((limits_rates_ && second_ == broker_.steady_ms / 1000) || broker_.backlogged()) return false;
  throttled_ = false;
  second_publishes_ = 0;
  second_bytes_ = 0;
  second_ = broker_.steady_ms / 1000;
  update_pause();
  return true;
}

void ClientLink::update_pause() {
  if (ended) return;
  const bool pause = throttled_ || clogged() || acks_.size() >= kMaxWaitingAcks || ingress >= kMaxIngress;
  if (pause == connection.paused()) return;
  connection.set_paused(pause, broker_.steady_ms);
  if (pause) return;
  broker_.resumed.push_back(id);
  broker_.need_round_end();
}

void ClientLink::send_ack(AckKind kind, std::uint16_t packet_id, Reason reason) {
  switch (kind) {
    case AckKind::kPuback:
      return connection.puback(packet_id, reason, out());
    case AckKind::kPubrec:
      return connection.pubrec(packet_id, reason, out());
    case AckKind::kPubrel:
      return connection.pubrel(packet_id, out());
    case AckKind::kPubcomp:
      return connection.pubcomp(packet_id, out());
  }
}

void ClientLink::ack(AckKind kind, std::uint16_t packet_id, Reason reason) {
  if (acks_.empty()) return send_ack(kind, packet_id, reason);
  acks_.push_back({packet_id, reason, kind, 0});
  update_pause();
}

std::uint32_t ClientLink::ack_later(AckKind kind, std::uint16_t packet_id, Reason reason, std::uint32_t conditions) {
  const std::uint32_t number = next_ack();
  acks_.push_back({packet_id, reason, kind, conditions});
  if (acks_.size() >= kMaxWaitingAcks) update_pause();
  return number;
}

void ClientLink::ack_due(std::uint32_t number) {
  const std::uint32_t index = number - first_ack_;
  if (ended || index >= acks_.size()) return;
  if (acks_[index].conditions > 0) --acks_[index].conditions;
  if (index == 0) send_due_acks();
}

void ClientLink::ack_due(std::uint32_t number, Reason reason) {
  const std::uint32_t index = number - first_ack_;
  if (index < acks_.size()) acks_[index].reason = reason;
  ack_due(number);
}

void ClientLink::send_due_acks() {
  while (!acks_.empty() && acks_.front().conditions == 0) {
    const PendingAck next = acks_.pop_front();
    ++first_ack_;
    send_ack(next.kind, next.packet_id, next.reason);
  }
  acks_.release();
  update_pause();
}

void ClientLink::on_connect(const Connect& packet) {
  if (!packet.client_id.empty()) {
    moving_to_ = broker_.hub.owner(packet.client_id);
    moving_ = moving_to_ != broker_.index;
    if (moving_) return;
  }
  broker_.begin_connect(*this, packet);
}

void ClientLink::on_publish(const Publish& packet) {
  if (!ended) broker_.publish(*this, packet);
}

void ClientLink::on_publish_again(std::uint16_t packet_id) {
  if (ended) return;
  const std::uint32_t number = ack_later(AckKind::kPubrec, packet_id, Reason::kSuccess);
  broker_.log->wait(Waiter{id, number, broker_.index});
  broker_.need_round_end();
}

void ClientLink::on_puback(std::uint64_t token, std::uint16_t /*packet_id*/, Reason /*reason*/) {
  // A refusal by the client (MQTT 5, reason >= 0x80) settles the message as well: 4.3.2.
  if (session == nullptr) return;
  broker_.acknowledged(*session, token);
  broker_.drain(*session);
}

void ClientLink::on_pubrec(std::uint64_t token, std::uint16_t packet_id, Reason reason) {
  if (session == nullptr || ended) return;
  if (static_cast<std::uint8_t>(reason) >= 0x80) return on_puback(token, packet_id, reason);
  if (!broker_.released(*session, token)) return ack(AckKind::kPubrel, packet_id, Reason::kSuccess);
  // After a crash the message must not be sent again: the client may forget its id with PUBREL.
  broker_.log->wait(Waiter{id, ack_later(AckKind::kPubrel, packet_id, Reason::kSuccess), broker_.index});
  broker_.need_round_end();
}

void ClientLink::on_pubrel(std::uint16_t packet_id) {
  if (session == nullptr || ended) return;
  if (!session->persistent()) return ack(AckKind::kPubcomp, packet_id, Reason::kSuccess);
  // After a crash the id must be free: the client may use it for another message after PUBCOMP.
  const auto where = session->received_in.extract(packet_id);
  broker_.log->completed(session->id(), packet_id, where.empty() ? 0 : where.mapped());
  broker_.log->wait(Waiter{id, ack_later(AckKind::kPubcomp, packet_id, Reason::kSuccess), broker_.index});
  broker_.need_round_end();
}

void ClientLink::on_pubcomp(std::uint64_t token, std::uint16_t packet_id) {
  on_puback(token, packet_id, Reason::kSuccess);
}

void ClientLink::on_subscribe(const Subscribe& packet) {
  if (!ended) broker_.subscribe(*this, packet);
}

void ClientLink::on_unsubscribe(const Unsubscribe& packet) {
  if (!ended) broker_.unsubscribe(*this, packet);
}

void ClientLink::on_disconnect(const Disconnect& packet) {
  if (ended) return;
  if (session != nullptr && session->expiry_s > 0) {
    if (const auto expiry_s = packet.properties.number(PropertyId::kSessionExpiry)) {
      session->expiry_s = std::min(*expiry_s, broker_.hub.options.max_session_expiry_s);
    }
  }
  const bool with_will = packet.reason != Reason::kSuccess;  // MQTT5-3.1.2-8, MQTT5-3.14.4-3
  broker_.end_link(*this, with_will ? "client disconnected, will wanted" : "client disconnected",
                   with_will ? WillAction::kPublish : WillAction::kDrop, EndCause::kClientDisconnect);
}

void ClientLink::on_protocol_error(const ProtocolError& error) {
  if (ended) return;
  ++broker_.stats.protocol_errors;
  ++stats->protocol_errors;
  if (broker_.may_log()) {
    log::info("mqtt: connection ended", {{"reason", to_string(error.reason)},
                                         {"detail", error.text},
                                         {"client", session != nullptr ? session->client_id : std::string()},
                                         {"peer", stream->peer().address}});
  }
  broker_.end_link(*this, error.text, WillAction::kPublish,
                   error.reason == Reason::kKeepAliveTimeout ? EndCause::kKeepAlive : EndCause::kClientError);
}

}  // namespace muster::mqtt
