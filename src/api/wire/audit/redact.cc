// SPDX-License-Identifier: Apache-2.0
#include "api/wire/audit/redact.h"

#include <algorithm>
#include <array>

#include "base/text.h"
#include "domain/audit/event.h"

namespace muster::api {
namespace {

using model::Shape;
using model::Type;

// CloudTrail's own words for it.
constexpr std::string_view kHidden = "HIDDEN_DUE_TO_SECURITY_REASONS";
constexpr std::size_t kMaxName = 256;

// Members that carry secrets although their names do not say so.
enum class Hide : std::uint8_t { kNot, kAll, kValues, kBehindQuestionMark };
struct Carrier {
  std::string_view parent, member;  // parent: the member that it stands in, or the operation
  Hide hide;
};
constexpr std::array kCarriers = {
    // A device's token comes in a header, in the query, or behind the user name.
    Carrier{"httpContext", "headers", Hide::kValues},
    Carrier{"httpContext", "queryString", Hide::kAll},
    Carrier{"mqttContext", "username", Hide::kBehindQuestionMark},
    // What a device proves itself with to a pre-provisioning hook.
    Carrier{"RegisterThing", "parameters", Hide::kValues},
    // Of the message, as its payload.
    Carrier{"Publish", "userProperties", Hide::kAll},
    Carrier{"Publish", "correlationData", Hide::kAll},
    Carrier{"UpdateJobExecution", "statusDetails", Hide::kValues},
    Carrier{"StartNextPendingJobExecution", "statusDetails", Hide::kValues},
};

Hide hidden(std::string_view parent, std::string_view member) {
  if (is_secret_name(member)) return Hide::kAll;
  const auto* found =
      std::ranges::find_if(kCarriers, [&](const Carrier& c) { return c.parent == parent && c.member == member; });
  return found == kCarriers.end() ? Hide::kNot : found->hide;
}

bool ends_value(char c) {
  return std::string_view("&\"'\\<>` \t\r\n").find(c) != std::string_view::npos;
}

// Presigned URLs, of whatever version of the signature, and private keys, wherever they stand.
std::string without_secrets(std::string_view text) {
  const std::string small = lower(text);
  if (small.find("private key-----") != std::string::npos) return std::string(kHidden);
  std::string out;
  std::size_t done = 0;
  for (std::size_t at = 0; at < small.size();) {
    std::size_t value = std::string::npos;
    for (const std::string_view mark : {"signature=", "security-token="}) {
      const std::size_t found = small.find(mark, at);
      if (found != std::string::npos) value = std::min(value, found + mark.size());
    }
    if (value == std::string::npos) break;
    std::size_t end = value;
    while (end < small.size() && !ends_value(small[end])) ++end;
    out += text.substr(done, value - done);
    if (end > value) out += kHidden;
    done = at = end;
    if (at == value && at < small.size()) ++at;
  }
  return out.append(text.substr(done));
}

class Redactor {
 public:
  explicit Redactor(const model::Service& service) : service_(service) {}

  // `parent`: the member that holds it, or the operation.
  void structure(std::string_view parent, const Shape& shape, const json::object& object) {
    out += '{';
    bool first = true;
    for (const model::Member& member : service_.members.subspan(shape.first_member, shape.member_count)) {
      const json::value* held = object.if_contains(member.name);
      if (held == nullptr || held->is_null()) continue;
      if (!first) out += ',';
      first = false;
      append_json_string(out, member.name);
      out += ':';
      value(member.name, service_.shapes[member.shape], *held, hidden(parent, member.name));
    }
    out += '}';
  }

  std::string out;

