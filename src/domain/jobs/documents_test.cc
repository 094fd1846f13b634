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
  const auto stored = fleet.run([&](store::Tx& tx) { return document_text(tx, "j"); });
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
  const std::pair<std::string, std::string> cases[] = {
      {"${aws:iot:s3-presigned-url:https://s3/b/k", "not terminated"},
      {"${aws:iot:", "not terminated"},
      {"${aws:iot:s3-presigned-url:https://s3/b/${x}", "not terminated"},
      {"${aws:iot:s3-presigned-url:}", "no URL"},
      {"${aws:iot:s3-presigned-url}", "no URL"},
      {"${aws:iot:s3-presigned-url-upload:}", "no URL"},
      {"${aws:iot:s3-presigned-url:${aws:iot:s3-presigned-url:https://s3/b/k}}", "nested"},
      {"${aws:iot:s3-presigned-url-upload:https://s3/b/${aws:iot:parameter:p}}", "nested"},
      {"${aws:iot:s3-presigned-url:ftp://x/y}", "not an S3 object URL"},
      {"${aws:iot:s3-presigned-url:https://s3/b/${thingName}}",
       "local placeholder, ${thingName}, is only valid inside of presign url upload"},
      {"${aws:iot:s3-presigned-url-v2:https%3A%2F%2Fs3%2Fb%2F${jobId}}", "local placeholder, ${jobId}"},
      {"${aws:iot:s3-presigned-url-v2:https%3A%2}", "URL-encoded"},
      {"${aws:iot:parameter:p}", "${aws:iot:parameter:...} is of managed job templates only"},
      {"${aws:iot:package:p:version:1:attributes:a}", "the Software Package Catalog is not served"},
      {"${aws:iot:package::version::attributes}", "the Software Package Catalog is not served"},
      {"${aws:iot:package:p:version:1:artifact-location:s3-presigned-url}", "Software Package Catalog"},
      {"${aws:iot:what:p}", "unknown placeholder ${aws:iot:what}"},
      {"${aws:iot:}", "unknown placeholder ${aws:iot:}"},
      {"${aws:iot:S3-presigned-url:https://s3/b/k}", "unknown placeholder"},
      {"${aws:iot:s3-presigned-url-v1:https://s3/b/k}", "unknown placeholder"},
  };
  for (const auto& [placeholder, reason] : cases) {
    EXPECT_NE(with(placeholder).find(reason), std::string::npos) << placeholder << ": " << with(placeholder);
    EXPECT_NE(with("text " + placeholder + " text"), "accepted") << placeholder;
  }
}

// ---- uploads

class UploadPlaceholder : public JobDocument {
 protected:
  void SetUp() override {
    fleet.context.parse_url = [](std::string_view url, bool encoded) {
      EXPECT_FALSE(encoded);
      return parse(url);
    };
    fleet.context.sign_url = [](store::Tx&, const PresignRequest& request) -> Result<std::string> {
      return request.method + " " + request.object.bucket + "/" + request.object.key;
    };
  }
  // Path style on one host, and a bucket's own host; as strict about names as the object store.
  static Result<ObjectAddress> parse(std::string_view url) {
    ObjectAddress address;
    std::string_view path;
    const bool own_host = url.starts_with("https://bucket.s3/") || url.starts_with("https://${thingName}.s3/");
    if (own_host) {
      address.bucket = url.substr(8, url.find(".s3/") - 8);
      path = url.substr(url.find(".s3/") + 4);
    } else if (url.starts_with("https://s3/")) {
      address.bucket = url.substr(11, url.find('/', 11) - 11);
      path = url.substr(std::min(url.size(), 11 + address.bucket.size() + 1));
    }
    if (const auto version = path.rfind("?versionId="); version != std::string_view::npos) {
      address.version = path.substr(version + 11);
      path = path.substr(0, version);
    }
    address.key = path;
    if (address.bucket.size() < 3 || address.bucket.find_first_of("${}") != std::string::npos || path.empty()) {
      return invalid("not an S3 object URL");
    }
    return address;
  }
  std::string with(const std::string& url) {
    return refusal("{\"u\":\"${aws:iot:s3-presigned-url-upload:" + url + "}\"}");
  }
  std::string upload(const std::string& url) {
    const std::string text = delivered("{\"u\":\"${aws:iot:s3-presigned-url-upload:" + url + "}\"}");
    const auto parsed = parse_json(text);
    return parsed ? std::string(get_string(parsed->as_object(), "u")) : text;
  }
};

