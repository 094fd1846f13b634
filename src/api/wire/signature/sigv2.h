// SPDX-License-Identifier: Apache-2.0
// S3's pre-signed URLs of signature version 2 (AWSAccessKeyId, Signature, Expires): what boto3 makes by default for a
// custom endpoint. Stricter than AWS in one thing: version 2 leaves most query parameters unsigned, so a request with
// one that the signature does not cover is refused. Pure functions. Source: Amazon S3 developer guide, "Signing and
// authenticating REST requests" (signature version 2).
#pragma once

#include <string>
#include <string_view>

#include "api/wire/signature/sigv4_verify.h"

namespace muster::api {

// After check_scope(). kUnauthenticated SignatureDoesNotMatch or AccessDenied.
Status verify_sigv2(const VerifyInput& input, std::string_view secret);

// The text whose HMAC-SHA1 is the signature.
std::string string_to_sign_v2(const VerifyInput& input);

}  // namespace muster::api
