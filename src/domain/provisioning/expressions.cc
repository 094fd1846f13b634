// SPDX-License-Identifier: Apache-2.0
#include "domain/provisioning/expressions.h"

#include <algorithm>
#include <functional>

#include "base/text.h"

namespace muster::provisioning {

namespace {

constexpr std::size_t kMaxDepth = 12;
constexpr std::size_t kMaxItems = 1000;
constexpr std::size_t kMaxBytes = std::size_t{64} << 10;
constexpr std::string_view kRef = "Ref", kFunction = "Fn::";
constexpr std::string_view kJoin = "Fn::Join", kSelect = "Fn::Select", kFindInMap = "Fn::FindInMap",
                           kSplit = "Fn::Split", kSub = "Fn::Sub";
// What would change the meaning of a policy document around it.
constexpr std::string_view kUnsafeInPolicy = "*?$\"\\/+#{}";

bool is_plain(std::string_view value) {
  return value.find_first_of(kUnsafeInPolicy) == std::string_view::npos && !has_control_characters(value);
}

Error wrong(std::string_view where, const std::string& what) {
  return invalid("Invalid template body: " + std::string(where) + " " + what);
}

const json::object* function_object(const json::value& value) {
  const json::object* object = value.if_object();
  if (object == nullptr) return nullptr;
  const bool is = std::ranges::any_of(
      *object, [](const auto& member) { return member.key() == kRef || member.key().starts_with(kFunction); });
  return is ? object : nullptr;
}

// Literal text, and between its pieces the names of ${...}; ${!x} is the literal ${x}.
Status walk_sub(std::string_view text, const std::function<Status(std::string_view literal)>& literal,
                const std::function<Status(std::string_view name)>& variable) {
  while (!text.empty()) {
    const std::size_t open = text.find("${");
    TRY_VOID(literal(text.substr(0, open)));
    if (open == std::string_view::npos) return {};
    const std::size_t close = text.find('}', open);
    if (close == std::string_view::npos) return invalid("Fn::Sub: a variable is not closed");
    const std::string_view name = text.substr(open + 2, close - open - 2);
    if (name.starts_with('!')) {
      TRY_VOID(literal("${"));
      TRY_VOID(literal(name.substr(1)));
      TRY_VOID(literal("}"));
    } else {
      TRY_VOID(variable(name));
    }
    text.remove_prefix(close + 1);
  }
  return {};
}

class Checker {
 public:
  Checker(const Declarations& declared, std::string_view where) : declared_(declared), where_(where) {}

  Status check(const json::value& value, Shape shape, std::size_t depth) const {
    if (depth > kMaxDepth) return wrong(where_, "is nested too deeply");
    if (const json::object* object = function_object(value)) return function(*object, shape, depth);
    switch (shape) {
      case Shape::kText:
        return value.is_string() ? Status() : Status(wrong(where_, "must be a string"));
      case Shape::kList: {
        if (!value.is_array()) return wrong(where_, "must be a list");
        return each(value.get_array(), Shape::kText, depth);
      }
      case Shape::kTree:
        break;
    }
    if (value.is_array()) return each(value.get_array(), Shape::kTree, depth);
    if (value.is_object()) {
      for (const auto& member : value.get_object()) TRY_VOID(check(member.value(), Shape::kTree, depth + 1));
    }
    return {};
  }

 private:
  Status each(const json::array& array, Shape shape, std::size_t depth) const {
    if (array.size() > kMaxItems) return wrong(where_, "has too many items");
    for (const json::value& item : array) TRY_VOID(check(item, shape, depth + 1));
    return {};
  }

  Status function(const json::object& object, Shape shape, std::size_t depth) const {
    const std::string name(object.begin()->key());
    if (object.size() != 1) return wrong(where_, "mixes a function with other members");
    const json::value& argument = object.begin()->value();
    const bool makes_list = name == kSplit;
    if (shape == Shape::kList && !makes_list) return wrong(where_, "must be a list, which " + name + " does not make");
    if (shape == Shape::kText && makes_list) return wrong(where_, "must be a string, and Fn::Split makes a list");
    if (name == kRef) return argument.is_string() ? declared(argument.get_string()) : wrong(where_, "Ref takes a name");
    if (name == kSub) return sub(argument, depth);
    if (!argument.is_array()) return wrong(where_, name + " takes a list");
    const json::array& list = argument.get_array();
    const auto takes = [&](std::initializer_list<Shape> shapes) -> Status {
      if (list.size() != shapes.size()) {
        return wrong(where_, name + " takes " + std::to_string(shapes.size()) + " arguments");
      }
      std::size_t i = 0;
      for (Shape wanted : shapes) TRY_VOID(check(list[i++], wanted, depth + 1));
      return {};
    };
    if (name == kJoin) return takes({Shape::kText, Shape::kList});
    if (name == kSplit) return takes({Shape::kText, Shape::kText});
    if (name == kFindInMap) {
      TRY_VOID(takes({Shape::kText, Shape::kText, Shape::kText}));
      return known_map(list);
    }
    if (name == kSelect) {
      if (list.size() == 2 && list[0].is_int64()) return check(list[1], Shape::kList, depth + 1);
      return takes({Shape::kText, Shape::kList});
    }
    return wrong(where_, "uses the unknown function " + name);
  }

