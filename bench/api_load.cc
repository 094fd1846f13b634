// SPDX-License-Identifier: Apache-2.0
// Load on the API port: signed requests (or health checks) over keep-alive connections, one request at a time each:
// CreateThing, DescribeJob, or Get of a --path in which {} is a number below --of. As many as possible, or with --rate
// that many a second, evenly spaced whatever the server does, a latency counting from when the request was due. For
// --seconds or until SIGTERM. Prints one JSON line: requests/s, latency percentiles, and the server's CPU time per
// request when its process id is given. One thread, epoll.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "base/crypto.h"
#include "base/sigv4.h"
#include "base/text.h"
#include "process_cpu.h"

namespace {

using Clock = std::chrono::steady_clock;
using muster::sigv4::Scope;

struct Options {
  std::map<std::string, std::string> values{{"host", "127.0.0.1"},
                                            {"port", "4566"},
                                            {"connections", "16"},
                                            {"seconds", "5"},
                                            {"operation", "CreateThing"},
                                            {"job", ""},
                                            {"region", "us-east-1"},
                                            {"access-key", ""},
                                            {"secret-key", ""},
                                            {"server-pid", ""},
                                            {"prefix", "bench"},
                                            {"path", "/"},
                                            {"of", "1"},
                                            {"rate", "0"}};
  const std::string& operator[](const char* name) const { return values.at(name); }
  int number(const char* name) const { return std::atoi(values.at(name).c_str()); }
};

class Requests {
 public:
  explicit Requests(const Options& options) : options_(options) {
    date_ms_ =
        std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch())
            .count();
    scope_ = Scope{muster::to_amz_date(date_ms_).substr(0, 8), options["region"], "execute-api"};
    key_ = muster::sigv4::signing_key(options["secret-key"], scope_);
    host_ = options["host"] + ":" + options["port"];
  }

  std::string next() {
    const std::string& operation = options_["operation"];
    if (operation == "Health") return "GET /health/live HTTP/1.1\r\nHost: " + host_ + "\r\n\r\n";
    if (operation == "Get") return sign("GET", some_path(), "");
    if (operation == "DescribeJob") return sign("GET", "/jobs/" + options_["job"], "");
    return sign("POST", "/things/" + options_["prefix"] + std::to_string(count_++), "{}");
  }

 private:
  std::string some_path() {
    std::string path = options_["path"];
    const auto place = path.find("{}");
    const auto below = static_cast<unsigned>(std::max(1, options_.number("of")));
    if (place != std::string::npos) path.replace(place, 2, std::to_string(random_() % below));
    return path;
  }

  std::string sign(const std::string& method, const std::string& path, const std::string& body) {
    std::string amz_date = muster::to_amz_date(date_ms_);
    muster::sigv4::CanonicalInput input;
    input.method = method;
    input.path = path;
    input.headers = {{"host", host_}, {"x-amz-date", amz_date}};
    input.payload_hash = muster::sha256_hex(body);
    auto canonical = muster::sigv4::canonical_request(input);
    auto signature = muster::sigv4::sign(key_, muster::sigv4::string_to_sign(amz_date, scope_, canonical));
    std::string request = method + " " + path + " HTTP/1.1\r\nHost: " + host_ + "\r\nX-Amz-Date: " + amz_date +
                          "\r\nAuthorization: AWS4-HMAC-SHA256 Credential=" + options_["access-key"] + "/" +
                          scope_.text() + ", SignedHeaders=host;x-amz-date, Signature=" + signature + "\r\n";
    if (method == "POST") {
      request += "Content-Type: application/json\r\nContent-Length: " + std::to_string(body.size()) + "\r\n";
    }
    return request + "\r\n" + body;
  }

  const Options& options_;
  std::int64_t date_ms_;
  Scope scope_;
  std::string key_, host_;
  std::uint64_t count_ = 0;
  std::mt19937 random_;
};

struct Connection {
  int fd = -1;
  std::string input;
  Clock::time_point sent;
};

void send_all(int fd, const std::string& bytes) {
  std::size_t done = 0;
  while (done < bytes.size()) {
    ssize_t n = ::send(fd, bytes.data() + done, bytes.size() - done, MSG_NOSIGNAL);
    if (n <= 0) {
      std::perror("send");
      std::exit(1);
    }
    done += static_cast<std::size_t>(n);
  }
}

// Status of a complete response at the front of `input`, which is then removed; 0 when more bytes are needed.
int take_response(std::string& input) {
  auto head = input.find("\r\n\r\n");
  if (head == std::string::npos) return 0;
  std::size_t length = 0;
  std::string lower = muster::lower(std::string_view(input).substr(0, head));
  if (auto at = lower.find("content-length:"); at != std::string::npos)
    length = std::strtoul(lower.c_str() + at + 15, nullptr, 10);
  if (input.size() < head + 4 + length) return 0;
  int status = std::atoi(input.c_str() + 9);
  input.erase(0, head + 4 + length);
  return status;
}

int connect_to(const Options& options) {
  int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(options.number("port")));
  ::inet_pton(AF_INET, options["host"].c_str(), &address.sin_addr);
  if (::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    std::perror("connect");
    std::exit(1);
  }
  int one = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  return fd;
}

volatile std::sig_atomic_t stopped = 0;

