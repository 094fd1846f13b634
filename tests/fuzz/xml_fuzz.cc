// links: muster_api_wire
// SPDX-License-Identifier: Apache-2.0
// Bodies of the three protocols on their way to a handler. The first byte chooses: x an XML document, d DeleteObjects,
// b CreateBucket, i and s a form of IAM and STS, u the URL query of a listing, j and p JSON of CreateJob and a job
// update. What is accepted must be valid by the validator itself, and XML text must survive being written and read
// again.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "api/wire/message.h"
#include "api/wire/validate.h"
#include "api/wire/xml.h"

namespace {

using namespace muster;

void require(bool holds) {
  if (!holds) std::abort();
}

void check_text(const pugi::xml_node& node) {
  const std::string text = api::xml_text(node);
  api::XmlWriter writer;
  writer.element("t", text);
  const std::string written = std::move(writer).take();
  const auto again = api::parse_xml(written, {.max_bytes = 16u << 20});
  require(again.has_value());
  // One run of nothing but blanks is dropped by no one: a writer spells line ends as references.
  require(api::xml_text(again->root()) == text);
}

void check_xml(std::string_view text) {
  const auto document = api::parse_xml(text, {.max_depth = 8, .max_nodes = 2000});
  if (!document) {
    require(!document.error().message.empty());
    return;
  }
  std::size_t depth = 0;
  for (pugi::xml_node node = document->root(); node;) {
    if (node.type() == pugi::node_element) check_text(node);
    if (node.first_child()) {
      node = node.first_child();
      require(++depth <= 9);
      continue;
    }
    while (node && node != document->root() && !node.next_sibling()) {
      node = node.parent();
      --depth;
    }
    if (!node || node == document->root()) break;
    node = node.next_sibling();
  }
}

void check_input(std::string_view service_id, std::string_view name, const api::Pairs& labels, std::string_view query,
                 std::string_view body) {
  const api::model::Service& service = *api::model::find_service(service_id);
  const api::model::Operation& operation = *api::model::find_operation(service, name);
  const auto pairs = api::parse_form(query);
  if (!pairs) return;
  const io::HttpHeaders headers;
  const auto input = api::parse_input({service, operation, labels, *pairs, headers, body});
  if (input) {
    require(api::validate(service, operation, *input).has_value());
    require(parse_json(to_text(*input), {.max_bytes = 64u << 20}).has_value());
  } else {
    require(!input.error().message.empty() && input.error().kind != ErrorKind::kInternal);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(bytes) + 1, size - 1);
  switch (bytes[0]) {
    case 'x':
      check_xml(text);
      break;
    case 'd':
      check_input("s3", "DeleteObjects", {{"Bucket", "b"}}, "delete", text);
      break;
    case 'b':
      check_input("s3", "CreateBucket", {{"Bucket", "b"}}, "", text);
      break;
    case 'i':
      check_input("iam", "CreateRole", {}, "", text);
      break;
    case 's':
      check_input("sts", "AssumeRole", {}, "", text);
      break;
    case 'u':
      check_input("s3", "ListObjectsV2", {{"Bucket", "b"}}, text, "");
      break;
    case 'j':
      check_input("iot", "CreateJob", {{"jobId", "j"}}, "", text);
      break;
    case 'p':
      check_input("iot-jobs-data", "UpdateJobExecution", {{"jobId", "j"}, {"thingName", "t"}}, "", text);
      break;
    default:
      break;
  }
  return 0;
}
