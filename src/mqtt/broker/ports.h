// SPDX-License-Identifier: Apache-2.0
// What the broker asks of the rest of the program, as interfaces: it knows no domain. server/wiring plugs them in.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "io/stream.h"

namespace muster::mqtt {

// What a transport proved before MQTT began (a signed WebSocket upgrade, a custom token). Made above the broker, opaque
// to it, read by the Authorizer.
class TransportIdentity {
 public:
  virtual ~TransportIdentity() = default;
};

struct ConnectAttempt {
  std::string client_id;
  std::string username;
  std::string password;
  bool has_username = false;
  bool clean_start = true;
  bool has_will = false;
  std::string will_topic;
  bool will_retain = false;
  const io::PeerInfo* peer = nullptr;
  std::shared_ptr<const TransportIdentity> identity;  // or null
};

// By which door a principal came: the same id may be given by different ones, so that an id alone says nothing.
enum class PrincipalKind : std::uint8_t { kUnknown, kPlain, kCertificate, kIam, kToken };

// What a connection may do; made at CONNECT, asked for each packet, on the broker's loop. Answers at once (policies are
// compiled and cached); a change of policy makes the next answer differ.
class ConnectionGrant {
 public:
  virtual ~ConnectionGrant() = default;
  virtual bool may_publish(std::string_view topic, bool retain) = 0;
  virtual bool may_subscribe(std::string_view filter) = 0;
  virtual bool may_receive(std::string_view topic) = 0;
  // False once the certificate was deactivated or the session ended: the broker closes the connection.
  virtual bool still_valid() = 0;
  virtual std::string_view principal_id() const = 0;  // for logs and events; certificate id or user name
  virtual PrincipalKind principal_kind() const { return PrincipalKind::kUnknown; }  // whose name that is
  // Wall clock; 0 = never. Then the broker closes the connection (temporary credentials, tokens).
  virtual std::int64_t expires_ms() const { return 0; }
};

class Authorizer {
 public:
  virtual ~Authorizer() = default;
  struct Decision {
    std::unique_ptr<ConnectionGrant> grant;  // null: refused
    std::string reason;                      // for the log, never for the client
    bool bad_credentials = false;            // else: not authorised
    std::string principal_id;                // of a refusal, once it is known who it was; for logs and events
  };
  // `done` on the broker's loop, possibly before this returns.
  virtual void connect(const ConnectAttempt& attempt, std::function<void(Decision)> done) = 0;
};

// A PUBLISH that arrived on a reserved topic (begins with '$'), already authorised. Handlers answer to the requester.
struct Ingress {
  std::string client_id;
  std::string topic;
  std::string payload;
  std::uint8_t qos = 0;
  std::string correlation_data;  // MQTT 5
  std::string response_topic;    // MQTT 5
  ConnectionGrant* grant = nullptr;
  // Sends a message to this connection alone, whether it subscribed or not; once, even if it did: at the granted QoS of
  // a matching subscription, else QoS 0. No effect once the connection is gone. On the broker's loop.
  std::function<void(std::string topic, std::string payload)> reply;
};

class IngressHook {
 public:
  virtual ~IngressHook() = default;
  // True when this hook owns the topic: it will call `handled` exactly once, on the broker's loop, after whatever the
  // message caused is durable (the broker then acknowledges it). False: the topic is unknown.
  virtual bool handle(const Ingress& message, std::function<void(bool accepted)> handled) = 0;
};

// Why a connection ended, as lifecycle events tell it (AWS IoT developer guide, "Lifecycle events").
enum class EndCause : std::uint8_t {
  kClientDisconnect,    // DISCONNECT from the client
  kClientError,         // it broke the protocol
  kConnectionLost,      // without DISCONNECT
  kDuplicateClientId,   // taken over
  kForbidden,           // published or wanted what it may not
  kCredentialsInvalid,  // certificate deactivated, policy detached
  kCredentialsExpired,  // ConnectionGrant::expires_ms
  kKeepAlive,
  kServerError,
  kServerInitiated,  // administrator, or the server stops
  kThrottled,        // a limit: reads nothing, sends too much
};

// A client as lifecycle events name it; views valid during the call.
struct LifecycleClient {
  std::string_view client_id;
  std::string_view principal_id;
  std::string_view session_identifier;  // a UUID, of this connection
  std::string_view address;
  std::int64_t now_ms = 0;
};

// Told about connections and subscriptions, on the broker's loop, as they happen. Must not call back into the broker
// but by its thread-safe functions.
class Lifecycle {
 public:
  virtual ~Lifecycle() = default;
  virtual void connected(const LifecycleClient& client) = 0;
  virtual void connect_failed(const LifecycleClient& client, std::string_view reason) = 0;
  virtual void disconnected(const LifecycleClient& client, EndCause cause) = 0;
  virtual void subscribed(const LifecycleClient& client, const std::vector<std::string>& filters) = 0;
  virtual void unsubscribed(const LifecycleClient& client, const std::vector<std::string>& filters) = 0;
};

}  // namespace muster::mqtt
