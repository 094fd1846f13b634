// SPDX-License-Identifier: Apache-2.0
// Who may open a WebSocket at /mqtt, decided before the upgrade: by SigV4 in the query or the Authorization header
// (service iotdevicegateway, an empty body, the session token signed or appended), by the client certificate of the TLS
// connection, or by a custom authoriser's token, which is looked at here and judged at CONNECT. Nothing else: no
// credential, a wrong or an expired one is 403, and a token is 403 as long as no authoriser is plugged in; without any
// of them CONNECT may still bring a token, while there are authorisers. Owned by server/wiring; immutable; any loop.
// Sources: AWS IoT developer guide, "MQTT over WebSocket", "Device communication protocols".
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "api/device/transport_identity.h"
#include "base/ids.h"
#include "domain/iam/credentials.h"
#include "io/env.h"
#include "io/http_server.h"

namespace muster::api::device {

struct UpgradeOptions {
  std::vector<std::string> origins;   // that browsers may come from besides the server's own; "*": any
  TokenAuthorizer* tokens = nullptr;  // null: tokens are refused
  // Told of each refusal before it is answered; may be null.
  std::function<void(const io::HttpRequest& request, const Error& error)> refused;
};

class WebSocketUpgrade {
 public:
  // Takes the connection once its 101 was sent: frames are spoken on `stream`, of which `rest` was read already.
  // `identity` is null when the client certificate is.
  using OnSocket = std::function<void(std::unique_ptr<io::Stream> stream, std::string rest,
                                      std::shared_ptr<const mqtt::TransportIdentity> identity)>;

  // References outlive it.
  WebSocketUpgrade(Realm realm, iam::CredentialSource& credentials, const io::Clock& clock, UpgradeOptions options);

  bool wants(const io::HttpRequest& request) const;
  boost::asio::awaitable<io::HttpResponse> answer(const io::HttpRequest& request, OnSocket on_socket) const;

 private:
  io::Task<std::shared_ptr<const mqtt::TransportIdentity>> identify(const io::HttpRequest& request) const;
  io::Task<std::shared_ptr<const mqtt::TransportIdentity>> admit(std::shared_ptr<TokenClaim> claim,
                                                                 const io::HttpRequest& request) const;

  Realm realm_;
  iam::CredentialSource& credentials_;
  const io::Clock& clock_;
  UpgradeOptions options_;
};

}  // namespace muster::api::device
