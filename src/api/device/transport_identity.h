// SPDX-License-Identifier: Apache-2.0
// What a transport can have proved before MQTT begins, and the port of custom authorisation. Made by websocket_upgrade,
// carried by the broker without a look (mqtt::TransportIdentity), read by the authorizer at CONNECT. Values; any
// thread.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "domain/iam/principal.h"
#include "mqtt/broker/ports.h"

namespace muster::api::device {

// The upgrade was signed (SigV4).
struct IamIdentity final : mqtt::TransportIdentity {
  iam::Principal principal;
  std::int64_t expires_ms = 0;  // of the session; 0: never
  // Condition keys of the upgrade request, but those that change with time: aws:UserAgent, aws:SourceIp ...
  std::map<std::string, std::vector<std::string>> context;
};

// A token for a custom authoriser: in the upgrade's query or headers, or behind '?' in the MQTT user name. Nothing of
// it is proved. Source: AWS IoT developer guide, "Connecting to AWS IoT Core by using custom authentication".
struct TokenClaim final : mqtt::TransportIdentity {
  std::string authorizer_name;  // empty: the default authoriser
  std::string signature;        // of the token, base64
  // Names as sent, in order: the authoriser knows which one carries its token.
  std::vector<std::pair<std::string, std::string>> parameters;
  // Of the HTTP request that it came with, for the authoriser's function; all absent when the user name brought it.
  bool http = false;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string raw_query;  // without "?"
};

struct TokenQuestion {
  TokenClaim claim;
  std::string client_id;
  std::string username;  // without what follows '?'
  std::string password;
  std::string source_ip;
  std::string server_name;  // SNI
  bool mqtt = true;         // false: one HTTPS request
  bool tls = true;
  std::string connection_id;  // a UUID, the same each time that this connection is asked about
};

struct TokenAnswer {
  bool accepted = false;
  std::string reason;  // why not, for the log
  std::string principal_id;
  std::vector<std::string> policy_documents;  // IoT policies; they alone decide
  std::int64_t disconnect_after_s = 0;        // 0: never
  std::int64_t refresh_after_s = 0;           // ask again then; 0: never
  std::string authorizer_name;                // who answered
  bool cache_for_http = false;
};

// Custom authorisation. Plugged in by server/wiring; without one, tokens are refused.
class TokenAuthorizer {
 public:
  virtual ~TokenAuthorizer() = default;
  // Whether a WebSocket with that claim is worth opening: its authoriser exists and is active, and a signature that it
  // brings is right; a claim that names nothing, and so may still come with CONNECT, while there is any authoriser.
  virtual void admit(TokenClaim claim, std::function<void(bool)> done) = 0;
  // Calls `done` once, on any thread.
  virtual void decide(TokenQuestion question, std::function<void(TokenAnswer)> done) = 0;
  // `changed` is called with the name of each authoriser that was changed or deleted ("": another default), by
  // whomever, once that is durable, on any thread. It has to outlive the authorizer.
  virtual void on_change(std::function<void(const std::string& name)> changed) = 0;
};

inline constexpr std::string_view kAuthorizerNameKey = "x-amz-customauthorizer-name";
inline constexpr std::string_view kAuthorizerSignatureKey = "x-amz-customauthorizer-signature";

}  // namespace muster::api::device
