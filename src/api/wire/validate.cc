// SPDX-License-Identifier: Apache-2.0
#include "api/wire/validate.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "api/wire/patterns.h"
#include "base/text.h"

namespace muster::api {
namespace {

using model::Member;
using model::Shape;
using model::Type;

constexpr std::size_t kMaxSpelt = 20;
// Of user, role and policy names, for which IAM has its own sentence.
constexpr std::string_view kIamNamePattern = "[\\w+=,.@-]+";
constexpr std::size_t kMaxValueBytes = 256;

std::size_t code_points(std::string_view text) {
  std::size_t count = 0;
  for (const char c : text) count += (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  return count;
}

// One step of the path to a value, linked on the stack so that a valid input allocates nothing.
struct Step {
  const Step* parent = nullptr;
  std::string_view name;     // member, or map key
  std::size_t position = 0;  // list: 1-based, shown as "2.member"
};

std::string_view type_name(Type type) {
  switch (type) {
    case Type::kString:
      return "String";
    case Type::kBlob:
      return "Blob";
    case Type::kBoolean:
      return "Boolean";
    case Type::kInteger:
      return "Integer";
    case Type::kLong:
      return "Long";
    case Type::kFloat:
      return "Float";
    case Type::kDouble:
      return "Double";
    case Type::kTimestamp:
      return "Timestamp";
    case Type::kStructure:
      return "Structure";
    case Type::kList:
      return "List";
    case Type::kMap:
      return "Map";
  }
  return "unknown";
}

std::string_view kind_name(const json::value& value) {
  switch (value.kind()) {
    case json::kind::null:
      return "NULL_VALUE";
    case json::kind::bool_:
      return value.get_bool() ? "TRUE_VALUE" : "FALSE_VALUE";
    case json::kind::int64:
    case json::kind::uint64:
      return "NUMBER_VALUE";
    case json::kind::double_:
      return "DECIMAL_VALUE";
    case json::kind::string:
      return "STRING_VALUE";
    case json::kind::array:
      return "LIST_VALUE";
    case json::kind::object:
      return "STRUCTURE_VALUE";
  }
  return "VALUE";
}

bool has_type(const json::value& value, Type type) {
  switch (type) {
    case Type::kString:
    case Type::kBlob:
      return value.is_string();
    case Type::kBoolean:
      return value.is_bool();
    case Type::kInteger:
      return value.is_int64() && value.get_int64() >= INT32_MIN && value.get_int64() <= INT32_MAX;
    case Type::kLong:
    case Type::kTimestamp:
      return value.is_int64();
    case Type::kFloat:
    case Type::kDouble:
      return value.is_number();
    case Type::kStructure:
    case Type::kMap:
      return value.is_object();
    case Type::kList:
      return value.is_array();
  }
  return false;
}

bool is_scalar(Type type) {
  return type != Type::kStructure && type != Type::kList && type != Type::kMap;
}

class Walk {
 public:
  explicit Walk(const model::Service& service) : service_(service), patterns_(Patterns::of(service)) {}

  void structure(const Shape& shape, const json::object& object, const Step* parent);
  void value(const Shape& shape, const json::value& value, const Step& at);
  Status result() const;

 private:
  const Shape& shape_at(std::uint16_t index) const { return service_.shapes[index]; }
  void scalar(const Shape& shape, const json::value& value, std::vector<std::string>& broken) const;
  void text(const Shape& shape, std::string_view text, std::vector<std::string>& broken) const;
  void length(const Shape& shape, std::size_t length, std::vector<std::string>& broken) const;
  void list(const Shape& shape, const json::array& array, const Step& at);
  void map(const Shape& shape, const json::object& object, const Step& at);
  void member(const Member& member, const json::value& value, const Step* parent);
  void fail(const Shape* shape, const json::value& value, const Step& at, const std::string& constraint);
  void wrong_type(const Shape& shape, const json::value& value, const Step& at);
  std::string path(const Step& at) const;

  const model::Service& service_;
  const Patterns& patterns_;
  std::vector<std::string> failures_;
  std::size_t count_ = 0;
  bool in_body_ = false;  // S3 has another code for what stands in the body
  bool body_failed_ = false;
  std::string name_at_;  // where an IAM name broke its pattern or length
  Error first_;          // a refusal or a wrong type ends the matter: kind is kUnset without one
  std::vector<std::string> scratch_;
};

std::string Walk::path(const Step& at) const {
  std::string text = at.parent == nullptr ? std::string() : path(*at.parent);
  if (!text.empty()) text += '.';
  if (at.position != 0) return text + std::to_string(at.position) + ".member";
  const std::size_t start = text.size();
  text += at.name;
  // IAM and STS name members in camel case although their wire names are capitalised.
  if (service_.protocol == model::Protocol::kQuery && start < text.size()) {
    text[start] = static_cast<char>(text[start] >= 'A' && text[start] <= 'Z' ? text[start] + 32 : text[start]);
  }
  return text;
}

// As Java prints collections: [a, b], {a=b}, Shape(member=value). Cut where it would grow long.
void append_value(std::string& out, const json::value& value) {
  if (out.size() > kMaxValueBytes) return;
  if (const auto* text = value.if_string()) {
    out += std::string_view(text->data(), text->size()).substr(0, kMaxValueBytes + 4);
  } else if (const auto* array = value.if_array()) {
    out += '[';
    for (std::size_t i = 0; i < array->size() && out.size() <= kMaxValueBytes; ++i) {
      if (i != 0) out += ", ";
      append_value(out, (*array)[i]);
    }
    out += ']';
  } else if (const auto* object = value.if_object()) {
    out += '{';
    bool first = true;
    for (const auto& [key, element] : *object) {
      if (out.size() > kMaxValueBytes) break;
      if (!first) out += ", ";
      first = false;
      out += std::string_view(key).substr(0, kMaxValueBytes);
      out += '=';
      append_value(out, element);
    }
    out += '}';
  } else {
    append_json(out, value);
  }
}

std::string shown(const json::value& value) {
  std::string text;
  append_value(text, value);
  if (text.size() <= kMaxValueBytes) return text;
  std::size_t end = kMaxValueBytes;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  text.resize(end);
  return text + "...";
}

void Walk::fail(const Shape* shape, const json::value& value, const Step& at, const std::string& constraint) {
  body_failed_ = body_failed_ || in_body_;
  if (++count_ > kMaxSpelt) return;
  std::string text = "Value ";
  if (value.is_null()) {
    text += "null ";
  } else if (shape == nullptr || (!shape->sensitive && (shape->type != Type::kBlob))) {
    text += "'" + shown(value) + "' ";
  }
  failures_.push_back(text + "at '" + path(at) + "' failed to satisfy constraint: " + constraint);
}

void Walk::wrong_type(const Shape& shape, const json::value& value, const Step& at) {
  if (first_.kind != ErrorKind::kUnset) return;
  first_ = make_error(ErrorKind::kInvalid,
                      std::string(kind_name(value)) + " at '" + path(at) + "' cannot be converted to " +
                          std::string(type_name(shape.type)),
                      "SerializationException");
}

void Walk::length(const Shape& shape, std::size_t length, std::vector<std::string>& broken) const {
  if (shape.max != INT64_MAX && std::cmp_greater(length, shape.max)) {
    broken.push_back("Member must have length less than or equal to " + std::to_string(shape.max));
  }
  if (shape.min != INT64_MIN && std::cmp_less(length, shape.min)) {
    broken.push_back("Member must have length greater than or equal to " + std::to_string(shape.min));
  }
}

std::string number_text(double number) {
  std::string text;
  append_json(text, json::value(number));
  return text;
}

void Walk::text(const Shape& shape, std::string_view text, std::vector<std::string>& broken) const {
  if (shape.min != INT64_MIN || shape.max != INT64_MAX) length(shape, code_points(text), broken);
  if (shape.pattern_id != model::kNone && !patterns_.matches(shape, text)) {
    broken.push_back("Member must satisfy regular expression pattern: " + std::string(shape.pattern_source));
  }
  if (shape.enum_count == 0) return;
  const auto allowed = service_.enums.subspan(shape.first_enum, shape.enum_count);
  if (std::ranges::find(allowed, text) != allowed.end()) return;
  std::string set;
  for (const std::string_view one : allowed) set += (set.empty() ? "" : ", ") + std::string(one);
  broken.push_back("Member must satisfy enum value set: [" + set + "]");
}

void Walk::scalar(const Shape& shape, const json::value& value, std::vector<std::string>& broken) const {
  if (shape.type == Type::kString) {
    text(shape, value.get_string(), broken);
  } else if (shape.type == Type::kBlob) {
    length(shape, value.get_string().size(), broken);
  } else if (shape.type == Type::kInteger || shape.type == Type::kLong) {
    const std::int64_t number = value.get_int64();
    if (shape.max != INT64_MAX && number > shape.max) {
      broken.push_back("Member must have value less than or equal to " + std::to_string(shape.max));
    }
    if (shape.min != INT64_MIN && number < shape.min) {
      broken.push_back("Member must have value greater than or equal to " + std::to_string(shape.min));
    }
  } else if (shape.type == Type::kFloat || shape.type == Type::kDouble) {
    const double number = value.to_number<double>();
    if (number > shape.high)
      broken.push_back("Member must have value less than or equal to " + number_text(shape.high));
    if (!(number >= shape.low)) {
      broken.push_back("Member must have value greater than or equal to " + number_text(shape.low));
    }
  }
}

std::string joined(const std::vector<std::string>& broken) {
  std::string text;
  for (const std::string& one : broken) text += (text.empty() ? "" : ", ") + one;
  return text;
}

// A list of scalars is reported as a whole, once; a list of structures by the element.
void Walk::list(const Shape& shape, const json::array& array, const Step& at) {
  const Shape& element = shape_at(shape.element);
  std::vector<std::string> broken;
  length(shape, array.size(), broken);
  for (const std::string& one : broken) fail(&shape, array, at, one);
  if (!broken.empty()) return;  // nobody needs the elements of a list that is too long
  for (std::size_t i = 0; i < array.size(); ++i) {
    const Step step{&at, {}, i + 1};
    if (array[i].is_null()) {
      fail(&element, array[i], step, "Member must not be null");
    } else if (!has_type(array[i], element.type)) {
      wrong_type(element, array[i], step);
    } else if (!is_scalar(element.type)) {
      value(element, array[i], step);
    } else {
      scalar(element, array[i], broken);
      if (broken.empty()) continue;
      fail(&element, array, at, "Member must satisfy constraint: [" + joined(broken) + "]");
      return;
    }
  }
}

void Walk::map(const Shape& shape, const json::object& object, const Step& at) {
  const Shape& key = shape_at(shape.key);
  const Shape& element = shape_at(shape.element);
  std::vector<std::string> broken;
  length(shape, object.size(), broken);
  for (const std::string& one : broken) fail(&shape, object, at, one);
  if (!broken.empty()) return;
  for (const auto& [name, item] : object) {
    const std::string_view name_text(name.data(), name.size());
    const Step step{&at, name_text, 0};
    text(key, name_text, broken);
    if (!broken.empty()) {
      fail(&element, object, at, "Map keys must satisfy constraint: [" + joined(broken) + "]");
      return;
    }
    if (item.is_null()) {
      fail(&element, item, step, "Member must not be null");
    } else if (!has_type(item, element.type)) {
      wrong_type(element, item, step);
    } else if (!is_scalar(element.type)) {
      value(element, item, step);
    } else {
      scalar(element, item, broken);
      if (broken.empty()) continue;
      fail(&element, object, at, "Map value must satisfy constraint: [" + joined(broken) + "]");
      return;
    }
  }
}

void Walk::value(const Shape& shape, const json::value& value, const Step& at) {
  if (!has_type(value, shape.type)) return wrong_type(shape, value, at);
  if (shape.type == Type::kStructure) return structure(shape, value.get_object(), &at);
  if (shape.type == Type::kList) return list(shape, value.get_array(), at);
  if (shape.type == Type::kMap) return map(shape, value.get_object(), at);
  scratch_.clear();
  scalar(shape, value, scratch_);
  if (scratch_.size() == 1 && shape.pattern_source == kIamNamePattern && service_.id == "iam") {
    name_at_ = path(at);
  }
  for (const std::string& one : scratch_) fail(&shape, value, at, one);
}

void Walk::member(const Member& member, const json::value& given, const Step* parent) {
  const Step at{parent, member.name, 0};
  if (parent == nullptr) in_body_ = member.location == model::Location::kBody;
  // `false` asks for nothing, so a client that spells its defaults out is served.
  if (member.refused && !(given.is_bool() && !given.get_bool())) {
    if (first_.kind == ErrorKind::kUnset) {
      first_ = refuse_member(service_, path(at), member.refused_reason);
    }
    return;
  }
  value(shape_at(member.shape), given, at);
}

void Walk::structure(const Shape& shape, const json::object& object, const Step* parent) {
  const auto members = service_.members.subspan(shape.first_member, shape.member_count);
  std::size_t next = 0;  // clients tend to send members in the model's order
  for (const auto& [key, given] : object) {
    const std::string_view name(key.data(), key.size());
    std::size_t found = members.size();
    for (std::size_t i = 0; i < members.size() && found == members.size(); ++i) {
      const std::size_t at = next + i < members.size() ? next + i : next + i - members.size();
      if (members[at].name == name) found = at;
    }
    if (found == members.size()) {
      if (first_.kind == ErrorKind::kUnset) {
        const Step step{parent, name.substr(0, kMaxValueBytes), 0};
        first_ = refuse_member(service_, path(step), "no such member is known");
      }
      continue;
    }
    next = found + 1;
    if (!given.is_null()) member(members[found], given, parent);
  }
  for (const Member& wanted : members) {
    if (!wanted.required) continue;
    const json::value* given = object.if_contains(json::string_view(wanted.name.data(), wanted.name.size()));
    if (given != nullptr && !given->is_null()) continue;
    if (parent == nullptr) in_body_ = wanted.location == model::Location::kBody;
    fail(nullptr, json::value(), Step{parent, wanted.name, 0}, "Member must not be null");
  }
}

Status Walk::result() const {
  if (first_.kind != ErrorKind::kUnset) return first_;
  if (count_ == 0) return {};
  if (service_.protocol == model::Protocol::kRestXml && body_failed_) {
    return make_error(ErrorKind::kInvalid,
                      "The XML you provided was not well-formed or did not validate against our published schema",
                      "MalformedXML");
  }
  if (count_ == 1 && !name_at_.empty() && failures_[0].ends_with(kIamNamePattern)) {
    return make_error(ErrorKind::kInvalid,
                      "The specified value for " + name_at_ +
                          " is invalid. It must contain only alphanumeric "
                          "characters and/or the following: +=,.@_-",
                      "ValidationError");
  }
  std::string text = std::to_string(count_) + " validation error" + (count_ == 1 ? "" : "s") + " detected: ";
  for (std::size_t i = 0; i < failures_.size(); ++i) text += (i == 0 ? "" : "; ") + failures_[i];
  if (count_ > failures_.size()) text += "; and " + std::to_string(count_ - failures_.size()) + " more";
  switch (service_.protocol) {
    case model::Protocol::kRestXml:
      return make_error(ErrorKind::kInvalid, text, "InvalidArgument");
    case model::Protocol::kQuery:
      return make_error(ErrorKind::kInvalid, text, "ValidationError");
    case model::Protocol::kRestJson:
    case model::Protocol::kJson:
      break;
  }
  return invalid(text);
}

}  // namespace

Error refuse_member(const model::Service& service, std::string_view member, std::string_view why) {
  const std::string name(member);
  const std::string reason(why);
  switch (service.protocol) {
    case model::Protocol::kRestXml:
      return make_error(ErrorKind::kNotSupported,
                        "'" + name + "' implies functionality that is not implemented: " + reason, "NotImplemented");
    case model::Protocol::kQuery:
      return make_error(ErrorKind::kInvalid, "Parameter '" + name + "' is not supported: " + reason, "ValidationError");
    case model::Protocol::kRestJson:
    case model::Protocol::kJson:
      break;
  }
  return invalid("Member '" + name + "' is not supported: " + reason);
}

Status validate(const model::Service& service, const model::Operation& operation, const json::object& input) {
  if (operation.input == model::kNone) {
    if (input.empty()) return {};
    return refuse_member(service, std::string_view(input.begin()->key()), "the operation takes no input");
  }
  Walk walk(service);
  walk.structure(service.shapes[operation.input], input, nullptr);
  return walk.result();
}

Status compile_patterns() {
  for (const model::Service* service : model::services()) TRY_VOID(Patterns::of(*service).check());
  return {};
}

}  // namespace muster::api
