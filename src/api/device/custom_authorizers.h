// SPDX-License-Identifier: Apache-2.0
// CustomAuthorizers: asks custom authorisers about MQTT connections (TokenAuthorizer) and HTTPS requests
// (TokenCallers): finds the authoriser, or the default one, checks the token's signature, calls the function, and
// checks its answer (domain/security/authorizer_exchange.h). Whatever goes wrong is a refusal; tokens and passwords are
// never logged.
//
// Answers for HTTPS are kept where the authoriser says so, for refreshAfterInSeconds, for the same connection and the
// very same headers and query; any change of an authoriser drops them all. Bounds: 10,000 kept answers, functions have
// 5 s. Owned by server/wiring; thread-safe. Source: AWS IoT developer guide, "Custom authentication and authorization".
#pragma once

#include <memory>

#include "api/device/transport_identity.h"
#include "api/wire/certificate_authorizer.h"
#include "base/ids.h"
#include "domain/functions/invoker.h"
#include "io/env.h"
#include "store/store.h"

namespace muster::api::device {

class CustomAuthorizers final : public TokenAuthorizer, public TokenCallers {
 public:
  // References outlive it. Subscribes to the store's changes: make it before the store serves others.
  CustomAuthorizers(store::Store& store, Realm realm, functions::FunctionInvoker& invoker, const io::Clock& clock);
  ~CustomAuthorizers() override;

  void admit(TokenClaim claim, std::function<void(bool)> done) override;
  void decide(TokenQuestion question, std::function<void(TokenAnswer)> done) override;
  void on_change(std::function<void(const std::string& name)> changed) override;

  bool claims(const io::HttpRequest& request, const Pairs& query) const override;
  io::Task<std::shared_ptr<const TokenCaller>> identify(const io::HttpRequest& request, const Pairs& query) override;

  struct State;

 private:
  std::shared_ptr<State> state_;
};

}  // namespace muster::api::device
