// SPDX-License-Identifier: Apache-2.0
// JSON text to and from Boost.JSON's value tree, with what Boost 1.81 lacks: a writer that keeps numbers as people
// wrote them (21.5, not 2.15E1) and a parser with explicit depth and size limits. Typed getters for records that we
// wrote ourselves. Duplicate keys: the last one wins.
#pragma once

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace muster {

namespace json = boost::json;

struct JsonLimits {
  std::size_t max_bytes = 1u << 20;
  std::size_t max_depth = 64;
};

// Error kInvalid with the byte offset in the message; never throws. Rejects invalid UTF-8, comments, NaN, trailing
// text.
Result<json::value> parse_json(std::string_view text, const JsonLimits& limits = {});

// Compact text; doubles by std::to_chars (shortest that round-trips). append_json appends to `out`.
std::string to_text(const json::value& value);
std::string to_text(const json::object& value);
void append_json(std::string& out, const json::value& value);
void append_json(std::string& out, const json::object& value);
void append_json_string(std::string& out, std::string_view text);

// Getters: the fallback when the member is absent or of another type. Views live as long as the object.
std::string_view get_string(const json::object& object, std::string_view key, std::string_view fallback = {});
std::int64_t get_int(const json::object& object, std::string_view key, std::int64_t fallback = 0);
double get_double(const json::object& object, std::string_view key, double fallback = 0);
bool get_bool(const json::object& object, std::string_view key, bool fallback = false);
const json::object* find_object(const json::object& object, std::string_view key);  // nullptr when absent
const json::array* find_array(const json::object& object, std::string_view key);
bool has(const json::object& object, std::string_view key);  // present and not null

// A record that this program stored: parse failure is a corrupt store, answered as kInternal.
Result<json::object> parse_record(std::string_view text);

}  // namespace muster
