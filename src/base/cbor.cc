// SPDX-License-Identifier: Apache-2.0
#include "base/cbor.h"

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>

#include "base/text.h"

namespace muster {
namespace {

enum Major : unsigned {
  kUnsigned = 0,
  kNegative = 1,
  kBytes = 2,
  kText = 3,
  kArray = 4,
  kMap = 5,
  kTag = 6,
  kOther = 7
};
constexpr unsigned kIndefinite = 31;
constexpr unsigned char kBreak = 0xff;

// The value of a half-precision float, RFC 8949 appendix D.
double half(std::uint16_t bits) {
  const int exponent = (bits >> 10) & 0x1f;
  const int mantissa = bits & 0x3ff;
  double value = 0;
  if (exponent == 0) {
    value = std::ldexp(mantissa, -24);
  } else if (exponent != 31) {
    value = std::ldexp(mantissa + 1024, exponent - 25);
  } else {
    value = mantissa == 0 ? std::numeric_limits<double>::infinity() : std::numeric_limits<double>::quiet_NaN();
  }
  return (bits & 0x8000) != 0 ? -value : value;
}

class Decoder {
 public:
  Decoder(std::string_view bytes, std::size_t max_depth) : rest_(bytes), size_(bytes.size()), max_depth_(max_depth) {}

  Result<json::value> whole() {
    TRY(json::value value, item(0));
    if (!rest_.empty()) return wrong("bytes behind the item");
    return value;
  }

 private:
  struct Head {
    unsigned major = 0;
    unsigned detail = 0;  // the low five bits
    std::uint64_t argument = 0;
    bool indefinite() const { return detail == kIndefinite; }
  };

  Error wrong(std::string_view what) const {
    return invalid("Invalid CBOR at byte " + std::to_string(size_ - rest_.size()) + ": " + std::string(what));
  }

  Result<Head> head() {
    if (rest_.empty()) return wrong("it ends early");
    const unsigned first = static_cast<unsigned char>(rest_.front());
    rest_.remove_prefix(1);
    Head out{first >> 5u, first & 0x1fu, 0};
    if (out.detail < 24) {
      out.argument = out.detail;
    } else if (out.detail < 28) {
      const std::size_t width = std::size_t{1} << (out.detail - 24);
      if (rest_.size() < width) return wrong("it ends early");
      for (std::size_t i = 0; i < width; ++i) out.argument = out.argument << 8u | static_cast<unsigned char>(rest_[i]);
      rest_.remove_prefix(width);
    } else if (out.detail != kIndefinite || out.major < kBytes || out.major == kTag) {
      return wrong("a reserved length");
    }
    return out;
  }

  bool take_break() {
    if (rest_.empty() || static_cast<unsigned char>(rest_.front()) != kBreak) return false;
    rest_.remove_prefix(1);
    return true;
  }

  Result<json::value> item(std::size_t depth) {
    if (depth > max_depth_) return wrong("it is nested too deeply");
    TRY(const Head h, head());
    constexpr auto kMax = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
    switch (h.major) {
      case kUnsigned:
        if (h.argument > kMax) return wrong("an integer beyond 64 bits with sign");
        return json::value(static_cast<std::int64_t>(h.argument));
      case kNegative:
        if (h.argument > kMax) return wrong("an integer beyond 64 bits with sign");
        return json::value(-1 - static_cast<std::int64_t>(h.argument));
      case kText: {
        TRY(std::string text, text_of(h));
        return json::value(json::string(text));
      }
      case kArray:
        return array_of(h, depth);
      case kMap:
        return map_of(h, depth);
      case kOther:
        return other(h);
      case kBytes:
        return wrong("a byte string");
      default:
        return wrong("a tag");
    }
  }

  Result<std::string> chunk(std::uint64_t length) {
    if (length > rest_.size()) return wrong("it ends early");
    std::string text(rest_.substr(0, length));
    rest_.remove_prefix(length);
    if (!is_utf8(text)) return wrong("text that is not UTF-8");
    return text;
  }

  Result<std::string> text_of(const Head& h) {
    if (!h.indefinite()) return chunk(h.argument);
    std::string whole;
    while (!take_break()) {
      TRY(const Head part, head());
      if (part.major != kText || part.indefinite()) return wrong("a text's part that is no text");
      TRY(const std::string text, chunk(part.argument));
      whole += text;
    }
    return whole;
  }

