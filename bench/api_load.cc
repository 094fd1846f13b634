// SPDX-License-Identifier: Apache-2.0
// Load on the API port: signed CreateThing and DescribeJob requests (or health checks) over keep-alive connections, one
// request at a time each. Prints one JSON line: requests/s, latency percentiles, and the server's CPU time per request
// when its process id is given. One thread, epoll.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "base/crypto.h"
#include "base/sigv4.h"
#include "base/text.h"

namespace {

using Clock = std::chrono::steady_clock;
using muster::sigv4::Scope;

struct Options {
  std::map<std::string, std::string> values{
      {"host", "127.0.0.1"},        {"port", "4566"},   {"connections", "16"},   {"seconds", "5"},
      {"operation", "CreateThing"}, {"job", ""},        {"region", "us-east-1"}, {"access-key", ""},
      {"secret-key", ""},           {"server-pid", ""}, {"prefix", "bench"}};
  const std::string& operator[](const char* name) const { return values.at(name); }
  int number(const char* name) const { return std::atoi(values.at(name).c_str()); }
};

double cpu_seconds(const std::string& pid) {
  std::ifstream stat("/proc/" + pid + "/stat");
  std::string text((std::istreambuf_iterator<char>(stat)), {});
  auto after = text.rfind(')');
  if (after == std::string::npos) return 0;
  auto fields = muster::split(std::string_view(text).substr(after + 2), ' ');
  return static_cast<double>(std::atoll(std::string(fields[11]).c_str()) +
                             std::atoll(std::string(fields[12]).c_str())) /
         static_cast<double>(::sysconf(_SC_CLK_TCK));
}

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
    if (operation == "DescribeJob") return sign("GET", "/jobs/" + options_["job"], "");
    return sign("POST", "/things/" + options_["prefix"] + std::to_string(count_++), "{}");
  }

 private:
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
  Requests requests(options);
  int poll = ::epoll_create1(EPOLL_CLOEXEC);
  std::vector<Connection> connections(static_cast<std::size_t>(options.number("connections")));
  for (Connection& c : connections) {
    c.fd = connect_to(options);
    epoll_event event{.events = EPOLLIN, .data = {.ptr = &c}};
    ::epoll_ctl(poll, EPOLL_CTL_ADD, c.fd, &event);
  }
  double cpu_before = cpu_seconds(options["server-pid"].empty() ? "self" : options["server-pid"]);
  auto begin = Clock::now(), end = begin + std::chrono::seconds(options.number("seconds"));
  for (Connection& c : connections) {
    c.sent = Clock::now();
    send_all(c.fd, requests.next());
  }
  std::vector<double> latencies_ms;
  std::map<int, std::uint64_t> statuses;
  char buffer[65536];
  std::vector<epoll_event> events(64);
  auto now = begin;
  while (now < end) {
    int n = ::epoll_wait(poll, events.data(), static_cast<int>(events.size()), 1000);
    now = Clock::now();
    for (int i = 0; i < n; ++i) {
      auto& c = *static_cast<Connection*>(events[static_cast<std::size_t>(i)].data.ptr);
      ssize_t got = ::recv(c.fd, buffer, sizeof buffer, 0);
      if (got <= 0) {
        std::fprintf(stderr, "the server closed a connection\n");
        return 1;
      }
      c.input.append(buffer, static_cast<std::size_t>(got));
      if (int status = take_response(c.input)) {
        ++statuses[status];
        latencies_ms.push_back(std::chrono::duration<double, std::milli>(Clock::now() - c.sent).count());
        c.sent = Clock::now();
        send_all(c.fd, requests.next());
      }
    }
  }
  double seconds = std::chrono::duration<double>(now - begin).count();
  double cpu = cpu_seconds(options["server-pid"].empty() ? "self" : options["server-pid"]) - cpu_before;
  std::sort(latencies_ms.begin(), latencies_ms.end());
  auto percentile = [&](double p) {
    return latencies_ms.empty()
               ? 0
               : latencies_ms[static_cast<std::size_t>(p * static_cast<double>(latencies_ms.size() - 1))];
  };
  std::printf(
      "{\"operation\":\"%s\",\"connections\":%zu,\"requests_per_s\":%.0f,\"p50_ms\":%.3f,\"p99_ms\":%.3f,\"max_ms\":%."
      "3f",
      options["operation"].c_str(), connections.size(), static_cast<double>(latencies_ms.size()) / seconds,
      percentile(0.5), percentile(0.99), percentile(1.0));
  if (!options["server-pid"].empty())
    std::printf(",\"server_cpu_us_per_request\":%.1f", cpu * 1e6 / static_cast<double>(latencies_ms.size()));
  std::printf(",\"statuses\":{");
  const char* comma = "";
  for (auto [status, count] : statuses)
    std::printf("%s\"%d\":%llu", comma, status, static_cast<unsigned long long>(count)), comma = ",";
  std::printf("}}\n");
  return statuses.size() == 1 && statuses.begin()->first == 200 ? 0 : 1;
}
