// SPDX-License-Identifier: Apache-2.0
#include "domain/jobs/documents.h"

#include "domain/jobs/fleet_fixture.h"

namespace muster::jobs {
namespace {

class JobDocument : public testing::Test {
 protected:
  Result<Document> compile(std::string_view text) { return compile_document(fleet.context, text); }
  std::string refusal(std::string_view text) {
    const auto compiled = compile(text);
    if (compiled) return "accepted";
    EXPECT_EQ(compiled.error().kind, ErrorKind::kInvalid);
    return compiled.error().message;
  }
  // As a device gets it.
  std::string delivered(const std::string& text) {
    fleet.add_thing("t");
    NewJob job = fleet.job_on("j", {fleet.thing_arn("t")});
    job.document = text;
    job.presign = PresignConfig{std::string(Fleet::kRole), 300};
    const auto made = fleet.create(job);
    if (!made) return made.error().message;
    const auto execution = fleet.start("t");
    return execution ? *(*execution)->document : execution.error().message;
  }
  Fleet fleet;
};

TEST_F(JobDocument, without_placeholders_is_delivered_as_written) {
  const std::string text = "{ \"a\" : [1.50, \"x\\u00e9\\n\", null],\n \"b\":{} }";
  EXPECT_EQ(delivered(text), text);
}

TEST_F(JobDocument, placeholders_are_signed_inside_their_strings) {
  const auto text = delivered(R"({"u":"get ${aws:iot:s3-presigned-url:https://s3/b/k1} or )"
                              R"(${aws:iot:s3-presigned-url-v2:https%3A%2F%2Fs3%2Fb%2Fk%202}!"})");
  const auto parsed = parse_json(text);
  ASSERT_TRUE(parsed) << text;
  const std::string value(get_string(parsed->as_object(), "u"));
  EXPECT_TRUE(value.starts_with("get https://s3/b/k1?signed=")) << value;
  EXPECT_NE(value.find("&expires=300 or https://s3/b/k 2?signed="), std::string::npos) << value;
  EXPECT_TRUE(value.ends_with("&expires=300!")) << value;
}

TEST_F(JobDocument, every_delivery_signs_anew_and_the_stored_text_keeps_the_placeholder) {
  const std::string text = R"({"u":"${aws:iot:s3-presigned-url:https://s3/b/k}"})";
  const auto first = delivered(text);
  const auto again = fleet.start("t");
  ASSERT_TRUE(again);
  EXPECT_NE(first, *(*again)->document);
  const auto stored = fleet.run([&](store::Tx& tx) { return get_job_document(fleet.context, tx, "j"); });
  EXPECT_EQ(*stored, text);
}

TEST_F(JobDocument, placeholder_written_with_escapes_is_still_one) {
  const auto text = delivered(R"({"u":"\u0024{aws:iot:s3-presigned-url:https:\/\/s3\/b\/k\"q}"})");
  const auto parsed = parse_json(text);
  ASSERT_TRUE(parsed) << text;
  EXPECT_TRUE(get_string(parsed->as_object(), "u").starts_with("https://s3/b/k\"q?signed="));
}

TEST_F(JobDocument, other_dollar_text_passes_untouched) {
  const std::string text = R"({"a":"${HOME} ${aws:other} $","b":"\\${aws:}"})";
  EXPECT_EQ(delivered(text), text);
}

TEST_F(JobDocument, bad_documents_are_refused) {
  EXPECT_NE(refusal(""), "accepted");
  EXPECT_NE(refusal("{"), "accepted");
  EXPECT_NE(refusal("[1]"), "accepted");
  EXPECT_NE(refusal("\"text\""), "accepted");
  EXPECT_NE(refusal("{\"a\":\"\xff\"}"), "accepted");
  EXPECT_NE(refusal(R"({"a":1} x)"), "accepted");
  EXPECT_NE(refusal("{\"a\":\"" + std::string(32768, 'x') + "\"}"), "accepted");
  EXPECT_EQ(refusal("{\"a\":\"" + std::string(32768 - 8, 'x') + "\"}"), "accepted");
  EXPECT_NE(refusal(std::string(2000, '[') + std::string(2000, ']')), "accepted");
}

TEST_F(JobDocument, bad_placeholders_are_refused_by_name) {
  const auto with = [&](const std::string& placeholder) { return refusal("{\"u\":\"" + placeholder + "\"}"); };
  EXPECT_NE(with("${aws:iot:s3-presigned-url:https://s3/b/k").find("not terminated"), std::string::npos);
  EXPECT_NE(with("${aws:iot:s3-presigned-url:}").find("no URL"), std::string::npos);
  EXPECT_NE(with("${aws:iot:s3-presigned-url}").find("no URL"), std::string::npos);
  EXPECT_NE(with("${aws:iot:s3-presigned-url:${aws:iot:s3-presigned-url:https://s3/b/k}}").find("nested"),
            std::string::npos);
  EXPECT_NE(with("${aws:iot:s3-presigned-url:ftp://x/y}").find("not an S3 object URL"), std::string::npos);
  EXPECT_NE(with("${aws:iot:s3-presigned-url-v2:https%3A%2}").find("URL-encoded"), std::string::npos);
  EXPECT_NE(with("${aws:iot:s3-presigned-url-upload:https://s3/b/k}").find("not supported by Muster"),
            std::string::npos);
  EXPECT_NE(with("${aws:iot:parameter:p}").find("not supported by Muster"), std::string::npos);
  EXPECT_NE(with("${aws:iot:what:p}").find("unknown placeholder ${aws:iot:what}"), std::string::npos);
}

TEST_F(JobDocument, eleventh_placeholder_is_refused) {
  std::string text = "{\"u\":\"";
  for (int i = 0; i < 10; ++i) text += "${aws:iot:s3-presigned-url:https://s3/b/k}";
  EXPECT_EQ(refusal(text + "\"}"), "accepted");
  EXPECT_NE(refusal(text + "${aws:iot:s3-presigned-url:https://s3/b/k}\"}"), "accepted");
}

}  // namespace
}  // namespace muster::jobs
