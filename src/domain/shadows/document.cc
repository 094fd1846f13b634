// SPDX-License-Identifier: Apache-2.0
#include "domain/shadows/document.h"

#include <algorithm>
#include <utility>

#include "base/text.h"

namespace muster::shadows {

namespace {

constexpr std::string_view kDesired = "desired";
constexpr std::string_view kReported = "reported";
// Far above what a request may hold, so that our own check is the one that answers.
constexpr std::size_t kParserDepth = 256;

bool is_leaf(const json::value& value) {
  return !value.is_object() && !value.is_array();
}

// Levels of objects and arrays, the value itself included.
int levels(const json::value& value) {
  int deepest = 0;
  if (value.is_object()) {
    for (const auto& [key, held] : value.get_object()) deepest = std::max(deepest, levels(held));
  } else if (value.is_array()) {
    for (const json::value& held : value.get_array()) deepest = std::max(deepest, levels(held));
  } else {
    return 0;
  }
  return deepest + 1;
}

// Brackets outside of strings: what the parser would refuse for its depth is not bad JSON but too many levels.
std::size_t bracket_depth(std::string_view text) {
  std::size_t depth = 0, deepest = 0;
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted) {
      if (c == '\\') ++i;
      if (c == '"') quoted = false;
    } else if (c == '"') {
      quoted = true;
    } else if (c == '{' || c == '[') {
      deepest = std::max(deepest, ++depth);
    } else if ((c == '}' || c == ']') && depth > 0) {
      --depth;
    }
  }
  return deepest;
}

Error too_deep() {
  return invalid("JSON contains too many levels of nesting; maximum is " + std::to_string(kMaxLevels));
}

Error too_large() {
  return make_error(ErrorKind::kTooLarge, "The payload exceeds the maximum size allowed");
}

Error invalid_node(std::string_view name) {
  return invalid("State contains an invalid node: '" + std::string(name) + "'");
}

// Arrays are values: there is no removing from them, so null has no meaning there.
Status check_array(std::string_view name, const json::array& array);

Status check_members(const json::object& object) {
  for (const auto& [key, value] : object) {
    if (value.is_object()) TRY_VOID(check_members(value.get_object()));
    if (value.is_array()) TRY_VOID(check_array(key, value.get_array()));
  }
  return {};
}

Status check_array(std::string_view name, const json::array& array) {
  for (const json::value& value : array) {
    if (value.is_null()) return invalid_node(name);
    if (value.is_array()) TRY_VOID(check_array(name, value.get_array()));
    if (value.is_object()) TRY_VOID(check_members(value.get_object()));
  }
  return {};
}

Status check_section(const json::value& section, std::string_view complaint) {
  if (section.is_null()) return {};
  if (!section.is_object()) return invalid(std::string(complaint));
  if (levels(section) > kMaxLevels) return too_deep();
  return check_members(section.get_object());
}

Status check_state(const json::object& state) {
  for (const auto& [key, value] : state) {
    if (key == kDesired) {
      TRY_VOID(check_section(value, "Desired node must be an object"));
    } else if (key == kReported) {
      TRY_VOID(check_section(value, "Reported node must be an object"));
    } else {
      return invalid_node(key);
    }
  }
  return {};
}

// A copy without nulls; nothing when there was nothing else in it. An object that was empty stays one.
std::optional<json::object> without_nulls(const json::object& object) {
  json::object kept;
  for (const auto& [key, value] : object) {
    if (value.is_object()) {
      if (auto child = without_nulls(value.get_object())) kept.emplace(key, *std::move(child));
    } else if (!value.is_null()) {
      kept.emplace(key, value);
    }
  }
  if (kept.empty() && !object.empty()) return std::nullopt;
  return kept;
}

void put(json::object& object, std::string_view key, json::value value) {
  object.insert_or_assign(key, std::move(value));
}

