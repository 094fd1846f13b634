// SPDX-License-Identifier: Apache-2.0
// Pages of listings and their opaque tokens. A token carries the last key's position and the listing it belongs to; a
// forged one can only name another position of the same listing. Standard base64, as the markers of the IoT API.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace muster::registry {

template <class T>
struct Page {
  std::vector<T> items;
  std::string next_token;  // empty: last page
};

struct PageRequest {
  std::string token;        // empty: first page
  std::size_t limit = 100;  // 1..250 by the models
};

// The name of a listing for its tokens, with what it is filtered by: a token of another filter is not one of it.
std::string listing_of(std::string_view listing, std::initializer_list<std::string_view> filter);

std::string page_token(std::string_view listing, std::string_view position);
// The position; kInvalid "Invalid next token" when it is not a token of that listing. Empty token: empty position.
Result<std::string> page_position(std::string_view listing, std::string_view token);

}  // namespace muster::registry
