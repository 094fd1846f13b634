// SPDX-License-Identifier: Apache-2.0
// Load generator for Jobs: N devices over plain MQTT on one thread, each publishing start-next, waiting for the
// accepted reply, publishing update SUCCEEDED with the version it was told, waiting for that, until its thing's queue
// is empty or the time is over. Prints one JSON object; the exit status is 0 only if every request was accepted. Things
// PREFIX0..PREFIX(N-1) and their jobs are made before (bench/provision.py).
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "base/json.h"
#include "mqtt/client/client.h"
#include "process_cpu.h"

namespace {

using namespace muster;
using bench::cpu_of;
using bench::own_cpu;
using bench::rounded;
using Nanos = std::int64_t;

Nanos now_ns() {
  return std::chrono::steady_clock::now().time_since_epoch() / std::chrono::nanoseconds(1);
}

struct Options {
  std::string host = "127.0.0.1";
  int port = 1883;
  int devices = 200;
  double seconds = 10;
  std::string prefix = "device";
  double connections_per_second = 2000;
  int server_pid = 0;
  int qos = 1;
  bool v5 = false;
  double reply_timeout_s = 30;
};

struct Totals {
  std::vector<std::uint32_t> start_us, update_us;  // one entry each reply
  std::uint64_t executions = 0, rejected = 0, timeouts = 0, lost = 0, mismatched = 0;
  int connected = 0, finished = 0;  // finished: queue empty
  Nanos last_reply = 0;
  std::string first_error;
  void complain(const std::string& text) {
    if (first_error.empty()) first_error = text;
  }
};

class Device final : public mqtt::ClientEvents {
 public:
  enum class State : std::uint8_t { kIdle, kConnecting, kReady, kWaitsStart, kWaitsUpdate, kDone };

  Device(const Options& options, Totals& totals, int number)
      : options_(options),
        totals_(totals),
        name_(options.prefix + std::to_string(number)),
        client_(*this),
        jobs_("$aws/things/" + name_ + "/jobs/") {}
  ~Device() override {
    if (fd_ >= 0) ::close(fd_);
  }

