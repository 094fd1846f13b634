// SPDX-License-Identifier: Apache-2.0
#include "link.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

namespace muster::bench {

namespace {
constexpr std::size_t kEvents = 512;
}

int open_socket(const Target& target, bool blocking, std::uint32_t source) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | (blocking ? 0 : SOCK_NONBLOCK), 0);
  if (fd < 0) return -1;
  const int one = 1;
  sockaddr_in address{};
  address.sin_family = AF_INET;
  if (source != 0) {
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK + source);
    ::setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
    if (::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
      ::close(fd);
      return -1;
    }
  }
  address.sin_port = htons(static_cast<std::uint16_t>(target.port));
  if (::inet_pton(AF_INET, target.host.c_str(), &address.sin_addr) != 1 ||
      (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 && errno != EINPROGRESS)) {
    ::close(fd);
    return -1;
  }
  if (blocking) {
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    const timeval patience{.tv_sec = 10};
    ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  }
  return fd;
}

Link::~Link() {
  close();
}

void Link::close() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

bool Link::open(const Target& target, std::string_view client_id, bool clean) {
  v5_ = target.v5;
  fd_ = open_socket(target, true);
  if (fd_ < 0) {
    std::perror("mqtt_load: connect");
    return false;
  }
  std::string packet;
  append_connect(packet, client_id, {.v5 = v5_, .clean = clean});
  return send(packet) && expect(2, "CONNACK");
}

bool Link::subscribe(std::string_view filter, int qos) {
  std::string packet;
  append_subscribe(packet, filter, qos, v5_);
  return send(packet) && expect(9, "SUBACK");
}

// The answer while blocking; its reason code must be a success.
bool Link::expect(int type, std::string_view name) {
  char bytes[512];
  std::size_t size = 0;
  Frame frame;
  while (true) {
    const ssize_t got = ::recv(fd_, bytes + size, sizeof bytes - size, 0);
    if (got <= 0) break;
    size += static_cast<std::size_t>(got);
    const char* at = bytes;
    if (!next_frame(at, bytes + size, frame)) continue;
    const auto reason = static_cast<std::uint8_t>(type == 2 ? frame.body[1] : frame.body[frame.bytes - 1]);
    if (frame.type() != type || reason >= 0x80 || (type == 2 && reason != 0)) break;
    cut_.assign(at, static_cast<std::size_t>(bytes + size - at));
    return true;
  }
  std::fprintf(stderr, "mqtt_load: no %.*s\n", static_cast<int>(name.size()), name.data());
  return false;
}

void Link::watch() {
  ::fcntl(fd_, F_SETFL, ::fcntl(fd_, F_GETFL) | O_NONBLOCK);
  watched_ = true;
  epoll_event event{.events = EPOLLIN, .data = {.u32 = number_}};
  ::epoll_ctl(poller_.fd_, EPOLL_CTL_ADD, fd_, &event);
}

void Link::want_writable(bool wanted) {
  if (wanted == writable_wanted_ || !watched_) return;
  writable_wanted_ = wanted;
  epoll_event event{.events = wanted ? EPOLLIN | EPOLLOUT : std::uint32_t{EPOLLIN}, .data = {.u32 = number_}};
  ::epoll_ctl(poller_.fd_, EPOLL_CTL_MOD, fd_, &event);
}

long Link::receive(std::span<char> into) {
  const ssize_t size = ::recv(fd_, into.data(), into.size(), 0);
  if (size > 0) return size;
  return size < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
}

bool Link::send(std::string_view bytes) {
  if (!unsent_.empty()) {
    unsent_ += bytes;
    return true;
  }
  const long sent = send_some(bytes, {});
  if (sent < 0) return false;
  if (static_cast<std::size_t>(sent) < bytes.size()) {
    unsent_ = bytes.substr(static_cast<std::size_t>(sent));
    want_writable(true);
  }
  return true;
}

bool Link::flush() {
  const long sent = send_some(unsent_, {});
  if (sent < 0) return false;
  unsent_.erase(0, static_cast<std::size_t>(sent));
  want_writable(!unsent_.empty());
  return true;
}

long Link::send_some(std::string_view first, std::string_view second) {
  iovec pieces[2] = {{const_cast<char*>(first.data()), first.size()},
                     {const_cast<char*>(second.data()), second.size()}};
  const msghdr message{.msg_iov = pieces, .msg_iovlen = second.empty() ? 1u : 2u};
  const ssize_t sent = ::sendmsg(fd_, &message, MSG_NOSIGNAL);
  if (sent >= 0) return sent;
  return errno == EAGAIN || errno == EINTR ? 0 : -1;
}

Poller::Poller() : fd_(::epoll_create1(EPOLL_CLOEXEC)), events_(kEvents), buffer_(std::make_unique<char[]>(kBuffer)) {}

Poller::~Poller() {
  ::close(fd_);
}

Link& Poller::add() {
  links_.push_back(std::make_unique<Link>(*this, static_cast<std::uint32_t>(links_.size())));
  return *links_.back();
}

std::span<const epoll_event> Poller::wait(int timeout_ms) {
  const int count = ::epoll_wait(fd_, events_.data(), static_cast<int>(events_.size()), timeout_ms);
  return {events_.data(), count > 0 ? static_cast<std::size_t>(count) : 0};
}

}  // namespace muster::bench
