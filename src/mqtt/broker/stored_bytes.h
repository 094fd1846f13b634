// SPDX-License-Identifier: Apache-2.0
// Bytes as the broker stores them: numbers little-endian, texts with their size in four bytes before them. Reading past
// the end yields zeros and makes ok() false; callers check once.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace muster::mqtt {

inline void put_number(std::string& out, std::uint64_t value, unsigned bytes) {
  char text[8];
  for (unsigned i = 0; i < bytes; ++i) text[i] = static_cast<char>(value >> (8 * i));
  out.append(text, bytes);
}
inline void put_text(std::string& out, std::string_view text) {
  put_number(out, text.size(), 4);
  out += text;
}

class StoredReader {
 public:
  explicit StoredReader(std::string_view bytes) : rest_(bytes) {}
  std::uint64_t number(unsigned bytes) {
    const std::string_view taken = take(bytes);
    std::uint64_t value = 0;
    for (std::size_t i = taken.size(); i-- > 0;) value = value << 8 | static_cast<unsigned char>(taken[i]);
    return value;
  }
  std::string_view text() { return take(number(4)); }
  std::string_view rest() const { return rest_; }
  bool ok() const { return ok_; }
  bool empty() const { return rest_.empty(); }

 private:
  std::string_view take(std::uint64_t size) {
    if (rest_.size() < size) {
      ok_ = false;
      rest_ = {};
      return {};
    }
    const std::string_view taken = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return taken;
  }
  std::string_view rest_;
  bool ok_ = true;
};

}  // namespace muster::mqtt
