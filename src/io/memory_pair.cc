// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>

#include "io/loop.h"
#include "io/stream.h"

namespace muster::io {
namespace {

// One direction: what one end wrote and the other has not read.
struct Pipe {
  explicit Pipe(std::size_t bound) : capacity(bound) {}
  std::string bytes;
  std::size_t capacity;
  bool writer_closed = false;
  bool reader_closed = false;
  std::function<void()> on_readable;
  std::function<void()> on_writable;

  bool readable() const { return !bytes.empty() || writer_closed || reader_closed; }
  bool writable() const { return bytes.size() < capacity || reader_closed || writer_closed; }
};

void notify(Loop& loop, const std::shared_ptr<Pipe>& pipe) {
  if (pipe->on_readable && pipe->readable()) {
    loop.post([pipe] {
      if (auto ready = std::exchange(pipe->on_readable, nullptr)) ready();
    });
  }
  if (pipe->on_writable && pipe->writable()) {
    loop.post([pipe] {
      if (auto ready = std::exchange(pipe->on_writable, nullptr)) ready();
    });
  }
}

class MemoryStream final : public Stream {
 public:
  MemoryStream(Loop& loop, std::shared_ptr<Pipe> in, std::shared_ptr<Pipe> out)
      : loop_(loop), in_(std::move(in)), out_(std::move(out)) {
    peer_.address = "memory";
  }
  ~MemoryStream() override { close(); }

  IoOutcome read(std::span<char> into) override {
    if (closed_) return {IoOutcome::Kind::kFailed, 0};
    if (in_->bytes.empty()) {
      return {in_->writer_closed ? IoOutcome::Kind::kClosed : IoOutcome::Kind::kWouldBlock, 0};
    }
    const std::size_t count = std::min(into.size(), in_->bytes.size());
    std::copy_n(in_->bytes.data(), count, into.data());
    in_->bytes.erase(0, count);
    notify(loop_, in_);
    return {IoOutcome::Kind::kMoved, count};
  }

  IoOutcome write(std::string_view from) override {
    if (closed_ || out_->reader_closed || out_->writer_closed) return {IoOutcome::Kind::kFailed, 0};
    const std::size_t count = std::min(from.size(), out_->capacity - std::min(out_->capacity, out_->bytes.size()));
    if (count == 0 && !from.empty()) return {};
    out_->bytes.append(from.substr(0, count));
    notify(loop_, out_);
    return {IoOutcome::Kind::kMoved, count};
  }

  void when_readable(std::function<void()> ready) override {
    if (closed_) return;
    in_->on_readable = std::move(ready);
    notify(loop_, in_);
  }

  void when_writable(std::function<void()> ready) override {
    if (closed_) return;
    out_->on_writable = std::move(ready);
    notify(loop_, out_);
  }

  void shutdown_write() override {
    out_->writer_closed = true;
    notify(loop_, out_);
  }

  void close() override {
    if (std::exchange(closed_, true)) return;
    in_->on_readable = nullptr;
    out_->on_writable = nullptr;
    in_->reader_closed = true;
    out_->writer_closed = true;
    notify(loop_, in_);
    notify(loop_, out_);
  }

  const PeerInfo& peer() const override { return peer_; }

 private:
  Loop& loop_;
  std::shared_ptr<Pipe> in_, out_;
  PeerInfo peer_;
  bool closed_ = false;
};

}  // namespace

std::pair<std::unique_ptr<Stream>, std::unique_ptr<Stream>> memory_pair(Loop& loop, std::size_t capacity) {
  auto there = std::make_shared<Pipe>(capacity);
  auto back = std::make_shared<Pipe>(capacity);
  // A callback may own the coroutine that owns the end that owns the pipe that holds the callback.
  loop.at_end([pipes = std::array{std::weak_ptr(there), std::weak_ptr(back)}] {
    for (const auto& weak : pipes) {
      const auto pipe = weak.lock();
      if (!pipe) continue;
      const auto readable = std::exchange(pipe->on_readable, nullptr);
      const auto writable = std::exchange(pipe->on_writable, nullptr);
    }
  });
  return {std::make_unique<MemoryStream>(loop, there, back), std::make_unique<MemoryStream>(loop, back, there)};
}

}  // namespace muster::io
