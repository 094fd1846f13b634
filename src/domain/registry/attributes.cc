// SPDX-License-Identifier: Apache-2.0
#include "domain/registry/attributes.h"

#include <algorithm>

namespace muster::registry {

namespace {

constexpr std::size_t kCountLimit = 50;
constexpr std::size_t kNameLimit = 128;
constexpr std::size_t kValueLimit = 800;
constexpr std::size_t kTotalLimit = 47 * 1024;

bool is_attribute_text(std::string_view text) {
  return std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("_.,@/:#-").find(c) != std::string_view::npos;
  });
}

}  // namespace

bool is_attribute_name(std::string_view name) {
  return !name.empty() && name.size() <= kNameLimit && is_attribute_text(name);
}

Result<Attributes> checked_attributes(const Attributes& wanted) {
  Attributes attributes;
  std::size_t total = 0;
  for (const auto& [name, value] : wanted) {
    if (!is_attribute_name(name)) return invalid("Attribute name must match [a-zA-Z0-9_.,@/:#-]{1,128}");
    if (value.size() > kValueLimit || !is_attribute_text(value))
      return invalid("Attribute value of " + name + " must match [a-zA-Z0-9_.,@/:#-]{0,800}");
    if (value.empty()) continue;
    total += name.size() + value.size();
    attributes.emplace(name, value);
  }
  if (attributes.size() > kCountLimit)
    return invalid("The number of attributes exceeds the limit of " + std::to_string(kCountLimit));
  if (total > kTotalLimit) return invalid("The size of the attributes exceeds the limit of 47 KB");
  return attributes;
}

Attributes attributes_of(const json::object& record) {
  Attributes attributes;
  if (const json::object* object = find_object(record, "attributes"))
    for (const auto& item : *object)
      if (item.value().is_string()) attributes.emplace(item.key(), item.value().as_string());
  return attributes;
}

json::object to_object(const Attributes& attributes) {
  json::object object;
  for (const auto& [name, value] : attributes) object[name] = value;
  return object;
}

Result<Attributes> changed_attributes(const Attributes& current, const Attributes& change, bool merge) {
  if (!merge) return checked_attributes(change);
  Attributes merged = current;
  for (const auto& [name, value] : change) merged.insert_or_assign(name, value);
  return checked_attributes(merged);
}

}  // namespace muster::registry