  // Whether another element of a container follows; `left` counts down where the length is known.
  Result<bool> more(const Head& h, std::uint64_t& left) {
    if (h.indefinite()) return !take_break();
    if (left == 0) return false;
    if (left > rest_.size()) return wrong("it ends early");  // an element is a byte at least
    --left;
    return true;
  }

  Result<json::value> array_of(const Head& h, std::size_t depth) {
    json::array array;
    for (std::uint64_t left = h.argument;;) {
      TRY(const bool another, more(h, left));
      if (!another) return json::value(std::move(array));
      TRY(json::value element, item(depth + 1));
      array.push_back(std::move(element));
    }
  }

  Result<json::value> map_of(const Head& h, std::size_t depth) {
    json::object object;
    for (std::uint64_t left = h.argument;;) {
      TRY(const bool another, more(h, left));
      if (!another) return json::value(std::move(object));
      TRY(const Head key_head, head());
      if (key_head.major != kText) return wrong("a key that is no text");
      TRY(const std::string key, text_of(key_head));
      TRY(json::value value, item(depth + 1));
      if (!object.emplace(key, std::move(value)).second) return wrong("a key that comes twice");
    }
  }

  Result<json::value> other(const Head& h) {
    double number = 0;
    switch (h.detail) {
      case 20:
        return json::value(false);
      case 21:
        return json::value(true);
      case 22:
        return json::value(nullptr);
      case 25:
        number = half(static_cast<std::uint16_t>(h.argument));
        break;
      case 26:
        number = std::bit_cast<float>(static_cast<std::uint32_t>(h.argument));
        break;
      case 27:
        number = std::bit_cast<double>(h.argument);
        break;
      default:
        return wrong("a simple value that JSON has not");
    }
    if (!std::isfinite(number)) return wrong("a number that is not finite");
    return json::value(number);
  }

  std::string_view rest_;
  const std::size_t size_;
  const std::size_t max_depth_;
};

void put_head(std::string& out, unsigned major, std::uint64_t argument) {
  const auto first = [&](unsigned detail) { out.push_back(static_cast<char>(major << 5u | detail)); };
  if (argument < 24) return first(static_cast<unsigned>(argument));
  unsigned width = 1;  // bytes
  unsigned detail = 24;
  while (width < 8 && argument >> (8 * width) != 0) {
    width *= 2;
    ++detail;
  }
  first(detail);
  for (unsigned i = width; i-- > 0;) out.push_back(static_cast<char>(argument >> (8 * i)));
}

void put(std::string& out, const json::value& value) {
  switch (value.kind()) {
    case json::kind::null:
      out.push_back(static_cast<char>(0xf6));
      break;
    case json::kind::bool_:
      out.push_back(static_cast<char>(value.get_bool() ? 0xf5 : 0xf4));
      break;
    case json::kind::int64:
      if (value.get_int64() >= 0) {
        put_head(out, kUnsigned, static_cast<std::uint64_t>(value.get_int64()));
      } else {
        put_head(out, kNegative, static_cast<std::uint64_t>(-1 - value.get_int64()));
      }
      break;
    case json::kind::uint64:
      put_head(out, kUnsigned, value.get_uint64());
      break;
    case json::kind::double_: {
      const auto bits = std::bit_cast<std::uint64_t>(value.get_double());
      out.push_back(static_cast<char>(0xfb));
      for (unsigned i = 8; i-- > 0;) out.push_back(static_cast<char>(bits >> (8 * i)));
      break;
    }
    case json::kind::string:
      put_head(out, kText, value.get_string().size());
      out.append(value.get_string());
      break;
    case json::kind::array:
      put_head(out, kArray, value.get_array().size());
      for (const json::value& element : value.get_array()) put(out, element);
      break;
    case json::kind::object:
      put_head(out, kMap, value.get_object().size());
      for (const auto& member : value.get_object()) {
        put_head(out, kText, member.key().size());
        out.append(member.key());
        put(out, member.value());
      }
      break;
  }
}

}  // namespace

Result<json::value> parse_cbor(std::string_view bytes, const CborLimits& limits) {
  if (bytes.size() > limits.max_bytes) {
    return make_error(ErrorKind::kTooLarge, "The CBOR exceeds " + std::to_string(limits.max_bytes) + " bytes");
  }
  return Decoder(bytes, limits.max_depth).whole();
}

std::string to_cbor(const json::value& value) {
  std::string out;
  put(out, value);
  return out;
}

}  // namespace muster
