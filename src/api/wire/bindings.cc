// SPDX-License-Identifier: Apache-2.0
#include "api/wire/bindings.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>

#include "api/wire/validate.h"
#include "base/text.h"

namespace muster::api {
namespace {

using model::Location;
using model::Member;
using model::Shape;
using model::TimestampFormat;
using model::Type;

// Query keys that carry the signature, or that clients add for themselves.
constexpr std::string_view kSigningKeys[] = {
    "x-amz-algorithm", "x-amz-credential",     "x-amz-date",           "x-amz-expires",    "x-amz-signedheaders",
    "x-amz-signature", "x-amz-security-token", "x-amz-content-sha256", "x-amz-user-agent", "x-id"};
constexpr std::string_view kSigV2Keys[] = {"AWSAccessKeyId", "Signature", "Expires"};
// Headers of S3 requests that belong to the signature or the transfer, which the pipeline reads.
constexpr std::string_view kTransferHeaders[] = {"x-amz-date",
                                                 "x-amz-content-sha256",
                                                 "x-amz-security-token",
                                                 "x-amz-user-agent",
                                                 "x-amz-decoded-content-length",
                                                 "x-amz-trailer",
                                                 "x-amz-te",
                                                 "x-amz-sdk-checksum-algorithm",
                                                 "x-amz-checksum-crc32",
                                                 "x-amz-checksum-crc32c",
                                                 "x-amz-checksum-sha1",
                                                 "x-amz-checksum-sha256",
                                                 "x-amz-checksum-crc64nvme",
                                                 "x-amz-checksum-type"};

bool contains_ignore_case(std::span<const std::string_view> set, std::string_view name) {
  return std::ranges::any_of(set, [&](std::string_view one) { return equals_ignore_case(one, name); });
}

bool starts_with_ignore_case(std::string_view text, std::string_view prefix) {
  return text.size() >= prefix.size() && equals_ignore_case(text.substr(0, prefix.size()), prefix);
}

Error bad_text(const model::Service& service, std::string_view name, std::string_view text, std::string_view wanted) {
  const std::string shown(text.substr(0, 128));
  if (service.protocol == model::Protocol::kRestXml) {
    Error error = make_error(ErrorKind::kInvalid, "Provided " + std::string(name) + " is not " + std::string(wanted),
                             "InvalidArgument");
    if (!is_utf8(shown)) return error;
    error.fields["ArgumentName"] = name;
    error.fields["ArgumentValue"] = shown;
    return error;
  }
  const bool query = service.protocol == model::Protocol::kQuery;
  return make_error(ErrorKind::kInvalid,
                    "Value '" + (is_utf8(shown) ? shown : std::string("?")) + "' at '" + std::string(name) +
                        "' is not " + std::string(wanted),
                    query ? "MalformedInput" : "SerializationException");
}

std::optional<double> parse_double(std::string_view text) {
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(number)) return std::nullopt;
  return number;
}

std::optional<std::int64_t> parse_time(std::string_view text) {
  if (auto ms = parse_iso8601(text)) return ms;
  if (auto ms = parse_http_date(text)) return ms;
  const auto seconds = parse_double(text);
  return seconds ? epoch_ms(*seconds) : std::nullopt;
}

const std::string* find_pair(const Pairs& pairs, std::string_view name, std::size_t* count = nullptr) {
  const std::string* found = nullptr;
  for (const auto& [key, value] : pairs) {
    if (key != name) continue;
    if (found == nullptr) found = &value;
    if (count == nullptr) return found;
    ++*count;
  }
  return found;
}

// All values of a header in one, as RFC 9110 joins them; empty optional when absent.
std::optional<std::string> header_text(const io::HttpHeaders& headers, std::string_view name) {
  std::optional<std::string> text;
  for (const auto& [key, value] : headers.items()) {
    if (!equals_ignore_case(key, name)) continue;
    if (text) {
      *text += ", " + value;
    } else {
      text = value;
    }
  }
  return text;
}

class Reader {
 public:
  Reader(const WireInput& in, json::object& input) : in_(in), input_(input) {}
  Status read();

