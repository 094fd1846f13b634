// SPDX-License-Identifier: Apache-2.0
// Tuple encoding of keys that keeps order: a text component ends in 0x00 (a 0x00 inside becomes 0x00 0xFF), an integer
// is eight bytes big-endian with the sign bit flipped. The first byte of every key is its table's tag (store/schema.h).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace muster::store {

class Key {
 public:
  explicit Key(char table) : bytes_(1, table) {}
  Key& text(std::string_view component) &;
  Key&& text(std::string_view component) && { return std::move(text(component)); }
  Key& integer(std::int64_t component) &;
  Key&& integer(std::int64_t component) && { return std::move(integer(component)); }
  // Newest first: stores the complement.
  Key& descending(std::int64_t component) &;
  Key&& descending(std::int64_t component) && { return std::move(descending(component)); }
  const std::string& str() const& { return bytes_; }
  std::string str() && { return std::move(bytes_); }
  operator std::string_view() const { return bytes_; }  // NOLINT

 private:
  std::string bytes_;
};

// Reads the components back in order; nullopt at a malformed or absent one.
class KeyReader {
 public:
  explicit KeyReader(std::string_view key) : rest_(key.empty() ? key : key.substr(1)) {}
  std::optional<std::string> text();
  std::optional<std::int64_t> integer();
  std::optional<std::int64_t> descending();
  std::string_view rest() const { return rest_; }

 private:
  std::string_view rest_;
};

// The first key after all keys that start with `prefix`: the end of a range over a prefix.
std::string after_prefix(std::string_view prefix);
// The first key after `key`: the begin of the next page.
std::string after_key(std::string_view key);

}  // namespace muster::store