class Run {
 public:
  explicit Run(const Options& options)
      : options_(options),
        requests_(options),
        poll_(::epoll_create1(EPOLL_CLOEXEC)),
        connections_(static_cast<std::size_t>(options.number("connections"))) {
    for (Connection& c : connections_) {
      c.fd = connect_to(options);
      epoll_event event{.events = EPOLLIN, .data = {.ptr = &c}};
      ::epoll_ctl(poll_, EPOLL_CTL_ADD, c.fd, &event);
    }
  }

  int main() {
    const int pid = options_["server-pid"].empty() ? ::getpid() : options_.number("server-pid");
    const double cpu_before = muster::bench::cpu_of(pid);
    const auto begin = Clock::now(), end = begin + std::chrono::seconds(options_.number("seconds"));
    if (options_.number("rate") > 0) {
      paced(begin, end);
    } else {
      closed(end);
    }
    const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
    report(seconds, muster::bench::cpu_of(pid) - cpu_before);
    return statuses_.size() == 1 && statuses_.begin()->first == 200 ? 0 : 1;
  }

 private:
  void send(Connection& c, Clock::time_point due) {
    c.sent = due;
    send_all(c.fd, requests_.next());
  }

  // Every connection always has one request under way.
  void closed(Clock::time_point end) {
    for (Connection& c : connections_) send(c, Clock::now());
    while (stopped == 0 && Clock::now() < end) {
      for (Connection* c : answered(std::chrono::milliseconds(100))) send(*c, Clock::now());
    }
  }

  void paced(Clock::time_point begin, Clock::time_point end) {
    const auto every = std::chrono::nanoseconds(1'000'000'000 / options_.number("rate"));
    std::deque<Connection*> idle;
    for (Connection& c : connections_) idle.push_back(&c);
    auto due = begin;  // of the next request not yet sent
    while (stopped == 0 && due < end) {
      for (; !idle.empty() && due <= Clock::now(); due += every, idle.pop_front()) send(*idle.front(), due);
      const auto wait = idle.empty() ? std::chrono::nanoseconds(100'000'000) : due - Clock::now();
      for (Connection* c : answered(std::max(wait, std::chrono::nanoseconds(0)))) idle.push_back(c);
    }
    while (idle.size() < connections_.size()) {
      for (Connection* c : answered(std::chrono::seconds(1))) idle.push_back(c);
    }
  }

  // The connections whose answers came within that time.
  std::vector<Connection*> answered(std::chrono::nanoseconds wait) {
    std::vector<Connection*> ready;
    epoll_event events[64];
    const timespec time{.tv_sec = wait.count() / 1'000'000'000, .tv_nsec = wait.count() % 1'000'000'000};
    const int n = ::epoll_pwait2(poll_, events, 64, &time, nullptr);
    char buffer[65536];
    for (int i = 0; i < n; ++i) {
      auto& c = *static_cast<Connection*>(events[i].data.ptr);
      const ssize_t got = ::recv(c.fd, buffer, sizeof buffer, 0);
      if (got <= 0) {
        std::fprintf(stderr, "the server closed a connection\n");
        std::exit(1);
      }
      c.input.append(buffer, static_cast<std::size_t>(got));
      if (const int status = take_response(c.input)) {
        ++statuses_[status];
        latencies_ms_.push_back(std::chrono::duration<double, std::milli>(Clock::now() - c.sent).count());
        ready.push_back(&c);
      }
    }
    return ready;
  }

  void report(double seconds, double cpu) {
    std::sort(latencies_ms_.begin(), latencies_ms_.end());
    const auto count = static_cast<double>(latencies_ms_.size());
    const auto percentile = [&](double p) {
      return latencies_ms_.empty() ? 0 : latencies_ms_[static_cast<std::size_t>(p * (count - 1))];
    };
    std::printf(
        "{\"operation\":\"%s\",\"connections\":%zu,\"requests_per_s\":%.0f,\"p50_ms\":%.3f,\"p99_ms\":%.3f,"
        "\"max_ms\":%.3f",
        options_["operation"].c_str(), connections_.size(), count / seconds, percentile(0.5), percentile(0.99),
        percentile(1.0));
    if (!options_["server-pid"].empty()) std::printf(",\"server_cpu_us_per_request\":%.1f", cpu * 1e6 / count);
    std::printf(",\"statuses\":{");
    const char* comma = "";
    for (const auto& [status, number] : statuses_)
      std::printf("%s\"%d\":%llu", comma, status, static_cast<unsigned long long>(number)), comma = ",";
    std::printf("}}\n");
  }

  const Options& options_;
  Requests requests_;
  int poll_;
  std::vector<Connection> connections_;
  std::vector<double> latencies_ms_;
  std::map<int, std::uint64_t> statuses_;
};

}  // namespace

int main(int argc, char** argv) {
  Options options;
  for (int i = 1; i + 1 < argc; i += 2) {
    auto it = options.values.find(argv[i] + (std::strncmp(argv[i], "--", 2) == 0 ? 2 : 0));
    if (it == options.values.end()) {
      std::fprintf(stderr, "unknown option %s\n", argv[i]);
      return 2;
    }
    it->second = argv[i + 1];
  }
  std::signal(SIGTERM, [](int) { stopped = 1; });
  return Run(options).main();
}
