// SPDX-License-Identifier: Apache-2.0
// A form is a flat list of paths. They become a tree of nodes once (bounded), and the shape reads the tree:
//   Tags.member.1.Key=a   list, wrapped        Tag.1.Key=a   list, flattened
//   Attrs.entry.1.key=a&Attrs.entry.1.value=b  map
#include "api/wire/query.h"

#include <algorithm>
#include <map>

#include "api/wire/bindings.h"
#include "api/wire/validate.h"
#include "api/wire/xml.h"
#include "api/wire/xml_shapes.h"
#include "base/text.h"

namespace muster::api {
namespace {

using model::Member;
using model::Shape;
using model::Type;

constexpr std::size_t kMaxDepth = 16;
constexpr std::int64_t kMaxIndex = 1000;
// Members of every query request; the rest of the signature's keys when it is a pre-signed GET.
constexpr std::string_view kEnvelope[] = {"Action",
                                          "Version",
                                          "X-Amz-Algorithm",
                                          "X-Amz-Credential",
                                          "X-Amz-Date",
                                          "X-Amz-Expires",
                                          "X-Amz-SignedHeaders",
                                          "X-Amz-Signature",
                                          "X-Amz-Security-Token"};

struct Node {
  std::optional<std::string> text;
  std::map<std::string, Node, std::less<>> children;
};

Error malformed(std::string text) {
  return make_error(ErrorKind::kInvalid, std::move(text), "MalformedQueryString");
}

Status insert(Node& root, std::string_view key, const std::string& value) {
  Node* node = &root;
  std::size_t depth = 0;
  for (const std::string_view part : split(key, '.')) {
    if (part.empty() || ++depth > kMaxDepth) return malformed("A parameter name is malformed");
    auto it = node->children.find(part);
    if (it == node->children.end()) it = node->children.emplace(std::string(part), Node()).first;
    node = &it->second;
  }
  if (node->text) return malformed("Parameter '" + std::string(key.substr(0, 128)) + "' is given twice");
  node->text = value;
  return {};
}

class Reader {
 public:
  explicit Reader(const model::Service& service) : service_(service) {}

  Result<json::object> structure(const Shape& shape, const Node& node, const std::string& path) const {
    if (node.text && (!node.text->empty() || !node.children.empty())) return misplaced(path);
    json::object object;
    std::size_t used = 0;
    for (const Member& member : service_.members.subspan(shape.first_member, shape.member_count)) {
      const auto it = node.children.find(name_of(member));
      if (it == node.children.end()) continue;
      ++used;
      const std::string below = path.empty() ? it->first : path + "." + it->first;
      TRY(object[member.name], value(service_.shapes[member.shape], member.flattened, it->second, below));
    }
    if (used == node.children.size()) return object;
    for (const auto& [name, child] : node.children) {
      if (!object.contains(name) && !is_member(shape, name)) {
        return refuse_member(service_, (path.empty() ? name : path + "." + name).substr(0, 128),
                             "no such parameter is known");
      }
    }
    return object;
  }

 private:
  std::string_view name_of(const Member& member) const {
    const Shape& shape = service_.shapes[member.shape];
    const bool by_item = member.flattened && shape.type == Type::kList && !shape.element_name.empty();
    return by_item ? shape.element_name : member.location_name;
  }

  bool is_member(const Shape& shape, std::string_view name) const {
    return std::ranges::any_of(service_.members.subspan(shape.first_member, shape.member_count),
                               [&](const Member& m) { return name_of(m) == name; });
  }

  static Error misplaced(const std::string& path) {
    const std::string name = path.substr(0, 128);
    return make_error(ErrorKind::kInvalid, "Parameter '" + name + "' has the wrong type", "ValidationError");
  }

  // Children named 1, 2, 3 ... in order, without gaps.
  static Result<std::vector<const Node*>> items(const Node& node, const std::string& path) {
    std::vector<const Node*> found(node.children.size());
    for (const auto& [name, child] : node.children) {
      const auto index = parse_int(name);
      if (!index || *index < 1 || *index > kMaxIndex || name != std::to_string(*index)) return misplaced(path);
      if (std::cmp_greater(*index, found.size())) return malformed("List '" + path.substr(0, 128) + "' has gaps");
      found[static_cast<std::size_t>(*index) - 1] = &child;
    }
    return found;
  }

