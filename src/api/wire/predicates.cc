// SPDX-License-Identifier: Apache-2.0
#include "api/wire/predicates.h"

#include <algorithm>
#include <utility>

namespace muster::api {
namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_alpha(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
bool is_name_character(char c) {
  return is_digit(c) || is_alpha(c) || c == '-' || c == '_';
}

// (?!^[0-9]+$)([a-zA-Z0-9-_]+): Lambda alias names.
bool not_all_digits(std::string_view v) {
  return !v.empty() && std::ranges::all_of(v, is_name_character) && !std::ranges::all_of(v, is_digit);
}

// (^\$LATEST$)|((?!^[0-9]+$)([a-zA-Z0-9-_]+))
bool latest_or_not_all_digits(std::string_view v) {
  return v == "$LATEST" || not_all_digits(v);
}

// ^[a-z0-9](([a-z0-9]|-(?!-))*[a-z0-9])?$: no hyphen first, last or twice in a row.
bool dns_like_label(std::string_view v) {
  if (v.empty() || v.front() == '-' || v.back() == '-' || v.find("--") != v.npos) return false;
  return std::ranges::all_of(v, [](char c) { return is_digit(c) || (c >= 'a' && c <= 'z') || c == '-'; });
}

// ^[0-9A-Za-z\.\-_]*(?<!\.)$
bool no_final_dot(std::string_view v) {
  return std::ranges::all_of(v, [](char c) { return is_name_character(c) || c == '.'; }) && !v.ends_with('.');
}

constexpr std::pair<std::string_view, Predicate> kPredicates[] = {
    {"not_all_digits", not_all_digits},
    {"latest_or_not_all_digits", latest_or_not_all_digits},
    {"dns_like_label", dns_like_label},
    {"no_final_dot", no_final_dot},
};

}  // namespace

Predicate find_predicate(std::string_view name) {
  for (const auto& [known, predicate] : kPredicates) {
    if (known == name) return predicate;
  }
  return nullptr;
}

}  // namespace muster::api
