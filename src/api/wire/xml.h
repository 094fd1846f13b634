// SPDX-License-Identifier: Apache-2.0
// Strict, bounded XML: a reader over pugixml that first scans the text and refuses what pugixml lets pass (document
// types and entities, processing instructions, control characters, bad UTF-8, several roots, unknown references,
// duplicate attributes, more depth or nodes than allowed), and a writer. Names are compared without their prefix.
// Thread: none, values. Errors: kInvalid with reason MalformedXML.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <pugixml.hpp>

#include "base/result.h"

namespace muster::api {

struct XmlLimits {
  std::size_t max_bytes = 2u << 20;  // DeleteObjects: 1,000 keys of 1,024 bytes
  std::size_t max_depth = 32;
  std::size_t max_nodes = 50'000;
};

class XmlDocument {
 public:
  pugi::xml_node root() const { return document_->document_element(); }

 private:
  friend Result<XmlDocument> parse_xml(std::string_view text, const XmlLimits& limits);
  std::unique_ptr<pugi::xml_document> document_ = std::make_unique<pugi::xml_document>();
};

Result<XmlDocument> parse_xml(std::string_view text, const XmlLimits& limits = {});
std::string_view local_name(const pugi::xml_node& node);  // without namespace prefix
std::string xml_text(const pugi::xml_node& node);         // all character data directly inside, concatenated

// Builds compact text. Characters that XML 1.0 cannot carry become U+FFFD; use for keys that may hold any byte only
// after url-encoding, as S3 does.
class XmlWriter {
 public:
  explicit XmlWriter(bool declaration = true);
  void open(std::string_view name, std::string_view xml_namespace = {});
  void attribute(std::string_view name, std::string_view value);  // right after open
  void text(std::string_view value);
  void element(std::string_view name, std::string_view value);  // open, text, close
  void close();
  std::string take() &&;

 private:
  void end_start_tag();
  std::string out_;
  std::vector<std::string> names_;
  bool start_tag_open_ = false;
};

}  // namespace muster::api