  Status declared(std::string_view name) const {
    if (declared_.parameters.contains(name)) return {};
    return wrong(where_, "refers to the parameter " + std::string(name) + ", which is not declared");
  }

  Status known_map(const json::array& list) const {
    if (!list[0].is_string() || declared_.mappings.contains(list[0].get_string())) return {};
    return wrong(where_, "looks into the mapping " + std::string(list[0].get_string()) + ", which is not declared");
  }

  Status sub(const json::value& argument, std::size_t depth) const {
    const json::value* text = &argument;
    const json::object* values = nullptr;
    if (const json::array* list = argument.if_array()) {
      if (list->size() != 2 || !(*list)[1].is_object()) return wrong(where_, "Fn::Sub takes a text and its values");
      text = &(*list)[0];
      values = &(*list)[1].get_object();
      for (const auto& member : *values) TRY_VOID(check(member.value(), Shape::kText, depth + 1));
    }
    if (!text->is_string()) return wrong(where_, "Fn::Sub takes a text");
    return walk_sub(
        text->get_string(), [](std::string_view) { return Status(); },
        [&](std::string_view name) { return values != nullptr && values->contains(name) ? Status() : declared(name); });
  }

  const Declarations& declared_;
  std::string_view where_;
};

}  // namespace

bool is_expression(const json::value& value) {
  return function_object(value) != nullptr;
}

bool holds_expression(const json::value& value) {
  if (is_expression(value)) return true;
  if (value.is_array()) return std::ranges::any_of(value.get_array(), holds_expression);
  if (!value.is_object()) return false;
  return std::ranges::any_of(value.get_object(), [](const auto& member) { return holds_expression(member.value()); });
}

Status check_expression(const Declarations& declared, const json::value& value, Shape shape, std::string_view where) {
  return Checker(declared, where).check(value, shape, 0);
}

Status Evaluator::spend(std::size_t bytes) {
  spent_ += bytes;
  if (spent_ > kMaxBytes) return invalid("The template makes more than " + std::to_string(kMaxBytes) + " bytes");
  return {};
}

Result<std::string> Evaluator::parameter(std::string_view name) {
  const auto declared = declared_.parameters.find(name);
  if (declared == declared_.parameters.end()) return invalid("Unknown parameter " + std::string(name));
  const auto given = given_.find(name);
  if (given == given_.end() && !declared->second) {
    return invalid("Parameter " + std::string(name) + " is required and has no value");
  }
  const std::string& value = given != given_.end() ? given->second : *declared->second;
  if (guarded_ && !is_plain(value)) {
    return invalid("The value of parameter " + std::string(name) +
                   " holds characters that have a meaning in policy documents");
  }
  TRY_VOID(spend(value.size()));
  return value;
}

// The shapes of arguments were checked when the template was made.
Result<std::string> Evaluator::text(const json::value& value) {
  if (value.is_string()) {
    TRY_VOID(spend(value.get_string().size()));
    return std::string(value.get_string());
  }
  const json::object* object = function_object(value);
  if (object == nullptr || object->size() != 1) return invalid("A string was expected");
  const std::string_view name = object->begin()->key();
  const json::value& argument = object->begin()->value();
  if (name == kRef && argument.is_string()) return parameter(argument.get_string());
  if (name == kSub) return substitute(argument);
  if (!argument.is_array()) return invalid(std::string(name) + " takes a list");
  if (name == kJoin) return join(argument);
  if (name == kSelect) return select(argument);
  if (name == kFindInMap) return find_in_map(argument);
  return invalid("Unknown function " + std::string(name));
}

Result<std::vector<std::string>> Evaluator::list(const json::value& value) {
  if (const json::object* object = function_object(value)) {
    if (object->begin()->key() != kSplit) return invalid("A list was expected");
    return split_text(object->begin()->value());
  }
  if (!value.is_array()) return invalid("A list was expected");
  std::vector<std::string> items;
  for (const json::value& item : value.get_array()) {
    TRY(std::string one, text(item));
    items.push_back(std::move(one));
  }
  return items;
}

Result<json::value> Evaluator::tree(const json::value& value) {
  if (const json::object* object = function_object(value)) {
    if (object->begin()->key() == kSplit) {
      TRY(std::vector<std::string> items, list(value));
      json::array array;
      for (std::string& item : items) array.emplace_back(std::move(item));
      return json::value(std::move(array));
    }
    TRY(std::string one, text(value));
    return json::value(json::string(one));
  }
  if (value.is_array()) {
    json::array array;
    for (const json::value& item : value.get_array()) {
      TRY(json::value one, tree(item));
      array.push_back(std::move(one));
    }
    return json::value(std::move(array));
  }
  if (value.is_object()) {
    json::object out;
    for (const auto& member : value.get_object()) {
      TRY(json::value one, tree(member.value()));
      out.emplace(member.key(), std::move(one));
    }
    return json::value(std::move(out));
  }
  return value;
}

Result<std::string> Evaluator::join(const json::value& argument) {
  const json::array& arguments = argument.get_array();
  if (arguments.size() != 2) return invalid("Fn::Join takes 2 arguments");
  TRY(const std::string delimiter, text(arguments[0]));
  TRY(const std::vector<std::string> items, list(arguments[1]));
  TRY_VOID(spend(delimiter.size() * items.size()));
  std::string out;
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (i > 0) out += delimiter;
    out += items[i];
  }
  return out;
}

