// SPDX-License-Identifier: Apache-2.0
#include "store/keys.h"

namespace muster::store {

namespace {

constexpr std::uint64_t kSignBit = std::uint64_t{1} << 63;

void put_integer(std::string& out, std::int64_t value) {
  const std::uint64_t bits = static_cast<std::uint64_t>(value) ^ kSignBit;
  for (int shift = 56; shift >= 0; shift -= 8) out.push_back(static_cast<char>(bits >> shift));
}

}  // namespace

Key& Key::text(std::string_view component) & {
  std::size_t from = 0;
  for (auto at = component.find('\0'); at != std::string_view::npos; at = component.find('\0', from)) {
    bytes_.append(component, from, at - from + 1);
    bytes_.push_back('\xff');
    from = at + 1;
  }
  bytes_.append(component, from);
  bytes_.push_back('\0');
  return *this;
}

Key& Key::integer(std::int64_t component) & {
  put_integer(bytes_, component);
  return *this;
}

Key& Key::descending(std::int64_t component) & {
  put_integer(bytes_, ~component);
  return *this;
}

std::optional<std::string> KeyReader::text() {
  std::string out;
  std::size_t from = 0;
  while (true) {
    const auto at = rest_.find('\0', from);
    if (at == std::string_view::npos) return std::nullopt;
    out.append(rest_, from, at - from);
    if (at + 1 < rest_.size() && rest_[at + 1] == '\xff') {
      out.push_back('\0');
      from = at + 2;
      continue;
    }
    rest_.remove_prefix(at + 1);
    return out;
  }
}

std::optional<std::int64_t> KeyReader::integer() {
  if (rest_.size() < 8) return std::nullopt;
  std::uint64_t bits = 0;
  for (std::size_t i = 0; i < 8; ++i) bits = bits << 8 | static_cast<unsigned char>(rest_[i]);
  rest_.remove_prefix(8);
  return static_cast<std::int64_t>(bits ^ kSignBit);
}

std::optional<std::int64_t> KeyReader::descending() {
  const auto complement = integer();
  if (!complement) return std::nullopt;
  return ~*complement;
}

std::string after_prefix(std::string_view prefix) {
  std::string end(prefix);
  while (!end.empty() && end.back() == '\xff') end.pop_back();
  if (!end.empty()) end.back() = static_cast<char>(static_cast<unsigned char>(end.back()) + 1);
  return end;
}

std::string after_key(std::string_view key) {
  std::string next(key);
  next.push_back('\0');
  return next;
}

}  // namespace muster::store
