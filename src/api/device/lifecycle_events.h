// SPDX-License-Identifier: Apache-2.0
// LifecycleEvents: tells subscribers of $aws/events/presence/... and $aws/events/subscriptions/... who connects,
// disconnects, subscribes and unsubscribes, in AWS's words. The broker calls it on the loops of its connections,
// several at once perhaps; it hands each event to a Publish, which must not block. Owned by server/wiring.
//
// As AWS does, it stays silent about client ids that hold '#' or '+', and about strangers: a failed CONNECT is told
// only when its credential was known and lacked permission.
//
// versionNumber grows with each connection of a client id and is the same in its two events. A client that was away for
// an hour begins at 0 again. At most kMaxAbsent absent clients are remembered; when one must be forgotten sooner, or
// after a start over old records (`continued`), unknown clients begin above all that may have been told before.
// Source: AWS IoT developer guide, "Lifecycle events".
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "mqtt/broker/ports.h"

namespace muster::api::device {

std::string_view disconnect_reason(mqtt::EndCause cause);

class LifecycleEvents final : public mqtt::Lifecycle {
 public:
  static constexpr std::size_t kMaxAbsent = 100'000;
  static constexpr std::int64_t kForgetMs = 3'600'000;
  using Publish = std::function<void(std::string topic, std::string payload)>;
  using Wanted = std::function<bool(std::string_view topic)>;

  // `continued`: clients may have been told about by an earlier process, less than an hour before `now_ms`.
  LifecycleEvents(Publish publish, bool continued, std::int64_t now_ms, std::size_t max_absent = kMaxAbsent);

  // Events of topics that nobody wants are not made. Before anything is told.
  void ask_first(Wanted wanted) { wanted_ = std::move(wanted); }

  void connected(const mqtt::LifecycleClient& client) override;
  void connect_failed(const mqtt::LifecycleClient& client, std::string_view reason) override;
  void disconnected(const mqtt::LifecycleClient& client, mqtt::EndCause cause) override;
  void subscribed(const mqtt::LifecycleClient& client, const std::vector<std::string>& filters) override;
  void unsubscribed(const mqtt::LifecycleClient& client, const std::vector<std::string>& filters) override;

 private:
  // A connection that is being taken over may end after its successor began.
  struct Known {
    std::int64_t version = 0;
    std::string session;
    std::string previous_session;
    std::int64_t previous_version = 0;
    bool absent = false;
    std::int64_t since_ms = 0;               // absent
    std::list<std::string>::iterator place;  // in absent_, when absent
  };

  std::int64_t begin_connection(const mqtt::LifecycleClient& client);
  std::int64_t end_connection(const mqtt::LifecycleClient& client);
  void forget_absent(std::int64_t now_ms);
  void tell_filters(const mqtt::LifecycleClient& client, std::string_view event,
                    const std::vector<std::string>& filters) const;

  bool wanted(std::string_view topic) const { return !wanted_ || wanted_(topic); }

  const Publish publish_;
  Wanted wanted_;
  const std::size_t max_absent_;
  std::mutex mutex_;
  std::unordered_map<std::string, Known> known_;
  std::list<std::string> absent_;  // client ids, longest away first
  // What an unknown client begins with, until floor_until_ms_; then 0.
  std::int64_t floor_ = 0;
  std::int64_t floor_until_ms_ = 0;
};

}  // namespace muster::api::device
