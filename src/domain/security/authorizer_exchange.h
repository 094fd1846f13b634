// SPDX-License-Identifier: Apache-2.0
// What passes between the server and a custom authoriser's function, as pure functions: is the token signed by one of
// the authoriser's keys, the event for the function, and its answer, checked to the letter: whatever is missing, of
// another type or out of bounds is a refusal. Errors name what is wrong and repeat no token or password.
// Source: AWS IoT developer guide, "Defining your Lambda function", "Connecting to AWS IoT Core by using custom
// authentication", "Signing the token".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "domain/security/custom_authorizers.h"

namespace muster::security {

inline constexpr std::int64_t kAuthorizerTimeoutMs = 5000;  // AWS's limit for the function

// What a client or a test presents; what it did not send is absent from the event.
struct AuthorizerQuestion {
  std::optional<std::string> token;
  std::string signature;                   // base64, of the token
  std::optional<std::string> server_name;  // of TLS
  bool tls = false;
  struct Http {
    std::vector<std::pair<std::string, std::string>> headers;
    std::string query;  // with "?" in front, or empty
  };
  std::optional<Http> http;
  struct Mqtt {
    std::optional<std::string> username, password, client_id;
  };
  std::optional<Mqtt> mqtt;
  std::string connection_id;  // UUID
};

struct TokenCheck {
  bool verified = false;  // false: signing is disabled, so nothing was checked
};
// Whether one of this authoriser's own keys signed the token (RSA PKCS #1 v1.5, SHA-256); kUnauthenticated when not.
// Another authoriser's keys never count, so its tokens cannot be replayed here.
Result<TokenCheck> check_token(const CustomAuthorizer& authorizer, const AuthorizerQuestion& question);

// JSON for the function.
std::string authorizer_event(const AuthorizerQuestion& question, bool signature_verified);

struct AuthorizerAnswer {
  bool authenticated = false;                 // false: the rest means nothing
  std::string principal_id;                   // [a-zA-Z0-9]{1,128}
  std::vector<std::string> policy_documents;  // 1 to 10, each at most 2048 characters, all compile as IoT policies
  std::int64_t disconnect_after_s = 86'400;   // 300..86400
  std::int64_t refresh_after_s = 0;           // 300..86400; 0: not given
};
// kInvalid when it is not what AWS IoT would accept.
Result<AuthorizerAnswer> read_authorizer_answer(std::string_view text);

}  // namespace muster::security
