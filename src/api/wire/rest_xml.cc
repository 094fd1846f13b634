// SPDX-License-Identifier: Apache-2.0
#include "api/wire/rest_xml.h"

#include "api/wire/bindings.h"
#include "api/wire/xml.h"
#include "api/wire/xml_shapes.h"
#include "base/crypto.h"
#include "base/text.h"

namespace muster::api {
namespace {

using model::Member;
using model::Shape;
using model::Type;

template <class Word>
std::string big_endian(Word value) {
  std::string bytes;
  for (std::size_t i = sizeof value; i-- > 0;) bytes += static_cast<char>((value >> (8 * i)) & 0xFF);
  return bytes;
}

std::string sha1(std::string_view bytes) {
  Digest digest(Digest::Kind::kSha1);
  digest.update(bytes);
  return digest.finish();
}

Status check_digest(const io::HttpHeaders& headers, std::string_view name, std::string (*digest)(std::string_view),
                    std::string_view body) {
  if (!headers.has(name)) return {};
  const auto wanted = from_base64(headers.get(name));
  const std::string actual = digest(body);
  if (!wanted || wanted->size() != actual.size()) {
    if (name == "Content-MD5") {
      return make_error(ErrorKind::kInvalid, "The Content-MD5 you specified was invalid.", "InvalidDigest");
    }
    return make_error(ErrorKind::kInvalid, "Value for " + std::string(name) + " header is invalid.", "InvalidRequest");
  }
  if (*wanted == actual) return {};
  return make_error(ErrorKind::kInvalid, "The " + std::string(name) + " you specified did not match what we received.",
                    "BadDigest");
}

// Checksums that a client sends along with a small body (DeleteObjects must). Streamed payloads are checked where they
// are read. In each of them: a checksum that cannot be checked is refused, not skipped.
Status check_digests(const io::HttpHeaders& headers, std::string_view body) {
  using Text = std::string_view;
  TRY_VOID(check_digest(
      headers, "Content-MD5", +[](Text b) { return md5(b); }, body));
  TRY_VOID(check_digest(
      headers, "x-amz-checksum-crc32", +[](Text b) { return big_endian(crc32(b)); }, body));
  TRY_VOID(check_digest(
      headers, "x-amz-checksum-crc32c", +[](Text b) { return big_endian(crc32c(b)); }, body));
  TRY_VOID(check_digest(
      headers, "x-amz-checksum-crc64nvme", +[](Text b) { return big_endian(crc64_nvme(b)); }, body));
  TRY_VOID(check_digest(
      headers, "x-amz-checksum-sha1", +[](Text b) { return sha1(b); }, body));
  return check_digest(
      headers, "x-amz-checksum-sha256", +[](Text b) { return sha256(b); }, body);
}

}  // namespace

Result<json::object> read_rest_xml(const WireInput& in) {
  json::object input;
  TRY_VOID(read_bindings(in, input));
  const Shape* top = in.operation.input == model::kNone ? nullptr : &in.service.shapes[in.operation.input];
  const Member* payload = top == nullptr || top->payload == model::kNone ? nullptr : &in.service.members[top->payload];
  if (payload != nullptr && in.service.shapes[payload->shape].type == Type::kBlob) {
    if (!in.service.shapes[payload->shape].streaming && !in.body.empty()) input[payload->name] = in.body;
    return input;
  }
  TRY_VOID(check_digests(in.headers, in.body));
  if (in.body.empty()) return input;
  if (payload == nullptr) {
    return make_error(ErrorKind::kInvalid, "This operation takes no request body.", "InvalidRequest");
  }
  TRY(auto document, parse_xml(in.body));
  if (local_name(document.root()) != payload->location_name) {
    return make_error(
        ErrorKind::kInvalid,
        "The XML you provided was not well-formed or did not validate against our published schema (root element)",
        "MalformedXML");
  }
  TRY(auto value, read_xml_structure(in.service, in.service.shapes[payload->shape], document.root()));
  input[payload->name] = std::move(value);
  return input;
}

Result<WireOutput> write_rest_xml(const model::Service& service, const model::Operation& operation,
                                  const json::object& output, bool payload_apart) {
  WireOutput out;
  out.status = operation.success_status;
  if (operation.output == model::kNone) {
    if (!output.empty()) return internal("an operation without output has one");
    return out;
  }
  const Shape& top = service.shapes[operation.output];
  TRY_VOID(check_output_members(service, top, output));
  TRY_VOID(write_bindings(service, top, output, out));
  const Member* payload = top.payload == model::kNone ? nullptr : &service.members[top.payload];
  const json::value* held = payload == nullptr ? nullptr : output.if_contains(payload->name);
  if (payload != nullptr && service.shapes[payload->shape].type == Type::kBlob) {
    if (!payload_apart && held != nullptr && held->is_string()) out.body = std::string(held->get_string());
    return out;  // its Content-Type is an output member
  }
  const auto members = service.members.subspan(top.first_member, top.member_count);
  if (std::ranges::find(members, model::Location::kBody, &Member::location) == members.end()) return out;
  XmlWriter writer;
  if (payload != nullptr) {
    if (held == nullptr || !held->is_object()) return internal("the payload is missing");
    writer.open(operation.xml_root.empty() ? payload->location_name : operation.xml_root, service.xml_namespace);
    TRY_VOID(write_xml_structure(service, service.shapes[payload->shape], held->get_object(), writer, false));
  } else if (operation.xml_unwrapped) {
    const auto member = std::ranges::find(members, model::Location::kBody, &Member::location);
    writer.open(operation.xml_root, service.xml_namespace);
    if (const json::value* only = output.if_contains(member->name); only != nullptr && !only->is_null()) {
      TRY(auto text, scalar_to_text(service.shapes[member->shape], member->timestamp_format, *only));
      writer.text(text);
    }
  } else {
    writer.open(operation.xml_root.empty() ? top.name : operation.xml_root, service.xml_namespace);
    TRY_VOID(write_xml_structure(service, top, output, writer, true));
  }
  writer.close();
  out.body = std::move(writer).take();
  out.headers.add("Content-Type", "application/xml");
  return out;
}

}  // namespace muster::api
