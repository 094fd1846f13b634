// SPDX-License-Identifier: Apache-2.0
#include "domain/fleet/shadow_fields.h"

#include <algorithm>

#include "domain/shadows/document.h"

namespace muster::fleet {

namespace {

using registry::FieldValues;
using registry::ValueKind;

void add_value(const std::string& path, const json::value& value, FieldValues& fields) {
  switch (value.kind()) {
    case json::kind::object:
      for (const auto& member : value.get_object())
        add_value(path + "." + std::string(member.key()), member.value(), fields);
      return;
    case json::kind::array:
      for (const json::value& element : value.get_array()) add_value(path, element, fields);
      return;
    case json::kind::string:
      fields.push_back({.field = path, .text = std::string(value.get_string()), .kind = ValueKind::kText});
      return;
    case json::kind::bool_:
      fields.push_back({.field = path, .text = value.get_bool() ? "true" : "false", .kind = ValueKind::kBoolean});
      return;
    case json::kind::null:
      return;
    default:
      fields.push_back({.field = path, .text = to_text(value), .kind = ValueKind::kNumber});
  }
}

void add_section(const std::string& prefix, std::string_view section, const json::object& object, FieldValues& fields) {
  for (const auto& member : object)
    add_value(prefix + std::string(section) + "." + std::string(member.key()), member.value(), fields);
}

// AWS's metadata: {"timestamp": s} for each leaf, element by element in arrays.
json::value with_timestamps(const json::value& times) {
  if (times.is_object()) {
    json::object result;
    for (const auto& member : times.get_object()) result[member.key()] = with_timestamps(member.value());
    return result;
  }
  if (times.is_array()) {
    json::array result;
    for (const json::value& element : times.get_array()) result.push_back(with_timestamps(element));
    return result;
  }
  return json::object{{"timestamp", times}};
}

json::object metadata_of(const shadows::Section& section) {
  json::object result;
  for (const auto& member : section.times) result[member.key()] = with_timestamps(member.value());
  return result;
}

}  // namespace

Result<std::size_t> add_shadow_fields(std::string_view record, std::string_view shadow, FieldValues& fields) {
  TRY(const shadows::Document document, shadows::decode(record));
  if (!document.exists()) return 0;
  const std::string prefix = shadow.empty() ? "shadow." : "shadow.name." + std::string(shadow) + ".";
  const shadows::Section delta = shadows::delta(document);
  const std::size_t before = fields.size();
  add_value(prefix + "hasDelta", json::value(!delta.state.empty()), fields);
  add_value(prefix + "version", json::value(document.version), fields);
  add_section(prefix, "desired", document.desired.state, fields);
  add_section(prefix, "reported", document.reported.state, fields);
  add_section(prefix, "delta", delta.state, fields);
  add_section(prefix, "metadata.desired", metadata_of(document.desired), fields);
  add_section(prefix, "metadata.reported", metadata_of(document.reported), fields);
  const std::size_t left_out = fields.size() - before - std::min(fields.size() - before, kShadowValues);
  fields.resize(fields.size() - left_out);
  return left_out;
}

Result<std::optional<json::object>> shadow_object(std::string_view record) {
  TRY(const shadows::Document document, shadows::decode(record));
  if (!document.exists()) return std::optional<json::object>();
  json::object object, metadata;
  const auto add = [&](const char* name, const shadows::Section& section) {
    if (section.state.empty()) return;
    object[name] = section.state;
    metadata[name] = metadata_of(section);
  };
  add("desired", document.desired);
  add("reported", document.reported);
  object["metadata"] = std::move(metadata);
  object["hasDelta"] = !shadows::delta(document).state.empty();
  object["version"] = document.version;
  return std::optional(std::move(object));
}

}  // namespace muster::fleet