 private:
  Status label(const Member& member);
  Status query(const Member& member);
  Status header(const Member& member);
  Status prefixed(const Member& member);
  Status set(const Member& member, std::string_view text);
  Status list(const Member& member, const std::vector<std::string_view>& items);
  Status check_query() const;
  Status check_headers() const;
  bool is_s3() const { return in_.service.protocol == model::Protocol::kRestXml; }
  const Shape& shape(const Member& member) const { return in_.service.shapes[member.shape]; }
  std::span<const Member> members() const {
    if (in_.operation.input == model::kNone) return {};
    const Shape& top = in_.service.shapes[in_.operation.input];
    return in_.service.members.subspan(top.first_member, top.member_count);
  }

  const WireInput& in_;
  json::object& input_;
};

Status Reader::set(const Member& member, std::string_view text) {
  if (member.json_value) {
    TRY(auto decoded, from_base64(text));
    TRY_VOID(parse_json(decoded));
    input_[member.name] = decoded;
    return {};
  }
  TRY(auto value, scalar_from_text(in_.service, shape(member), text, member.location_name));
  input_[member.name] = std::move(value);
  return {};
}

Status Reader::list(const Member& member, const std::vector<std::string_view>& items) {
  const Shape& element = in_.service.shapes[shape(member).element];
  json::array array;
  array.reserve(items.size());
  for (const std::string_view item : items) {
    TRY(auto value, scalar_from_text(in_.service, element, item, member.location_name));
    array.push_back(std::move(value));
  }
  input_[member.name] = std::move(array);
  return {};
}

Status Reader::label(const Member& member) {
  const std::string* text = find_pair(in_.labels, member.location_name);
  if (text == nullptr) text = find_pair(in_.labels, member.name);
  if (text == nullptr) return {};
  if (!is_utf8(*text)) {
    return make_error(ErrorKind::kInvalid, "Couldn't parse the specified URI.", is_s3() ? "InvalidURI" : "");
  }
  return set(member, *text);
}

Status Reader::query(const Member& member) {
  std::size_t count = 0;
  const std::string* text = find_pair(in_.query, member.location_name, &count);
  if (text == nullptr) return {};
  if (shape(member).type == Type::kList) {
    std::vector<std::string_view> items;
    for (const auto& [key, value] : in_.query) {
      if (key == member.location_name) items.push_back(value);
    }
    return list(member, items);
  }
  if (count > 1) return bad_text(in_.service, member.location_name, *text, "given once");
  return set(member, *text);
}

Status Reader::header(const Member& member) {
  std::optional<std::string> text = header_text(in_.headers, member.location_name);
  if (!text && is_s3() && starts_with_ignore_case(member.location_name, "x-amz-")) {
    // Pre-signed URLs may carry what would be a header: signers "hoist" x-amz- headers into the query.
    for (const auto& [key, value] : in_.query) {
      if (equals_ignore_case(key, member.location_name)) text = value;
    }
  }
  if (!text) return {};
  if (shape(member).type == Type::kList) {
    std::vector<std::string_view> items = split(*text, ',');
    for (std::string_view& item : items) item = trim(item);
    return list(member, items);
  }
  // RFC 9110 13.1.3: a recipient ignores If-Modified-Since that holds no valid date.
  if (shape(member).type == Type::kTimestamp && starts_with_ignore_case(member.location_name, "if-") &&
      !parse_time(*text)) {
    return {};
  }
  return set(member, *text);
}

Status Reader::prefixed(const Member& member) {
  json::object map;
  const auto add = [&](std::string_view key, std::string_view value) {
    if (!starts_with_ignore_case(key, member.location_name)) return;
    const std::string name = lower(key.substr(member.location_name.size()));
    json::value& held = map[name];
    if (held.is_string()) {  // repeated headers join, as S3 does
      held.get_string() += "," + std::string(value);
    } else {
      held = value;
    }
  };
  for (const auto& [key, value] : in_.headers.items()) add(key, value);
  if (is_s3()) {
    for (const auto& [key, value] : in_.query) add(key, value);
  }
  if (!map.empty()) input_[member.name] = std::move(map);
  return {};
}

Status Reader::check_query() const {
  const std::string_view uri = in_.operation.uri;
  const std::size_t mark = uri.find('?');
  for (const auto& [key, value] : in_.query) {
    if (contains_ignore_case(kSigningKeys, key)) continue;
    bool known = is_s3() && std::ranges::find(kSigV2Keys, key) != std::end(kSigV2Keys);
    for (const Member& member : members()) {
      if (known) break;
      if (member.location == Location::kQuery) known = member.location_name == key;
      if (!is_s3()) continue;
      if (member.location == Location::kHeader && starts_with_ignore_case(key, "x-amz-")) {
        known = equals_ignore_case(member.location_name, key);
      }
      if (member.location == Location::kHeaderPrefix) known = starts_with_ignore_case(key, member.location_name);
    }
    if (!known && mark != uri.npos) {  // the fixed part of the operation's own path: ?list-type=2, ?delete
      for (const std::string_view part : split(uri.substr(mark + 1), '&')) {
        known = known || part.substr(0, part.find('=')) == key;
      }
    }
    if (!known && is_s3()) known = contains_ignore_case(kTransferHeaders, key);
    if (!known) {
      return refuse_member(in_.service, std::string_view(key).substr(0, 128), "no such query parameter is known");
    }
  }
  return {};
}

Status Reader::check_headers() const {
  if (!is_s3()) return {};
  for (const auto& [key, value] : in_.headers.items()) {
    if (!starts_with_ignore_case(key, "x-amz-") || contains_ignore_case(kTransferHeaders, key)) continue;
    const bool known = std::ranges::any_of(members(), [&](const Member& m) {
      return (m.location == Location::kHeader && equals_ignore_case(m.location_name, key)) ||
             (m.location == Location::kHeaderPrefix && starts_with_ignore_case(key, m.location_name));
    });
    if (!known) return refuse_member(in_.service, std::string_view(key).substr(0, 128), "no such header is known");
  }
  return {};
}

Status Reader::read() {
  TRY_VOID(check_query());
  TRY_VOID(check_headers());
  for (const Member& member : members()) {
    switch (member.location) {
      case Location::kUri:
        TRY_VOID(label(member));
        break;
      case Location::kQuery:
        TRY_VOID(query(member));
        break;
      case Location::kHeader:
        TRY_VOID(header(member));
        break;
      case Location::kHeaderPrefix:
        TRY_VOID(prefixed(member));
        break;
      case Location::kBody:
      case Location::kStatusCode:
        break;
    }
  }
  return {};
}

}  // namespace