Result<std::string> Evaluator::select(const json::value& argument) {
  const json::array& arguments = argument.get_array();
  if (arguments.size() != 2) return invalid("Fn::Select takes 2 arguments");
  std::optional<std::int64_t> index;
  if (arguments[0].is_int64()) {
    index = arguments[0].get_int64();
  } else {
    TRY(const std::string number, text(arguments[0]));
    index = parse_int(number);
  }
  TRY(const std::vector<std::string> items, list(arguments[1]));
  if (!index || *index < 0 || static_cast<std::uint64_t>(*index) >= items.size()) {
    return invalid("Fn::Select: the index is not one of the list's");
  }
  return items[static_cast<std::size_t>(*index)];
}

Result<std::string> Evaluator::find_in_map(const json::value& argument) {
  const json::array& arguments = argument.get_array();
  if (arguments.size() != 3) return invalid("Fn::FindInMap takes 3 arguments");
  const bool guarded = std::exchange(guarded_, false);  // keys only choose among what the template says
  Result<std::vector<std::string>> path = list(argument);
  guarded_ = guarded;
  if (!path) return std::move(path).error();
  const json::object* map = find_object(declared_.mappings, (*path)[0]);
  const json::object* row = map != nullptr ? find_object(*map, (*path)[1]) : nullptr;
  if (row == nullptr || !row->contains((*path)[2])) {
    return invalid("Fn::FindInMap: there is no " + (*path)[0] + "." + (*path)[1] + "." + (*path)[2]);
  }
  TRY_VOID(spend(get_string(*row, (*path)[2]).size()));
  return std::string(get_string(*row, (*path)[2]));
}

Result<std::vector<std::string>> Evaluator::split_text(const json::value& argument) {
  const json::array* arguments = argument.if_array();
  if (arguments == nullptr || arguments->size() != 2) return invalid("Fn::Split takes 2 arguments");
  // What is between the delimiters counts, and is looked at below.
  const bool guarded = std::exchange(guarded_, false);
  Result<std::string> delimiter = text((*arguments)[0]);
  Result<std::string> whole = text((*arguments)[1]);
  guarded_ = guarded;
  if (!delimiter) return std::move(delimiter).error();
  if (!whole) return std::move(whole).error();
  if (delimiter->empty()) return invalid("Fn::Split: the delimiter is empty");
  std::vector<std::string> items;
  for (std::size_t at = 0;;) {
    const std::size_t next = whole->find(*delimiter, at);
    items.push_back(whole->substr(at, next == std::string::npos ? next : next - at));
    if (items.size() > kMaxItems) return invalid("Fn::Split makes too many items");
    if (guarded && !is_plain(items.back())) {
      return invalid("Fn::Split makes an item with characters that have a meaning in policy documents");
    }
    if (next == std::string::npos) return items;
    at = next + delimiter->size();
  }
}

Result<std::string> Evaluator::substitute(const json::value& argument) {
  const json::array* list = argument.if_array();
  const json::value& pattern = list != nullptr && !list->empty() ? (*list)[0] : argument;
  const json::object* values = list != nullptr && list->size() == 2 ? (*list)[1].if_object() : nullptr;
  if (!pattern.is_string()) return invalid("Fn::Sub takes a text");
  std::string out;
  TRY_VOID(walk_sub(
      pattern.get_string(),
      [&](std::string_view literal) -> Status {
        TRY_VOID(spend(literal.size()));
        out += literal;
        return {};
      },
      [&](std::string_view name) -> Status {
        const json::value* own = values != nullptr ? values->if_contains(name) : nullptr;
        TRY(const std::string value, own != nullptr ? text(*own) : parameter(name));
        TRY_VOID(spend(value.size()));
        out += value;
        return {};
      }));
  return out;
}

}  // namespace muster::provisioning
