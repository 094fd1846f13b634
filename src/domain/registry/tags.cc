// SPDX-License-Identifier: Apache-2.0
// kTag: ARN -> {key: value}.
#include "domain/registry/tags.h"

#include "base/json.h"
#include "base/text.h"
#include "store/keys.h"
#include "store/schema.h"

namespace muster::registry {

namespace {

constexpr std::size_t kTagLimit = 50;

std::string tag_key(std::string_view arn) {
  return store::Key(store::table::kTag).text(arn).str();
}

// Characters, not bytes.
std::size_t length(std::string_view text) {
  std::size_t count = 0;
  for (char c : text) count += (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  return count;
}

Status check_tag(std::string_view key, std::string_view value) {
  if (key.empty() || length(key) > 128) return invalid("Tag keys must have 1 to 128 characters");
  if (length(value) > 256) return invalid("Tag values must have at most 256 characters");
  if (lower(key).starts_with("aws:")) return invalid("Tag keys must not begin with aws:");
  if (!is_utf8(key) || !is_utf8(value) || has_control_characters(key) || has_control_characters(value))
    return invalid("Tags must not contain control characters");
  return {};
}

}  // namespace

Tags tags_of(store::Tx& tx, std::string_view arn) {
  Tags tags;
  auto text = tx.get(tag_key(arn));
  auto record = text ? parse_record(*text) : Result<json::object>(json::object{});
  if (!record) return tags;
  for (const auto& item : *record)
    if (item.value().is_string()) tags.emplace(item.key(), item.value().as_string());
  return tags;
}

namespace {

void put_tags(store::Tx& tx, std::string_view arn, const Tags& tags) {
  if (tags.empty()) {
    tx.erase(tag_key(arn));
    return;
  }
  json::object record;
  for (const auto& [key, value] : tags) record[key] = value;
  tx.put(tag_key(arn), to_text(record));
}

}  // namespace

Status tag_resource(store::Tx& tx, std::string_view arn, const Tags& tags) {
  Tags all = tags_of(tx, arn);
  for (const auto& [key, value] : tags) {
    TRY_VOID(check_tag(key, value));
    all.insert_or_assign(key, value);
  }
  if (all.size() > kTagLimit)
    return make_error(ErrorKind::kLimit, "The number of tags exceeds the limit of " + std::to_string(kTagLimit));
  put_tags(tx, arn, all);
  return {};
}

Status untag_resource(store::Tx& tx, std::string_view arn, const std::vector<std::string>& keys) {
  Tags all = tags_of(tx, arn);
  for (const std::string& key : keys) all.erase(key);
  put_tags(tx, arn, all);
  return {};
}

void erase_tags(store::Tx& tx, std::string_view arn) {
  tx.erase(tag_key(arn));
}

}  // namespace muster::registry
