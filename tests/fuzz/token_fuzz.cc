// SPDX-License-Identifier: Apache-2.0
// links: muster_domain_security muster_base
// JSON web tokens, their key sets, and answers of custom authorisers from strangers. The first byte chooses. Nothing
// that comes out of here may verify: the one key is the test's own, and nobody signed anything.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "base/jwt.h"
#include "domain/security/authorizer_exchange.h"

namespace {

using namespace muster;

// The point of RFC 7515, appendix A.3.
const std::vector<jwt::Key>& keys() {
  static const std::vector<jwt::Key> made =
      *jwt::parse_key_set(R"({"keys":[{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",)"
                          R"("y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]})");
  return made;
}

void check_token(std::string_view text) {
  auto token = jwt::parse_token(text);
  if (token && jwt::verify(*token, keys())) std::abort();
}

void check_answer(std::string_view text) {
  auto answer = security::read_authorizer_answer(text);
  if (!answer || !answer->authenticated) return;
  const bool sound = !answer->principal_id.empty() && answer->principal_id.size() <= 128 &&
                     !answer->policy_documents.empty() && answer->policy_documents.size() <= 10 &&
                     answer->disconnect_after_s >= 300 && answer->disconnect_after_s <= 86'400;
  if (!sound) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 3) {
    case 0:
      check_token(text);
      break;
    case 1:
      (void)jwt::parse_key_set(text);
      break;
    default:
      check_answer(text);
  }
  return 0;
}
