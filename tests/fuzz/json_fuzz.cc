// SPDX-License-Identifier: Apache-2.0
// links: muster_base
// JSON text: what parses must print to text that parses to the same text again, stay within the depth limit, hold
// finite numbers and valid UTF-8 only; the getters must take any value.
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "base/json.h"
#include "base/text.h"

namespace {

namespace json = muster::json;

void require(bool condition) {
  if (!condition) std::abort();
}

std::size_t depth_of(const json::value& value) {
  std::size_t deepest = 0;
  if (const auto* array = value.if_array()) {
    for (const auto& item : *array) deepest = std::max(deepest, depth_of(item));
    return deepest + 1;
  }
  if (const auto* object = value.if_object()) {
    for (const auto& member : *object) deepest = std::max(deepest, depth_of(member.value()));
    return deepest + 1;
  }
  if (value.is_double()) require(std::isfinite(value.get_double()));
  if (value.is_string()) require(muster::is_utf8(std::string_view(value.get_string())));
  return 0;
}

void try_getters(const json::object& object) {
  for (const auto& member : object) {
    const std::string_view key = member.key();
    require(muster::is_utf8(key));
    muster::get_string(object, key);
    muster::get_int(object, key);
    muster::get_double(object, key);
    muster::get_bool(object, key);
    muster::find_object(object, key);
    muster::find_array(object, key);
    muster::has(object, key);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(bytes), size);
  constexpr muster::JsonLimits kLimits{.max_bytes = 1u << 16, .max_depth = 16};
  const auto value = muster::parse_json(text, kLimits);
  if (!value) {
    require(!value.error().message.empty());
    return 0;
  }
  require(size <= kLimits.max_bytes && depth_of(*value) <= kLimits.max_depth);
  if (const auto* object = value->if_object()) try_getters(*object);
  const std::string first = muster::to_text(*value);
  const auto again = muster::parse_json(first, {.max_bytes = 1u << 20, .max_depth = 16});
  require(again.has_value());
  require(muster::to_text(*again) == first);
  return 0;
}
