// SPDX-License-Identifier: Apache-2.0
// The first step of sigv4_verify.h: what the request says about its signature and its payload.
#include <algorithm>
#include <array>

#include "api/wire/signature/sigv4_verify.h"
#include "base/text.h"

namespace muster::api {
namespace {

constexpr std::size_t kMaxSignedHeaders = 100;
constexpr std::int64_t kMaxExpiresS = 604'800;

Error refuse(std::string_view reason, std::string message) {
  return make_error(ErrorKind::kUnauthenticated, std::move(message), std::string(reason));
}
Error malformed(std::string what) {
  return refuse("IncompleteSignature", "The authorization header is malformed; " + what);
}
Error bad_query(std::string message) {
  return refuse("AuthorizationQueryParametersError", std::move(message));
}

bool is_lower_hex(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

// The value of a query parameter whose name is compared without case; `count` grows with each.
std::string_view query_value(const Pairs& query, std::string_view name, std::size_t& count) {
  std::string_view found;
  for (const auto& [key, value] : query) {
    if (!equals_ignore_case(key, name)) continue;
    if (count++ == 0) found = value;
  }
  return found;
}

bool read_credential(std::string_view text, RequestSignature& out) {
  auto parts = split(text, '/');
  if (parts.size() != 5 || parts[4] != "aws4_request") return false;
  bool date = parts[1].size() == 8 && parse_amz_date(std::string(parts[1]) + "T000000Z");
  if (!date || parts[0].empty() || parts[0].size() > 128 || parts[2].empty() || parts[3].empty()) return false;
  out.access_key_id = parts[0];
  out.scope = {std::string(parts[1]), std::string(parts[2]), std::string(parts[3])};
  return true;
}

// Lower case, ascending, each once: the form that signers produce; another would not be what they signed.
bool read_signed_headers(std::string_view text, RequestSignature& out) {
  for (std::string_view name : split(text, ';')) {
    bool ascending = out.signed_headers.empty() || out.signed_headers.back() < name;
    if (name.empty() || !ascending || lower(name) != name || out.signed_headers.size() >= kMaxSignedHeaders)
      return false;
    out.signed_headers.emplace_back(name);
  }
  return true;
}

Result<RequestSignature> read_header(const io::HttpRequest& request) {
  if (request.headers.count("authorization") != 1) return malformed("there is more than one.");
  TRY(RequestSignature out, parse_authorization(request.headers.get("authorization")));
  if (request.headers.count("x-amz-date") > 1 || request.headers.count("x-amz-security-token") > 1) {
    return malformed("x-amz-date and x-amz-security-token may be given once.");
  }
  out.session_token = request.headers.get("x-amz-security-token");
  if (request.headers.has("x-amz-date")) {
    out.amz_date = request.headers.get("x-amz-date");
    auto time = parse_amz_date(out.amz_date);
    if (!time) return refuse("AccessDenied", "AWS authentication requires a valid Date or x-amz-date header");
    out.date_ms = *time;
    return out;
  }
  // Without x-amz-date the Date header dates the request; then it must be signed.
  std::string_view date = request.headers.get("date");
  auto time = parse_http_date(date);
  if (!time) time = parse_amz_date(date);
  bool is_signed = std::binary_search(out.signed_headers.begin(), out.signed_headers.end(), "date");
  if (!time || !is_signed || request.headers.count("date") != 1) {
    return refuse("AccessDenied", "AWS authentication requires a valid Date or x-amz-date header");
  }
  out.date_ms = *time;
  out.amz_date = to_amz_date(*time);
  return out;
}

Status read_expires(std::string_view text, RequestSignature& out) {
  auto seconds = parse_int(text);
  if (!seconds) return bad_query("X-Amz-Expires should be a number");
  if (*seconds < 1) return bad_query("X-Amz-Expires must be non-negative");
  if (*seconds > kMaxExpiresS) {
    return bad_query("X-Amz-Expires must be less than a week (in seconds) that is 604800");
  }
  out.expires_s = *seconds;
  return {};
}

Result<RequestSignature> read_query_v4(const io::HttpRequest& request, const Pairs& query) {
  RequestSignature out;
  out.kind = SignatureKind::kQueryV4;
  static constexpr std::array<std::string_view, 7> kNames = {"X-Amz-Algorithm",     "X-Amz-Credential", "X-Amz-Date",
                                                             "X-Amz-SignedHeaders", "X-Amz-Signature",  "X-Amz-Expires",
                                                             "X-Amz-Security-Token"};
  std::array<std::string_view, 7> values;
  std::array<std::size_t, 7> counts{};
  for (std::size_t i = 0; i < kNames.size(); ++i) values[i] = query_value(query, kNames[i], counts[i]);
  for (std::size_t i = 0; i < kNames.size(); ++i) {
    bool optional = i >= 5;  // whether Expires is needed depends on the service
    if (counts[i] > 1 || (counts[i] == 0 && !optional)) {
      return bad_query(
          "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, X-Amz-Signature, "
          "X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters.");
    }
  }
  if (values[0] != "AWS4-HMAC-SHA256") return bad_query("X-Amz-Algorithm only supports \"AWS4-HMAC-SHA256\"");
  if (!read_credential(values[1], out)) {
    return bad_query(
        "Error parsing the X-Amz-Credential parameter; the Credential is mal-formed; expecting "
        "\"<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request\".");
  }
  auto time = parse_amz_date(values[2]);
  if (!time) return bad_query("X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\"");
  out.amz_date = values[2];
  out.date_ms = *time;
  if (!read_signed_headers(values[3], out)) return bad_query("X-Amz-SignedHeaders is malformed");
  if (values[4].size() != 64 || !is_lower_hex(values[4])) {
    return refuse("SignatureDoesNotMatch", "X-Amz-Signature is not a signature");
  }
  out.signature = values[4];
  if (counts[5] == 1) TRY_VOID(read_expires(values[5], out));
  if (request.headers.has("x-amz-security-token")) return bad_query("X-Amz-Security-Token may be given once");
  out.session_token = values[6];
  return out;
}

Result<RequestSignature> read_query_v2(const io::HttpRequest& request, const Pairs& query) {
  RequestSignature out;
  out.kind = SignatureKind::kQueryV2;
  std::size_t keys = 0, signatures = 0, expiries = 0, tokens = 0;
  out.access_key_id = query_value(query, "AWSAccessKeyId", keys);
  out.signature = query_value(query, "Signature", signatures);
  auto expires = parse_int(query_value(query, "Expires", expiries));
  out.session_token = query_value(query, "x-amz-security-token", tokens);
  if (keys != 1 || signatures != 1 || expiries != 1) {
    return refuse("AccessDenied",
                  "Query-string authentication requires the Signature, Expires and AWSAccessKeyId parameters");
  }
  if (!expires || *expires < 0) return refuse("AccessDenied", "Invalid date (should be seconds since epoch)");
  std::size_t header_tokens = request.headers.count("x-amz-security-token");
  if (tokens + header_tokens > 1) return bad_query("x-amz-security-token may be given once");
  if (header_tokens == 1) out.session_token = request.headers.get("x-amz-security-token");
  out.expires_s = *expires;
  return out;
}

bool announces_chunks(const io::HttpRequest& request) {
  for (const auto& [name, value] : request.headers.items()) {
    if (!equals_ignore_case(name, "content-encoding")) continue;
    for (std::string_view coding : split(value, ',')) {
      if (equals_ignore_case(trim(coding), "aws-chunked")) return true;
    }
  }
  return false;
}

Error bad_request(std::string message) {
  return make_error(ErrorKind::kInvalid, std::move(message), "InvalidRequest");
}

Status read_streaming(const io::HttpRequest& request, PayloadRule& rule) {
  auto length = parse_int(request.headers.get("x-amz-decoded-content-length"));
  if (request.headers.count("x-amz-decoded-content-length") != 1 || !length || *length < 0) {
    return make_error(ErrorKind::kInvalid, "You must provide the Content-Length HTTP header.", "MissingContentLength");
  }
  rule.decoded_length = *length;
  bool with_trailer = rule.mode != PayloadMode::kSignedChunks;
  for (const auto& [name, value] : request.headers.items()) {
    if (!equals_ignore_case(name, "x-amz-trailer")) continue;
    for (std::string_view trailer : split(value, ',')) rule.trailers.push_back(lower(trim(trailer)));
  }
  if (with_trailer != !rule.trailers.empty()) {
    return bad_request("The value specified in the x-amz-trailer header is not supported");
  }
  static constexpr std::array<std::string_view, 5> kKnown = {"x-amz-checksum-crc32", "x-amz-checksum-crc32c",
                                                             "x-amz-checksum-sha1", "x-amz-checksum-sha256",
                                                             "x-amz-checksum-crc64nvme"};
  if (rule.trailers.size() > 1) return bad_request("Expecting a single x-amz-checksum- header");
  for (const std::string& name : rule.trailers) {
    if (std::find(kKnown.begin(), kKnown.end(), name) == kKnown.end()) {
      return bad_request("The value specified in the x-amz-trailer header is not supported");
    }
  }
  return {};
}

}  // namespace

Result<RequestSignature> parse_authorization(std::string_view header) {
  constexpr std::string_view kAlgorithm = "AWS4-HMAC-SHA256";
  std::size_t space = header.find_first_of(" \t");
  std::string_view algorithm = header.substr(0, space);
  if (algorithm != kAlgorithm) {
    if (algorithm.starts_with("AWS")) {
      return refuse("UnsupportedAuthorization",
                    "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.");
    }
    return refuse("UnsupportedAuthorization", "Unsupported Authorization Type");
  }
  RequestSignature out;
  out.kind = SignatureKind::kHeaderV4;
  bool credential = false, headers = false, signature = false;
  if (space == std::string_view::npos) return malformed("it is empty.");
  for (std::string_view part : split(header.substr(space), ',')) {
    part = trim(part);
    std::size_t equals = part.find('=');
    std::string_view name = part.substr(0, equals);
    std::string_view value = equals == std::string_view::npos ? std::string_view() : part.substr(equals + 1);
    bool* seen = name == "Credential"      ? &credential
                 : name == "SignedHeaders" ? &headers
                 : name == "Signature"     ? &signature
                                           : nullptr;
    if (seen == nullptr || *seen) return malformed("expecting Credential, SignedHeaders and Signature, each once.");
    *seen = true;
    if (seen == &credential && !read_credential(value, out)) {
      return malformed("the Credential is mal-formed; expecting \"<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request\".");
    }
    if (seen == &headers && !read_signed_headers(value, out)) return malformed("the SignedHeaders are mal-formed.");
    if (seen == &signature) {
      if (value.size() != 64 || !is_lower_hex(value)) return malformed("the Signature is mal-formed.");
      out.signature = value;
    }
  }
  if (!credential || !headers || !signature) {
    return malformed("expecting Credential, SignedHeaders and Signature, each once.");
  }
  return out;
}

Result<RequestSignature> read_signature(const io::HttpRequest& request, const Pairs& query) {
  static constexpr std::array<std::string_view, 6> kV4 = {"X-Amz-Algorithm", "X-Amz-Credential",    "X-Amz-Date",
                                                          "X-Amz-Expires",   "X-Amz-SignedHeaders", "X-Amz-Signature"};
  std::size_t v4 = 0, v2 = 0, tokens = 0;
  for (std::string_view name : kV4) query_value(query, name, v4);
  query_value(query, "AWSAccessKeyId", v2);
  query_value(query, "Signature", v2);
  query_value(query, "X-Amz-Security-Token", tokens);
  bool header = request.headers.has("authorization");
  if (int{header} + int{v4 > 0} + int{v2 > 0} > 1 || (header && tokens > 0)) {
    return make_error(ErrorKind::kInvalid,
                      "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query "
                      "string parameter or the Authorization header should be specified",
                      "InvalidArgument");
  }
  if (header) return read_header(request);
  if (v2 > 0) return read_query_v2(request, query);
  if (v4 + tokens > 0) return read_query_v4(request, query);
  return RequestSignature{};
}

Result<PayloadRule> read_payload_rule(const io::HttpRequest& request, const Pairs& query,
                                      const RequestSignature& signature, bool s3) {
  PayloadRule rule;
  bool v4 = signature.kind == SignatureKind::kHeaderV4 || signature.kind == SignatureKind::kQueryV4;
  if (!s3) {
    rule.mode = v4 ? PayloadMode::kWholeHash : PayloadMode::kUnsigned;
    return rule;
  }
  std::size_t in_query = 0;
  std::string_view query_hash = query_value(query, "X-Amz-Content-Sha256", in_query);
  std::size_t in_header = request.headers.count("x-amz-content-sha256");
  std::string_view value = in_header > 0 ? request.headers.get("x-amz-content-sha256") : query_hash;
  if (in_query > 1 || in_header > 1 || (in_query + in_header == 2 && value != query_hash)) {
    return make_error(ErrorKind::kInvalid, "x-amz-content-sha256 may be given once", "InvalidArgument");
  }
  if (in_query + in_header == 0) {
    if (signature.kind == SignatureKind::kHeaderV4) {
      return bad_request("Missing required header for this request: x-amz-content-sha256");
    }
    value = "UNSIGNED-PAYLOAD";
  }
  rule.declared = value;
  bool signable = signature.kind == SignatureKind::kHeaderV4;
  if (value == "UNSIGNED-PAYLOAD") {
    rule.mode = PayloadMode::kUnsigned;
  } else if (value.size() == 64 && is_lower_hex(lower(value))) {
    rule.mode = PayloadMode::kDeclaredHash;
  } else if (value == "STREAMING-AWS4-HMAC-SHA256-PAYLOAD" && signable) {
    rule.mode = PayloadMode::kSignedChunks;
  } else if (value == "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER" && signable) {
    rule.mode = PayloadMode::kSignedChunksTrailer;
  } else if (value == "STREAMING-UNSIGNED-PAYLOAD-TRAILER" && (signable || signature.kind == SignatureKind::kNone)) {
    rule.mode = PayloadMode::kUnsignedChunksTrailer;
  } else {
    return make_error(
        ErrorKind::kInvalid,
        "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-TRAILER, "
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER or a valid sha256 "
        "value.",
        "InvalidArgument");
  }
  bool streaming = rule.mode >= PayloadMode::kSignedChunks;
  if (streaming) {
    TRY_VOID(read_streaming(request, rule));
    return rule;
  }
  // Chunk framing that no mode asks to remove, or a trailer that nothing would check.
  if (announces_chunks(request) || request.headers.has("x-amz-trailer") ||
      request.headers.has("x-amz-decoded-content-length")) {
    return bad_request("aws-chunked content needs a streaming value of x-amz-content-sha256");
  }
  return rule;
}

}  // namespace muster::api
