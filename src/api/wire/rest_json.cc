// SPDX-License-Identifier: Apache-2.0
#include "api/wire/rest_json.h"

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

Error not_serialised(std::string text) {
  return make_error(ErrorKind::kInvalid, std::move(text), "SerializationException");
}

std::span<const Member> members_of(const model::Service& service, const Shape& shape) {
  return service.members.subspan(shape.first_member, shape.member_count);
}

// Wire form to memory form, in place: times to ms, blobs to bytes, wire names to member names. Values of a wrong type
// stay as they are: validation names them.
class Importer {
 public:
  explicit Importer(const model::Service& service) : service_(service) {}

  Status value(const Shape& shape, TimestampFormat format, json::value& value) const {
    if (!shape.converts || value.is_null()) return {};
    switch (shape.type) {
      case Type::kTimestamp:
        return time(format, value);
      case Type::kBlob:
        return blob(shape, value);
      case Type::kStructure:
        return value.is_object() ? structure(shape, value.get_object()) : Status();
      case Type::kList:
        if (!value.is_array()) return {};
        for (json::value& item : value.get_array()) {
          TRY_VOID(this->value(service_.shapes[shape.element], TimestampFormat::kDefault, item));
        }
        return {};
      case Type::kMap:
        if (!value.is_object()) return {};
        for (auto& [key, item] : value.get_object()) {
          TRY_VOID(this->value(service_.shapes[shape.element], TimestampFormat::kDefault, item));
        }
        return {};
      default:
        return {};
    }
  }

  Status structure(const Shape& shape, json::object& object) const {
    for (const Member& member : members_of(service_, shape)) {
      if (member.location != Location::kBody) continue;
      if (member.location_name != member.name) rename(member, object);
      json::value* held = object.if_contains(member.name);
      if (held == nullptr) continue;
      TRY_VOID(value(service_.shapes[member.shape], member.timestamp_format, *held));
    }
    return {};
  }

 private:
  static void rename(const Member& member, json::object& object) {
    json::value* held = object.if_contains(member.location_name);
    if (held == nullptr) return;
    json::value moved = std::move(*held);
    object.erase(member.location_name);
    object[member.name] = std::move(moved);
  }

  static Status time(TimestampFormat format, json::value& value) {
    std::optional<std::int64_t> ms;
    if (value.is_number()) {
      ms = epoch_ms(value.to_number<double>());
    } else if (value.is_string() && format != TimestampFormat::kEpochSeconds) {
      ms = parse_iso8601(value.get_string());
      if (!ms) ms = parse_http_date(value.get_string());
    }
    if (!ms) return not_serialised("Timestamp cannot be read: " + to_text(value).substr(0, 64));
    value = *ms;
    return {};
  }

  static Status blob(const Shape& shape, json::value& value) {
    if (!value.is_string()) return {};
    auto bytes = from_base64(value.get_string());
    if (!bytes) return not_serialised("Blob of type " + std::string(shape.name) + " is not base64");
    value = *bytes;
    return {};
  }

  const model::Service& service_;
};

// Memory form to wire text. The handler's output is trusted in content but checked in type: a wrong one would break
// clients far from here.
class Exporter {
 public:
  Exporter(const model::Service& service, std::string& out) : service_(service), out_(out) {}

  Status structure(const Shape& shape, const json::object& object, bool top) {
    out_ += '{';
    bool first = true;
    std::size_t found = 0;
    for (const Member& member : members_of(service_, shape)) {
      const json::value* held = object.if_contains(member.name);
      if (held == nullptr) continue;
      ++found;
      if (held->is_null() || (top && member.location != Location::kBody)) continue;
      if (!first) out_ += ',';
      first = false;
      append_json_string(out_, member.location_name);
      out_ += ':';
      TRY_VOID(value(service_.shapes[member.shape], member.timestamp_format, *held));
    }
    out_ += '}';
    return found == object.size() ? Status() : check_output_members(service_, shape, object);
  }

  Status value(const Shape& shape, TimestampFormat format, const json::value& value) {
    switch (shape.type) {
      case Type::kStructure:
        if (value.is_object()) return structure(shape, value.get_object(), false);
        break;
      case Type::kList:
        if (value.is_array()) return list(shape, value.get_array());
        break;
      case Type::kMap:
        if (value.is_object()) return map(shape, value.get_object());
        break;
      case Type::kString:
        if (!value.is_string()) break;
        append_json_string(out_, value.get_string());
        return {};
      case Type::kTimestamp:
        if (format == TimestampFormat::kDefault) format = TimestampFormat::kEpochSeconds;
        [[fallthrough]];
      default: {
        TRY(auto text, scalar_to_text(shape, format, value));
        const bool quoted =
            shape.type == Type::kBlob || (shape.type == Type::kTimestamp && format != TimestampFormat::kEpochSeconds);
        if (quoted) {
          append_json_string(out_, text);
        } else {
          out_ += text;
        }
        return {};
      }
    }
    return internal("output of shape " + std::string(shape.name) + " has a value of another type");
  }

