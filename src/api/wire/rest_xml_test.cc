// SPDX-License-Identifier: Apache-2.0
#include "api/wire/rest_xml.h"

#include <gmock/gmock.h>

#include "api/wire/test_request.h"
#include "base/crypto.h"
#include "base/text.h"

namespace muster::api {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

const std::string kDelete =  // botocore's
    "<Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Object><Key> a&amp;b </Key></Object><Object><Key>c&lt;d"
    "&gt;</Key></Object><Quiet>true</Quiet></Delete>";

TEST(RestXml, FlattenedListsAreRead) {
  EXPECT_EQ((TestRequest{"s3", "DeleteObjects", {{"Bucket", "b"}}, "delete", kDelete}.text()),
            R"({"Bucket":"b","Delete":{"Objects":[{"Key":" a&b "},{"Key":"c<d>"}],"Quiet":true}})");
}

TEST(RestXml, PayloadMayBeAbsent) {
  EXPECT_EQ((TestRequest{"s3", "CreateBucket", {{"Bucket", "b"}}}.text()), R"({"Bucket":"b"})");
  EXPECT_EQ((TestRequest{"s3",
                         "CreateBucket",
                         {{"Bucket", "b"}},
                         "",
                         "<CreateBucketConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
                         "<LocationConstraint>eu-west-1</LocationConstraint></CreateBucketConfiguration>"}
                 .text()),
            R"({"Bucket":"b","CreateBucketConfiguration":{"LocationConstraint":"eu-west-1"}})");
}

TEST(RestXml, BodiesThatDoNotFitAreMalformed) {
  for (const char* body : {"<Delete>", "<Deleted/>", "<Delete>x</Delete>", "<Delete/>",
                           "<Delete><Object><Key>a</Key><Key>b</Key></Object></Delete>", "<Delete><Object/></Delete>",
                           "<Delete><Object><Key><b/></Key></Object></Delete>",
                           "<Delete><Quiet>maybe</Quiet><Object><Key>a</Key></Object></Delete>"}) {
    EXPECT_THAT((TestRequest{"s3", "DeleteObjects", {{"Bucket", "b"}}, "delete", body}.text()),
                StartsWith("invalid MalformedXML"))
        << body;
  }
}

TEST(RestXml, MetadataAndConditionsComeFromHeaders) {
  EXPECT_EQ((TestRequest{"s3",
                         "PutObject",
                         {{"Bucket", "b"}, {"Key", "k/1"}},
                         "x-id=PutObject",
                         "",
                         {{"x-amz-meta-Colour", "red"},
                          {"X-Amz-Meta-colour", "blue"},
                          {"Content-Type", "text/plain"},
                          {"x-amz-date", "20260101T000000Z"}}}
                 .text()),
            R"({"Bucket":"b","ContentType":"text/plain","Key":"k/1","Metadata":{"colour":"red,blue"}})");
  EXPECT_EQ(
      (TestRequest{"s3",
                   "GetObject",
                   {{"Bucket", "b"}, {"Key", "k"}},
                   "response-content-type=a%2Fb",
                   "",
                   {{"If-Modified-Since", "Fri, 02 Jan 2026 03:04:05 GMT"}, {"Range", "bytes=0-3"}}}
           .text()),
      R"({"Bucket":"b","IfModifiedSince":1767323045000,"Key":"k","Range":"bytes=0-3","ResponseContentType":"a/b"})");
  EXPECT_EQ(
      (TestRequest{"s3", "GetObject", {{"Bucket", "b"}, {"Key", "k"}}, "", "", {{"If-Modified-Since", "soon"}}}.text()),
      R"({"Bucket":"b","Key":"k"})");
}

TEST(RestXml, PresignedUrlsMayHoistHeadersIntoTheQuery) {
  const std::string query =
      "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=a&X-Amz-Date=b&X-Amz-Expires=900&X-Amz-Signature=c&"
      "X-Amz-SignedHeaders=host&x-id=PutObject&x-amz-meta-colour=red&x-amz-checksum-crc32=AAAAAA%3D%3D";
  EXPECT_EQ((TestRequest{"s3", "PutObject", {{"Bucket", "b"}, {"Key", "k"}}, query}.text()),
            R"({"Bucket":"b","ChecksumCRC32":"AAAAAA==","Key":"k","Metadata":{"colour":"red"}})");
  EXPECT_THAT((TestRequest{"s3", "PutObject", {{"Bucket", "b"}, {"Key", "k"}}, query + "&x-amz-tagging=a%3Db"}.text()),
              StartsWith("not_supported NotImplemented"));
}

TEST(RestXml, WhatIsNotServedIsRefusedByName) {
  EXPECT_THAT(
      (TestRequest{"s3", "PutObject", {{"Bucket", "b"}, {"Key", "k"}}, "", "", {{"x-amz-tagging", "a=b"}}}.text()),
      HasSubstr("not_supported NotImplemented: 'Tagging'"));
  EXPECT_THAT((TestRequest{"s3", "PutObject", {{"Bucket", "b"}, {"Key", "k"}}, "", "", {{"x-amz-colour", "a"}}}.text()),
              HasSubstr("'x-amz-colour'"));
  EXPECT_THAT((TestRequest{"s3", "ListObjectsV2", {{"Bucket", "b"}}, "list-type=2&colour=red"}.text()),
              HasSubstr("'colour'"));
  EXPECT_THAT(
      (TestRequest{
          "s3", "DeleteObjects", {{"Bucket", "b"}}, "delete", "<Delete><Object><Key>a</Key><Colour/></Object></Delete>"}
           .text()),
      HasSubstr("'Colour'"));
  EXPECT_THAT((TestRequest{"s3", "DeleteObject", {{"Bucket", "b"}, {"Key", "k"}}, "versionId=1"}.text()),
              HasSubstr("'VersionId'"));
}

TEST(RestXml, DigestsOfTheBodyAreChecked) {
  const auto with = [](std::string name, std::string value) {
    return TestRequest{"s3",     "DeleteObjects", {{"Bucket", "b"}},
                       "delete", kDelete,         {{std::move(name), std::move(value)}}}
        .text();
  };
  EXPECT_THAT(with("Content-MD5", to_base64(md5(kDelete))), StartsWith("{"));
  EXPECT_THAT(with("Content-MD5", to_base64(md5("other"))), StartsWith("invalid BadDigest"));
  EXPECT_THAT(with("Content-MD5", "!"), StartsWith("invalid InvalidDigest"));
  EXPECT_THAT(with("x-amz-checksum-sha256", to_base64(sha256(kDelete))), StartsWith("{"));
  EXPECT_THAT(with("x-amz-checksum-sha256", to_base64(sha256("x"))), StartsWith("invalid BadDigest"));
  EXPECT_THAT(with("x-amz-checksum-crc32", "AAAAAA=="), StartsWith("invalid BadDigest"));
  EXPECT_THAT(with("x-amz-checksum-crc64nvme", "AAAAAAAAAAA="), StartsWith("invalid BadDigest"));
  EXPECT_THAT(with("x-amz-checksum-md4", "AAAAAAAAAAA="), StartsWith("not_supported NotImplemented"));
}

TEST(RestXml, ListingsHaveTheNamesThatClientsExpect) {
  const auto out = answer("s3", "ListObjectsV2",
                          R"({"Name":"b","Prefix":"","KeyCount":1,"MaxKeys":1000,"IsTruncated":false,
          "Contents":[{"Key":"a&b","LastModified":1767323045678,"ETag":"\"e\"","Size":3,"StorageClass":"STANDARD"}],
          "CommonPrefixes":[{"Prefix":"x/"},{"Prefix":"y/"}]})");
  ASSERT_TRUE(out) << out.error().message;
  EXPECT_EQ(
      out->body,
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
      "<IsTruncated>false</IsTruncated><Contents><Key>a&amp;b</Key><LastModified>2026-01-02T03:04:05.678Z"
      "</LastModified><ETag>&quot;e&quot;</ETag><Size>3</Size><StorageClass>STANDARD</StorageClass></Contents>"
      "<Name>b</Name><Prefix></Prefix><MaxKeys>1000</MaxKeys><CommonPrefixes><Prefix>x/</Prefix></CommonPrefixes>"
      "<CommonPrefixes><Prefix>y/</Prefix></CommonPrefixes><KeyCount>1</KeyCount></ListBucketResult>");
  EXPECT_EQ(out->headers.get("Content-Type"), "application/xml");
}