TEST_F(UploadPlaceholder, is_signed_for_put_with_the_execution_in_its_key) {
  EXPECT_EQ(upload("https://s3/bucket/logs/${thingName}/${jobId}-${executionNumber}.txt"), "PUT bucket/logs/t/j-1.txt");
}

TEST_F(UploadPlaceholder, without_local_placeholders_is_one_object_for_all) {
  EXPECT_EQ(upload("https://bucket.s3/log"), "PUT bucket/log");
}

TEST_F(UploadPlaceholder, takes_each_local_placeholder_twice) {
  EXPECT_EQ(upload("https://s3/bucket/${jobId}${jobId}${thingName}/${thingName}${executionNumber}${executionNumber}"),
            "PUT bucket/jjt/t11");
  EXPECT_NE(with("https://s3/bucket/${jobId}${jobId}${jobId}")
                .find("the occurrence of local placeholder ${jobId} within S3 presigned url upload placeholder exceeds "
                      "limit of 2"),
            std::string::npos);
  EXPECT_NE(with("https://s3/bucket/${thingName}${thingName}${thingName}"), "accepted");
}

TEST_F(UploadPlaceholder, of_a_bucket_alone_gets_a_key_of_its_own) {
  EXPECT_EQ(upload("https://s3/bucket"), "PUT bucket/j/t/1");
}

TEST_F(UploadPlaceholder, of_a_bucket_with_slash_gets_a_key_of_its_own) {
  EXPECT_EQ(upload("https://bucket.s3/"), "PUT bucket/j/t/1");
}

TEST_F(UploadPlaceholder, names_a_bucket) {
  EXPECT_NE(with("https://s3/").find("not an S3 object URL"), std::string::npos);
  EXPECT_NE(with("https://s3").find("not an S3 object URL"), std::string::npos);
  EXPECT_NE(with("bucket").find("not an S3 object URL"), std::string::npos);
}

TEST_F(UploadPlaceholder, has_local_placeholders_in_its_key_only) {
  const std::string_view reason = "S3 bucket name in presigned url upload is not allowed to contain any placeholders";
  EXPECT_NE(with("https://s3/${thingName}/k").find(reason), std::string::npos);
  EXPECT_NE(with("https://s3/my-${jobId}/k").find(reason), std::string::npos);
  EXPECT_NE(with("https://${thingName}.s3/k"), "accepted");
}

TEST_F(UploadPlaceholder, refuses_what_it_does_not_know) {
  EXPECT_NE(with("https://s3/bucket/${thingname}").find("undefined placeholder, ${thingname}"), std::string::npos);
  EXPECT_NE(with("https://s3/bucket/${}").find("undefined placeholder, ${}"), std::string::npos);
  EXPECT_NE(with("https://s3/bucket/${${jobId}}"), "accepted");
  EXPECT_NE(with("https://s3/bucket/${jobId").find("not terminated"), std::string::npos);
  EXPECT_NE(with("https://s3/bucket/k?versionId=1").find("cannot name a version"), std::string::npos);
}

TEST_F(UploadPlaceholder, key_fits_whatever_the_names_are) {
  const std::string two_things = "${thingName}${thingName}";  // may become 256 bytes
  EXPECT_EQ(with("https://s3/bucket/" + std::string(1024 - 256, 'k') + two_things), "accepted");
  EXPECT_NE(with("https://s3/bucket/" + std::string(1025 - 256, 'k') + two_things).find("longer than 1024 bytes"),
            std::string::npos);
}

TEST_F(UploadPlaceholder, may_stand_among_others_and_text) {
  const std::string text = R"({"u":"a ${aws:iot:s3-presigned-url-upload:https://s3/bucket/${jobId}} b )"
                           R"(${aws:iot:s3-presigned-url:https://s3/bucket/k} ${jobId} c"})";
  EXPECT_EQ(delivered(text), R"({"u":"a PUT bucket/j b GET bucket/k ${jobId} c"})");
}

TEST_F(JobDocument, local_placeholder_outside_of_an_upload_is_the_authors_text) {
  const std::string text = R"({"a":"${thingName} ${jobId}"})";
  EXPECT_EQ(delivered(text), text);
}

TEST_F(JobDocument, eleventh_placeholder_is_refused) {
  std::string text = "{\"u\":\"";
  for (int i = 0; i < 10; ++i) text += "${aws:iot:s3-presigned-url:https://s3/b/k}";
  EXPECT_EQ(refusal(text + "\"}"), "accepted");
  EXPECT_NE(refusal(text + "${aws:iot:s3-presigned-url:https://s3/b/k}\"}"), "accepted");
}

}  // namespace
}  // namespace muster::jobs
