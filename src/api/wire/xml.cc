// SPDX-License-Identifier: Apache-2.0
#include "api/wire/xml.h"

#include <cstring>

#include "base/text.h"

namespace muster::api {
namespace {

Error malformed(std::string_view why) {
  return make_error(ErrorKind::kInvalid, "The XML you provided was not well-formed: " + std::string(why),
                    "MalformedXML");
}

bool is_space(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

bool is_xml_character(std::uint32_t c) {
  return c == 0x9 || c == 0xA || c == 0xD || (c >= 0x20 && c <= 0xD7FF) || (c >= 0xE000 && c <= 0xFFFD) ||
         (c >= 0x10000 && c <= 0x10FFFF);
}

// One pass over the text before pugixml sees it: counts, nesting and everything pugixml is lenient about. It follows
// the tags, comments and CDATA sections exactly as far as needed to know what is markup.
class Scan {
 public:
  Scan(std::string_view text, const XmlLimits& limits) : text_(text), limits_(limits) {}
  Status run();

 private:
  Status markup();
  Status tag();
  Status reference();
  Status skip_past(std::string_view end);
  bool at(std::string_view token) const { return text_.substr(at_).starts_with(token); }

  std::string_view text_;
  const XmlLimits& limits_;
  std::size_t at_ = 0;
  std::size_t depth_ = 0;
  std::size_t nodes_ = 0;
  bool had_root_ = false;
};

Status Scan::skip_past(std::string_view end) {
  const std::size_t found = text_.find(end, at_);
  if (found == text_.npos) return malformed("unexpected end");
  at_ = found + end.size();
  return {};
}

// &amp; &lt; &gt; &quot; &apos; &#10; &#xA;
Status Scan::reference() {
  const std::size_t end = text_.find(';', at_);
  if (end == text_.npos || end - at_ > 10) return malformed("'&' without a reference");
  std::string_view name = text_.substr(at_ + 1, end - at_ - 1);
  at_ = end + 1;
  if (name == "amp" || name == "lt" || name == "gt" || name == "quot" || name == "apos") return {};
  if (!name.starts_with('#')) return malformed("entities are not accepted");
  name.remove_prefix(1);
  const bool hexadecimal = name.starts_with('x');
  if (hexadecimal) name.remove_prefix(1);
  if (name.empty()) return malformed("empty character reference");
  std::uint32_t value = 0;
  for (const char c : name) {
    std::uint32_t digit = 99;
    if (c >= '0' && c <= '9') digit = static_cast<std::uint32_t>(c - '0');
    if (hexadecimal && c >= 'a' && c <= 'f') digit = static_cast<std::uint32_t>(c - 'a' + 10);
    if (hexadecimal && c >= 'A' && c <= 'F') digit = static_cast<std::uint32_t>(c - 'A' + 10);
    if (digit == 99) return malformed("broken character reference");
    value = value * (hexadecimal ? 16 : 10) + digit;
    if (value > 0x10FFFF) return malformed("character reference out of range");
  }
  return is_xml_character(value) ? Status() : Status(malformed("character reference out of range"));
}

Status Scan::tag() {
  const bool closing = at("</");
  at_ += closing ? 2 : 1;
  if (at_ >= text_.size() || is_space(text_[at_]) || text_[at_] == '>' || text_[at_] == '/') {
    return malformed("tag without a name");
  }
  if (closing) {
    if (depth_ == 0) return malformed("end tag without a start");
    --depth_;
    const std::size_t end = text_.find_first_of("<>", at_);
    if (end == text_.npos || text_[end] == '<') return malformed("broken end tag");
    at_ = end + 1;
    return {};
  }
  if (depth_ == 0 && had_root_) return malformed("more than one root element");
  had_root_ = true;
  if (++nodes_ > limits_.max_nodes) return malformed("too many elements");
  char quote = 0;
  for (; at_ < text_.size();) {
    const char c = text_[at_];
    if (quote != 0) {
      if (c == '&') {
        TRY_VOID(reference());
        continue;
      }
      if (c == '<') return malformed("'<' in an attribute");
      if (c == quote) quote = 0;
    } else if (c == '"' || c == '\'') {
      quote = c;
      if (++nodes_ > limits_.max_nodes) return malformed("too many attributes");
    } else if (c == '<') {
      return malformed("'<' in a tag");
    } else if (c == '>') {
      if (text_[at_ - 1] != '/' && ++depth_ > limits_.max_depth) return malformed("nested too deeply");
      ++at_;
      return {};
    }
    ++at_;
  }
  return malformed("unexpected end");
}

Status Scan::markup() {
  if (++nodes_ > limits_.max_nodes) return malformed("too many nodes");
  if (at("<!--")) {
    at_ += 4;
    return skip_past("-->");
  }
  if (at("<![CDATA[")) {
    if (depth_ == 0) return malformed("text outside the root element");
    return skip_past("]]>");
  }
  if (at("<!")) return malformed("document types are not accepted");
  if (at("<?")) return malformed("processing instructions are not accepted");
  return tag();
}

Status Scan::run() {
  if (text_.size() > limits_.max_bytes)
    return make_error(ErrorKind::kTooLarge, "The XML body is too large", "MalformedXML");
  if (text_.starts_with("\xEF\xBB\xBF")) at_ = 3;
  if (at("<?xml") && at_ + 5 < text_.size() && is_space(text_[at_ + 5])) {
    const std::size_t start = at_;
    TRY_VOID(skip_past("?>"));
    const std::string declaration = lower(text_.substr(start, at_ - start));
    const std::size_t encoding = declaration.find("encoding");
    if (encoding != declaration.npos && declaration.find("utf-8", encoding) == declaration.npos &&
        declaration.find("us-ascii", encoding) == declaration.npos) {
      return malformed("only UTF-8 is accepted");
    }
  }
  if (!is_utf8(text_)) return malformed("text is not UTF-8");
  for (const char c : text_) {
    if (static_cast<unsigned char>(c) < 0x20 && !is_space(c)) return malformed("control character");
  }
  for (const std::string_view noncharacter : {"\xEF\xBF\xBE", "\xEF\xBF\xBF"}) {
    if (text_.find(noncharacter) != text_.npos) return malformed("a character that XML does not have");
  }
  while (at_ < text_.size()) {
    const char c = text_[at_];
    if (c == '<') {
      TRY_VOID(markup());
    } else if (depth_ == 0 && !is_space(c)) {
      return malformed("text outside the root element");
    } else if (c == '&') {
      TRY_VOID(reference());
    } else {
      ++at_;
    }
  }
  if (depth_ != 0) return malformed("unexpected end");
  return had_root_ ? Status() : Status(malformed("no element"));
}

// pugixml keeps both of two equal attributes; XML 1.0 forbids them (3.1).
Status check_attributes(const pugi::xml_node& root) {
  for (pugi::xml_node node = root; node;) {
    for (auto a = node.first_attribute(); a; a = a.next_attribute()) {
      std::size_t earlier = 0;
      for (auto b = node.first_attribute(); b != a; b = b.next_attribute()) {
        if (std::strcmp(a.name(), b.name()) == 0) return malformed("an attribute is given twice");
        if (++earlier > 64) return malformed("too many attributes");
      }
    }
    if (node.first_child()) {
      node = node.first_child();
      continue;
    }
    while (node && node != root && !node.next_sibling()) node = node.parent();
    if (!node || node == root) break;
    node = node.next_sibling();
  }
  return {};
}

}  // namespace

Result<XmlDocument> parse_xml(std::string_view text, const XmlLimits& limits) {
  TRY_VOID(Scan(text, limits).run());
  XmlDocument document;
  const auto parsed = document.document_->load_buffer(
      text.data(), text.size(), pugi::parse_default | pugi::parse_ws_pcdata_single, pugi::encoding_utf8);
  if (!parsed) return malformed(parsed.description());
  TRY_VOID(check_attributes(document.root()));
  return document;
}

std::string_view local_name(const pugi::xml_node& node) {
  const std::string_view name = node.name();
  const std::size_t colon = name.find(':');
  return colon == name.npos ? name : name.substr(colon + 1);
}

std::string xml_text(const pugi::xml_node& node) {
  std::string text;
  for (const pugi::xml_node& child : node.children()) {
    if (child.type() == pugi::node_pcdata || child.type() == pugi::node_cdata) text += child.value();
  }
  return text;
}

XmlWriter::XmlWriter(bool declaration) {
  if (declaration) out_ = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";
}

void XmlWriter::end_start_tag() {
  if (start_tag_open_) out_ += '>';
  start_tag_open_ = false;
}

void XmlWriter::open(std::string_view name, std::string_view xml_namespace) {
  end_start_tag();
  out_ += '<';
  out_ += name;
  names_.emplace_back(name);
  start_tag_open_ = true;
  if (!xml_namespace.empty()) attribute("xmlns", xml_namespace);
}

namespace {
// XML 1.0 characters as they are; markup, line ends and the rest as references, so that a reader gets the same text
// back. What XML cannot carry at all (most control characters, bad UTF-8) becomes U+FFFD.
void append_escaped(std::string& out, std::string_view text) {
  const bool well_formed = is_utf8(text);
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    switch (c) {
      case '&':
        out += "&amp;";
        continue;
      case '<':
        out += "&lt;";
        continue;
      case '>':
        out += "&gt;";
        continue;
      case '"':
        out += "&quot;";
        continue;
      case '\r':
        out += "&#13;";
        continue;
      case '\n':
        out += "&#10;";
        continue;
      case '\t':
        out += "&#9;";
        continue;
      default:
        break;
    }
    const std::string_view rest = text.substr(i, 3);
    const bool noncharacter = rest == "\xEF\xBF\xBE" || rest == "\xEF\xBF\xBF";
    if (c < 0x20 || noncharacter || (c >= 0x80 && !well_formed)) {
      out += "\xEF\xBF\xBD";
      if (noncharacter) i += 2;
    } else {
      out += static_cast<char>(c);
    }
  }
}
}  // namespace

void XmlWriter::attribute(std::string_view name, std::string_view value) {
  out_ += ' ';
  out_ += name;
  out_ += "=\"";
  append_escaped(out_, value);
  out_ += '"';
}

void XmlWriter::text(std::string_view value) {
  end_start_tag();
  append_escaped(out_, value);
}

void XmlWriter::element(std::string_view name, std::string_view value) {
  open(name);
  text(value);
  close();
}

void XmlWriter::close() {
  if (start_tag_open_) {
    out_ += "/>";
    start_tag_open_ = false;
  } else {
    out_ += "</";
    out_ += names_.back();
    out_ += '>';
  }
  names_.pop_back();
}

std::string XmlWriter::take() && {
  return std::move(out_);
}

}  // namespace muster::api
