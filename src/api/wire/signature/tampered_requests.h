// SPDX-License-Identifier: Apache-2.0
// For sigv4_matrix_test: requests signed in every way, and what an attacker may change in them afterwards.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "api/wire/signature/test_signer.h"

namespace muster::api {

enum class Style : std::uint8_t { kHeader, kQuery, kQueryV2 };

struct Case {
  std::string name;
  std::string service;
  Style style;
  PayloadMode mode;
  std::function<SignedRequest()> request;
  bool temporary = false;  // with a session token
};

struct Tamper {
  std::string name;
  // False when there is nothing of the kind in this request.
  std::function<bool(SignedRequest&, const Case&)> change;
};

inline std::string payload() {
  std::string out;
  for (int i = 0; i < 30'000; ++i) out += static_cast<char>('a' + i % 23);
  return out;
}

inline SignedRequest put_object() {
  SignedRequest in = make_request("PUT", "/bucket/dir/key%20%C3%A9.txt", payload());
  in.request.headers.add("Content-Type", "text/plain");
  in.request.headers.add("x-amz-meta-colour", "green   apple");
  return in;
}
inline SignedRequest get_object() {
  return make_request("GET", "/bucket/key?response-cache-control=x");
}
inline SignedRequest create_thing() {
  SignedRequest in = make_request("POST", "/things/t%3A1", R"({"attributePayload":{"attributes":{"a":"b"}}})");
  in.request.headers.add("Content-Type", "application/json");
  return in;
}
inline SignedRequest publish() {
  return make_request("POST", "/topics/a%2Fb?qos=1", "hello");
}
inline SignedRequest get_user() {
  SignedRequest in = make_request("POST", "/", "Action=GetUser&Version=2010-05-08&UserName=u");
  in.request.headers.add("Content-Type", "application/x-www-form-urlencoded; charset=utf-8");
  return in;
}
inline SignedRequest caller_identity() {
  return make_request("GET", "/?Action=GetCallerIdentity&Version=2011-06-15");
}

inline std::vector<Case> cases() {
  std::vector<Case> out;
  for (bool temporary : {false, true}) {
    std::string with = temporary ? "+token" : "";
    const std::pair<const char*, PayloadMode> modes[] = {{"hash", PayloadMode::kDeclaredHash},
                                                         {"unsigned", PayloadMode::kUnsigned},
                                                         {"chunks", PayloadMode::kSignedChunks},
                                                         {"chunks-trailer", PayloadMode::kSignedChunksTrailer},
                                                         {"unsigned-trailer", PayloadMode::kUnsignedChunksTrailer}};
    for (auto [name, mode] : modes) {
      out.push_back({std::string("s3 header ") + name + with, "s3", Style::kHeader, mode, put_object, temporary});
    }
    out.push_back({"s3 header get" + with, "s3", Style::kHeader, PayloadMode::kDeclaredHash, get_object, temporary});
    out.push_back({"s3 query put" + with, "s3", Style::kQuery, PayloadMode::kUnsigned, put_object, temporary});
    out.push_back({"s3 query get" + with, "s3", Style::kQuery, PayloadMode::kUnsigned, get_object, temporary});
    out.push_back({"s3 v2 put" + with, "s3", Style::kQueryV2, PayloadMode::kUnsigned, put_object, temporary});
    out.push_back({"s3 v2 get" + with, "s3", Style::kQueryV2, PayloadMode::kUnsigned,
                   [] { return make_request("GET", "/bucket/key?response-cache-control=x"); }, temporary});
    out.push_back(
        {"iot header" + with, "execute-api", Style::kHeader, PayloadMode::kWholeHash, create_thing, temporary});
    out.push_back({"iot-data header" + with, "iotdata", Style::kHeader, PayloadMode::kWholeHash, publish, temporary});
    out.push_back({"iot-data query" + with, "iotdata", Style::kQuery, PayloadMode::kWholeHash, publish, temporary});
    out.push_back({"iam header" + with, "iam", Style::kHeader, PayloadMode::kWholeHash, get_user, temporary});
    out.push_back({"sts query" + with, "sts", Style::kQuery, PayloadMode::kWholeHash, caller_identity, temporary});
  }
  return out;
}

inline Signer signer(const Case& c) {
  Signer out;
  out.service = c.service;
  if (c.temporary) out.credentials = {"ASIAIOSFODNN7EXAMPLE", kTestSecret, "good-token"};
  return out;
}

inline SignedRequest signed_request(const Case& c) {
  SignedRequest in = c.request();
  if (c.style == Style::kHeader) signer(c).sign_header(in, c.mode);
  if (c.style == Style::kQuery) signer(c).sign_query(in);
  if (c.style == Style::kQueryV2) signer(c).sign_query_v2(in);
  return in;
}

inline bool swap_in_header(SignedRequest& in, std::string_view header, std::string_view from, std::string_view to) {
  std::string value = in.header(header);
  std::size_t at = value.find(from);
  if (at == std::string::npos) return false;
  in.request.headers.set(header, value.replace(at, from.size(), to));
  return true;
}
inline bool swap_in_target(SignedRequest& in, std::string_view from, std::string_view to) {
  std::string before = in.request.target;
  in.replace_in_target(from, to);
  return in.request.target != before;
}
inline bool is_v4(const Case& c) {
  return c.style != Style::kQueryV2;
}
inline bool covers_body(const Case& c) {
  return c.mode != PayloadMode::kUnsigned;
}
inline bool set_header(SignedRequest& in, std::string_view name, std::string value) {
  if (!in.request.headers.has(name)) return false;
  in.request.headers.set(name, std::move(value));
  return true;
}
inline void add_query(SignedRequest& in, std::string_view text) {
  in.request.target += in.request.raw_query().empty() ? '?' : '&';
  in.request.target += text;
}
inline char other_hex(char c) {
  return c == '0' ? '1' : '0';
}

inline std::vector<Tamper> head_tampers() {
  return {
      {"method",
       [](SignedRequest& in, const Case&) {
         in.request.method = in.request.method == "PUT" ? "DELETE" : in.request.method == "GET" ? "DELETE" : "PUT";
         return true;
       }},
      {"path",
       [](SignedRequest& in, const Case&) {
         return swap_in_target(in, "key", "kez") || swap_in_target(in, "t%3A1", "t%3A2") ||
                swap_in_target(in, "a%2F", "b%2F");
       }},
      {"path goes on",
       [](SignedRequest& in, const Case&) {
         in.request.target.insert(in.request.raw_path().size(), in.request.raw_path() == "/" ? "x" : "/x");
         return true;
       }},
      {"query value",
       [](SignedRequest& in, const Case&) {
         return swap_in_target(in, "response-cache-control=x", "response-cache-control=y") ||
                swap_in_target(in, "qos=1", "qos=0") || swap_in_target(in, "GetCallerIdentity", "AssumeRole");
       }},
      {"query added",
       [](SignedRequest& in, const Case&) {
         add_query(in, "partNumber=1");
         return true;
       }},
      {"subresource added",
       [](SignedRequest& in, const Case&) {
         add_query(in, "acl");
         return true;
       }},
      {"unknown query added",
       [](SignedRequest& in, const Case&) {
         add_query(in, "x-id=PutObject");
         return true;
       }},
      {"hoisted header added",
       [](SignedRequest& in, const Case&) {
         add_query(in, "x-amz-acl=public-read");
         return true;
       }},
      {"query removed",
       [](SignedRequest& in, const Case&) {
         return swap_in_target(in, "response-cache-control=x", "") || swap_in_target(in, "qos=1", "");
       }},
      {"signed header", [](SignedRequest& in, const Case&) { return set_header(in, "x-amz-meta-colour", "red"); }},
      {"signed header twice",
       [](SignedRequest& in, const Case&) {
         if (!in.request.headers.has("x-amz-meta-colour")) return false;
         in.request.headers.add("x-amz-meta-colour", "red");
         return true;
       }},
      {"signed header dropped",
       [](SignedRequest& in, const Case&) {
         bool had = in.request.headers.has("x-amz-meta-colour");
         in.drop("x-amz-meta-colour");
         return had;
       }},
      {"content type", [](SignedRequest& in, const Case&) { return set_header(in, "content-type", "text/html"); }},
      {"x-amz header added",
       [](SignedRequest& in, const Case&) {
         in.request.headers.add("X-Amz-Acl", "public-read");
         return true;
       }},
      {"x-amz-copy-source added",
       [](SignedRequest& in, const Case&) {
         in.request.headers.add("x-amz-copy-source", "/secret/key");
         return true;
       }},
      {"host",
       [](SignedRequest& in, const Case& c) {
         in.request.headers.set("Host", "other:4566");
         return is_v4(c);
       }},
      {"virtual bucket",
       [](SignedRequest& in, const Case&) {
         in.request.headers.set("Host", "victim.s3.example");
         return true;
       }},
      {"host dropped",
       [](SignedRequest& in, const Case& c) {
         in.drop("Host");
         return is_v4(c);
       }},
      {"host twice",
       [](SignedRequest& in, const Case& c) {
         in.request.headers.add("host", "127.0.0.1:4566");
         return is_v4(c);
       }},
  };
}

inline std::vector<Tamper> credential_tampers() {
  auto both = [](std::string_view from, std::string_view to) {
    return [from = std::string(from), to = std::string(to)](SignedRequest& in, const Case& c) {
      if (!is_v4(c)) return false;
      return c.style == Style::kHeader ? swap_in_header(in, "Authorization", from, to)
                                       : swap_in_target(in, percent_encode(from), percent_encode(to));
    };
  };
  return {
      {"signature",
       [](SignedRequest& in, const Case& c) {
         if (c.style == Style::kHeader) {
           std::string value = in.header("Authorization");
           value.back() = other_hex(value.back());
           in.request.headers.set("Authorization", value);
           return true;
         }
         std::size_t at = in.request.target.find("Signature=") + 12;
         in.request.target[at] = in.request.target[at] == '0' ? '1' : '0';
         return true;
       }},
      {"signature cut",
       [](SignedRequest& in, const Case& c) {
         if (c.style == Style::kHeader) {
           std::string value = in.header("Authorization");
           value.resize(value.size() - 64);
           in.request.headers.set("Authorization", value);
           return true;
         }
         std::size_t at = in.request.target.find("Signature=") + 10;
         std::size_t end = in.request.target.find('&', at);
         in.request.target.erase(at, end == std::string::npos ? end : end - at);
         return true;
       }},
      {"region", both("/eu-west-1/", "/us-east-1/")},
      {"service",
       [&](SignedRequest& in, const Case& c) {
         if (!is_v4(c)) return false;
         std::string other = c.service == "s3" ? "/iotdata/" : "/s3/";
         return c.style == Style::kHeader
                    ? swap_in_header(in, "Authorization", '/' + c.service + '/', other)
                    : swap_in_target(in, percent_encode('/' + c.service + '/'), percent_encode(other));
       }},
      {"scope date", both("/20231114/", "/20231113/")},
      {"terminator", both("/aws4_request", "/aws4_requesu")},
      {"algorithm", both("AWS4-HMAC-SHA256", "AWS4-HMAC-SHA257")},
      {"signed header list",
       [](SignedRequest& in, const Case& c) {
         if (c.style == Style::kHeader)
           return swap_in_header(in, "Authorization", "SignedHeaders=", "SignedHeaders=accept;");
         return c.style == Style::kQuery && swap_in_target(in, "X-Amz-SignedHeaders=", "X-Amz-SignedHeaders=accept%3B");
       }},
      {"host not signed",
       [](SignedRequest& in, const Case& c) {
         if (c.style == Style::kHeader) return swap_in_header(in, "Authorization", "host;", "");
         return c.style == Style::kQuery &&
                (swap_in_target(in, "SignedHeaders=host", "SignedHeaders=") || swap_in_target(in, "host%3B", ""));
       }},
      {"date",
       [](SignedRequest& in, const Case& c) {
         if (c.style == Style::kQueryV2) return swap_in_target(in, "Expires=17", "Expires=18");
         return c.style == Style::kQuery ? swap_in_target(in, "T221320Z", "T221321Z")
                                         : set_header(in, "x-amz-date", "20231114T221321Z");
       }},
      {"date dropped",
       [](SignedRequest& in, const Case& c) {
         in.drop("x-amz-date");
         return c.style == Style::kHeader || (c.style == Style::kQuery && swap_in_target(in, "X-Amz-Date=", "Date="));
       }},
      {"expiry",
       [](SignedRequest& in, const Case& c) {
         return c.style == Style::kQuery && swap_in_target(in, "Expires=900", "Expires=901");
       }},
      {"access key",
       [](SignedRequest& in, const Case& c) {
         if (c.style == Style::kHeader)
           return swap_in_header(in, "Authorization", "AKIAIO", "AKIAIX") ||
                  swap_in_header(in, "Authorization", "ASIAIO", "ASIAIX");
         return swap_in_target(in, "AKIAIO", "AKIAIX") || swap_in_target(in, "ASIAIO", "ASIAIX");
       }},
      {"other user's key",
       [](SignedRequest& in, const Case& c) {
         if (c.temporary) return false;
         if (c.style == Style::kHeader) return swap_in_header(in, "Authorization", kTestKey, "AKIAUSERUSERUSERUSER");
         return swap_in_target(in, kTestKey, "AKIAUSERUSERUSERUSER");
       }},
  };
}

inline std::vector<Tamper> mixture_tampers() {
  return {
      {"token",
       [](SignedRequest& in, const Case& c) {
         if (!c.temporary) return false;
         return c.style == Style::kHeader ? set_header(in, "x-amz-security-token", "bad-token")
                                          : swap_in_target(in, "good-token", "bad-token");
       }},
      {"token dropped",
       [](SignedRequest& in, const Case& c) {
         if (!c.temporary) return false;
         in.drop("x-amz-security-token");
         return c.style == Style::kHeader || swap_in_target(in, "ecurity-", "ecurity-x");
       }},
      {"token added",
       [](SignedRequest& in, const Case&) {
         in.request.headers.add("x-amz-security-token", "good-token");
         return true;
       }},
      {"query token added",
       [](SignedRequest& in, const Case&) {
         add_query(in, "X-Amz-Security-Token=good-token");
         return true;
       }},
      {"query credentials as well",
       [](SignedRequest& in, const Case& c) {
         if (c.style != Style::kHeader) return false;
         add_query(in, "X-Amz-Algorithm=AWS4-HMAC-SHA256");
         return true;
       }},
      {"a signature as well",
       [](SignedRequest& in, const Case&) {
         add_query(in, "X-Amz-Signature=00");
         return true;
       }},
      {"v2 credentials as well",
       [](SignedRequest& in, const Case&) {
         add_query(in, "AWSAccessKeyId=A&Signature=B&Expires=9999999999");
         return true;
       }},
      {"lower-case credentials as well",
       [](SignedRequest& in, const Case&) {
         add_query(in, "x-amz-signature=00");
         return true;
       }},
      {"header credentials as well",
       [](SignedRequest& in, const Case& c) {
         if (c.style == Style::kHeader) return false;
         in.request.headers.add("Authorization", "Bearer x");
         return true;
       }},
      {"authorization twice",
       [](SignedRequest& in, const Case& c) {
         in.request.headers.add("authorization", in.header("Authorization"));
         return c.style == Style::kHeader;
       }},
      {"other mechanism",
       [](SignedRequest& in, const Case& c) {
         return c.style == Style::kHeader && set_header(in, "Authorization", "AWS AKIAIOSFODNN7EXAMPLE:abcdef=");
       }},
      {"empty authorization",
       [](SignedRequest& in, const Case&) {
         in.request.headers.set("Authorization", "");
         return true;
       }},
      {"algorithm dropped",
       [](SignedRequest& in, const Case& c) {
         return c.style == Style::kQuery && swap_in_target(in, "X-Amz-Algorithm=AWS4-HMAC-SHA256&", "");
       }},
  };
}

inline std::vector<Tamper> payload_tampers() {
  auto chunked = [](const Case& c) { return c.mode >= PayloadMode::kSignedChunks; };
  auto flip = [](SignedRequest& in, std::size_t at) { in.body[at] = static_cast<char>(in.body[at] ^ 1); };
  return {
      {"body byte",
       [=](SignedRequest& in, const Case& c) {
         if (!covers_body(c) || in.body.empty()) return false;
         flip(in, in.body.find("efgh") != std::string::npos ? in.body.find("efgh") : in.body.size() / 2);
         return true;
       }},
      {"body cut",
       [=](SignedRequest& in, const Case& c) {
         if (!covers_body(c) || in.body.empty()) return false;
         in.body.resize(in.body.size() - 3);
         return true;
       }},
      {"body goes on",
       [](SignedRequest& in, const Case& c) {
         in.body += "x";
         return covers_body(c);
       }},
      {"declared hash",
       [](SignedRequest& in, const Case& c) {
         return c.mode == PayloadMode::kDeclaredHash && set_header(in, "x-amz-content-sha256", sha256_hex("other"));
       }},
      {"declared hash becomes unsigned",
       [](SignedRequest& in, const Case& c) {
         return c.mode != PayloadMode::kUnsigned && set_header(in, "x-amz-content-sha256", "UNSIGNED-PAYLOAD");
       }},
      {"becomes unsigned chunks",
       [=](SignedRequest& in, const Case& c) {
         return c.mode != PayloadMode::kUnsignedChunksTrailer &&
                set_header(in, "x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER");
       }},
      {"hash header dropped",
       [](SignedRequest& in, const Case& c) {
         bool had = in.request.headers.has("x-amz-content-sha256");
         in.drop("x-amz-content-sha256");
         return had && c.style == Style::kHeader;
       }},
      {"trailer announced",
       [](SignedRequest& in, const Case&) {
         in.request.headers.add("x-amz-trailer", "x-amz-checksum-crc32");
         return true;
       }},
      {"aws-chunked announced",
       [=](SignedRequest& in, const Case& c) {
         in.request.headers.add("Content-Encoding", "aws-chunked");
         return !chunked(c) && c.service == "s3";
       }},
      {"decoded length",
       [](SignedRequest& in, const Case&) { return set_header(in, "x-amz-decoded-content-length", "29999"); }},
  };
}

inline std::vector<Tamper> chunk_tampers() {
  auto chunked = [](const Case& c) { return c.mode >= PayloadMode::kSignedChunks; };
  auto swap_in_body = [](SignedRequest& in, std::string_view from, std::string_view to) {
    std::size_t at = in.body.find(from);
    if (at == std::string::npos) return false;
    in.body.replace(at, from.size(), to);
    return true;
  };
  auto flip = [](SignedRequest& in, std::size_t at) { in.body[at] = static_cast<char>(in.body[at] ^ 1); };
  return {
      {"first chunk signature",
       [=](SignedRequest& in, const Case& c) {
         std::size_t at = in.body.find("chunk-signature=");
         if (at == std::string::npos || !chunked(c)) return false;
         in.body[at + 20] = other_hex(in.body[at + 20]);
         return true;
       }},
      {"last chunk signature",
       [=](SignedRequest& in, const Case& c) {
         std::size_t at = in.body.rfind("chunk-signature=");
         if (at == std::string::npos || !chunked(c)) return false;
         in.body[at + 20] = other_hex(in.body[at + 20]);
         return true;
       }},
      {"last chunk signature dropped",
       [=](SignedRequest& in, const Case& c) {
         std::size_t at = in.body.rfind(";chunk-signature=");
         if (at == std::string::npos || !chunked(c)) return false;
         in.body.erase(at, 17 + 64);
         return true;
       }},
      {"last data byte",
       [=](SignedRequest& in, const Case& c) {
         if (!chunked(c)) return false;
         flip(in, in.body.rfind("\r\n0") - 1);
         return true;
       }},
      {"chunk dropped",
       [=](SignedRequest& in, const Case& c) {
         std::size_t first = in.body.find("2328");
         std::size_t second = in.body.find("2328", first + 1);
         if (!chunked(c) || second == std::string::npos) return false;
         in.body.erase(first, second - first);
         return true;
       }},
      {"trailer value", [=](SignedRequest& in, const Case&) { return swap_in_body(in, "crc32c:", "crc32c:A"); }},
      {"trailer name",
       [=](SignedRequest& in, const Case&) { return swap_in_body(in, "checksum-crc32c:", "checksum-crc32:"); }},
      {"trailer dropped",
       [](SignedRequest& in, const Case&) {
         std::size_t at = in.body.find("x-amz-checksum-crc32c:");
         if (at == std::string::npos) return false;
         in.body.erase(at, in.body.find("\r\n", at) + 2 - at);
         return true;
       }},
      {"trailer added",
       [=](SignedRequest& in, const Case& c) {
         std::size_t at = in.body.rfind("\r\n");
         if (!chunked(c)) return false;
         in.body.insert(at, "x-amz-meta-colour:red\r\n");
         return true;
       }},
      {"trailer signature",
       [](SignedRequest& in, const Case&) {
         std::size_t at = in.body.find("trailer-signature:");
         if (at == std::string::npos) return false;
         in.body[at + 20] = other_hex(in.body[at + 20]);
         return true;
       }},
      {"trailer signature dropped",
       [](SignedRequest& in, const Case&) {
         std::size_t at = in.body.find("x-amz-trailer-signature:");
         if (at == std::string::npos) return false;
         in.body.erase(at, 24 + 64 + 2);
         return true;
       }},
  };
}

inline std::vector<Tamper> all_tampers() {
  std::vector<Tamper> out;
  for (const auto& some :
       {head_tampers(), credential_tampers(), mixture_tampers(), payload_tampers(), chunk_tampers()}) {
    out.insert(out.end(), some.begin(), some.end());
  }
  return out;
}

}  // namespace muster::api
