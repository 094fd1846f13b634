// SPDX-License-Identifier: Apache-2.0
#include "api/wire/signature/sigv2.h"

#include <algorithm>
#include <array>
#include <map>

#include "base/crypto.h"
#include "base/text.h"

namespace muster::api {
namespace {

// Query parameters that are part of the resource, sorted.
constexpr std::array<std::string_view, 38> kSubresources = {"accelerate",
                                                            "acl",
                                                            "analytics",
                                                            "cors",
                                                            "defaultObjectAcl",
                                                            "delete",
                                                            "encryption",
                                                            "intelligent-tiering",
                                                            "inventory",
                                                            "legal-hold",
                                                            "lifecycle",
                                                            "location",
                                                            "logging",
                                                            "metrics",
                                                            "notification",
                                                            "object-lock",
                                                            "partNumber",
                                                            "policy",
                                                            "replication",
                                                            "requestPayment",
                                                            "response-cache-control",
                                                            "response-content-disposition",
                                                            "response-content-encoding",
                                                            "response-content-language",
                                                            "response-content-type",
                                                            "response-expires",
                                                            "restore",
                                                            "retention",
                                                            "select",
                                                            "select-type",
                                                            "tagging",
                                                            "torrent",
                                                            "uploadId",
                                                            "uploads",
                                                            "versionId",
                                                            "versioning",
                                                            "versions",
                                                            "website"};

bool is_subresource(std::string_view name) {
  return std::binary_search(kSubresources.begin(), kSubresources.end(), name);
}
bool is_credential(std::string_view name) {
  return equals_ignore_case(name, "AWSAccessKeyId") || equals_ignore_case(name, "Signature") ||
         equals_ignore_case(name, "Expires");
}
// Signers move these headers into the query of the URL, where they count as the headers that they were.
bool is_moved_header(std::string_view name) {
  std::string key = lower(name);
  return key.starts_with("x-amz-") || key == "content-md5" || key == "content-type";
}

}  // namespace

std::string string_to_sign_v2(const VerifyInput& input) {
  std::map<std::string, std::string> amz;  // sorted by name
  std::string content_md5(input.request.headers.get("content-md5"));
  std::string content_type(input.request.headers.get("content-type"));
  auto take = [&](std::string_view name, std::string_view value) {
    std::string key = lower(name);
    if (key == "content-md5" && content_md5.empty()) content_md5 = value;
    if (key == "content-type" && content_type.empty()) content_type = value;
    if (!key.starts_with("x-amz-")) return;
    auto [entry, added] = amz.try_emplace(key, trim(value));
    if (!added) entry->second += ',' + std::string(trim(value));
  };
  for (const auto& [name, value] : input.request.headers.items()) {
    if (lower(name).starts_with("x-amz-")) take(name, value);
  }
  std::vector<std::string> parameters;
  for (const auto& [name, value] : input.query) {
    if (is_moved_header(name))
      take(name, value);
    else if (is_subresource(name))
      parameters.push_back(value.empty() ? name : name + '=' + value);
  }
  std::sort(parameters.begin(), parameters.end());

  std::string out = input.request.method + '\n' + content_md5 + '\n' + content_type + '\n' +
                    std::to_string(input.signature.expires_s) + '\n';
  for (const auto& [name, value] : amz) out += name + ':' + value + '\n';
  if (!input.virtual_bucket.empty()) {
    out += '/';
    out += input.virtual_bucket;
  }
  out += input.request.raw_path();
  char separator = '?';
  for (const std::string& parameter : parameters) {
    out += separator;
    out += parameter;
    separator = '&';
  }
  return out;
}

Status verify_sigv2(const VerifyInput& input, std::string_view secret) {
  auto refuse = [](std::string_view reason, std::string message) {
    return make_error(ErrorKind::kUnauthenticated, std::move(message), std::string(reason));
  };
  if (secret.empty()) return refuse("MissingAuthenticationToken", "Missing Authentication Token");
  for (const auto& [name, value] : input.query) {
    if (!is_credential(name) && !is_moved_header(name) && !is_subresource(name)) {
      return refuse("AccessDenied", "There were query parameters present in the request which were not signed");
    }
    // The string to sign is made of lines: a line break in a value could be read as the next line.
    if (has_control_characters(name) || has_control_characters(value)) {
      return refuse("AccessDenied", "Query parameters must not hold control characters");
    }
    // A header and its copy in the query: which one would be meant?
    if (is_moved_header(name) && input.request.headers.has(name)) {
      return refuse("AccessDenied", "'" + lower(name) + "' is given twice");
    }
  }
  std::string expected = to_base64(hmac_sha1(secret, string_to_sign_v2(input)));
  if (equal_constant_time(expected, input.signature.signature)) return {};
  return refuse("SignatureDoesNotMatch",
                "The request signature we calculated does not match the signature you provided. Check your key and "
                "signing method.");
}

}  // namespace muster::api
