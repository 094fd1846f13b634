// SPDX-License-Identifier: Apache-2.0
// For tests: a client that signs requests in every way that SDKs do.
#pragma once

#include <algorithm>
#include <charconv>
#include <string>
#include <vector>

#include "api/wire/signature/sigv4_verify.h"
#include "base/crypto.h"
#include "base/sigv4.h"
#include "base/text.h"

namespace muster::api {

inline constexpr char kTestKey[] = "AKIAIOSFODNN7EXAMPLE";
inline constexpr char kUserSecret[] = "zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz";
inline constexpr char kTestSecret[] = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

struct SignedRequest {
  io::HttpRequest request;
  std::string body;     // as it is sent
  std::string payload;  // what the handler must get

  std::string header(std::string_view name) const { return std::string(request.headers.get(name)); }
  void drop(std::string_view name) {
    io::HttpHeaders kept;
    for (const auto& [key, value] : request.headers.items()) {
      if (!equals_ignore_case(key, name)) kept.add(key, value);
    }
    request.headers = std::move(kept);
  }
  void replace_in_target(std::string_view from, std::string_view to) {
    std::size_t at = request.target.find(from);
    if (at != std::string::npos) request.target.replace(at, from.size(), to);
  }
};

// Signs as the SDKs do.
struct Signer {
  sigv4::Credentials credentials{kTestKey, kTestSecret, ""};
  std::string service = "s3";
  std::string region = "eu-west-1";
  std::int64_t now_ms = 1'700'000'000'000;
  std::size_t chunk = 9000;

  std::string amz_date() const { return to_amz_date(now_ms); }
  sigv4::Scope scope() const { return {amz_date().substr(0, 8), region, service}; }

  static std::string declared(PayloadMode mode, const std::string& payload) {
    switch (mode) {
      case PayloadMode::kUnsigned:
        return "UNSIGNED-PAYLOAD";
      case PayloadMode::kSignedChunks:
        return "STREAMING-AWS4-HMAC-SHA256-PAYLOAD";
      case PayloadMode::kSignedChunksTrailer:
        return "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER";
      case PayloadMode::kUnsignedChunksTrailer:
        return "STREAMING-UNSIGNED-PAYLOAD-TRAILER";
      default:
        return sha256_hex(payload);
    }
  }

  std::string canonical(const SignedRequest& in, const sigv4::Pairs& query, const std::vector<std::string>& names,
                        const std::string& hash) const {
    sigv4::CanonicalInput input{
        in.request.method, *canonical_path(in.request.raw_path(), service == "s3"), query, {}, hash};
    for (const auto& [name, value] : in.request.headers.items()) {
      if (std::ranges::find(names, lower(name)) != names.end()) input.headers.emplace_back(lower(name), value);
    }
    return sigv4::canonical_request(input);
  }

  std::string signature(const std::string& canonical_text) const {
    return sigv4::sign(sigv4::signing_key(credentials.secret_access_key, scope()),
                       sigv4::string_to_sign(amz_date(), scope(), canonical_text));
  }

  void sign_header(SignedRequest& in, PayloadMode mode) const {
    auto& headers = in.request.headers;
    bool chunked = mode >= PayloadMode::kSignedChunks;
    headers.set("X-Amz-Date", amz_date());
    std::string hash = declared(mode, in.payload);
    if (service == "s3") headers.set("X-Amz-Content-SHA256", hash);
    if (!credentials.session_token.empty()) headers.set("X-Amz-Security-Token", credentials.session_token);
    if (chunked) {
      headers.set("Content-Encoding", "aws-chunked");
      headers.set("X-Amz-Decoded-Content-Length", std::to_string(in.payload.size()));
      if (mode != PayloadMode::kSignedChunks) headers.set("X-Amz-Trailer", "x-amz-checksum-crc32c");
    }
    std::vector<std::string> names;
    for (const auto& [name, value] : headers.items()) {
      if (!equals_ignore_case(name, "user-agent")) names.push_back(lower(name));
    }
    std::ranges::sort(names);
    std::string list;
    for (const auto& name : names) list += (list.empty() ? "" : ";") + name;
    std::string seed = signature(canonical(in, *parse_form(in.request.raw_query()), names, hash));
    headers.set("Authorization", "AWS4-HMAC-SHA256 Credential=" + credentials.access_key_id + '/' + scope().text() +
                                     ", SignedHeaders=" + list + ", Signature=" + seed);
    in.body = chunked ? chunked_body(in.payload, mode, seed) : in.payload;
  }

