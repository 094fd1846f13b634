// SPDX-License-Identifier: Apache-2.0
// Objects: the records that name a bucket's blobs. Functions over a transaction; a record is JSON under table::kObject.
// The bytes are a blob file that is complete and durable before put_object() names it (blobs.h); a blob that loses its
// record gets a row in table::kBlobGarbage in the same transaction, and the sweeper removes the file later.
// Error reasons are S3's codes. Bounds: keys 1 to 1,024 bytes of UTF-8, user metadata 2 KB.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "domain/objects/blobs.h"
#include "store/store.h"

namespace muster::objects {

inline constexpr std::size_t kMaxKeyBytes = 1024;
inline constexpr std::size_t kMaxMetadataBytes = 2048;
inline constexpr std::int64_t kMaxPutBytes = std::int64_t{5} << 30;

struct Object {
  std::string key;
  std::string blob;  // id
  std::int64_t size = 0;
  std::string etag;              // hex MD5, without quotes
  std::int64_t modified_ms = 0;  // put_object() sets it
  // ContentType, CacheControl, ContentDisposition, ContentEncoding, ContentLanguage, Expires: by member name, as given.
  std::map<std::string, std::string> headers;
  std::map<std::string, std::string> metadata;   // x-amz-meta-*, lower-case names without the prefix
  std::map<std::string, std::string> checksums;  // ChecksumCRC32, ChecksumSHA256, ...: base64
};

// If-Match, If-None-Match and the two dates of one request, RFC 9110 section 13.2.2; empty strings and -1 = absent.
struct Conditions {
  std::string if_match;
  std::string if_none_match;
  std::int64_t if_modified_since_ms = -1;
  std::int64_t if_unmodified_since_ms = -1;
};
enum class Verdict : std::uint8_t { kProceed, kNotModified, kFailed };
Verdict check_conditions(const Conditions& conditions, const Object& object);

// KeyTooLongError, and kInvalid for what is not UTF-8 or empty.
Status check_key(std::string_view key);
// MetadataTooLarge.
Status check_metadata(const std::map<std::string, std::string>& metadata);

// The blob is durable. Conditional writes: PreconditionFailed when if_none_match is "*" and the key exists, or if_match
// names another ETag; NoSuchKey for if_match on an absent key. NoSuchBucket. Returns the record as stored.
Result<Object> put_object(store::Tx& tx, std::string_view bucket, Object object, const Conditions& conditions = {});
Result<Object> get_object(store::Tx& tx, std::string_view bucket, std::string_view key);  // NoSuchBucket, NoSuchKey
// Absent keys are fine; NoSuchBucket. With `if_match`, PreconditionFailed unless the key is there with that ETag.
Status delete_object(store::Tx& tx, std::string_view bucket, std::string_view key, std::string_view if_match = {});

// A small object whole, for documents: reads the file on the calling thread, so keep `limit` small (a job document is
// 32 KiB). NoSuchBucket, NoSuchKey, kTooLarge.
Result<std::string> read_small(store::Tx& tx, const Blobs& blobs, std::string_view bucket, std::string_view key,
                               std::size_t limit);

struct ListRequest {
  std::string prefix;
  std::string delimiter;
  std::string start_after;  // exclusive: a key, or a common prefix (everything under it is skipped)
  std::size_t max_keys = 1000;
};
struct Listing {
  std::vector<Object> objects;
  std::vector<std::string> common_prefixes;
  bool truncated = false;
  std::string last;  // the last key or common prefix returned: start_after of the next page
};
// In order of the keys' bytes. A common prefix costs one seek, however many keys it covers. NoSuchBucket.
Result<Listing> list_objects(store::Tx& tx, std::string_view bucket, const ListRequest& request);

}  // namespace muster::objects
