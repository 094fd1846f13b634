// SPDX-License-Identifier: Apache-2.0
#include "connections.h"

#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <thread>

namespace muster::bench {

namespace {

constexpr std::uint32_t kSources = 200;  // local addresses, each with its own ports
constexpr std::size_t kIdDigits = 8;

class Connects {
 public:
  explicit Connects(const ConnectionOptions& options)
      : options_(options), meter_(options.server_pid), poll_(::epoll_create1(EPOLL_CLOEXEC)) {
    append_connect(packet_, "c-00000000", {.v5 = options.target.v5});
  }
  ~Connects() {
    for (const int fd : slots_) {
      if (fd >= 0) ::close(fd);
    }
    ::close(poll_);
  }

  bool main(json::object& out) {
    slots_.assign(options_.width, -1);
    for (std::uint32_t slot = 0; slot < options_.width; ++slot) open(slot);
    const Nanos measure_from = now_ns() + static_cast<Nanos>(options_.warm_up_s * 1e9);
    const Nanos measure_to = measure_from + static_cast<Nanos>(options_.seconds * 1e9);
    while (now_ns() < measure_from && usable()) round();
    meter_.start();
    const std::uint64_t before = greeted_;
    while (now_ns() < measure_to && usable()) round();
    meter_.stop();
    meter_.report(out, "connects", greeted_ - before);
    out["failed"] = failed_;
    return usable();
  }

 private:
  bool usable() const { return failed_ <= greeted_ / 100 + options_.width; }

  void open(std::uint32_t slot) {
    const std::uint32_t number = opened_++;
    for (std::size_t i = 0; i < kIdDigits; ++i) {
      packet_[packet_.size() - 1 - i] = "0123456789abcdef"[number >> 4 * i & 15];
    }
    const int fd = open_socket(options_.target, false, 1 + number % kSources);
    slots_[slot] = fd;
    if (fd < 0) {
      ++failed_;
      return;
    }
    // On loopback the connection stands when connect() returns; else the bytes go when it is writable.
    const bool sent = ::send(fd, packet_.data(), packet_.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(packet_.size());
    epoll_event event{.events = sent ? std::uint32_t{EPOLLIN} : EPOLLIN | EPOLLOUT, .data = {.u32 = slot}};
    ::epoll_ctl(poll_, EPOLL_CTL_ADD, fd, &event);
  }

  void round() {
    for (std::uint32_t slot = 0; slot < slots_.size(); ++slot) {
      if (slots_[slot] < 0) open(slot);
    }
    epoll_event events[256];
    const int count = ::epoll_wait(poll_, events, 256, 50);
    for (int i = 0; i < count; ++i) ready(events[i].data.u32, events[i].events);
  }

  void ready(std::uint32_t slot, std::uint32_t what) {
    const int fd = slots_[slot];
    if ((what & EPOLLOUT) != 0) {
      if (::send(fd, packet_.data(), packet_.size(), MSG_NOSIGNAL) < 0 && errno == EAGAIN) return;
      epoll_event event{.events = EPOLLIN, .data = {.u32 = slot}};
      ::epoll_ctl(poll_, EPOLL_CTL_MOD, fd, &event);
    }
    if ((what & (EPOLLIN | EPOLLERR | EPOLLHUP)) == 0) return;
    char answer[64];
    const ssize_t size = ::recv(fd, answer, sizeof answer, 0);
    if (size < 0 && errno == EAGAIN) return;
    ++(size >= 4 && answer[0] == 0x20 && answer[3] == 0 ? greeted_ : failed_);
    if (options_.reset) {
      const linger at_once{.l_onoff = 1, .l_linger = 0};
      ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    }
    ::close(fd);
    open(slot);
  }

  const ConnectionOptions& options_;
  Meter meter_;
  int poll_;
  std::string packet_;
  std::vector<int> slots_;
  std::uint64_t greeted_ = 0, failed_ = 0;
  std::uint32_t opened_ = 0;
};

void pause_ms(int ms) {
  std::this_thread::sleep_for(std::chrono::milliseconds(ms));
}

}  // namespace

bool run_connects(const ConnectionOptions& options, json::object& out) {
  return Connects(options).main(out);
}

bool run_idle(const ConnectionOptions& options, json::object& out) {
  Poller poller;
  // What the first clients make the server set up once is not a cost of each.
  for (int i = 0; i < 20; ++i) {
    Link& link = poller.add();
    if (!link.open(options.target, "first-" + std::to_string(i))) return false;
  }
  pause_ms(300);
  Meter meter(options.server_pid);
  const std::int64_t before = pss_bytes(options.server_pid);
  meter.start();
  for (std::uint32_t i = 0; i < options.width; ++i) {
    Link& link = poller.add();
    const std::string number = std::to_string(i);
    if (!link.open(options.target, "idle-device-" + number)) return false;
    if (options.subscribed && !link.subscribe("devices/" + number + "/commands", 1)) return false;
  }
  meter.stop();
  pause_ms(static_cast<int>(options.seconds * 1000));
  const std::int64_t after = pss_bytes(options.server_pid);
  meter.report(out, "connects", options.width);
  out["pss_before"] = before;
  out["pss_after"] = after;
  out["bytes_per_connection"] = rounded(static_cast<double>(after - before) / options.width);
  return true;
}

}  // namespace muster::bench
