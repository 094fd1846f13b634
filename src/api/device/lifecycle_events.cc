// SPDX-License-Identifier: Apache-2.0
#include "api/device/lifecycle_events.h"

#include <algorithm>
#include <utility>

#include "base/crypto.h"
#include "base/json.h"

namespace muster::api::device {
namespace {

constexpr std::string_view kNotAuthorized = "Not authorized";  // as the broker names MQTT 5's reason 0x87
constexpr std::size_t kMaxFilterBytes = 64 * 1024;             // in one event; more filters make more events

bool tellable(const mqtt::LifecycleClient& client) {
  return !client.client_id.empty() && client.client_id.find_first_of("#+") == std::string_view::npos;
}

std::string topic_of(std::string_view kind, std::string_view event, const mqtt::LifecycleClient& client) {
  return std::string("$aws/events/").append(kind).append("/").append(event).append("/").append(client.client_id);
}

json::object event_of(const mqtt::LifecycleClient& client, std::string_view event) {
  return {{"clientId", client.client_id}, {"timestamp", client.now_ms}, {"eventType", event}};
}

void add_identity(json::object& event, const mqtt::LifecycleClient& client) {
  event["sessionIdentifier"] = client.session_identifier;
  event["principalIdentifier"] = client.principal_id;
}

}  // namespace

std::string_view disconnect_reason(mqtt::EndCause cause) {
  using enum mqtt::EndCause;
  switch (cause) {
    case kClientDisconnect:
      return "CLIENT_INITIATED_DISCONNECT";
    case kClientError:
      return "CLIENT_ERROR";
    case kConnectionLost:
      return "CONNECTION_LOST";
    case kDuplicateClientId:
      return "DUPLICATE_CLIENTID";
    case kForbidden:
      return "AUTH_ERROR";
    case kCredentialsInvalid:
      return "FORBIDDEN_ACCESS";
    case kCredentialsExpired:
      return "WEBSOCKET_TTL_EXPIRATION";
    case kKeepAlive:
      return "MQTT_KEEP_ALIVE_TIMEOUT";
    case kServerError:
      return "SERVER_ERROR";
    case kServerInitiated:
      return "SERVER_INITIATED_DISCONNECT";
    case kThrottled:
      return "THROTTLED";
  }
  return "SERVER_ERROR";
}

LifecycleEvents::LifecycleEvents(Publish publish, bool continued, std::int64_t now_ms, std::size_t max_absent)
    : publish_(std::move(publish)), max_absent_(max_absent) {
  if (!continued) return;
  // Above what earlier processes told: they began at their own second, and a client connects less than once a second.
  floor_ = now_ms / 1000;
  floor_until_ms_ = now_ms + kForgetMs;
}

std::int64_t LifecycleEvents::begin_connection(const mqtt::LifecycleClient& client) {
  const std::lock_guard lock(mutex_);
  forget_absent(client.now_ms);
  auto [at, fresh] = known_.try_emplace(std::string(client.client_id));
  Known& known = at->second;
  if (fresh) {
    known.version = client.now_ms < floor_until_ms_ ? floor_ : 0;
  } else {
    if (known.absent) {
      absent_.erase(known.place);
    } else {
      known.previous_session = std::move(known.session);
      known.previous_version = known.version;
    }
    ++known.version;
  }
  known.absent = false;
  known.session = client.session_identifier;
  return known.version;
}

std::int64_t LifecycleEvents::end_connection(const mqtt::LifecycleClient& client) {
  const std::lock_guard lock(mutex_);
  const auto at = known_.find(std::string(client.client_id));
  if (at == known_.end()) return 0;
  Known& known = at->second;
  if (client.session_identifier != known.session) {
    return client.session_identifier == known.previous_session ? known.previous_version : known.version;
  }
  if (!known.absent) {
    known.absent = true;
    known.since_ms = client.now_ms;
    known.previous_session.clear();
    known.place = absent_.insert(absent_.end(), at->first);
  }
  const std::int64_t version = known.version;
  forget_absent(client.now_ms);
  return version;
}

void LifecycleEvents::forget_absent(std::int64_t now_ms) {
  while (!absent_.empty()) {
    const auto at = known_.find(absent_.front());
    const bool due = now_ms - at->second.since_ms >= kForgetMs;
    if (!due && absent_.size() <= max_absent_) return;
    if (!due) {
      floor_ = std::max(now_ms < floor_until_ms_ ? floor_ : 0, at->second.version + 1);
      floor_until_ms_ = std::max(floor_until_ms_, at->second.since_ms + kForgetMs);
    }
    known_.erase(at);
    absent_.pop_front();
  }
}

void LifecycleEvents::connected(const mqtt::LifecycleClient& client) {
  if (!tellable(client)) return;
  const std::int64_t version = begin_connection(client);
  std::string topic = topic_of("presence", "connected", client);
  if (!wanted(topic)) return;
  json::object event = event_of(client, "connected");
  add_identity(event, client);
  event["ipAddress"] = client.address;
  event["versionNumber"] = version;
  publish_(std::move(topic), to_text(event));
}

void LifecycleEvents::connect_failed(const mqtt::LifecycleClient& client, std::string_view reason) {
  if (!tellable(client) || client.principal_id.empty()) return;
  if (reason != kNotAuthorized) return;
  json::object event = event_of(client, "connect_failed");
  event["connectFailureReason"] = "AUTHORIZATION_FAILED";
  event["principalIdentifier"] = client.principal_id;
  event["sessionIdentifier"] =
      client.session_identifier.empty() ? random_uuid() : std::string(client.session_identifier);
  event["ipAddress"] = client.address;
  publish_(topic_of("presence", "connect_failed", client), to_text(event));
}

void LifecycleEvents::disconnected(const mqtt::LifecycleClient& client, mqtt::EndCause cause) {
  if (!tellable(client)) return;
  const std::int64_t version = end_connection(client);
  std::string topic = topic_of("presence", "disconnected", client);
  if (!wanted(topic)) return;
  json::object event = event_of(client, "disconnected");
  add_identity(event, client);
  event["clientInitiatedDisconnect"] = cause == mqtt::EndCause::kClientDisconnect;
  event["disconnectReason"] = disconnect_reason(cause);
  event["versionNumber"] = version;
  publish_(std::move(topic), to_text(event));
}

void LifecycleEvents::subscribed(const mqtt::LifecycleClient& client, const std::vector<std::string>& filters) {
  tell_filters(client, "subscribed", filters);
}

void LifecycleEvents::unsubscribed(const mqtt::LifecycleClient& client, const std::vector<std::string>& filters) {
  tell_filters(client, "unsubscribed", filters);
}

void LifecycleEvents::tell_filters(const mqtt::LifecycleClient& client, std::string_view event,
                                   const std::vector<std::string>& filters) const {
  if (!tellable(client) || !wanted(topic_of("subscriptions", event, client))) return;
  for (std::size_t i = 0; i < filters.size();) {
    json::array topics;
    for (std::size_t bytes = 0; i < filters.size() && (topics.empty() || bytes + filters[i].size() <= kMaxFilterBytes);
         ++i) {
      bytes += filters[i].size();
      topics.emplace_back(filters[i]);
    }
    json::object told = event_of(client, event);
    add_identity(told, client);
    told["topics"] = std::move(topics);
    publish_(topic_of("subscriptions", event, client), to_text(told));
  }
}

}  // namespace muster::api::device
