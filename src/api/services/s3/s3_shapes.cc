// SPDX-License-Identifier: Apache-2.0
#include "api/services/s3/s3_shapes.h"

#include <algorithm>
#include <array>

#include "base/crypto.h"
#include "base/text.h"

namespace muster::api::s3 {
namespace {

constexpr std::array kObjectHeaders = {std::string_view("ContentType"), std::string_view("CacheControl"),
                                       std::string_view("ContentDisposition"), std::string_view("ContentEncoding"),
                                       std::string_view("ContentLanguage")};

constexpr char kTokenVersion = '1';

// "aws-chunked,gzip" -> "gzip"
std::string without_aws_chunked(std::string_view codings) {
  std::string kept;
  for (std::string_view coding : split(codings, ',')) {
    coding = trim(coding);
    if (coding.empty() || equals_ignore_case(coding, "aws-chunked")) continue;
    if (!kept.empty()) kept += ",";
    kept += coding;
  }
  return kept;
}

Error invalid_argument(std::string message) {
  return make_error(ErrorKind::kInvalid, std::move(message), "InvalidArgument");
}

}  // namespace

Status check_owner(const S3Parts& parts, const Call& call, std::string_view member) {
  const std::string_view expected = get_string(call.input, member);
  if (expected.empty() || expected == parts.realm.account_id) return {};
  return make_error(ErrorKind::kAccessDenied, "Access Denied", "AccessDenied");
}

Status check_defaults(const Call& call) {
  const auto refuse = [](std::string_view member, std::string_view value, std::string_view reason) {
    return make_error(ErrorKind::kNotSupported,
                      "'" + std::string(member) + "' of value '" + std::string(value) +
                          "' implies functionality that is not implemented: " + std::string(reason),
                      "NotImplemented");
  };
  const std::string_view acl = get_string(call.input, "ACL");
  if (!acl.empty() && acl != "private" && acl != "bucket-owner-full-control" && acl != "bucket-owner-read") {
    return refuse("ACL", acl, "access control lists are not served; use bucket and identity policies");
  }
  const std::string_view storage_class = get_string(call.input, "StorageClass");
  if (!storage_class.empty() && storage_class != "STANDARD") {
    return refuse("StorageClass", storage_class, "there is one storage class");
  }
  return {};
}

std::string quoted(std::string_view etag) {
  return '"' + std::string(etag) + '"';
}

json::object owner_shape(const Realm& realm) {
  return {{"ID", sha256_hex("canonical user of account " + realm.account_id)}, {"DisplayName", realm.account_id}};
}

objects::Conditions conditions_of(const json::object& input, std::string_view prefix) {
  const auto name = [&](std::string_view member) { return std::string(prefix) + std::string(member); };
  objects::Conditions conditions;
  conditions.if_match = get_string(input, name("IfMatch"));
  conditions.if_none_match = get_string(input, name("IfNoneMatch"));
  conditions.if_modified_since_ms = get_int(input, name("IfModifiedSince"), -1);
  conditions.if_unmodified_since_ms = get_int(input, name("IfUnmodifiedSince"), -1);
  return conditions;
}

Error precondition_failed(std::string_view condition) {
  Error error = make_error(ErrorKind::kPrecondition, "At least one of the pre-conditions you specified did not hold",
                           "PreconditionFailed");
  error.fields["Condition"] = std::string(condition);
  return error;
}

Status read_object_headers(const json::object& input, objects::Object& object) {
  for (const std::string_view name : kObjectHeaders) {
    const std::string_view value = get_string(input, name);
    if (value.empty()) continue;
    if (!is_utf8(value)) return invalid_argument("Header value of " + std::string(name) + " is not valid UTF-8.");
    object.headers.emplace(name, name == "ContentEncoding" ? without_aws_chunked(value) : std::string(value));
  }
  if (has(input, "Expires")) object.headers.emplace("Expires", std::to_string(get_int(input, "Expires")));
  object.headers.try_emplace("ContentType", "binary/octet-stream");
  if (const json::object* metadata = find_object(input, "Metadata")) {
    for (const auto& item : *metadata) {
      const std::string_view value = get_string(*metadata, item.key());
      if (!is_utf8(item.key()) || !is_utf8(value)) return invalid_argument("User metadata is not valid UTF-8.");
      object.metadata.emplace(lower(item.key()), value);
    }
  }
  return objects::check_metadata(object.metadata);
}

json::object object_shape(const objects::Object& object) {
  json::object output{
      {"ETag", quoted(object.etag)}, {"LastModified", object.modified_ms / 1000 * 1000}, {"AcceptRanges", "bytes"}};
  for (const auto& [name, value] : object.headers) {
    if (value.empty()) continue;
    if (name == "Expires") {
      output[name] = parse_int(value).value_or(0);
    } else {
      output[name] = value;
    }
  }
  if (!object.metadata.empty()) {
    json::object metadata;
    for (const auto& [name, value] : object.metadata) metadata[name] = value;
    output["Metadata"] = std::move(metadata);
  }
  return output;
}

std::string make_token(std::string_view last) {
  return to_base64url(kTokenVersion + std::string(last));
}

Result<std::string> read_token(std::string_view token) {
  const auto bytes = from_base64url(token);
  if (bytes && bytes->size() >= 2 && bytes->front() == kTokenVersion && is_utf8(*bytes)) return bytes->substr(1);
  Error error = invalid_argument("The continuation token provided is incorrect");
  error.fields["ArgumentName"] = "continuation-token";
  return error;
}

Result<std::optional<ByteRange>> parse_range(std::string_view text, std::int64_t size) {
  const std::optional<ByteRange> whole;
  if (!text.starts_with("bytes=")) return whole;
  const std::string_view spec = trim(text.substr(6));
  const std::size_t dash = spec.find('-');
  if (dash == std::string_view::npos || spec.find(',') != std::string_view::npos) return whole;
  const auto number = [](std::string_view digits) -> std::optional<std::int64_t> {
    if (digits.empty() || digits.find_first_not_of("0123456789") != std::string_view::npos) return std::nullopt;
    return parse_int(digits.substr(0, 18));  // more digits lie beyond any object all the same
  };
  const auto first = number(spec.substr(0, dash)), last = number(spec.substr(dash + 1));
  if (!first && (dash > 0 || !last)) return whole;
  if (first && !last && dash + 1 < spec.size()) return whole;
  if (first && last && *last < *first) return whole;
  Error unsatisfiable = make_error(ErrorKind::kInvalid, "The requested range is not satisfiable", "InvalidRange");
  unsatisfiable.fields["RangeRequested"] = std::string(text);
  unsatisfiable.fields["ActualObjectSize"] = size;
  if (!first) {
    if (*last == 0 || size == 0) return unsatisfiable;
    return ByteRange{std::max<std::int64_t>(0, size - *last), size - 1};
  }
  if (*first >= size) return unsatisfiable;
  return ByteRange{*first, std::min(last.value_or(size - 1), size - 1)};
}

std::string content_range(const ByteRange& range, std::int64_t size) {
  return "bytes " + std::to_string(range.first) + "-" + std::to_string(range.last) + "/" + std::to_string(size);
}

}  // namespace muster::api::s3
