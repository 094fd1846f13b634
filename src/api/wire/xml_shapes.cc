// SPDX-License-Identifier: Apache-2.0
#include "api/wire/xml_shapes.h"

#include <algorithm>

#include "api/wire/bindings.h"
#include "api/wire/validate.h"
#include "base/text.h"

namespace muster::api {
namespace {

using model::Location;
using model::Member;
using model::Shape;
using model::TimestampFormat;
using model::Type;

Error malformed(const std::string& detail) {
  return make_error(
      ErrorKind::kInvalid,
      "The XML you provided was not well-formed or did not validate against our published schema (" + detail + ")",
      "MalformedXML");
}

std::string_view or_default(std::string_view name, std::string_view fallback) {
  return name.empty() ? fallback : name;
}

class Reader {
 public:
  explicit Reader(const model::Service& service) : service_(service) {}

  Result<json::object> structure(const Shape& shape, const pugi::xml_node& node) const {
    json::object object;
    const auto members = service_.members.subspan(shape.first_member, shape.member_count);
    for (const Member& member : members) {
      if (member.xml_attribute) TRY_VOID(attribute(member, node, object));
    }
    for (const pugi::xml_node& child : node.children()) {
      if (child.type() != pugi::node_element) {
        if (trim(child.value()).empty()) continue;
        return malformed("text in " + std::string(node.name()));
      }
      const auto member = std::ranges::find_if(members, [&](const Member& m) { return names(m, local_name(child)); });
      if (member == members.end()) {
        return refuse_member(service_, local_name(child).substr(0, 128), "no such element is known");
      }
      TRY_VOID(this->member(*member, child, object));
    }
    return object;
  }

 private:
  // Elements of a flattened list carry the name of its items where the model gives one.
  bool names(const Member& member, std::string_view element) const {
    if (member.location != Location::kBody || member.xml_attribute) return false;
    const Shape& shape = service_.shapes[member.shape];
    if (member.flattened && shape.type == Type::kList && !shape.element_name.empty()) {
      return shape.element_name == element;
    }
    return member.location_name == element;
  }

  static bool has_prefix_name(std::string_view full, std::string_view wanted) {
    const std::size_t colon = full.find(':');
    return full == wanted || (colon != full.npos && full.substr(colon + 1) == wanted);
  }

  Status attribute(const Member& member, const pugi::xml_node& node, json::object& object) const {
    for (const pugi::xml_attribute& one : node.attributes()) {
      if (!has_prefix_name(one.name(), member.location_name) && member.location_name != one.name()) continue;
      TRY(object[member.name], text(service_.shapes[member.shape], one.value(), member.location_name));
    }
    return {};
  }

  Status member(const Member& member, const pugi::xml_node& node, json::object& object) const {
    const Shape& shape = service_.shapes[member.shape];
    json::value* held = object.if_contains(member.name);
    if (member.flattened && shape.type == Type::kList) {
      TRY(auto item, value(service_.shapes[shape.element], node));
      if (held == nullptr) held = &object.emplace(member.name, json::array()).first->value();
      held->get_array().push_back(std::move(item));
      return {};
    }
    if (member.flattened && shape.type == Type::kMap) {
      if (held == nullptr) held = &object.emplace(member.name, json::object()).first->value();
      return entry(shape, node, held->get_object());
    }
    if (held != nullptr) return malformed(std::string(member.location_name) + " is given twice");
    TRY(auto read, value(shape, node));
    object.emplace(member.name, std::move(read));
    return {};
  }

  Status entry(const Shape& shape, const pugi::xml_node& node, json::object& map) const {
    std::optional<std::string> key;
    std::optional<json::value> held;
    for (const pugi::xml_node& part : node.children()) {
      if (part.type() != pugi::node_element) continue;
      if (local_name(part) == or_default(shape.key_name, "key")) {
        key = xml_text(part);
      } else if (local_name(part) == or_default(shape.element_name, "value")) {
        TRY(held, value(service_.shapes[shape.element], part));
      } else {
        return malformed("unexpected element in a map");
      }
    }
    if (!key || !held) return malformed("a map entry lacks its key or value");
    map[*key] = std::move(*held);
    return {};
  }

