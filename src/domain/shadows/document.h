// SPDX-License-Identifier: Apache-2.0
// A device shadow's document and what an update does to it, as values and pure functions: merge, time stamps per leaf,
// delta, limits. Owned by nobody. Refuses, with AWS's wording: what is not JSON or not UTF-8, nodes of the wrong type,
// a version that is not an integer, tokens above 64 bytes, sections nested deeper than 8 levels, null in an array, and
// states above 8 KB. Source: AWS IoT developer guide, "Device Shadow service documents", "Device Shadow error
// messages"; AWS general reference, "AWS IoT Device Shadow service quotas". docs/shadows.md says what those leave open.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/json.h"
#include "base/result.h"

namespace muster::shadows {

inline constexpr std::size_t kMaxRequestBytes = 128 * 1024;  // of an update, whatever becomes of it
inline constexpr std::size_t kMaxStateBytes = 8 * 1024;      // compact text of desired and reported, without metadata
inline constexpr int kMaxLevels = 8;                         // of a section, itself included
inline constexpr std::size_t kMaxTokenBytes = 64;
inline constexpr std::size_t kMaxShadowNameBytes = 64;

// [$a-zA-Z0-9:_-]{1,64}
bool is_shadow_name(std::string_view name);

// One of the sections "desired" and "reported". `times` has the shape of `state`, with the second of its last change in
// the place of each leaf. Empty: the shadow has no such section.
struct Section {
  json::object state;
  json::object times;
};

struct Document {
  Section desired, reported;
  std::int64_t version = 0;     // 0: never written
  std::int64_t updated_ms = 0;  // of the last update or deletion
  bool deleted = false;         // a tombstone: only the version counts
  bool exists() const { return version > 0 && !deleted; }
};

// One record a shadow. Decoding fails on nothing that encode() wrote.
std::string encode(const Document& document);
Result<Document> decode(std::string_view record);

// A request's body. Whatever comes with a get or a delete is ignored but for a token in it.
Result<json::object> parse_update_body(std::string_view payload);
json::object parse_other_body(std::string_view payload);
// The token to echo; null counts as none.
Result<std::optional<std::string>> client_token(const json::object& body);

struct Update {
  json::value state;  // null, which clears both sections, or an object with "desired", "reported", both or none
  std::optional<std::int64_t> version;
};
Result<Update> read_update(json::object body);

// The document after the update. kVersionConflict when another version was expected, kTooLarge.
Result<Document> apply(Document document, const Update& update, std::int64_t now_ms);

// Merges into the section: null removes, objects merge, everything else (arrays too) replaces. A new object in which
// nothing but nulls were is not made.
void merge(Section& section, const json::object& patch, std::int64_t now_s);

// The shape of `value` with `now_s` for its leaves, null being one.
json::value times_of(const json::value& value, std::int64_t now_s);

// What is desired and not reported, with the times of the desired section; empty when nothing is.
Section delta(const Document& document);

// As AWS compares values: objects in any order; 1 and 1.0 are the same number.
bool same_value(const json::value& a, const json::value& b);

}  // namespace muster::shadows