  bool open(int poll, std::uint32_t index) {
    fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(options_.port));
    if (fd_ < 0 || ::inet_pton(AF_INET, options_.host.c_str(), &address.sin_addr) != 1) return false;
    const int one = 1;
    ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    const int outcome = ::connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address);
    if (outcome != 0 && errno != EINPROGRESS) return false;
    poll_ = poll;
    index_ = index;
    state_ = State::kConnecting;
    // Written once the socket is connected.
    client_.connect(
        {.version = options_.v5 ? mqtt::Version::k5 : mqtt::Version::k311, .keep_alive_s = 1200, .client_id = name_});
    watch(EPOLL_CTL_ADD, EPOLLIN | EPOLLOUT);
    return true;
  }

  void ready(std::uint32_t what, std::span<char> buffer) {
    if ((what & EPOLLOUT) != 0) flush();
    if ((what & (EPOLLIN | EPOLLHUP | EPOLLERR)) == 0 || state_ == State::kDone) return;
    const ssize_t size = ::recv(fd_, buffer.data(), buffer.size(), 0);
    if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (size <= 0) return client_.lost("connection lost");
    const std::string_view bytes(buffer.data(), static_cast<std::size_t>(size));
    if (kept_.empty()) {
      kept_ = bytes.substr(client_.receive(bytes));
    } else {
      kept_ += bytes;
      kept_.erase(0, client_.receive(kept_));
    }
    flush();
  }

  void start_next() {
    if (state_ != State::kReady) return;
    token_ = name_ + "-" + std::to_string(++requests_);
    payload_ = R"({"clientToken":")" + token_ + "\"}";
    request(jobs_ + "start-next", State::kWaitsStart);
  }

  void check_timeout(Nanos now) {
    const bool waits = state_ == State::kWaitsStart || state_ == State::kWaitsUpdate;
    if (!waits || now - asked_at_ < static_cast<Nanos>(options_.reply_timeout_s * 1e9)) return;
    ++totals_.timeouts;
    totals_.complain(name_ + ": no reply in time");
    finish();
  }

  bool waits_for_reply() const { return state_ == State::kWaitsStart || state_ == State::kWaitsUpdate; }
  State state() const { return state_; }
  void stop() { stopping_ = true; }

  void on_connack(const mqtt::Connack& packet) override {
    if (packet.reason != mqtt::Reason::kSuccess) return;
    state_ = State::kReady;
    ++totals_.connected;
  }
  void on_message(const mqtt::Publish& packet) override {
    if (!waits_for_reply() || !packet.topic.starts_with(jobs_)) return;
    const std::string_view rest = packet.topic.substr(jobs_.size());
    const bool accepted = rest.ends_with("/accepted");
    if (!accepted && !rest.ends_with("/rejected")) return;
    const auto reply = parse_json(packet.payload);
    if (!reply || !reply->is_object() || get_string(reply->get_object(), "clientToken") != token_) {
      ++totals_.mismatched;
      totals_.complain(name_ + ": a reply that is not ours: " + std::string(packet.payload.substr(0, 200)));
      return;
    }
    settle(accepted, reply->get_object(), packet.payload);
  }
  void on_closed(mqtt::Reason, std::string_view text) override {
    if (state_ != State::kDone) {
      ++totals_.lost;
      totals_.complain(name_ + ": " + std::string(text));
    }
    state_ = State::kDone;
    if (poll_ >= 0) ::epoll_ctl(poll_, EPOLL_CTL_DEL, fd_, nullptr);
  }

 private:
  void watch(int operation, std::uint32_t events) {
    epoll_event event{.events = events, .data = {.u32 = index_}};
    ::epoll_ctl(poll_, operation, fd_, &event);
    writes_watched_ = (events & EPOLLOUT) != 0;
  }

  void flush() {
    std::string& out = client_.output();
    if (!out.empty() && state_ != State::kDone) {
      const ssize_t size = ::send(fd_, out.data(), out.size(), MSG_NOSIGNAL);
      if (size > 0) out.erase(0, static_cast<std::size_t>(size));
      if (size < 0 && errno != EAGAIN && errno != ENOTCONN) return client_.lost("connection lost");
    }
    if (state_ != State::kDone && out.empty() == writes_watched_) {
      watch(EPOLL_CTL_MOD, out.empty() ? EPOLLIN : EPOLLIN | EPOLLOUT);
    }
  }

  void request(const std::string& topic, State next) {
    state_ = next;
    asked_at_ = now_ns();
    const bool sent = options_.qos == 1 ? client_.publish_qos1(topic, payload_) != 0 : client_.publish(topic, payload_);
    if (!sent) return client_.lost("the publish could not be sent");
    if (!in_message_) flush();
  }

  void settle(bool accepted, const json::object& reply, std::string_view text) {
    const Nanos now = now_ns();
    totals_.last_reply = now;
    const bool starting = state_ == State::kWaitsStart;
    (starting ? totals_.start_us : totals_.update_us).push_back(static_cast<std::uint32_t>((now - asked_at_) / 1000));
    if (!accepted) {
      ++totals_.rejected;
      totals_.complain(name_ + ": rejected: " + std::string(text.substr(0, 200)));
      return finish();
    }
    in_message_ = true;  // receive() flushes once behind us
    if (starting) {
      const json::object* execution = find_object(reply, "execution");
      if (execution == nullptr || !has(*execution, "jobId")) {
        ++totals_.finished;
        finish();
      } else {
        update(*execution);
      }
    } else {
      ++totals_.executions;
      state_ = State::kReady;
      if (stopping_) {
        finish();
      } else {
        start_next();
      }
    }
    in_message_ = false;
  }

  void update(const json::object& execution) {
    token_ = name_ + "-" + std::to_string(++requests_);
    payload_ = R"({"status":"SUCCEEDED","expectedVersion":)" + std::to_string(get_int(execution, "versionNumber")) +
               R"(,"clientToken":")" + token_ + "\"}";
    request(jobs_ + std::string(get_string(execution, "jobId")) + "/update", State::kWaitsUpdate);
  }

  void finish() {
    state_ = State::kDone;
    client_.disconnect();
    const std::string& out = client_.output();
    // The last acknowledgements and DISCONNECT; nothing is lost for the figures if the socket is full.
    if (::send(fd_, out.data(), out.size(), MSG_NOSIGNAL) < 0) totals_.complain(name_ + ": could not say good-bye");
  }

  const Options& options_;
  Totals& totals_;
  std::string name_;
  mqtt::ClientConnection client_;
  std::string jobs_, token_, payload_, kept_;
  Nanos asked_at_ = 0;
  std::uint64_t requests_ = 0;
  std::uint32_t index_ = 0;
  int fd_ = -1, poll_ = -1;
  State state_ = State::kIdle;
  bool writes_watched_ = false, in_message_ = false, stopping_ = false;
};