 private:
  Status list(const Shape& shape, const json::array& array) {
    out_ += '[';
    for (std::size_t i = 0; i < array.size(); ++i) {
      if (i != 0) out_ += ',';
      TRY_VOID(value(service_.shapes[shape.element], TimestampFormat::kDefault, array[i]));
    }
    out_ += ']';
    return {};
  }

  Status map(const Shape& shape, const json::object& object) {
    out_ += '{';
    bool first = true;
    for (const auto& [key, item] : object) {
      if (item.is_null()) continue;
      if (!first) out_ += ',';
      first = false;
      append_json_string(out_, key);
      out_ += ':';
      TRY_VOID(value(service_.shapes[shape.element], TimestampFormat::kDefault, item));
    }
    out_ += '}';
    return {};
  }

  const model::Service& service_;
  std::string& out_;
};

Result<json::object> read_object(std::string_view text) {
  auto parsed = parse_json(text);
  if (!parsed) {
    if (parsed.error().kind == ErrorKind::kTooLarge) return parsed.error();
    return not_serialised(parsed.error().message);
  }
  if (!parsed->is_object()) return not_serialised("The body must be a JSON object");
  return std::move(parsed->get_object());
}

// A body member that the operation takes from the path, query or a header: harmless when it says the same, else
// refused.
Status check_doubled(const model::Service& service, std::span<const Member> members, const json::object& body,
                     const json::object& bound) {
  for (const Member& member : members) {
    if (member.location == Location::kBody) continue;
    const json::value* in_body = body.if_contains(member.name);
    if (in_body == nullptr) continue;
    const json::value* outside = bound.if_contains(member.name);
    if (outside != nullptr && *outside == *in_body) continue;
    return refuse_member(service, member.name, "it does not belong into the body");
  }
  return {};
}

}  // namespace

Result<json::object> read_rest_json(const WireInput& in) {
  json::object bound;
  TRY_VOID(read_bindings(in, bound));
  if (in.operation.input == model::kNone) {
    if (in.body.empty()) return bound;
    return read_object(in.body);  // validation refuses what is in it
  }
  const Shape& top = in.service.shapes[in.operation.input];
  const Importer importer(in.service);
  if (top.payload != model::kNone) {
    const Member& payload = in.service.members[top.payload];
    const Shape& shape = in.service.shapes[payload.shape];
    if (shape.type == Type::kBlob) {
      if (!shape.streaming && !in.body.empty()) bound[payload.name] = in.body;
      return bound;
    }
    if (in.body.empty()) return bound;
    if (shape.type != Type::kStructure) return internal("payload of a type that is not handled");
    TRY(auto body, read_json_body(in.service, shape, in.body));
    bound[payload.name] = std::move(body);
    return bound;
  }
  if (in.body.empty()) return bound;
  TRY(auto body, read_object(in.body));
  TRY_VOID(check_doubled(in.service, members_of(in.service, top), body, bound));
  if (top.converts) TRY_VOID(importer.structure(top, body));
  for (auto& [key, value] : bound) body[key] = std::move(value);
  return body;
}

Result<json::object> read_json_body(const model::Service& service, const Shape& shape, std::string_view text) {
  TRY(auto body, read_object(text));
  if (shape.converts) TRY_VOID(Importer(service).structure(shape, body));
  return body;
}

Result<std::string> write_json_body(const model::Service& service, const Shape& shape, const json::object& output) {
  std::string out;
  TRY_VOID(Exporter(service, out).structure(shape, output, true));
  return out;
}

Result<WireOutput> write_rest_json(const model::Service& service, const model::Operation& operation,
                                   const json::object& output, bool payload_apart) {
  WireOutput out;
  out.status = operation.success_status;
  if (operation.output == model::kNone) {
    if (!output.empty()) return internal("an operation without output has one");
    return out;
  }
  const Shape& top = service.shapes[operation.output];
  TRY_VOID(write_bindings(service, top, output, out));
  std::string_view type = "application/json";
  if (payload_apart) {
    TRY_VOID(check_output_members(service, top, output));
    type = "application/octet-stream";
  } else if (top.payload != model::kNone) {
    TRY_VOID(check_output_members(service, top, output));
    const Member& payload = service.members[top.payload];
    const Shape& shape = service.shapes[payload.shape];
    const json::value* held = output.if_contains(payload.name);
    if (shape.type == Type::kBlob) {
      type = "application/octet-stream";
      if (held != nullptr && held->is_string()) out.body = std::string(held->get_string());
    } else if (held != nullptr && !held->is_null()) {
      TRY_VOID(Exporter(service, out.body).value(shape, TimestampFormat::kDefault, *held));
    }
  } else {
    TRY(out.body, write_json_body(service, top, output));
  }
  if (!out.headers.has("Content-Type")) out.headers.add("Content-Type", std::string(type));
  return out;
}

}  // namespace muster::api