  Result<json::value> value(const Shape& shape, const pugi::xml_node& node) const {
    if (shape.type == Type::kStructure) {
      TRY(auto object, structure(shape, node));
      return json::value(std::move(object));
    }
    if (shape.type == Type::kList || shape.type == Type::kMap) {
      json::array array;
      json::object map;
      for (const pugi::xml_node& child : node.children()) {
        if (child.type() != pugi::node_element) continue;
        if (shape.type == Type::kMap) {
          if (local_name(child) != "entry") return malformed("unexpected element in a map");
          TRY_VOID(entry(shape, child, map));
          continue;
        }
        if (local_name(child) != or_default(shape.element_name, "member")) {
          return malformed("unexpected element in a list");
        }
        TRY(auto item, value(service_.shapes[shape.element], child));
        array.push_back(std::move(item));
      }
      if (shape.type == Type::kMap) return json::value(std::move(map));
      return json::value(std::move(array));
    }
    for (const pugi::xml_node& child : node.children()) {
      if (child.type() == pugi::node_element) return malformed("element inside " + std::string(node.name()));
    }
    return text(shape, xml_text(node), node.name());
  }

  Result<json::value> text(const Shape& shape, std::string_view text, std::string_view name) const {
    auto read = scalar_from_text(service_, shape, shape.type == Type::kString ? text : trim(text), name);
    if (!read) return malformed(std::string(name) + " has the wrong type");
    return read;
  }

  const model::Service& service_;
};

Error misfit(const Shape& shape) {
  return internal("output of shape " + std::string(shape.name) + " has a value of another type");
}

Status write_value(const model::Service& service, const Shape& shape, TimestampFormat format, const json::value& value,
                   XmlWriter& out) {
  switch (shape.type) {
    case Type::kStructure:
      if (!value.is_object()) return misfit(shape);
      return write_xml_structure(service, shape, value.get_object(), out, false);
    case Type::kList:
      if (!value.is_array()) return misfit(shape);
      for (const json::value& item : value.get_array()) {
        out.open(or_default(shape.element_name, "member"));
        TRY_VOID(write_value(service, service.shapes[shape.element], TimestampFormat::kDefault, item, out));
        out.close();
      }
      return {};
    case Type::kMap:
      if (!value.is_object()) return misfit(shape);
      for (const auto& [key, item] : value.get_object()) {
        out.open("entry");
        out.element(or_default(shape.key_name, "key"), key);
        out.open(or_default(shape.element_name, "value"));
        TRY_VOID(write_value(service, service.shapes[shape.element], TimestampFormat::kDefault, item, out));
        out.close();
        out.close();
      }
      return {};
    default:
      break;
  }
  if (format == TimestampFormat::kDefault) format = TimestampFormat::kIso8601;
  TRY(auto text, scalar_to_text(shape, format, value));
  out.text(text);
  return {};
}

}  // namespace

Result<json::object> read_xml_structure(const model::Service& service, const Shape& shape, const pugi::xml_node& node) {
  return Reader(service).structure(shape, node);
}

Status write_xml_member(const model::Service& service, const Member& member, const json::value& value, XmlWriter& out) {
  const Shape& shape = service.shapes[member.shape];
  if (member.flattened && shape.type == Type::kList) {
    if (!value.is_array()) return misfit(shape);
    for (const json::value& item : value.get_array()) {
      out.open(or_default(shape.element_name, member.location_name));
      TRY_VOID(write_value(service, service.shapes[shape.element], TimestampFormat::kDefault, item, out));
      out.close();
    }
    return {};
  }
  out.open(member.location_name);
  TRY_VOID(write_value(service, shape, member.timestamp_format, value, out));
  out.close();
  return {};
}

Status write_xml_structure(const model::Service& service, const Shape& shape, const json::object& value, XmlWriter& out,
                           bool top) {
  TRY_VOID(check_output_members(service, shape, value));
  const auto members = service.members.subspan(shape.first_member, shape.member_count);
  for (const bool attributes : {true, false}) {
    for (const Member& member : members) {
      if (member.xml_attribute != attributes || (top && member.location != Location::kBody)) continue;
      const json::value* held = value.if_contains(member.name);
      if (held == nullptr || held->is_null()) continue;
      if (attributes) {
        TRY(auto text, scalar_to_text(service.shapes[member.shape], member.timestamp_format, *held));
        out.attribute(member.location_name, text);
      } else {
        TRY_VOID(write_xml_member(service, member, *held, out));
      }
    }
  }
  return {};
}

}  // namespace muster::api