json::object latencies(std::vector<std::uint32_t>& us) {
  std::sort(us.begin(), us.end());
  const auto at = [&](double share) {
    return us.empty() ? 0
                      : us[std::min(us.size() - 1, static_cast<std::size_t>(share * static_cast<double>(us.size())))];
  };
  return {{"count", us.size()}, {"p50_us", at(0.5)}, {"p99_us", at(0.99)}, {"max_us", us.empty() ? 0 : us.back()}};
}

class Run {
 public:
  explicit Run(const Options& options) : options_(options), poll_(::epoll_create1(EPOLL_CLOEXEC)), buffer_(1u << 16) {
    for (int i = 0; i < options.devices; ++i) devices_.push_back(std::make_unique<Device>(options_, totals_, i));
  }
  ~Run() { ::close(poll_); }

  int main() {
    const Nanos began = now_ns();
    if (!connect_all()) return fail("not every device could connect");
    const double connect_seconds = static_cast<double>(now_ns() - began) / 1e9;
    const double server_before = options_.server_pid != 0 ? cpu_of(options_.server_pid) : 0;
    const double own_before = own_cpu();
    const Nanos start = now_ns();
    for (auto& device : devices_) device->start_next();
    work(start + static_cast<Nanos>(options_.seconds * 1e9));
    const Nanos end = std::max(totals_.last_reply, start + 1);
    const double seconds = static_cast<double>(end - start) / 1e9;
    const double server_cpu = options_.server_pid != 0 ? cpu_of(options_.server_pid) - server_before : 0;
    return report(seconds, connect_seconds, server_cpu, own_cpu() - own_before);
  }

 private:
  int fail(const char* text) {
    std::fprintf(stderr, "device_load: %s; %d of %d connected; first error: %s\n", text, totals_.connected,
                 options_.devices, totals_.first_error.empty() ? "none" : totals_.first_error.c_str());
    return 1;
  }

  void poll(int timeout_ms) {
    epoll_event events[256];
    const int count = ::epoll_wait(poll_, events, 256, timeout_ms);
    for (int i = 0; i < count; ++i) devices_[events[i].data.u32]->ready(events[i].events, buffer_);
  }

  bool connect_all() {
    const Nanos began = now_ns();
    const Nanos give_up = began + static_cast<Nanos>((30 + options_.devices / options_.connections_per_second) * 1e9);
    std::size_t opened = 0;
    while (totals_.connected < options_.devices) {
      const Nanos now = now_ns();
      if (now > give_up || totals_.lost != 0) return false;
      const double due = static_cast<double>(now - began) / 1e9 * options_.connections_per_second + 1;
      for (; opened < devices_.size() && static_cast<double>(opened) < due; ++opened) {
        if (!devices_[opened]->open(poll_, static_cast<std::uint32_t>(opened))) return false;
      }
      poll(opened < devices_.size() ? 1 : 100);
    }
    return true;
  }

