// SPDX-License-Identifier: Apache-2.0
// Poller and Link: one epoll set and the client connections in it, on one thread. Links are opened blocking (connect,
// CONNECT, CONNACK, SUBSCRIBE, SUBACK), then turned non-blocking and watched. Reading uses one large buffer for all
// links; a link keeps only the part of a packet that was cut off.
#pragma once

#include <sys/epoll.h>

#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "wire.h"

namespace muster::bench {

struct Target {
  std::string host = "127.0.0.1";
  int port = 1883;
  bool v5 = false;
};

// A socket to the target, blocking or not; -1 with errno. `source` other than 0: local address in 127.0.0.0/8, so that
// many short connections do not run out of ports.
int open_socket(const Target& target, bool blocking, std::uint32_t source = 0);

class Poller;

class Link {
 public:
  Link(Poller& poller, std::uint32_t number) : poller_(poller), number_(number) {}
  ~Link();
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;

  // Blocking; false with a line on stderr.
  bool open(const Target& target, std::string_view client_id, bool clean = true);
  bool subscribe(std::string_view filter, int qos);
  void watch();  // from now on non-blocking, in the poller

  // Calls `handle(frame)` for every whole packet that can be read at once; false when the connection is over.
  template <class Handler>
  bool read(Handler&& handle);
  // Sends now what it can, keeps the rest and sends it when flush() is called (writable). False: connection over.
  bool send(std::string_view bytes);
  bool flush();
  // Sends now what it can of the pieces; the number of bytes taken, -1 when the connection is over. Whoever uses this
  // keeps the rest, and calls want_writable() to hear when more can go.
  long send_some(std::string_view first, std::string_view second);
  void want_writable(bool wanted);
  bool wants_writable() const { return writable_wanted_; }
  void close();
  std::uint32_t number() const { return number_; }
  int fd() const { return fd_; }

 private:
  bool expect(int type, std::string_view name);
  long receive(std::span<char> into);

  Poller& poller_;
  std::uint32_t number_;
  int fd_ = -1;
  bool v5_ = false, watched_ = false, writable_wanted_ = false;
  std::string cut_, unsent_;
};

class Poller {
 public:
  Poller();
  ~Poller();
  Link& add();
  Link& at(std::uint32_t number) { return *links_[number]; }
  std::span<const epoll_event> wait(int timeout_ms);

 private:
  friend class Link;
  static constexpr std::size_t kBuffer = 256 * 1024;
  int fd_;
  std::vector<epoll_event> events_;
  std::unique_ptr<char[]> buffer_;
  std::vector<std::unique_ptr<Link>> links_;
};

template <class Handler>
bool Link::read(Handler&& handle) {
  char* const begin = poller_.buffer_.get();
  const std::size_t kept = cut_.size();
  std::memcpy(begin, cut_.data(), kept);
  const long size = receive(std::span(begin + kept, Poller::kBuffer - kept));
  if (size < 0) return false;
  if (size == 0) return true;
  const char* at = begin;
  const char* const end = begin + kept + size;
  Frame frame;
  while (next_frame(at, end, frame)) handle(frame);
  cut_.assign(at, static_cast<std::size_t>(end - at));
  return true;
}

}  // namespace muster::bench
