// SPDX-License-Identifier: Apache-2.0
// Values of http_server.h.
#include <algorithm>

#include "base/text.h"
#include "io/http_server.h"

namespace muster::io {

void HttpHeaders::set(std::string_view name, std::string value) {
  std::erase_if(items_, [&](const auto& item) { return equals_ignore_case(item.first, name); });
  items_.emplace_back(std::string(name), std::move(value));
}

std::string_view HttpHeaders::get(std::string_view name) const {
  for (const auto& [key, value] : items_) {
    if (equals_ignore_case(key, name)) return value;
  }
  return {};
}

bool HttpHeaders::has(std::string_view name) const {
  return count(name) > 0;
}

std::size_t HttpHeaders::count(std::string_view name) const {
  return static_cast<std::size_t>(
      std::count_if(items_.begin(), items_.end(), [&](const auto& i) { return equals_ignore_case(i.first, name); }));
}

std::string_view HttpRequest::raw_path() const {
  return std::string_view(target).substr(0, target.find('?'));
}

std::string_view HttpRequest::raw_query() const {
  const std::size_t mark = target.find('?');
  return mark == std::string::npos ? std::string_view{} : std::string_view(target).substr(mark + 1);
}

Task<std::string> read_all(HttpBody& body, std::size_t limit) {
  const Error too_large =
      make_error(ErrorKind::kTooLarge, "request body is larger than " + std::to_string(limit) + " bytes");
  if (body.content_length() > static_cast<std::int64_t>(limit)) co_return too_large;
  std::string whole;
  for (;;) {
    CO_TRY(const std::string_view piece, co_await body.read());
    if (piece.empty()) co_return whole;
    if (piece.size() > limit - whole.size()) co_return too_large;
    whole.append(piece);
  }
}

}  // namespace muster::io
