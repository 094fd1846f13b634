// SPDX-License-Identifier: Apache-2.0
// What a C or C++ client library is asked to do against a broker. Each library implements Client in a file of its own
// and is linked with scenarios.cc, which holds main(). A scenario that fails throws Failure; the next one runs all the
// same.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace interop {

inline constexpr std::chrono::seconds kPatience{10};
inline constexpr int kPatienceMs = 10'000;

struct Failure : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct Broker {
  std::string host;
  int port = 0;
  int version = 4;  // 4: MQTT 3.1.1, 5: MQTT 5
  std::string ca, certificate, key;

  bool tls() const { return !ca.empty(); }
  bool v5() const { return version == 5; }
  std::string uri() const { return (tls() ? "ssl://" : "tcp://") + host + ":" + std::to_string(port); }
};

struct Message {
  std::string topic, payload;
  int qos = 1;
  bool retain = false;
  std::string content_type, response_topic, correlation;  // MQTT 5
  std::vector<std::pair<std::string, std::string>> user;  // MQTT 5
};

struct Start {
  std::string id;
  bool clean = true;
  std::uint32_t expiry_s = 0;  // MQTT 5
  Message will;                // without a topic: none
};

struct Filter {
  int qos = 1;
  bool no_local = false, retain_as_published = false;  // MQTT 5
  int retain_handling = 0;                             // MQTT 5
};

// Answers by packet id; the library's thread gives, the scenario waits.
class Answers {
 public:
  void give(int id, int answer);
  int await(int id, const char* what);

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<int, int> given_;
};

class Client {
 public:
  virtual ~Client() = default;
  virtual std::optional<bool> connect(const Start& start) = 0;              // session present, where the library tells
  virtual int subscribe(const std::string& filter, const Filter& how) = 0;  // granted
  virtual void unsubscribe(const std::string& filter) = 0;
  virtual int begin_publish(const Message& message) = 0;  // a token for
  virtual void finish_publish(int token) = 0;             // which waits for the acknowledgement
  virtual void disconnect() = 0;

  void publish(const Message& message) { finish_publish(begin_publish(message)); }
  Message receive();
  void await_loss();

 protected:
  void arrived(Message message);
  void lost();

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Message> inbox_;
  bool lost_ = false;
};

std::unique_ptr<Client> make_client(const Broker& broker);

}  // namespace interop
