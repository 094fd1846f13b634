// SPDX-License-Identifier: Apache-2.0
// What several S3 operations share: members of input and output by the model's names, the checks that every operation
// makes, and listings' URL encoding. Pure functions.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "api/services/s3/s3.h"
#include "api/wire/operation.h"
#include "base/json.h"
#include "domain/objects/objects.h"

namespace muster::api::s3 {

// x-amz-expected-bucket-owner (and of the source, when copying): AccessDenied unless it is this account.
Status check_owner(const S3Parts& parts, const Call& call, std::string_view member = "ExpectedBucketOwner");

// ACL and StorageClass may be said as long as they mean what is done anyway; NotImplemented naming them otherwise.
Status check_defaults(const Call& call);

std::string quoted(std::string_view etag);
// The canonical user id of the account: stable, 64 hex digits as AWS's.
json::object owner_shape(const Realm& realm);

objects::Conditions conditions_of(const json::object& input, std::string_view prefix = {});
Error precondition_failed(std::string_view condition);

// ContentType, CacheControl, ... of a request, into the object; binary/octet-stream when no type is given. aws-chunked
// is no content coding of the object. InvalidArgument for bytes that are not UTF-8.
Status read_object_headers(const json::object& input, objects::Object& object);
// ETag, LastModified, Metadata, headers: what GET, HEAD and 304 say about an object.
json::object object_shape(const objects::Object& object);

// Continuation tokens: opaque to clients, the last name of a page to us.
std::string make_token(std::string_view last);
Result<std::string> read_token(std::string_view token);  // InvalidArgument

// Range of one GET, RFC 9110 section 14.2. nullopt: absent, malformed or several ranges, which all mean the whole.
struct ByteRange {
  std::int64_t first = 0, last = 0;  // inclusive
};
Result<std::optional<ByteRange>> parse_range(std::string_view text, std::int64_t size);  // InvalidRange
std::string content_range(const ByteRange& range, std::int64_t size);

}  // namespace muster::api::s3
