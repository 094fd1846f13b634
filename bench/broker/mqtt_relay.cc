// SPDX-License-Identifier: Apache-2.0
// The ceiling: what the kernel's sockets allow a one-thread broker here. Answers CONNECT and SUBSCRIBE, and takes the
// topic and the packet size from a publisher's first PUBLISH; from then on it copies that publisher's bytes, cut at
// whole packets, to the subscribers of the topic with one blocking send each, unread. No broker: QoS 0, packets of one
// size, and a receiver that always reads. Prints its port; ends with its standard input.
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "wire.h"

namespace {

using namespace muster::bench;

struct Peer {
  int fd = -1;
  std::string cut;  // the begin of a packet
  std::size_t packet_bytes = 0;
  std::vector<int>* receivers = nullptr;
};

class Relay {
 public:
  int main() {
    const int one = 1;
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    ::setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    ::setsockopt(listener_, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);  // inherited by what it accepts
    if (::bind(listener_, reinterpret_cast<sockaddr*>(&address), size) != 0 || ::listen(listener_, 4096) != 0) return 1;
    ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
    std::printf("%d\n", ntohs(address.sin_port));
    std::fflush(stdout);
    watch(listener_);
    watch(STDIN_FILENO);
    epoll_event events[512];
    while (true) {
      const int count = ::epoll_wait(poll_, events, 512, -1);
      for (int i = 0; i < count; ++i) {
        const int fd = events[i].data.fd;
        if (fd == STDIN_FILENO) return 0;
        fd == listener_ ? accept() : ready(fd);
      }
    }
  }

 private:
  void watch(int fd) {
    epoll_event event{.events = EPOLLIN, .data = {.fd = fd}};
    ::epoll_ctl(poll_, EPOLL_CTL_ADD, fd, &event);
  }

  void accept() {
    const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0) return;
    if (static_cast<std::size_t>(fd) >= peers_.size()) peers_.resize(static_cast<std::size_t>(fd) + 1);
    peers_[static_cast<std::size_t>(fd)] = Peer{.fd = fd};
    watch(fd);
  }

  void ready(int fd) {
    Peer& peer = peers_[static_cast<std::size_t>(fd)];
    const std::size_t kept = peer.cut.size();
    std::memcpy(buffer_.data(), peer.cut.data(), kept);
    const ssize_t got = ::recv(fd, buffer_.data() + kept, buffer_.size() - kept, 0);
    if (got <= 0) {
      leave(fd);
      return;
    }
    const std::string_view bytes(buffer_.data(), kept + static_cast<std::size_t>(got));
    const std::size_t taken = peer.packet_bytes != 0 ? forward(peer, bytes) : greet(peer, bytes);
    peer.cut = bytes.substr(taken);
  }

  std::size_t forward(Peer& peer, std::string_view bytes) {
    const std::string_view whole = bytes.substr(0, bytes.size() / peer.packet_bytes * peer.packet_bytes);
    for (const int receiver : *peer.receivers) send(receiver, whole);
    return whole.size();
  }

  std::size_t greet(Peer& peer, std::string_view bytes) {
    const char* at = bytes.data();
    const char* const end = at + bytes.size();
    Frame frame;
    while (next_frame(at, end, frame)) {
      if (frame.type() == 1) send(peer.fd, std::string_view("\x20\x02\0\0", 4));
      if (frame.type() == 8) {
        const std::string filter(frame.body + 4, two_bytes(frame.body + 2));
        topics_[filter == "load/+" ? "*" : filter].push_back(peer.fd);
        send(peer.fd, std::string_view("\x90\x03\0\1\0", 5));
      }
      if (frame.type() != 3) continue;
      peer.receivers = &topics_[topics_.contains("*") ? "*" : std::string(frame.body + 2, two_bytes(frame.body))];
      const auto header = static_cast<std::size_t>(frame.bytes < 128 ? 2 : 3);
      peer.packet_bytes = header + frame.bytes;
      const auto before = static_cast<std::size_t>(frame.body - bytes.data()) - header;
      return before + forward(peer, bytes.substr(before));
    }
    return static_cast<std::size_t>(at - bytes.data());
  }

  void leave(int fd) {
    for (auto& [topic, receivers] : topics_) std::erase(receivers, fd);
    ::close(fd);
  }

  static void send(int fd, std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent < 0 && errno == EINTR) continue;
      if (sent <= 0) return;
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
  }

  int poll_ = ::epoll_create1(EPOLL_CLOEXEC);
  int listener_ = -1;
  std::vector<Peer> peers_;
  std::map<std::string, std::vector<int>> topics_;
  std::string buffer_ = std::string(256 * 1024, '\0');
};

}  // namespace

int main() {
  return Relay().main();
}
