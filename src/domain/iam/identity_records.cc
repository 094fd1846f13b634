// SPDX-License-Identifier: Apache-2.0
#include "domain/iam/identity_records.h"

#include "base/crypto.h"
#include "base/text.h"
#include "store/keys.h"

namespace muster::iam {

std::string identity_key(char table, std::string_view name) {
  return store::Key(table).text(lower(name)).str();
}

std::string unique_id(std::string_view prefix) {
  return std::string(prefix) + random_text(17, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567");
}

TextMap text_map(const json::object& record, std::string_view member) {
  TextMap map;
  const json::object* object = find_object(record, member);
  if (object == nullptr) return map;
  for (const auto& item : *object)
    if (item.value().is_string()) map.emplace(item.key(), item.value().as_string());
  return map;
}

json::object to_object(const TextMap& map) {
  json::object object;
  for (const auto& [key, value] : map) object[key] = value;
  return object;
}

std::vector<std::string> text_list(const json::object& record, std::string_view member) {
  std::vector<std::string> list;
  const json::array* items = find_array(record, member);
  if (items == nullptr) return list;
  for (const json::value& item : *items)
    if (item.is_string()) list.emplace_back(item.as_string());
  return list;
}

json::array to_array(const std::vector<std::string>& list) {
  json::array array;
  for (const std::string& item : list) array.emplace_back(item);
  return array;
}

Error no_such_entity(std::string message) {
  return make_error(ErrorKind::kNotFound, std::move(message), "NoSuchEntity");
}
Error entity_exists(std::string message) {
  return make_error(ErrorKind::kAlreadyExists, std::move(message), "EntityAlreadyExists");
}
Error delete_conflict(std::string message) {
  return make_error(ErrorKind::kConflict, std::move(message), "DeleteConflict");
}
Error limit_exceeded(std::string message) {
  return make_error(ErrorKind::kLimit, std::move(message), "LimitExceeded");
}

Status check_tags(const TextMap& tags) {
  if (tags.size() > 50) return limit_exceeded("The number of tags has reached the maximum limit.");
  for (const auto& [key, value] : tags)
    if (key.empty() || key.size() > 128 || value.size() > 256 || lower(key).starts_with("aws:"))
      return make_error(ErrorKind::kInvalid, "Invalid tag: " + key, "InvalidInput");
  return {};
}

Status check_inline_policy(const TextMap& existing, std::string_view name, std::string_view document,
                           std::size_t size_limit, std::string_view owner) {
  TRY_VOID(compile_policy(document, PolicyUse::kIdentity));
  std::size_t total = policy_size_without_white_space(document);
  for (const auto& [other, text] : existing)
    if (other != name) total += policy_size_without_white_space(text);
  if (total > size_limit)
    return limit_exceeded("Maximum policy size of " + std::to_string(size_limit) + " bytes exceeded for " +
                          std::string(owner));
  return {};
}

std::string identity_marker(std::string_view name) {
  return to_base64(lower(name));
}

std::string marker_after(const store::KeyValue& row) {
  store::KeyReader reader(row.key);
  return identity_marker(reader.text().value_or(""));
}

Result<IdentityRange> identity_range(char table, std::string_view marker) {
  IdentityRange range;
  std::string prefix(1, table);
  range.begin = prefix;
  range.end = store::after_prefix(prefix);
  if (marker.empty()) return range;
  auto name = from_base64(marker);
  if (!name || name->empty()) return make_error(ErrorKind::kInvalid, "Invalid Marker.", "ValidationError");
  range.begin = store::after_key(identity_key(table, *name));
  return range;
}

}  // namespace muster::iam