TEST(RestXml, TheLocationIsTheRootItself) {
  const std::string head =
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<LocationConstraint "
      "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"";
  EXPECT_EQ(answer("s3", "GetBucketLocation", R"({"LocationConstraint":"eu-west-1"})")->body,
            head + ">eu-west-1</LocationConstraint>");
  EXPECT_EQ(answer("s3", "GetBucketLocation", "{}")->body, head + "/>");
}

TEST(RestXml, ObjectAnswersAreHeaders) {
  const auto out =
      answer("s3", "GetObject",
             R"({"ContentLength":12,"LastModified":1767323045678,"ContentType":"a/b","Metadata":{"colour":"red"},)"
             R"("ETag":"\"e\""})",
             true);
  ASSERT_TRUE(out) << out.error().message;
  EXPECT_EQ(out->content_length, 12);
  EXPECT_FALSE(out->headers.has("Content-Length"));
  EXPECT_EQ(out->headers.get("Last-Modified"), "Fri, 02 Jan 2026 03:04:05 GMT");
  EXPECT_EQ(out->headers.get("Content-Type"), "a/b");
  EXPECT_EQ(out->headers.get("x-amz-meta-colour"), "red");
  EXPECT_EQ(out->body, "");
}

TEST(RestXml, AHeaderCannotBeEndedByItsValue) {
  const auto out = answer("s3", "GetObject", R"({"ContentType":"a\r\nSet-Cookie: x=y"})", true);
  ASSERT_FALSE(out);
  EXPECT_EQ(out.error().reason, "InvalidArgument");
}

}  // namespace
}  // namespace muster::api
