// SPDX-License-Identifier: Apache-2.0
#include "api/wire/xml.h"

#include <gtest/gtest.h>

namespace muster::api {
namespace {

bool accepted(std::string_view text, const XmlLimits& limits = {}) {
  return parse_xml(text, limits).has_value();
}

TEST(Xml, ReadsWhatClientsSend) {
  const auto document = parse_xml(
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<a xmlns=\"urn:x\"><!-- c -->"
      "<n:b>1 &lt;&#x41;&#233;<![CDATA[<raw>&]]></n:b>\n</a>\n");
  ASSERT_TRUE(document) << document.error().message;
  EXPECT_EQ(local_name(document->root()), "a");
  EXPECT_EQ(local_name(document->root().first_child()), "b");
  EXPECT_EQ(xml_text(document->root().first_child()), "1 <Aé<raw>&");
}

TEST(Xml, RefusesDocumentTypesEntitiesAndInstructions) {
  EXPECT_FALSE(accepted("<!DOCTYPE a [<!ENTITY x \"y\">]><a>&x;</a>"));
  EXPECT_FALSE(accepted("<!DOCTYPE a SYSTEM \"file:///etc/passwd\"><a/>"));
  EXPECT_FALSE(accepted("<a>&x;</a>"));
  EXPECT_FALSE(accepted("<a>&</a>"));
  EXPECT_FALSE(accepted("<a b=\"&x;\"/>"));
  EXPECT_FALSE(accepted("<?xml-stylesheet href=\"x\"?><a/>"));
  EXPECT_FALSE(accepted("<a><?php x ?></a>"));
  EXPECT_FALSE(accepted("<?xml version=\"1.0\" encoding=\"UTF-16\"?><a/>"));
}

TEST(Xml, RefusesBrokenText) {
  for (const char* text : {"",
                           " ",
                           "x",
                           "<",
                           "<a",
                           "<a>",
                           "</a>",
                           "<a></b>",
                           "<a/><b/>",
                           "<a/>x",
                           "x<a/>",
                           "<a><b></a></b>",
                           "<a b=1/>",
                           "<a b='1' b='2'/>",
                           "<a b=\"<\"/>",
                           "< a/>",
                           "<a>\x01</a>",
                           "<a>\xC3</a>",
                           "<a>&#0;</a>",
                           "<a>&#xD800;</a>",
                           "<a>&#x110000;</a>",
                           "<a>&#99999999999;</a>",
                           "<a><!-- x</a>",
                           "<a><![CDATA[x</a>",
                           "<a/><![CDATA[x]]>"}) {
    EXPECT_FALSE(accepted(text)) << text;
  }
}

TEST(Xml, BoundsDepthNodesAndSize) {
  std::string deep, wide = "<r>";
  for (int i = 0; i < 33; ++i) deep += "<a>";
  EXPECT_FALSE(accepted(deep));
  for (int i = 0; i < 300'000; ++i) deep += "<a>";
  EXPECT_FALSE(accepted(deep));
  for (int i = 0; i < 60'000; ++i) wide += "<a/>";
  EXPECT_FALSE(accepted(wide + "</r>"));
  EXPECT_TRUE(accepted("<a><b><c/></b></a>", {.max_depth = 2}));
  EXPECT_FALSE(accepted("<a><b><c></c></b></a>", {.max_depth = 2}));
  EXPECT_EQ(parse_xml(std::string(3 << 20, ' ')).error().kind, ErrorKind::kTooLarge);
}

TEST(Xml, WriterEscapesSoThatReadersGetTheSameText) {
  const std::string text = "a&b<c>\"d'\r\n\te é😀";
  XmlWriter writer;
  writer.open("r", "urn:x");
  writer.attribute("q", text);
  writer.element("t", text);
  writer.open("e");
  writer.close();
  writer.close();
  const std::string out = std::move(writer).take();
  const auto document = parse_xml(out);
  ASSERT_TRUE(document) << out;
  EXPECT_EQ(document->root().attribute("q").value(), text);
  EXPECT_EQ(xml_text(document->root().child("t")), text);
  EXPECT_TRUE(out.ends_with("<e/></r>"));
}

TEST(Xml, WriterReplacesWhatXmlCannotCarry) {
  XmlWriter writer(false);
  writer.element("a", std::string_view("\x00\x1F\xEF\xBF\xBF", 5));
  EXPECT_EQ(std::move(writer).take(), "<a>\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD</a>");
}

}  // namespace
}  // namespace muster::api
