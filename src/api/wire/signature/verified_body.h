// SPDX-License-Identifier: Apache-2.0
// VerifiedBody: a payload as its handler reads it: aws-chunked framing removed, and the declared SHA-256, the chunk
// signatures and the trailing checksum checked on the way. Pieces are handed out before the check that covers them is
// complete; a failed check is an error before the end of the stream is reported, and nothing read may then be kept.
// Lives on the connection's loop for one request; the upstream body outlives it. Bounds: framing lines 1 KiB, trailers
// 8 KiB, data is passed through without being gathered.
// Errors: kUnauthenticated SignatureDoesNotMatch, kInvalid XAmzContentSHA256Mismatch, BadDigest, IncompleteBody,
// InvalidRequest, kTooLarge EntityTooLarge. Source: S3 API reference, "Transferring payload in multiple chunks".
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "api/wire/message.h"
#include "api/wire/signature/sigv4_verify.h"
#include "io/http_server.h"

namespace muster::api {

class VerifiedBody : public io::HttpBody {
 public:
  // Trailing headers, verified; complete once read() has answered the end.
  virtual const Pairs& trailers() const = 0;
};

// `context` is used by the signed streaming modes only. Bodies longer than `max_bytes` (decoded) end in kTooLarge.
std::unique_ptr<VerifiedBody> make_verified_body(io::HttpBody& upstream, const PayloadRule& rule,
                                                 const SigningContext& context, std::int64_t max_bytes);

}  // namespace muster::api
