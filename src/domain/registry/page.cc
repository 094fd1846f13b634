// SPDX-License-Identifier: Apache-2.0
#include "domain/registry/page.h"

#include "base/crypto.h"
#include "base/text.h"

namespace muster::registry {

namespace {
constexpr std::size_t kTokenLimit = 8192;
constexpr std::size_t kDigestLength = 16;
}  // namespace

// A digest, for a filter may be as long as an attribute's value.
std::string listing_of(std::string_view listing, std::initializer_list<std::string_view> filter) {
  std::string text;
  for (std::string_view part : filter) {
    text += std::to_string(part.size());
    text += ':';
    text += part;
  }
  return std::string(listing) + '/' + sha256_hex(text).substr(0, kDigestLength);
}

std::string page_token(std::string_view listing, std::string_view position) {
  std::string text(listing);
  text += '\0';
  text += position;
  return to_base64(text);
}

Result<std::string> page_position(std::string_view listing, std::string_view token) {
  if (token.empty()) return std::string();
  if (token.size() <= kTokenLimit) {
    auto text = from_base64(token);
    if (text && text->size() > listing.size() + 1 && text->starts_with(listing) && (*text)[listing.size()] == '\0')
      return text->substr(listing.size() + 1);
  }
  return invalid("Invalid next token");
}

}  // namespace muster::registry
