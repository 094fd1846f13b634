// SPDX-License-Identifier: Apache-2.0
#include "api/wire/signature/sigv4_verify.h"

#include <algorithm>

#include "api/wire/signature/sigv2.h"
#include "base/crypto.h"
#include "base/text.h"

namespace muster::api {
namespace {

constexpr std::int64_t kDefaultExpiresS = 900;  // services that do not ask for X-Amz-Expires
constexpr char kNoMatch[] =
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key "
    "and signing method. Consult the service documentation for details.";
constexpr char kNoMatchS3[] =
    "The request signature we calculated does not match the signature you provided. Check your key and signing method.";

Error refuse(std::string_view reason, std::string message) {
  return make_error(ErrorKind::kUnauthenticated, std::move(message), std::string(reason));
}

bool is_s3(const model::Service& service) {
  return service.protocol == model::Protocol::kRestXml;
}
bool is_global(const model::Service& service) {
  return service.protocol == model::Protocol::kQuery;
}

bool is_signed(const RequestSignature& signature, std::string_view name) {
  return std::binary_search(signature.signed_headers.begin(), signature.signed_headers.end(), name);
}

Status check_headers(const VerifyInput& input) {
  const io::HttpHeaders& headers = input.request.headers;
  if (headers.count("host") != 1 || headers.get("host").empty()) {
    return refuse("SignatureDoesNotMatch", "The request must have one Host header.");
  }
  if (!is_signed(input.signature, "host")) {
    return refuse("SignatureDoesNotMatch", "'Host' must be a 'SignedHeader' in the AWS Authorization.");
  }
  for (const std::string& name : input.signature.signed_headers) {
    if (!headers.has(name)) {
      return refuse("SignatureDoesNotMatch", "The signed header '" + name + "' is not in the request.");
    }
  }
  std::string loose;
  for (const auto& [name, value] : headers.items()) {
    std::string key = lower(name);
    if (!key.starts_with("x-amz-") || is_signed(input.signature, key)) continue;
    if (!loose.empty()) loose += ", ";
    loose += key;
  }
  if (loose.empty()) return {};
  Error error = refuse("AccessDenied", "There were headers present in the request which were not signed");
  error.fields["HeadersNotSigned"] = loose;
  return error;
}

Status check_region(const VerifyInput& input) {
  const std::string& region = input.signature.scope.region;
  // iam and sts sign us-east-1 wherever they are.
  if (region == input.realm.region || (is_global(input.service) && region == "us-east-1")) return {};
  if (!is_s3(input.service)) {
    return refuse("SignatureDoesNotMatch", "Credential should be scoped to a valid region.");
  }
  bool query = input.signature.kind == SignatureKind::kQueryV4;
  std::string detail = "the region '" + region + "' is wrong; expecting '" + input.realm.region + "'";
  Error error =
      query ? refuse("AuthorizationQueryParametersError", "Error parsing the X-Amz-Credential parameter; " + detail)
            : refuse("IncompleteSignature", "The authorization header is malformed; " + detail);
  error.fields["Region"] = input.realm.region;
  return error;
}

Error too_old(const VerifyInput& input, std::int64_t window_ms, const char* window) {
  std::int64_t edge = input.now_ms - window_ms;
  return refuse("SignatureDoesNotMatch", "Signature expired: " + input.signature.amz_date + " is now earlier than " +
                                             to_amz_date(edge) + " (" + to_amz_date(input.now_ms) + " - " + window +
                                             ")");
}

Error too_new(const VerifyInput& input) {
  return refuse("SignatureDoesNotMatch", "Signature not yet current: " + input.signature.amz_date +
                                             " is still later than " + to_amz_date(input.now_ms + kMaxClockSkewMs) +
                                             " (" + to_amz_date(input.now_ms) + " + 15 min.)");
}

Status check_header_date(const VerifyInput& input) {
  std::int64_t age = input.now_ms - input.signature.date_ms;
  if (age <= kMaxClockSkewMs && age >= -kMaxClockSkewMs) return {};
  if (!is_s3(input.service)) return age > 0 ? too_old(input, kMaxClockSkewMs, "15 min.") : too_new(input);
  Error error =
      refuse("RequestTimeTooSkewed", "The difference between the request time and the current time is too large.");
  error.fields["RequestTime"] = input.signature.amz_date;
  error.fields["ServerTime"] = to_iso8601(input.now_ms, false);
  error.fields["MaxAllowedSkewMilliseconds"] = kMaxClockSkewMs;
  return error;
}

Error request_expired(const VerifyInput& input, std::int64_t expires_ms) {
  Error error = refuse("AccessDenied", "Request has expired");
  if (input.signature.kind == SignatureKind::kQueryV4) {
    error.fields["X-Amz-Expires"] = input.signature.expires_s;
  }
  error.fields["Expires"] = to_iso8601(expires_ms, false);
  error.fields["ServerTime"] = to_iso8601(input.now_ms, false);
  return error;
}

Status check_query_date(const VerifyInput& input) {
  const RequestSignature& signature = input.signature;
  bool s3 = is_s3(input.service);
  if (s3 && signature.expires_s < 0) {
    return refuse("AuthorizationQueryParametersError",
                  "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, "
                  "X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters.");
  }
  std::int64_t lifetime_ms = (signature.expires_s < 0 ? kDefaultExpiresS : signature.expires_s) * 1000;
  if (signature.date_ms > input.now_ms + kMaxClockSkewMs) {
    if (!s3) return too_new(input);
    return refuse("AccessDenied", "Request is not valid yet");
  }
  if (input.now_ms < signature.date_ms + lifetime_ms) return {};
  if (!s3) return too_old(input, lifetime_ms, "X-Amz-Expires");
  return request_expired(input, signature.date_ms + lifetime_ms);
}

Status check_scope_v2(const VerifyInput& input) {
  if (!is_s3(input.service)) {
    return refuse("IncompleteSignature", "Signature version 2 is accepted for pre-signed S3 requests only.");
  }
  // Larger than any time: seconds that do not fit milliseconds are still in the future.
  constexpr std::int64_t kLargest = INT64_MAX / 1000;
  std::int64_t expires_ms = std::min(input.signature.expires_s, kLargest) * 1000;
  if (input.now_ms >= expires_ms) return request_expired(input, expires_ms);
  return {};
}

sigv4::CanonicalInput canonical_input(const VerifyInput& input, std::string path, std::string_view payload_hash,
                                      bool with_token) {
  sigv4::CanonicalInput out;
  out.method = input.request.method;
  out.path = std::move(path);
  for (const auto& [name, value] : input.query) {
    if (input.signature.kind == SignatureKind::kQueryV4) {
      if (equals_ignore_case(name, "X-Amz-Signature")) continue;
      if (!with_token && equals_ignore_case(name, "X-Amz-Security-Token")) continue;
    }
    out.query.emplace_back(name, value);
  }
  for (const auto& [name, value] : input.request.headers.items()) {
    std::string key = lower(name);
    if (is_signed(input.signature, key)) out.headers.emplace_back(std::move(key), value);
  }
  out.payload_hash = payload_hash;
  return out;
}

// Dot segments and repeated slashes removed, as RFC 3986 5.2.4 and the signing process want for all but S3.
std::string normalized(std::string_view path) {
  std::vector<std::string_view> kept;
  auto segments = split(path, '/');
  for (std::string_view segment : segments) {
    if (segment.empty() || segment == ".") continue;
    if (segment != "..")
      kept.push_back(segment);
    else if (!kept.empty())
      kept.pop_back();
  }
  std::string out;
  for (std::string_view segment : kept) {
    out += '/';
    out += segment;
  }
  std::string_view last = segments.back();
  if (out.empty() || last.empty() || last == "." || last == "..") out += '/';
  return out;
}

}  // namespace

std::string normalize_path(std::string_view raw_path) {
  return normalized(raw_path);
}

Result<std::string> canonical_path(std::string_view raw_path, bool s3) {
  if (!raw_path.starts_with('/'))
    return make_error(ErrorKind::kInvalid, "Couldn't parse the specified URI.", "InvalidURI");
  if (!s3) return percent_encode(normalized(raw_path), true);
  auto decoded = percent_decode(raw_path);
  if (!decoded) return make_error(ErrorKind::kInvalid, "Couldn't parse the specified URI.", "InvalidURI");
  return percent_encode(*decoded, true);
}

Status check_scope(const VerifyInput& input) {
  const RequestSignature& signature = input.signature;
  if (signature.kind == SignatureKind::kNone) {
    return refuse("MissingAuthenticationToken", "Missing Authentication Token");
  }
  if (signature.kind == SignatureKind::kQueryV2) return check_scope_v2(input);
  const auto& names = input.service.signing_names;
  if (std::find(names.begin(), names.end(), signature.scope.service) == names.end()) {
    return refuse("SignatureDoesNotMatch", "Credential should be scoped to correct service: '" +
                                               std::string(names.empty() ? "" : names[0]) + "'.");
  }
  TRY_VOID(check_region(input));
  if (signature.amz_date.substr(0, 8) != signature.scope.date) {
    return refuse("SignatureDoesNotMatch",
                  "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '" +
                      signature.scope.date + "' != '" + signature.amz_date.substr(0, 8) + "', from '" +
                      signature.amz_date + "'.");
  }
  TRY_VOID(check_headers(input));
  return signature.kind == SignatureKind::kHeaderV4 ? check_header_date(input) : check_query_date(input);
}

Result<SigningContext> verify_signature(const VerifyInput& input, std::string_view secret,
                                        std::string_view payload_hash) {
  const RequestSignature& signature = input.signature;
  if (signature.kind == SignatureKind::kQueryV2) {
    TRY_VOID(verify_sigv2(input, secret));
    return SigningContext{};
  }
  // "" would make an empty secret a key that everybody knows.
  if (signature.kind == SignatureKind::kNone || secret.empty()) {
    return refuse("MissingAuthenticationToken", "Missing Authentication Token");
  }
  TRY(std::string path, canonical_path(input.request.raw_path(), is_s3(input.service)));
  SigningContext context;
  context.key = sigv4::signing_key(secret, signature.scope);
  context.amz_date = signature.amz_date;
  context.scope = signature.scope.text();
  context.seed_signature = signature.signature;
  auto matches = [&](bool with_token) {
    std::string canonical = sigv4::canonical_request(canonical_input(input, path, payload_hash, with_token));
    std::string text = sigv4::string_to_sign(signature.amz_date, signature.scope, canonical);
    return equal_constant_time(sigv4::sign(context.key, text), signature.signature);
  };
  bool good = matches(true);
  // AWS IoT's WebSocket URLs carry a token that was added after signing; the token authenticates itself.
  if (!good && signature.scope.service == "iotdevicegateway" && !signature.session_token.empty()) good = matches(false);
  if (good) return context;
  return refuse("SignatureDoesNotMatch", is_s3(input.service) ? kNoMatchS3 : kNoMatch);
}

}  // namespace muster::api
