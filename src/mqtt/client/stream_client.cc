// SPDX-License-Identifier: Apache-2.0
#include <array>

#include "mqtt/client/client.h"

namespace muster::mqtt {

StreamClient::StreamClient(std::unique_ptr<io::Stream> stream, ClientEvents& events, const ClientOptions& options)
    : stream_(std::move(stream)), connection_(events, options) {
  wait();
}

StreamClient::~StreamClient() = default;

void StreamClient::wait() {
  if (waiting_readable_ || connection_.closed()) return;
  waiting_readable_ = true;
  stream_->when_readable([this] {
    waiting_readable_ = false;
    read();
  });
}

void StreamClient::read() {
  std::array<char, 16'384> buffer;
  // A bounded number of reads, so that one busy stream does not hold up its loop.
  for (int turn = 0; turn < 8 && !connection_.closed(); ++turn) {
    const io::IoOutcome outcome = stream_->read(buffer);
    if (outcome.kind == io::IoOutcome::Kind::kWouldBlock) break;
    if (outcome.kind != io::IoOutcome::Kind::kMoved) {
      connection_.lost(outcome.kind == io::IoOutcome::Kind::kClosed ? "closed by the server" : "connection lost");
      break;
    }
    received_.append(buffer.data(), outcome.bytes);
    received_.erase(0, connection_.receive(received_));
  }
  flush();
  if (connection_.closed()) {
    stream_->close();
  } else {
    wait();
  }
}

void StreamClient::flush() {
  std::string& out = connection_.output();
  while (!out.empty() && !waiting_writable_) {
    const io::IoOutcome outcome = stream_->write(out);
    if (outcome.kind == io::IoOutcome::Kind::kMoved) {
      out.erase(0, outcome.bytes);
    } else if (outcome.kind == io::IoOutcome::Kind::kWouldBlock) {
      waiting_writable_ = true;
      stream_->when_writable([this] {
        waiting_writable_ = false;
        flush();
      });
    } else {
      out.clear();
      connection_.lost("connection lost");
    }
  }
}

void StreamClient::close() {
  flush();
  stream_->close();
  connection_.lost("closed");
}

}  // namespace muster::mqtt
