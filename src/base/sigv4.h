// SPDX-License-Identifier: Apache-2.0
// AWS Signature Version 4, the pure part: canonical request, string to sign, signing key, signing and pre-signing.
// Verification of incoming requests is api/wire/sigv4. Source: "Signature Version 4 signing process", AWS General
// Reference; S3 differs in that the path is encoded once and the payload hash may be UNSIGNED-PAYLOAD or STREAMING-*.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace muster::sigv4 {

struct Credentials {
  std::string access_key_id;
  std::string secret_access_key;
  std::string session_token;  // empty for long-term keys
};

struct Scope {
  std::string date;  // YYYYMMDD
  std::string region;
  std::string service;
  std::string text() const;  // date/region/service/aws4_request
};

using Pairs = std::vector<std::pair<std::string, std::string>>;

struct CanonicalInput {
  std::string method;
  std::string path;          // canonical already: percent-encoded as the service wants it
  Pairs query;               // decoded names and values, without X-Amz-Signature
  Pairs headers;             // the signed ones, lower-case names, values as received
  std::string payload_hash;  // hex SHA-256, or UNSIGNED-PAYLOAD, STREAMING-...
};

std::string canonical_query(const Pairs& query);             // encoded and sorted: a=1&b=2
std::string canonical_request(const CanonicalInput& input);  // sorts query and headers, folds white space
std::string signed_headers(const Pairs& headers);            // a;b;c
std::string string_to_sign(std::string_view amz_date, const Scope& scope, std::string_view canonical_request_text);
std::string signing_key(std::string_view secret, const Scope& scope);
std::string sign(std::string_view key, std::string_view text);  // hex

// A pre-signed URL for S3 (UNSIGNED-PAYLOAD, only `host` signed). `origin` is scheme://host[:port]; `path` is the
// decoded object path "/bucket/key"; `query` carries extras such as versionId.
struct PresignInput {
  std::string method = "GET";
  std::string origin;
  std::string path;
  Pairs query;
  std::string region;
  std::string service = "s3";
  std::int64_t now_ms = 0;
  std::int64_t expires_seconds = 3600;
};
std::string presign(const Credentials& credentials, const PresignInput& input);

}  // namespace muster::sigv4