  void work(Nanos deadline) {
    bool stopping = false;
    Nanos next_look = 0;
    while (true) {
      poll(100);
      const Nanos now = now_ns();
      if (now >= deadline && !stopping) {
        stopping = true;
        for (auto& device : devices_) device->stop();
      }
      if (now < next_look) continue;
      next_look = now + 50'000'000;
      std::size_t waiting = 0;
      for (auto& device : devices_) {
        device->check_timeout(now);
        waiting += device->waits_for_reply() ? 1 : 0;
      }
      if (waiting == 0) return;
    }
  }

  int report(double seconds, double connect_seconds, double server_cpu, double generator_cpu) {
    const auto executions = static_cast<double>(totals_.executions);
    const double transitions =
        static_cast<double>(totals_.start_us.size() + totals_.update_us.size() - totals_.rejected) -
        totals_.finished;  // an empty queue changes nothing
    json::object out{{"devices", options_.devices},
                     {"qos", options_.qos},
                     {"connect_seconds", rounded(connect_seconds)},
                     {"seconds", rounded(seconds)},
                     {"executions", totals_.executions},
                     {"executions_per_s", rounded(executions / seconds)},
                     {"transitions_per_s", rounded(transitions / seconds)},
                     {"start_next", latencies(totals_.start_us)},
                     {"update", latencies(totals_.update_us)},
                     {"queues_emptied", totals_.finished},
                     {"rejected", totals_.rejected},
                     {"timeouts", totals_.timeouts},
                     {"lost_connections", totals_.lost},
                     {"mismatched_replies", totals_.mismatched},
                     {"generator_cpu_s", rounded(generator_cpu)}};
    if (options_.server_pid != 0) {
      out["server_cpu_s"] = rounded(server_cpu);
      out["executions_per_server_cpu_s"] = server_cpu > 0 ? rounded(executions / server_cpu) : 0;
    }
    if (!totals_.first_error.empty()) out["first_error"] = totals_.first_error;
    std::puts(to_text(out).c_str());
    const bool clean = totals_.rejected + totals_.timeouts + totals_.lost + totals_.mismatched == 0;
    return clean && totals_.executions > 0 ? 0 : 1;
  }

  Options options_;
  Totals totals_;
  int poll_;
  std::vector<char> buffer_;
  std::vector<std::unique_ptr<Device>> devices_;
};

bool parse(int argc, char** argv, Options& options) {
  for (int i = 1; i < argc; i += 2) {
    const std::string_view key = argv[i];
    if (i + 1 >= argc) return false;
    const char* value = argv[i + 1];
    if (key == "--host")
      options.host = value;
    else if (key == "--port")
      options.port = std::atoi(value);
    else if (key == "--devices")
      options.devices = std::atoi(value);
    else if (key == "--seconds")
      options.seconds = std::atof(value);
    else if (key == "--prefix")
      options.prefix = value;
    else if (key == "--connections-per-second")
      options.connections_per_second = std::atof(value);
    else if (key == "--server-pid")
      options.server_pid = std::atoi(value);
    else if (key == "--qos")
      options.qos = std::atoi(value);
    else if (key == "--protocol")
      options.v5 = std::string_view(value) == "5";
    else if (key == "--reply-timeout")
      options.reply_timeout_s = std::atof(value);
    else
      return false;
  }
  return options.devices > 0 && options.devices <= 1'000'000 && options.seconds > 0 && options.qos >= 0 &&
         options.qos <= 1 && options.connections_per_second > 0;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  if (!parse(argc, argv, options)) {
    std::fputs(
        "device_load [--host H] [--port P] [--devices N] [--seconds S] [--prefix NAME] [--qos 0|1] [--protocol 311|5]\n"
        "            [--connections-per-second R] [--server-pid PID] [--reply-timeout S]\n",
        stderr);
    return 2;
  }
  return Run(options).main();
}
