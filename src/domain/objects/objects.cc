// SPDX-License-Identifier: Apache-2.0
#include "domain/objects/objects.h"

#include "base/json.h"
#include "base/text.h"
#include "domain/objects/buckets.h"
#include "store/keys.h"
#include "store/schema.h"

namespace muster::objects {
namespace {

store::Key object_key(std::string_view bucket, std::string_view key) {
  return store::Key(store::table::kObject).text(bucket).text(key);
}

json::object to_json(const std::map<std::string, std::string>& map) {
  json::object object;
  for (const auto& [name, value] : map) object[name] = value;
  return object;
}

std::map<std::string, std::string> map_of(const json::object& record, std::string_view member) {
  std::map<std::string, std::string> map;
  if (const json::object* object = find_object(record, member)) {
    for (const auto& item : *object) map.emplace(item.key(), get_string(*object, item.key()));
  }
  return map;
}

std::string to_record(const Object& object) {
  json::object record{
      {"blob", object.blob}, {"size", object.size}, {"etag", object.etag}, {"modified_ms", object.modified_ms}};
  if (!object.headers.empty()) record["headers"] = to_json(object.headers);
  if (!object.metadata.empty()) record["metadata"] = to_json(object.metadata);
  if (!object.checksums.empty()) record["checksums"] = to_json(object.checksums);
  return to_text(record);
}

Result<Object> object_of(std::string_view key, std::string_view text) {
  TRY(const json::object record, parse_record(text));
  Object object;
  object.key = std::string(key);
  object.blob = get_string(record, "blob");
  object.size = get_int(record, "size");
  object.etag = get_string(record, "etag");
  object.modified_ms = get_int(record, "modified_ms");
  object.headers = map_of(record, "headers");
  object.metadata = map_of(record, "metadata");
  object.checksums = map_of(record, "checksums");
  return object;
}

Error no_such_key(std::string_view key) {
  Error error = make_error(ErrorKind::kNotFound, "The specified key does not exist.", "NoSuchKey");
  error.fields["Key"] = std::string(key);
  return error;
}

Error precondition_failed(std::string_view condition) {
  Error error = make_error(ErrorKind::kPrecondition, "At least one of the pre-conditions you specified did not hold",
                           "PreconditionFailed");
  error.fields["Condition"] = std::string(condition);
  return error;
}

// `list` as in If-Match: "*" or entity tags, with or without quotes.
bool matches_etag(std::string_view list, std::string_view etag) {
  for (std::string_view item : split(list, ',')) {
    item = trim(item);
    if (item == "*") return true;
    if (item.starts_with("W/")) item.remove_prefix(2);
    if (item.size() >= 2 && item.front() == '"' && item.back() == '"') item = item.substr(1, item.size() - 2);
    if (item == etag) return true;
  }
  return false;
}

void discard_blob(store::Tx& tx, const std::string& blob) {
  const json::object row{{"since_ms", tx.now_ms()}};
  tx.put(store::Key(store::table::kBlobGarbage).text(blob), to_text(row));
}

}  // namespace

Verdict check_conditions(const Conditions& conditions, const Object& object) {
  const std::int64_t modified_s = object.modified_ms / 1000;  // dates on the wire have whole seconds
  if (!conditions.if_match.empty()) {
    if (!matches_etag(conditions.if_match, object.etag)) return Verdict::kFailed;
  } else if (conditions.if_unmodified_since_ms >= 0 && modified_s > conditions.if_unmodified_since_ms / 1000) {
    return Verdict::kFailed;
  }
  if (!conditions.if_none_match.empty()) {
    if (matches_etag(conditions.if_none_match, object.etag)) return Verdict::kNotModified;
  } else if (conditions.if_modified_since_ms >= 0 && modified_s <= conditions.if_modified_since_ms / 1000) {
    return Verdict::kNotModified;
  }
  return Verdict::kProceed;
}

Status check_key(std::string_view key) {
  if (key.size() > kMaxKeyBytes) {
    Error error = make_error(ErrorKind::kInvalid, "Your key is too long", "KeyTooLongError");
    error.fields["Size"] = static_cast<std::int64_t>(key.size());
    error.fields["MaxSizeAllowed"] = static_cast<std::int64_t>(kMaxKeyBytes);
    return error;
  }
  if (key.empty() || !is_utf8(key)) {
    return make_error(ErrorKind::kInvalid, "Couldn't parse the specified URI.", "InvalidURI");
  }
  return {};
}

Status check_metadata(const std::map<std::string, std::string>& metadata) {
  std::size_t total = 0;
  for (const auto& [name, value] : metadata) total += name.size() + value.size();
  if (total <= kMaxMetadataBytes) return {};
  Error error = make_error(ErrorKind::kInvalid, "Your metadata headers exceed the maximum allowed metadata size",
                           "MetadataTooLarge");
  error.fields["Size"] = static_cast<std::int64_t>(total);
  error.fields["MaxSizeAllowed"] = static_cast<std::int64_t>(kMaxMetadataBytes);
  return error;
}

Result<Object> put_object(store::Tx& tx, std::string_view bucket, Object object, const Conditions& conditions) {
  TRY_VOID(check_key(object.key));
  TRY_VOID(check_metadata(object.metadata));
  TRY_VOID(get_bucket(tx, bucket));
  const store::Key key = object_key(bucket, object.key);
  const auto existing = tx.get(key);
  if (existing) {
    TRY(const Object before, object_of(object.key, *existing));
    if (!conditions.if_none_match.empty() && matches_etag(conditions.if_none_match, before.etag)) {
      return precondition_failed("If-None-Match");
    }
    if (!conditions.if_match.empty() && !matches_etag(conditions.if_match, before.etag)) {
      return precondition_failed("If-Match");
    }
    if (before.blob != object.blob) discard_blob(tx, before.blob);
  } else if (!conditions.if_match.empty()) {
    return no_such_key(object.key);
  }
  object.modified_ms = tx.now_ms();
  tx.put(key, to_record(object));
  return object;
}

Result<Object> get_object(store::Tx& tx, std::string_view bucket, std::string_view key) {
  TRY_VOID(check_key(key));
  TRY_VOID(get_bucket(tx, bucket));
  const auto record = tx.get(object_key(bucket, key));
  if (!record) return no_such_key(key);
  return object_of(key, *record);
}

Status delete_object(store::Tx& tx, std::string_view bucket, std::string_view key, std::string_view if_match) {
  TRY_VOID(check_key(key));
  TRY_VOID(get_bucket(tx, bucket));
  const store::Key row = object_key(bucket, key);
  const auto record = tx.get(row);
  if (!record) {
    if (!if_match.empty()) return precondition_failed("If-Match");
    return {};
  }
  TRY(const Object object, object_of(key, *record));
  if (!if_match.empty() && !matches_etag(if_match, object.etag)) return precondition_failed("If-Match");
  tx.erase(row);
  discard_blob(tx, object.blob);
  return {};
}

Result<std::string> read_small(store::Tx& tx, const Blobs& blobs, std::string_view bucket, std::string_view key,
                               std::size_t limit) {
  TRY(const Object object, get_object(tx, bucket, key));
  if (object.size > static_cast<std::int64_t>(limit)) {
    return make_error(ErrorKind::kTooLarge, "The object is larger than " + std::to_string(limit) + " bytes");
  }
  TRY(const auto reader, blobs.read(object.blob));
  TRY(std::string bytes, reader->read(0, static_cast<std::size_t>(object.size)));
  if (static_cast<std::int64_t>(bytes.size()) != object.size) return internal("blob " + object.blob + " is cut short");
  return bytes;
}

}  // namespace muster::objects