void merge_objects(json::object& state, json::object& times, const json::object& patch, std::int64_t now_s) {
  for (const auto& [key, value] : patch) {
    json::value* held = state.if_contains(key);
    if (value.is_object() && held != nullptr && held->is_object()) {
      merge_objects(held->get_object(), times[key].get_object(), value.get_object(), now_s);
      continue;
    }
    std::optional<json::value> wanted;
    if (value.is_object()) {
      if (auto tree = without_nulls(value.get_object())) wanted = *std::move(tree);
    } else if (!value.is_null()) {
      wanted = value;
    }
    if (!wanted) {
      state.stable_erase(key);
      times.stable_erase(key);
      continue;
    }
    put(times, key, times_of(*wanted, now_s));
    put(state, key, *std::move(wanted));
  }
}

void apply_section(Section& section, const json::object& state, std::string_view name, std::int64_t now_s) {
  const json::value* patch = state.if_contains(name);
  if (patch == nullptr) return;
  if (patch->is_null()) {
    section = {};
  } else {
    merge(section, patch->get_object(), now_s);
  }
}

std::size_t state_bytes(const Document& document) {
  std::string text = "{";
  const auto add = [&](std::string_view name, const json::object& section) {
    if (section.empty()) return;
    if (text.size() > 1) text += ',';
    append_json_string(text, name);
    text += ':';
    append_json(text, section);
  };
  add(kDesired, document.desired.state);
  add(kReported, document.reported.state);
  return text.size() + 1;
}

bool same_number(const json::value& a, const json::value& b) {
  if (a.is_double() || b.is_double()) return a.to_number<double>() == b.to_number<double>();
  return a == b;
}

void append_delta(const json::object& desired, const json::object& times, const json::object& reported, Section& out) {
  for (const auto& [key, value] : desired) {
    const json::value* other = reported.if_contains(key);
    const json::value& time = times.at(key);
    if (other != nullptr && value.is_object() && other->is_object()) {
      Section inner;
      append_delta(value.get_object(), time.get_object(), other->get_object(), inner);
      if (inner.state.empty()) continue;
      out.state.emplace(key, std::move(inner.state));
      out.times.emplace(key, std::move(inner.times));
    } else if (other == nullptr || !same_value(value, *other)) {
      out.state.emplace(key, value);
      out.times.emplace(key, time);
    }
  }
}

// What was stored has one shape for state and times: both are walked together without looking.
bool same_shape(const json::value& state, const json::value& times) {
  if (state.is_object()) {
    if (!times.is_object() || times.get_object().size() != state.get_object().size()) return false;
    return std::ranges::all_of(state.get_object(), [&](const auto& member) {
      const json::value* time = times.get_object().if_contains(member.key());
      return time != nullptr && same_shape(member.value(), *time);
    });
  }
  if (state.is_array()) {
    return times.is_array() && std::ranges::equal(state.get_array(), times.get_array(), same_shape);
  }
  return times.is_int64();
}

Status read_section(json::object& record, std::string_view state, std::string_view times, Section& out) {
  json::value* held = record.if_contains(state);
  if (held == nullptr) return {};
  json::value* held_times = record.if_contains(times);
  if (!held->is_object() || held_times == nullptr || !same_shape(*held, *held_times)) {
    return internal("a shadow's record does not fit together");
  }
  out.state = std::move(held->get_object());
  out.times = std::move(held_times->get_object());
  return {};
}

void append_section(std::string& out, std::string_view state, std::string_view times, const Section& section) {
  if (section.state.empty()) return;
  out.append(",\"").append(state).append("\":");
  append_json(out, section.state);
  out.append(",\"").append(times).append("\":");
  append_json(out, section.times);
}

}  // namespace

bool is_shadow_name(std::string_view name) {
  const auto legal = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
           c == ':' || c == '$';
  };
  return !name.empty() && name.size() <= kMaxShadowNameBytes && std::ranges::all_of(name, legal);
}

std::string encode(const Document& document) {
  std::string out = "{\"v\":" + std::to_string(document.version) + ",\"u\":" + std::to_string(document.updated_ms);
  if (document.deleted) out += ",\"x\":true";
  append_section(out, "d", "dt", document.desired);
  append_section(out, "r", "rt", document.reported);
  out += '}';
  return out;
}