std::string epoch_seconds_text(std::int64_t time_ms) {
  const bool negative = time_ms < 0;
  const auto bits = static_cast<std::uint64_t>(time_ms);
  const std::uint64_t magnitude = negative ? 0 - bits : bits;
  std::string text = (negative ? "-" : "") + std::to_string(magnitude / 1000);
  if (const unsigned ms = magnitude % 1000; ms != 0) {
    const std::string digits = std::to_string(1000 + ms);
    text += "." + digits.substr(1);
    while (text.back() == '0') text.pop_back();
  }
  return text;
}

std::optional<std::int64_t> epoch_ms(double seconds) {
  const double ms = std::round(seconds * 1000);
  if (!(ms > -9.0e15 && ms < 9.0e15)) return std::nullopt;  // far beyond year 200,000, and exact in a double
  return static_cast<std::int64_t>(ms);
}

Result<json::value> scalar_from_text(const model::Service& service, const Shape& shape, std::string_view text,
                                     std::string_view name) {
  switch (shape.type) {
    case Type::kString:
      return json::value(text);
    case Type::kBoolean:
      if (equals_ignore_case(text, "true")) return json::value(true);
      if (equals_ignore_case(text, "false")) return json::value(false);
      return bad_text(service, name, text, "a boolean");
    case Type::kInteger:
    case Type::kLong: {
      const auto number = parse_int(text);
      const bool fits = number && (shape.type == Type::kLong || (*number >= INT32_MIN && *number <= INT32_MAX));
      if (!fits) return bad_text(service, name, text, "an integer or within integer range");
      return json::value(*number);
    }
    case Type::kFloat:
    case Type::kDouble: {
      const auto number = parse_double(text);
      if (!number) return bad_text(service, name, text, "a number");
      return json::value(*number);
    }
    case Type::kTimestamp: {
      const auto ms = parse_time(text);
      if (!ms) return bad_text(service, name, text, "a date and time");
      return json::value(*ms);
    }
    case Type::kBlob: {
      auto bytes = from_base64(text);
      if (!bytes) return bad_text(service, name, text, "base64");
      return json::value(*bytes);
    }
    case Type::kStructure:
    case Type::kList:
    case Type::kMap:
      break;
  }
  return internal("'" + std::string(name) + "' cannot be read from text");
}

