// SPDX-License-Identifier: Apache-2.0
#include "io/websocket_stream.h"

#include <algorithm>

#include "io/websocket_frames.h"

namespace muster::io {
namespace {

constexpr int kReadsAtOnce = 8;                 // of frames without payload, before others have their turn
constexpr std::size_t kWriteBytes = 64 * 1024;  // copied behind a frame head for one write below
constexpr std::size_t kDrainBytes = 64 * 1024;

using Kind = IoOutcome::Kind;

class WebSocketStream final : public Stream {
 public:
  WebSocketStream(Loop& loop, std::unique_ptr<Stream> below, std::string initial)
      : loop_(&loop), below_(std::move(below)), initial_(std::move(initial)) {}
  ~WebSocketStream() override { close(); }

  IoOutcome read(std::span<char> into) override;
  IoOutcome write(std::string_view from) override;
  void when_readable(std::function<void()> ready) override;
  void when_writable(std::function<void()> ready) override;
  void shutdown_write() override;
  void close() override;
  const PeerInfo& peer() const override { return below_->peer(); }
  void detach() override { below_->detach(); }
  void attach(Loop& loop) override {
    loop_ = &loop;
    below_->attach(loop);
    if (std::exchange(waits_writable_, false)) wait_writable();  // for control frames; it ended with the old loop
  }

 private:
  bool ended() const { return decoder_.phase() != WebSocketDecoder::Phase::kOpen; }
  IoOutcome end_outcome() const {
    return {decoder_.phase() == WebSocketDecoder::Phase::kBroken ? Kind::kFailed : Kind::kClosed, 0};
  }
  std::size_t receive(std::span<char> into, IoOutcome& outcome);
  void answer_controls();
  void send_close(std::uint16_t code);
  void collect_controls();
  void flush_controls();
  void wait_writable();
  void drain();