Result<Document> decode(std::string_view text) {
  TRY(json::object record, parse_record(text));
  Document document;
  document.version = get_int(record, "v");
  document.updated_ms = get_int(record, "u");
  document.deleted = get_bool(record, "x");
  TRY_VOID(read_section(record, "d", "dt", document.desired));
  TRY_VOID(read_section(record, "r", "rt", document.reported));
  return document;
}

Result<json::object> parse_update_body(std::string_view payload) {
  if (payload.size() > kMaxRequestBytes) return too_large();
  if (!is_utf8(payload)) {
    return make_error(ErrorKind::kInvalid, "Unsupported documented encoding; supported encoding is UTF-8",
                      "UnsupportedDocumentEncodingException");
  }
  if (bracket_depth(payload) > kParserDepth) return too_deep();
  auto parsed = parse_json(payload, {.max_bytes = kMaxRequestBytes, .max_depth = kParserDepth});
  if (!parsed || !parsed->is_object()) return invalid("Invalid JSON");
  return std::move(parsed->get_object());
}

json::object parse_other_body(std::string_view payload) {
  auto body = parse_update_body(payload);
  if (!body) return {};
  return *std::move(body);
}

Result<std::optional<std::string>> client_token(const json::object& body) {
  const json::value* held = body.if_contains("clientToken");
  if (held == nullptr || held->is_null()) return std::optional<std::string>();
  if (!held->is_string() || held->get_string().size() > kMaxTokenBytes) return invalid("Invalid clientToken");
  return std::optional<std::string>(held->get_string());
}

Result<Update> read_update(json::object body) {
  Update update;
  json::value* state = body.if_contains("state");
  if (state == nullptr) return invalid("Missing required node: state");
  if (!state->is_null() && !state->is_object()) return invalid("State node must be an object");
  if (state->is_object()) TRY_VOID(check_state(state->get_object()));
  if (const json::value* version = body.if_contains("version"); version != nullptr && !version->is_null()) {
    if (!version->is_int64() || version->get_int64() < 0) return invalid("Invalid version");
    update.version = version->get_int64();
  }
  update.state = std::move(*state);
  return update;
}

Result<Document> apply(Document document, const Update& update, std::int64_t now_ms) {
  if (update.version && *update.version != document.version) {
    return make_error(ErrorKind::kVersionConflict, "Version conflict", "ConflictException");
  }
  const std::int64_t now_s = now_ms / 1000;
  if (document.deleted || update.state.is_null()) {
    document.desired = {};
    document.reported = {};
  }
  if (update.state.is_object()) {
    apply_section(document.desired, update.state.get_object(), kDesired, now_s);
    apply_section(document.reported, update.state.get_object(), kReported, now_s);
  }
  document.deleted = false;
  document.version += 1;
  document.updated_ms = now_ms;
  if (state_bytes(document) > kMaxStateBytes) return too_large();
  return document;
}

void merge(Section& section, const json::object& patch, std::int64_t now_s) {
  merge_objects(section.state, section.times, patch, now_s);
}

json::value times_of(const json::value& value, std::int64_t now_s) {
  if (is_leaf(value)) return now_s;
  if (value.is_array()) {
    json::array times;
    times.reserve(value.get_array().size());
    for (const json::value& held : value.get_array()) times.push_back(times_of(held, now_s));
    return times;
  }
  json::object times;
  times.reserve(value.get_object().size());
  for (const auto& [key, held] : value.get_object()) times.emplace(key, times_of(held, now_s));
  return times;
}

Section delta(const Document& document) {
  Section out;
  append_delta(document.desired.state, document.desired.times, document.reported.state, out);
  return out;
}

bool same_value(const json::value& a, const json::value& b) {
  if (a.is_number() && b.is_number()) return same_number(a, b);
  if (a.is_array() && b.is_array()) return std::ranges::equal(a.get_array(), b.get_array(), same_value);
  if (!a.is_object() || !b.is_object()) return a == b;
  if (a.get_object().size() != b.get_object().size()) return false;
  return std::ranges::all_of(a.get_object(), [&](const auto& member) {
    const json::value* other = b.get_object().if_contains(member.key());
    return other != nullptr && same_value(member.value(), *other);
  });
}

}  // namespace muster::shadows
