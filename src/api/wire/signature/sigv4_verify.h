// SPDX-License-Identifier: Apache-2.0
// Verification of signed requests: SigV4 in the Authorization header or the query, and S3's pre-signed SigV2 (sigv2.h).
// Three steps, so that nothing is parsed for a caller who is not known: read_signature() looks at the request alone;
// check_scope() at date, region and service; verify_signature() needs the secret and the payload's hash. Pure
// functions, any thread; bounds are those of the request head. A request that carries two kinds of credential, parts of
// one, or an x-amz- header that is not signed is refused. Errors carry SigV4's canonical reasons
// (SignatureDoesNotMatch, IncompleteSignature, ...), which api/wire/errors turns into each protocol's code. Sources:
// AWS General Reference, "Signature Version 4"; S3 API reference, "Authenticating Requests".
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "api/wire/message.h"
#include "api/wire/router.h"
#include "base/ids.h"
#include "base/result.h"
#include "base/sigv4.h"
#include "io/http_server.h"

namespace muster::api {

inline constexpr std::int64_t kMaxClockSkewMs = 15 * 60 * 1000;

// What the request says about its payload (x-amz-content-sha256).
enum class PayloadMode : std::uint8_t {
  kWholeHash,              // the signature covers the hash of the whole body, which must be known first
  kDeclaredHash,           // hex hash in the head; checked while the body is read
  kUnsigned,               // UNSIGNED-PAYLOAD
  kSignedChunks,           // STREAMING-AWS4-HMAC-SHA256-PAYLOAD
  kSignedChunksTrailer,    // STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER
  kUnsignedChunksTrailer,  // STREAMING-UNSIGNED-PAYLOAD-TRAILER
};

struct RequestSignature {
  SignatureKind kind = SignatureKind::kNone;
  std::string access_key_id;
  std::string session_token;
  std::string signature;
  sigv4::Scope scope;                       // V4
  std::string amz_date;                     // V4: the text that was signed
  std::int64_t date_ms = 0;                 // V4
  std::int64_t expires_s = -1;              // V4 query: seconds after date; V2: epoch seconds; -1: not given
  std::vector<std::string> signed_headers;  // V4, lower case, sorted
};

// How the request is signed, without verifying anything. kind == kNone when it carries no credential at all.
Result<RequestSignature> read_signature(const io::HttpRequest& request, const Pairs& query);

// The payload's mode; `s3` decides what is allowed (others always sign the body's hash). Checks the streaming modes'
// companions: x-amz-decoded-content-length, x-amz-trailer, Content-Encoding.
struct PayloadRule {
  PayloadMode mode = PayloadMode::kWholeHash;
  std::string declared;               // what goes into the canonical request, but for kWholeHash
  std::int64_t decoded_length = -1;   // streaming modes
  std::vector<std::string> trailers;  // announced names, lower case
};
Result<PayloadRule> read_payload_rule(const io::HttpRequest& request, const Pairs& query,
                                      const RequestSignature& signature, bool s3);

struct VerifyInput {
  const io::HttpRequest& request;
  const Pairs& query;  // decoded, all of it
  const RequestSignature& signature;
  const model::Service& service;
  const Realm& realm;
  std::string_view virtual_bucket;  // SigV2
  std::int64_t now_ms = 0;
};

// Before the secret is looked up: age or expiry, region, service, signed headers that must or must not be there.
Status check_scope(const VerifyInput& input);

// What a verified SigV4 signature leaves for chunk signatures.
struct SigningContext {
  std::string key;
  std::string amz_date;
  std::string scope;
  std::string seed_signature;
};
// After check_scope. `payload_hash`: hex SHA-256 of the body (kWholeHash) or PayloadRule::declared.
Result<SigningContext> verify_signature(const VerifyInput& input, std::string_view secret,
                                        std::string_view payload_hash);

// Pieces, for tests and fuzzing.
Result<RequestSignature> parse_authorization(std::string_view header);
Result<std::string> canonical_path(std::string_view raw_path, bool s3);
// The path that the signature of all services but S3 covers, and therefore the one to route by: without dot segments
// and repeated slashes, escapes untouched.
std::string normalize_path(std::string_view raw_path);

}  // namespace muster::api
