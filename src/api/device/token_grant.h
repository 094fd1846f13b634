// SPDX-License-Identifier: Apache-2.0
// Custom authorisation at CONNECT: finds the token's claim, asks the TokenAuthorizer, and makes the grant of the IoT
// policies that it answers with. Without a TokenAuthorizer everything is refused. On the authorizer's loop.
//
// A grant ends when the answer's disconnectAfterInSeconds have passed. After refreshAfterInSeconds the authoriser is
// asked again, with what the client sent at CONNECT, and its new answer replaces the rights; a refusal, an answer that
// cannot be had, or one for another principal ends the grant. The same when its authoriser changes, at once; when that
// is deleted or not active any more, all its grants end. Source: AWS IoT developer guide, "Defining your Lambda
// function".
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "api/device/transport_identity.h"
#include "base/ids.h"
#include "domain/iam/principal.h"
#include "io/env.h"
#include "io/loop.h"
#include "mqtt/broker/ports.h"

namespace muster::api::device {

// Whether query parameters, headers or a user name ("name?x-amz-customauthorizer-name=N&...") ask for custom
// authorisation; then the claim.
std::shared_ptr<TokenClaim> token_claim(const std::vector<std::pair<std::string, std::string>>& parameters);
std::shared_ptr<const TokenClaim> token_claim_of_username(std::string_view username);

// A grant that knows who its authoriser said it is.
class VouchedGrant : public mqtt::ConnectionGrant {
 public:
  virtual iam::Principal vouched() const = 0;
};

// The grants of one loop by authoriser; shared by them and the owner of the loop's connections.
struct TokenSessions;
std::shared_ptr<TokenSessions> make_token_sessions();

struct TokenDoor {
  io::Loop& loop;
  Realm realm;
  TokenAuthorizer* authorizer = nullptr;  // null: refuses
  bool sys_topics = false;                // $SYS/broker/... is published
  // On the loop, when connections of that principal ("": any) may not stay.
  std::function<void(std::string principal_id)> changed;
  std::shared_ptr<TokenSessions> sessions;
};
// An authoriser was changed or deleted. On the loop.
void authorizer_changed(const TokenDoor& door, const std::string& name);
// `done` on the loop, possibly before this returns. `claim` may be null: the default authoriser is asked, by user name
// and password.
void connect_with_token(const TokenDoor& door, const mqtt::ConnectAttempt& attempt,
                        const std::shared_ptr<const TokenClaim>& claim,
                        std::function<void(mqtt::Authorizer::Decision)> done);

}  // namespace muster::api::device
