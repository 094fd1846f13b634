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

class Redactor {
 public:
  explicit Redactor(const model::Service& service) : service_(service) {}

  void structure(const Shape& shape, const json::object& object) {
    out += '{';
    bool first = true;
    for (const model::Member& member : service_.members.subspan(shape.first_member, shape.member_count)) {
      const json::value* held = object.if_contains(member.name);
      if (held == nullptr || held->is_null()) continue;
      if (!first) out += ',';
      first = false;
      append_json_string(out, member.name);
      out += ':';
      value(member.name, service_.shapes[member.shape], *held);
    }
    out += '}';
  }

  std::string out;

 private:
  void value(std::string_view name, const Shape& shape, const json::value& held) {
    if (out.size() > kMaxParameters) return void(out += "null");  // the caller leaves all of it out
    if (shape.sensitive || is_secret_name(name)) return text(kHidden);
    switch (shape.type) {
      case Type::kStructure:
        if (held.is_object()) return structure(shape, held.get_object());
        break;
      case Type::kList:
        if (held.is_array()) return list(name, shape, held.get_array());
        break;
      case Type::kMap:
        if (held.is_object()) return map(shape, held.get_object());
        break;
      case Type::kBlob:
        return text("<" + std::to_string(held.is_string() ? held.get_string().size() : 0) + " bytes>");
      case Type::kString:
        if (held.is_string()) return text(held.get_string());
        break;
      case Type::kTimestamp:
        if (held.is_int64()) return text(to_iso8601(held.get_int64()));
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
      value(name, service_.shapes[shape.element], items[i]);
    }
    out += ']';
  }

  void map(const Shape& shape, const json::object& entries) {
    out += '{';
    bool first = true;
    for (const auto& [key, item] : entries) {
      if (!first) out += ',';
      first = false;
      text(std::string_view(key).substr(0, kMaxName));
      out += ':';
      value(key, service_.shapes[shape.element], item);
    }
    out += '}';
  }

  void text(std::string_view value) {
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
  constexpr std::array kWhole = {"token",         "sessiontoken",     "webidentitytoken",
                                 "samlassertion", "tokencode",        "tokensignature",
                                 "authorization", "contextassertion", "x-amz-security-token"};
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
  redactor.structure(service.shapes[operation.input], input);
  if (redactor.out.size() <= kMaxParameters) return std::move(redactor.out);
  return R"({"omitted":"more than )" + std::to_string(kMaxParameters) + R"( bytes"})";
}

std::string redacted_labels(const Pairs& labels) {
  if (labels.empty()) return {};
  json::object out;
  for (const auto& [name, value] : labels) {
    out[name] = is_secret_name(name) ? std::string(kHidden) : audit::clean(value, kMaxName * 4);
  }
  return to_text(out);
}

}  // namespace muster::api
