// SPDX-License-Identifier: Apache-2.0
#include "domain/objects/buckets.h"

#include "base/json.h"
#include "store/keys.h"
#include "store/schema.h"

namespace muster::objects {
namespace {

store::Key bucket_key(std::string_view name) {
  return store::Key(store::table::kBucket).text(name);
}

Bucket bucket_of(std::string_view name, std::string_view record) {
  Bucket bucket;
  bucket.name = std::string(name);
  if (const auto parsed = parse_record(record)) {
    bucket.region = get_string(*parsed, "region");
    bucket.created_ms = get_int(*parsed, "created_ms");
  }
  return bucket;
}

bool is_lower_or_digit(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

// Four numbers with dots.
bool looks_like_address(std::string_view name) {
  int parts = 1;
  for (const char c : name) {
    if (c == '.') {
      ++parts;
    } else if (c < '0' || c > '9') {
      return false;
    }
  }
  return parts == 4;
}

// S3 user guide, "Bucket naming rules". Dots are allowed between labels; a label does not begin or end with a hyphen.
bool is_bucket_name(std::string_view name) {
  if (name.size() < 3 || name.size() > 63) return false;
  if (!is_lower_or_digit(name.front()) || !is_lower_or_digit(name.back())) return false;
  for (std::size_t i = 0; i < name.size(); ++i) {
    const char c = name[i];
    if (!is_lower_or_digit(c) && c != '-' && c != '.') return false;
    if (c == '.' && (!is_lower_or_digit(name[i - 1]) || !is_lower_or_digit(name[i + 1]))) return false;
  }
  for (const std::string_view prefix : {"xn--", "sthree-", "amzn-s3-demo-"}) {
    if (name.starts_with(prefix)) return false;
  }
  for (const std::string_view suffix : {"-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3"}) {
    if (name.ends_with(suffix)) return false;
  }
  return !looks_like_address(name);
}

Error no_such_bucket(std::string_view name) {
  Error error = make_error(ErrorKind::kNotFound, "The specified bucket does not exist", "NoSuchBucket");
  error.fields["BucketName"] = std::string(name);
  return error;
}

}  // namespace

Status check_bucket_name(std::string_view name) {
  if (is_bucket_name(name)) return {};
  Error error = make_error(ErrorKind::kInvalid, "The specified bucket is not valid.", "InvalidBucketName");
  error.fields["BucketName"] = std::string(name);
  return error;
}

Result<Bucket> create_bucket(store::Tx& tx, const Realm& realm, std::string_view name, std::string_view location) {
  TRY_VOID(check_bucket_name(name));
  // us-east-1 is the absence of a location: naming it is InvalidLocationConstraint on AWS.
  const bool legal = location.empty() ? realm.region == "us-east-1" : location == realm.region;
  if (!location.empty() && location == "us-east-1") {
    return make_error(ErrorKind::kInvalid, "The specified location-constraint is not valid",
                      "InvalidLocationConstraint");
  }
  if (!legal) {
    return make_error(ErrorKind::kInvalid,
                      "The " + std::string(location.empty() ? "unspecified" : location) +
                          " location constraint is incompatible for the region specific endpoint this request was "
                          "sent to.",
                      "IllegalLocationConstraintException");
  }
  const store::Key key = bucket_key(name);
  if (auto existing = find_bucket(tx, name)) {
    // "Amazon S3 returns this error in all AWS Regions except us-east-1", where the call is answered as if it had made
    // the bucket (S3 API reference, CreateBucket).
    if (realm.region == "us-east-1") return std::move(*existing);
    Error error = make_error(ErrorKind::kAlreadyExists,
                             "Your previous request to create the named bucket succeeded and you already own it.",
                             "BucketAlreadyOwnedByYou");
    error.fields["BucketName"] = std::string(name);
    return error;
  }
  if (list_buckets(tx).size() >= kMaxBuckets) {
    return make_error(ErrorKind::kLimit, "You have attempted to create more buckets than allowed", "TooManyBuckets");
  }
  Bucket bucket{std::string(name), realm.region, tx.now_ms()};
  const json::object record{{"region", bucket.region}, {"created_ms", bucket.created_ms}};
  tx.put(key, to_text(record));
  return bucket;
}

std::optional<Bucket> find_bucket(store::Tx& tx, std::string_view name) {
  const auto record = tx.get(bucket_key(name));
  if (!record) return std::nullopt;
  return bucket_of(name, *record);
}

Result<Bucket> get_bucket(store::Tx& tx, std::string_view name) {
  if (auto bucket = find_bucket(tx, name)) return std::move(*bucket);
  return no_such_bucket(name);
}

Status delete_bucket(store::Tx& tx, std::string_view name) {
  TRY_VOID(get_bucket(tx, name));
  const std::string prefix = store::Key(store::table::kObject).text(name).str();
  const store::RangeOptions any{.begin = prefix, .end = store::after_prefix(prefix), .limit = 1};
  if (!tx.range(any).empty()) {
    Error error = make_error(ErrorKind::kConflict, "The bucket you tried to delete is not empty", "BucketNotEmpty");
    error.fields["BucketName"] = std::string(name);
    return error;
  }
  tx.erase(bucket_key(name));
  return {};
}

std::vector<Bucket> list_buckets(store::Tx& tx) {
  const std::string prefix(1, store::table::kBucket);
  const store::RangeOptions all{
      .begin = prefix, .end = store::after_prefix(prefix), .limit = kMaxBuckets + 1, .snapshot = true};
  std::vector<Bucket> buckets;
  for (const store::KeyValue& row : tx.range(all)) {
    if (const auto name = store::KeyReader(row.key).text()) buckets.push_back(bucket_of(*name, row.value));
  }
  return buckets;
}

}  // namespace muster::objects