Result<std::string> scalar_to_text(const Shape& shape, TimestampFormat format, const json::value& value) {
  switch (shape.type) {
    case Type::kString:
      if (value.is_string()) return std::string(value.get_string());
      break;
    case Type::kBlob:
      if (value.is_string()) return to_base64(value.get_string());
      break;
    case Type::kBoolean:
      if (value.is_bool()) return std::string(value.get_bool() ? "true" : "false");
      break;
    case Type::kInteger:
    case Type::kLong:
      if (value.is_int64() || value.is_uint64()) return to_text(value);
      break;
    case Type::kFloat:
    case Type::kDouble:
      if (value.is_number()) return to_text(value);
      break;
    case Type::kTimestamp:
      if (!value.is_int64()) break;
      if (format == TimestampFormat::kHttpDate) return to_http_date(value.get_int64());
      if (format == TimestampFormat::kEpochSeconds) return epoch_seconds_text(value.get_int64());
      return to_iso8601(value.get_int64());
    case Type::kStructure:
    case Type::kList:
    case Type::kMap:
      break;
  }
  return internal("output of shape " + std::string(shape.name) +
                  " has a value of another type: " + to_text(value).substr(0, 128));
}

Status read_bindings(const WireInput& in, json::object& input) {
  return Reader(in, input).read();
}

namespace {

Status add_header(WireOutput& out, std::string name, std::string value) {
  const auto is_control = [](char c) { return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7F; };
  if (std::ranges::any_of(value, is_control)) {
    return make_error(ErrorKind::kInvalid, "Header value of " + name + " holds control characters", "InvalidArgument");
  }
  out.headers.add(std::move(name), std::move(value));
  return {};
}

Status write_header(const model::Service& service, const Member& member, const json::value& value, WireOutput& out) {
  const Shape& shape = service.shapes[member.shape];
  if (equals_ignore_case(member.location_name, "Content-Length")) {
    if (!value.is_int64()) return internal("content length is no integer");
    out.content_length = value.get_int64();
    return {};
  }
  const auto format =
      member.timestamp_format == TimestampFormat::kDefault ? TimestampFormat::kHttpDate : member.timestamp_format;
  std::string text;
  if (shape.type == Type::kList && value.is_array()) {
    for (const json::value& item : value.get_array()) {
      TRY(auto one, scalar_to_text(service.shapes[shape.element], format, item));
      text += (text.empty() ? "" : ", ") + one;
    }
  } else {
    TRY(text, scalar_to_text(shape, format, value));
  }
  return add_header(out, std::string(member.location_name), member.json_value ? to_base64(text) : std::move(text));
}

}  // namespace

Status check_output_members(const model::Service& service, const Shape& shape, const json::object& output) {
  const auto members = service.members.subspan(shape.first_member, shape.member_count);
  for (const auto& [key, value] : output) {
    const std::string_view name(key);
    if (std::ranges::find(members, name, &Member::name) == members.end()) {
      return internal("output of shape " + std::string(shape.name) + " has no member " + std::string(name));
    }
  }
  return {};
}

Status write_bindings(const model::Service& service, const Shape& shape, const json::object& output, WireOutput& out) {
  for (const Member& member : service.members.subspan(shape.first_member, shape.member_count)) {
    if (member.location == Location::kBody) continue;
    const json::value* value = output.if_contains(member.name);
    if (value == nullptr || value->is_null()) continue;
    if (member.location == Location::kStatusCode) {
      const std::int64_t status = value->is_int64() ? value->get_int64() : 0;
      if (status < 100 || status > 599) return internal("bad status code");
      out.status = static_cast<int>(status);
    } else if (member.location == Location::kHeader) {
      TRY_VOID(write_header(service, member, *value, out));
    } else if (member.location == Location::kHeaderPrefix && value->is_object()) {
      for (const auto& [key, item] : value->get_object()) {
        if (!item.is_string()) return internal("a map bound to headers holds something else than strings");
        TRY_VOID(add_header(out, std::string(member.location_name) + std::string(key), std::string(item.get_string())));
      }
    }
  }
  return {};
}

}  // namespace muster::api