  Loop* loop_;
  std::unique_ptr<Stream> below_;
  std::string initial_;
  WebSocketDecoder decoder_;
  // Sent before any payload: control frames, then perhaps the head of the data frame that is being written.
  std::string heads_;
  std::uint64_t frame_left_ = 0;  // payload that the data frame in heads_ or sent already still lacks
  std::string pong_;              // waits for the end of that frame; at most one
  std::string close_;
  bool close_sent_ = false;  // in heads_ or further: nothing may follow
  bool shut_after_close_ = false;
  bool failed_ = false;  // below
  bool waits_writable_ = false;
  std::function<void()> on_writable_;
  std::shared_ptr<char> alive_ = std::make_shared<char>();  // callbacks in flight hold it weakly
};

std::size_t WebSocketStream::receive(std::span<char> into, IoOutcome& outcome) {
  if (initial_.empty()) {
    outcome = below_->read(into);
    return outcome.kind == Kind::kMoved ? outcome.bytes : 0;
  }
  const std::size_t count = std::min(into.size(), initial_.size());
  std::copy_n(initial_.data(), count, into.data());
  initial_.erase(0, count);
  if (initial_.empty()) std::string().swap(initial_);
  outcome = {Kind::kMoved, count};
  return count;
}

IoOutcome WebSocketStream::read(std::span<char> into) {
  if (!alive_) return {Kind::kFailed, 0};
  if (into.empty()) return {Kind::kMoved, 0};
  for (int i = 0; i < kReadsAtOnce; ++i) {
    if (ended()) return end_outcome();
    IoOutcome outcome;
    const std::size_t received = receive(into, outcome);
    if (outcome.kind != Kind::kMoved) return outcome;
    const std::size_t decoded = decoder_.decode(into.first(received));
    answer_controls();
    if (decoded > 0) return {Kind::kMoved, decoded};
  }
  if (ended()) return end_outcome();
  return {};
}

void WebSocketStream::answer_controls() {
  if (auto ping = decoder_.take_ping()) pong_ = control_frame(WebSocketOpcode::kPong, *ping);
  if (!ended()) {
    if (!pong_.empty()) flush_controls();
    return;
  }
  std::string().swap(initial_);
  shut_after_close_ = true;
  send_close(decoder_.close_code());
}

void WebSocketStream::send_close(std::uint16_t code) {
  if (!close_sent_ && close_.empty()) close_ = close_frame(code);
  flush_controls();
}

// Control frames go between data frames, and not behind a close frame.
void WebSocketStream::collect_controls() {
  if (frame_left_ > 0 || close_sent_) return;
  if (heads_.empty() && !pong_.empty()) heads_ = std::exchange(pong_, std::string());
  if (close_.empty()) return;
  heads_ += std::exchange(close_, std::string());
  close_sent_ = true;
}

void WebSocketStream::flush_controls() {
  collect_controls();
  while (frame_left_ == 0 && !heads_.empty() && !failed_) {
    const IoOutcome outcome = below_->write(heads_);
    if (outcome.kind == Kind::kWouldBlock) return wait_writable();
    if (outcome.kind != Kind::kMoved) {
      failed_ = true;
      return;
    }
    heads_.erase(0, outcome.bytes);
    if (heads_.empty()) std::string().swap(heads_);
    collect_controls();
  }
  if (close_sent_ && heads_.empty() && std::exchange(shut_after_close_, false)) below_->shutdown_write();
}

IoOutcome WebSocketStream::write(std::string_view from) {
  if (!alive_ || failed_) return {Kind::kFailed, 0};
  if (from.empty()) return {Kind::kMoved, 0};
  if (frame_left_ == 0) {
    collect_controls();
    if (close_sent_) return {Kind::kFailed, 0};
    append_frame_head(heads_, WebSocketOpcode::kBinary, from.size());
    frame_left_ = from.size();
  }
  // One write below, so that head and payload share a segment and a TLS record. The buffer is the thread's: what it
  // holds is offered again by the caller after kWouldBlock.
  thread_local std::string joined;
  const std::size_t room = kWriteBytes - std::min(heads_.size(), kWriteBytes);
  const auto payload = static_cast<std::size_t>(std::min<std::uint64_t>({frame_left_, from.size(), room}));
  IoOutcome outcome;
  if (heads_.empty()) {
    outcome = below_->write(from.substr(0, payload));
  } else {
    joined.assign(heads_).append(from.substr(0, payload));
    outcome = below_->write(joined);
  }
  if (outcome.kind != Kind::kMoved) {
    failed_ = outcome.kind != Kind::kWouldBlock;
    return outcome;
  }
  const std::size_t of_heads = std::min(outcome.bytes, heads_.size());
  const std::size_t moved = outcome.bytes - of_heads;
  heads_.erase(0, of_heads);
  if (heads_.empty()) std::string().swap(heads_);
  frame_left_ -= moved;
  if (frame_left_ == 0 && (!pong_.empty() || !close_.empty())) flush_controls();
  if (moved == 0) return {};
  return {Kind::kMoved, moved};
}

void WebSocketStream::when_readable(std::function<void()> ready) {
  if (!alive_) return;
  if (initial_.empty() && !ended()) return below_->when_readable(std::move(ready));
  loop_->post([alive = std::weak_ptr<char>(alive_), ready = std::move(ready)] {
    if (!alive.expired()) ready();
  });
}

void WebSocketStream::when_writable(std::function<void()> ready) {
  if (!alive_) return;
  on_writable_ = std::move(ready);
  wait_writable();
}

// One wait below serves the caller's and our own.
void WebSocketStream::wait_writable() {
  if (std::exchange(waits_writable_, true)) return;
  below_->when_writable([this, alive = std::weak_ptr<char>(alive_)] {
    if (alive.expired()) return;
    waits_writable_ = false;
    flush_controls();
    if (auto ready = std::exchange(on_writable_, nullptr)) ready();  // may destroy this
  });
}

void WebSocketStream::shutdown_write() {
  if (!alive_) return;
  shut_after_close_ = true;
  send_close(close_code::kNormal);
}

// Closing with unread bytes in the socket resets the connection, and our close frame may be lost with it.
void WebSocketStream::drain() {
  std::array<char, 4096> dropped{};
  for (std::size_t total = 0; total < kDrainBytes;) {
    const IoOutcome outcome = below_->read(dropped);
    if (outcome.kind != Kind::kMoved) return;
    total += outcome.bytes;
  }
}

void WebSocketStream::close() {
  if (!alive_) return;
  alive_.reset();
  on_writable_ = nullptr;
  if (!failed_ && frame_left_ == 0) {
    collect_controls();
    if (!close_sent_) heads_ += close_frame(close_code::kNormal);
    if (!heads_.empty()) below_->write(heads_);
    drain();
  }
  below_->close();
}

}  // namespace

std::unique_ptr<Stream> websocket_stream(Loop& loop, std::unique_ptr<Stream> below, std::string initial) {
  return std::make_unique<WebSocketStream>(loop, std::move(below), std::move(initial));
}

}  // namespace muster::io
