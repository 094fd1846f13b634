// SPDX-License-Identifier: Apache-2.0
// DeviceAuthorizer: who a device is and what it may do, by its client certificate and the IoT policies that apply to
// it: for MQTT (mqtt::Authorizer) and for HTTPS with a client certificate (CertificateAuthorizer). The TLS handshake
// proved possession of the key; trust is decided here: the certificate's SHA-256 must be registered and ACTIVE.
//
// A live connection holds compiled facts. A change of what they were made of (PolicyGenerations) has them read again,
// whoever made it, and on_refused() tells the owner of connections that may not stay, for the broker to recheck them: a
// revoked certificate is cut off within milliseconds, not at the next packet.
//
// A connection that came by a signed WebSocket is its IAM principal's (iam_rights.h), whatever certificate it has; one
// without either may have a custom authoriser's token (token_grant.h).
//
// The plain listener has no certificates. It is closed to everybody unless `plain_policy` names an IoT policy that then
// decides for all its clients, or is "*", which allows them everything.
//
// Owned by server/wiring. The MQTT side lives on the broker's loop; the HTTPS side may be called from any loop.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "api/device/transport_identity.h"
#include "api/wire/certificate_authorizer.h"
#include "base/ids.h"
#include "domain/security/generations.h"
#include "io/loop.h"
#include "mqtt/broker/ports.h"
#include "store/store.h"

namespace muster::api::device {

class Denials;              // api/device/denials.h
class UnknownCertificates;  // api/device/unknown_certificates.h

struct AuthorizerOptions {
  TokenAuthorizer* tokens = nullptr;  // custom authorisation; null: tokens are refused
  std::string plain_policy;           // empty: nobody connects without TLS; a policy's name; "*": everything is allowed
  bool sys_topics = false;            // $SYS/broker/... is published
  Denials* denials = nullptr;         // remembers what was refused and why; null: nobody does
  UnknownCertificates* unknown = nullptr;  // told of certificates that may not connect; null: nobody is
};

class DeviceAuthorizer final : public mqtt::Authorizer, public CertificateAuthorizer {
 public:
  // `loop` is the broker's. References outlive it.
  DeviceAuthorizer(io::Loop& loop, store::Store& store, Realm realm, security::PolicyGenerations& generations,
                   AuthorizerOptions options);
  ~DeviceAuthorizer() override;

  // Called on the loop when connections of that principal ("": any) may not stay, or were read again by iam_rights.h.
  // Set before the broker accepts; usually Broker::recheck.
  void on_refused(std::function<void(std::string principal_id)> refused);

  void connect(const mqtt::ConnectAttempt& attempt, std::function<void(Decision)> done) override;

  io::Task<iam::Principal> identify(std::string certificate_der) override;
  io::Task<void> authorize(CertificateCall call) override;

  struct State;

 private:
  std::shared_ptr<State> state_;
};

}  // namespace muster::api::device