  std::string chunked_body(std::string_view payload, PayloadMode mode, std::string previous) const {
    bool is_signed = mode != PayloadMode::kUnsignedChunksTrailer;
    std::string key = sigv4::signing_key(credentials.secret_access_key, scope());
    std::string checksum = to_base64(big_endian(crc32c(payload)));
    std::string out;
    for (bool last = false; !last;) {
      std::string_view piece = payload.substr(0, chunk);
      payload.remove_prefix(piece.size());
      last = piece.empty();
      char size[20];
      auto end = std::to_chars(size, size + sizeof size, piece.size(), 16).ptr;
      out.append(size, end);
      if (is_signed) {
        previous = sigv4::sign(key, "AWS4-HMAC-SHA256-PAYLOAD\n" + amz_date() + '\n' + scope().text() + '\n' +
                                        previous + '\n' + sha256_hex("") + '\n' + sha256_hex(piece));
        out += ";chunk-signature=" + previous;
      }
      out += "\r\n";
      if (!last) out.append(piece).append("\r\n");
    }
    if (mode != PayloadMode::kSignedChunks) out += "x-amz-checksum-crc32c:" + checksum + "\r\n";
    if (mode == PayloadMode::kSignedChunksTrailer) {
      out += "x-amz-trailer-signature:" +
             sigv4::sign(key, "AWS4-HMAC-SHA256-TRAILER\n" + amz_date() + '\n' + scope().text() + '\n' + previous +
                                  '\n' + sha256_hex("x-amz-checksum-crc32c:" + checksum + "\n")) +
             "\r\n";
    }
    return out + "\r\n";
  }

  void sign_query(SignedRequest& in, std::int64_t expires_s = 900) const {
    sigv4::Pairs query = *parse_form(in.request.raw_query());
    query.emplace_back("X-Amz-Algorithm", "AWS4-HMAC-SHA256");
    query.emplace_back("X-Amz-Credential", credentials.access_key_id + '/' + scope().text());
    query.emplace_back("X-Amz-Date", amz_date());
    query.emplace_back("X-Amz-Expires", std::to_string(expires_s));
    std::vector<std::string> names;
    std::string list;
    for (const auto& [name, value] : in.request.headers.items()) names.push_back(lower(name));
    std::ranges::sort(names);
    for (const auto& name : names) list += (list.empty() ? "" : ";") + name;
    query.emplace_back("X-Amz-SignedHeaders", list);
    if (!credentials.session_token.empty()) query.emplace_back("X-Amz-Security-Token", credentials.session_token);
    std::string hash = service == "s3" ? "UNSIGNED-PAYLOAD" : sha256_hex(in.payload);
    if (in.request.headers.has("x-amz-content-sha256")) hash = in.header("x-amz-content-sha256");
    query.emplace_back("X-Amz-Signature", signature(canonical(in, query, names, hash)));
    in.request.target = std::string(in.request.raw_path()) + '?' + sigv4::canonical_query(query);
    in.body = in.payload;
  }

  void sign_query_v2(SignedRequest& in, std::int64_t expires_s = 900) const {
    std::int64_t expires = now_ms / 1000 + expires_s;
    std::string resource(in.request.raw_path());
    if (!in.request.raw_query().empty()) resource += '?' + std::string(in.request.raw_query());
    std::string amz;
    for (const auto& [name, value] : in.request.headers.items()) {
      if (lower(name).starts_with("x-amz-")) amz += lower(name) + ':' + value + '\n';
    }
    if (!credentials.session_token.empty()) amz += "x-amz-security-token:" + credentials.session_token + '\n';
    std::string text =
        in.request.method + "\n\n" + in.header("content-type") + '\n' + std::to_string(expires) + '\n' + amz + resource;
    std::string separator = in.request.raw_query().empty() ? "?" : "&";
    in.request.target += separator + "AWSAccessKeyId=" + credentials.access_key_id +
                         "&Signature=" + percent_encode(to_base64(hmac_sha1(credentials.secret_access_key, text))) +
                         "&Expires=" + std::to_string(expires);
    if (!credentials.session_token.empty()) {
      in.request.target += "&x-amz-security-token=" + percent_encode(credentials.session_token);
    }
    in.body = in.payload;
  }

  static std::string big_endian(std::uint32_t value) {
    std::string out;
    for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>((value >> shift) & 0xFF);
    return out;
  }
};

inline SignedRequest make_request(std::string method, std::string target, std::string payload = {}) {
  SignedRequest out;
  out.request.method = std::move(method);
  out.request.target = std::move(target);
  out.request.headers.add("Host", "127.0.0.1:4566");
  out.request.peer.address = "127.0.0.1";
  out.body = payload;
  out.payload = std::move(payload);
  return out;
}

}  // namespace muster::api
