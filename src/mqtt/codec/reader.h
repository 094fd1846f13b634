// SPDX-License-Identifier: Apache-2.0
// Reader: a cursor over received bytes for the decoders. Reading past the end yields zeros and sets failed(); callers
// check once. Private to codec.
#pragma once

#include <cstdint>
#include <string_view>

namespace muster::mqtt {

class Reader {
 public:
  explicit Reader(std::string_view bytes) : rest_(bytes) {}
  std::string_view rest() const { return rest_; }
  bool empty() const { return rest_.empty(); }
  bool failed() const { return failed_; }

  std::uint8_t u8() {
    if (rest_.empty()) return fail();
    const auto value = static_cast<std::uint8_t>(rest_.front());
    rest_.remove_prefix(1);
    return value;
  }
  std::uint16_t u16() {
    if (rest_.size() < 2) return fail();
    const auto high = static_cast<std::uint8_t>(rest_[0]);
    const auto low = static_cast<std::uint8_t>(rest_[1]);
    rest_.remove_prefix(2);
    return static_cast<std::uint16_t>(high << 8 | low);
  }
  std::uint32_t u32() {
    const std::uint32_t high = u16();
    return high << 16 | u16();
  }
  // At most four bytes, shortest form (1.5.5: "MUST use the minimum number of bytes").
  std::uint32_t varint() {
    std::uint32_t value = 0;
    for (unsigned shift = 0; shift < 28; shift += 7) {
      const std::uint8_t byte = u8();
      if (failed_) return 0;
      value |= static_cast<std::uint32_t>(byte & 0x7f) << shift;
      if ((byte & 0x80) == 0) {
        if (byte == 0 && shift != 0) return fail();
        return value;
      }
    }
    return fail();
  }
  std::string_view take(std::size_t size) {
    if (rest_.size() < size) {
      fail();
      return {};
    }
    const std::string_view taken = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return taken;
  }
  std::string_view string16() { return take(u16()); }

 private:
  std::uint8_t fail() {
    failed_ = true;
    rest_ = {};
    return 0;
  }
  std::string_view rest_;
  bool failed_ = false;
};

}  // namespace muster::mqtt