 private:
  void value(std::string_view name, const Shape& shape, const json::value& held, Hide hide) {
    if (out.size() > kMaxParameters) return void(out += "null");  // the caller leaves all of it out
    if (shape.sensitive || hide == Hide::kAll) return plain(kHidden);
    if (hide == Hide::kValues && !held.is_object()) return plain(kHidden);
    switch (shape.type) {
      case Type::kStructure:
        if (held.is_object()) return structure(name, shape, held.get_object());
        break;
      case Type::kList:
        if (held.is_array()) return list(name, shape, held.get_array());
        break;
      case Type::kMap:
        if (held.is_object()) return map(shape, held.get_object(), hide);
        break;
      case Type::kBlob:
        return plain("<" + std::to_string(held.is_string() ? held.get_string().size() : 0) + " bytes>");
      case Type::kString:
        if (held.is_string()) return string(held.get_string(), hide);
        break;
      case Type::kTimestamp:
        if (held.is_int64()) return plain(to_iso8601(held.get_int64()));
        break;
      default:
        if (held.is_bool() || held.is_number()) return append_json(out, held);
    }
    out += "null";
  }

  void list(std::string_view name, const Shape& shape, const json::array& items) {
    out += '[';
    for (std::size_t i = 0; i < items.size(); ++i) {
      if (i != 0) out += ',';
      value(name, service_.shapes[shape.element], items[i], Hide::kNot);
    }
    out += ']';
  }

  void map(const Shape& shape, const json::object& entries, Hide hide) {
    out += '{';
    bool first = true;
    for (const auto& [key, item] : entries) {
      if (!first) out += ',';
      first = false;
      plain(std::string_view(key).substr(0, kMaxName));
      out += ':';
      const bool secret = hide == Hide::kValues || is_secret_name(key);
      value(key, service_.shapes[shape.element], item, secret ? Hide::kAll : Hide::kNot);
    }
    out += '}';
  }

  void string(std::string_view value, Hide hide) {
    const std::size_t mark = hide == Hide::kBehindQuestionMark ? value.find('?') : std::string_view::npos;
    if (mark == std::string_view::npos) return plain(without_secrets(value));
    plain(std::string(value.substr(0, mark + 1)) + std::string(kHidden));
  }

  void plain(std::string_view value) {
    if (value.size() > kMaxRedactedText) {
      append_json_string(out, "<" + std::to_string(value.size()) + " characters>");
    } else {
      append_json_string(out, audit::clean(value, kMaxRedactedText));
    }
  }

  const model::Service& service_;
};

}  // namespace

bool is_secret_name(std::string_view member) {
  const std::string name = lower(member);
  constexpr std::array kWhole = {"token",
                                 "sessiontoken",
                                 "webidentitytoken",
                                 "samlassertion",
                                 "tokencode",
                                 "tokensignature",
                                 "authorization",
                                 "contextassertion",
                                 "x-amz-security-token",
                                 "certificateownershiptoken",
                                 "authenticationcode1",
                                 "authenticationcode2"};
  if (std::ranges::find(kWhole, name) != kWhole.end()) return true;
  for (const std::string_view part : {"password", "secretkey", "secretaccesskey", "privatekey", "passphrase"}) {
    if (name.find(part) != std::string::npos) return true;
  }
  return name.ends_with("secret");
}

std::string redacted_input(const model::Service& service, const model::Operation& operation,
                           const json::object& input) {
  if (operation.input == model::kNone || input.empty()) return {};
  Redactor redactor(service);
  redactor.structure(operation.name, service.shapes[operation.input], input);
  if (redactor.out.size() <= kMaxParameters) return std::move(redactor.out);
  return R"({"omitted":"more than )" + std::to_string(kMaxParameters) + R"( bytes"})";
}

std::string redacted_message(std::string_view message) {
  constexpr std::string_view kBegin = "Value '", kEnd = "' at '";
  std::string out;
  for (;;) {
    const std::size_t begin = message.find(kBegin);
    if (begin == std::string_view::npos) break;
    const std::size_t end = message.find(kEnd, begin + kBegin.size() - 1);
    if (end == std::string_view::npos) break;
    out += message.substr(0, begin);
    out += "Value at '";
    message.remove_prefix(end + kEnd.size());
  }
  return out + without_secrets(message);
}

std::string redacted_labels(const Pairs& labels) {
  if (labels.empty()) return {};
  json::object out;
  for (const auto& [name, value] : labels) {
    out[name] = is_secret_name(name) ? std::string(kHidden) : audit::clean(without_secrets(value), kMaxName * 4);
  }
  return to_text(out);
}

}  // namespace muster::api