  Result<json::value> value(const Shape& shape, bool flattened, const Node& node, const std::string& path) const {
    switch (shape.type) {
      case Type::kStructure: {
        TRY(auto object, structure(shape, node, path));
        return json::value(std::move(object));
      }
      case Type::kList:
        return list(shape, flattened, node, path);
      case Type::kMap:
        return map(shape, flattened, node, path);
      default:
        break;
    }
    if (!node.text || !node.children.empty()) return misplaced(path);
    return scalar_from_text(service_, shape, *node.text, path);
  }

  // The node below which the items stand. "Tags=" alone is an empty list.
  static Result<const Node*> inner(const Node& node, std::string_view wrapper, const std::string& path) {
    static const Node kEmpty;
    if (node.text && !node.text->empty()) return misplaced(path);
    if (node.children.empty()) return &kEmpty;
    if (wrapper.empty()) return &node;
    const auto it = node.children.find(wrapper);
    if (it == node.children.end() || node.children.size() != 1 || it->second.text) return misplaced(path);
    return &it->second;
  }

  Result<json::value> list(const Shape& shape, bool flattened, const Node& node, const std::string& path) const {
    const std::string_view wrapper = shape.element_name.empty() ? "member" : shape.element_name;
    TRY(const Node* below, inner(node, flattened ? std::string_view() : wrapper, path));
    TRY(auto nodes, items(*below, path));
    json::array array;
    array.reserve(nodes.size());
    for (std::size_t i = 0; i < nodes.size(); ++i) {
      TRY(auto item, value(service_.shapes[shape.element], false, *nodes[i], path + "." + std::to_string(i + 1)));
      array.push_back(std::move(item));
    }
    return json::value(std::move(array));
  }

  Result<json::value> map(const Shape& shape, bool flattened, const Node& node, const std::string& path) const {
    TRY(const Node* below, inner(node, flattened ? std::string_view() : std::string_view("entry"), path));
    TRY(auto nodes, items(*below, path));
    json::object object;
    for (const Node* entry : nodes) {
      const auto key = entry->children.find(shape.key_name.empty() ? "key" : shape.key_name);
      const auto held = entry->children.find(shape.element_name.empty() ? "value" : shape.element_name);
      const auto end = entry->children.end();
      if (key == end || held == end || entry->children.size() != 2 || !key->second.text) return misplaced(path);
      TRY(object[*key->second.text], value(service_.shapes[shape.element], false, held->second, path));
    }
    return json::value(std::move(object));
  }

  const model::Service& service_;
};

}  // namespace

Result<json::object> read_query(const WireInput& in) {
  TRY(auto form, parse_form(in.body));
  Node root;
  for (const Pairs* pairs : {&in.query, static_cast<const Pairs*>(&form)}) {
    for (const auto& [key, value] : *pairs) {
      if (std::ranges::find(kEnvelope, key) != std::end(kEnvelope)) continue;
      TRY_VOID(insert(root, key, value));
    }
  }
  const Reader reader(in.service);
  if (in.operation.input != model::kNone) return reader.structure(in.service.shapes[in.operation.input], root, "");
  if (root.children.empty()) return json::object();
  return refuse_member(in.service, root.children.begin()->first.substr(0, 128), "the operation takes no input");
}

Result<WireOutput> write_query(const model::Service& service, const model::Operation& operation,
                               const json::object& output, std::string_view request_id) {
  WireOutput out;
  out.status = operation.success_status;
  XmlWriter writer(false);
  const std::string name(operation.name);
  writer.open(name + "Response", service.xml_namespace);
  if (operation.output != model::kNone) {
    writer.open(operation.result_wrapper.empty() ? name + "Result" : std::string(operation.result_wrapper));
    TRY_VOID(write_xml_structure(service, service.shapes[operation.output], output, writer, true));
    writer.close();
  } else if (!output.empty()) {
    return internal("an operation without output has one");
  }
  writer.open("ResponseMetadata");
  writer.element("RequestId", request_id);
  writer.close();
  writer.close();
  out.body = std::move(writer).take();
  out.headers.add("Content-Type", "text/xml");
  return out;
}

}  // namespace muster::api
