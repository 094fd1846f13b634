// SPDX-License-Identifier: Apache-2.0
#include "api/services/s3/s3.h"

#include <gtest/gtest.h>

#include "api/services/s3/checksums.h"
#include "api/services/s3/s3_shapes.h"
#include "base/text.h"
#include "domain/objects/objects_test_support.h"
#include "io/loop_test_support.h"

namespace muster::api {
namespace {

// A request body in the given pieces, which may end in an error.
struct PiecesBody final : io::HttpBody {
  std::vector<std::string> pieces;
  std::optional<Error> failure;
  std::int64_t length = 0;
  std::size_t at = 0;

  explicit PiecesBody(std::vector<std::string> list) : pieces(std::move(list)) {
    for (const std::string& piece : pieces) length += static_cast<std::int64_t>(piece.size());
  }
  io::Task<std::string_view> read() override {
    if (at < pieces.size()) co_return std::string_view(pieces[at++]);
    if (failure) co_return *failure;
    co_return std::string_view();
  }
  std::int64_t content_length() const override { return length; }
};

boost::asio::awaitable<std::string> drain(io::HttpSource& source) {
  std::string all;
  for (;;) {
    Result<std::string> piece = co_await source.read();
    if (!piece) co_return "<<" + piece.error().message + ">>";
    if (piece->empty()) co_return all;
    all += *piece;
  }
}

struct S3Test : objects::ObjectsFixture {
  S3Test() {
    realm.region = "us-east-1";
    register_s3(operations,
                {.store = *store, .blobs = *blobs, .pool = pool, .realm = realm, .max_object_bytes = 2'000'000});
    caller.kind = iam::PrincipalKind::kRoot;
    caller.account_id = realm.account_id;
    caller.arn = "arn:aws:iam::123456789012:root";
    EXPECT_TRUE(make_bucket());
  }

  Status make_bucket() {
    Result<Reply> reply = call("CreateBucket", {{"Bucket", "bucket"}});
    if (!reply) return reply.error();
    return {};
  }
  Result<Reply> call(std::string_view operation, json::object input, io::HttpBody* body = nullptr) {
    Call request;
    request.caller = caller;
    request.now_ms = clock.now_ms();
    request.input = std::move(input);
    request.body = body;
    request.request = &http;
    const Handler* handler = operations.find("s3", operation);
    if (handler == nullptr) return internal("no such operation");
    return test.run((*handler)(request));
  }
  Result<Reply> put(std::string key, std::vector<std::string> pieces, json::object more = {}) {
    PiecesBody body(std::move(pieces));
    more["Bucket"] = "bucket";
    more["Key"] = key;
    return call("PutObject", std::move(more), &body);
  }
  Result<Reply> get(std::string key, json::object more = {}) {
    more["Bucket"] = "bucket";
    more["Key"] = key;
    return call("GetObject", std::move(more));
  }
  std::string content(Result<Reply> reply) {
    if (!reply) return "!" + reply.error().reason;
    if (!reply->source) return reply->payload;
    std::string all = test.run(drain(*reply->source));
    EXPECT_EQ(static_cast<std::int64_t>(all.size()), reply->source_length);
    return all;
  }
  std::string reason(const Result<Reply>& reply) { return reply ? "ok" : reply.error().reason; }

  io::TestLoop test;
  io::BlockingPool pool{2};
  Operations operations;
  iam::Principal caller;
  io::HttpRequest http;
};

TEST_F(S3Test, BytesComeBackWithTheirDescription) {
  const auto stored = put("dir/key", {"hello ", "world"},
                          {{"ContentType", "text/plain"},
                           {"ContentEncoding", "aws-chunked,gzip"},
                           {"Expires", 1'700'000'000'000},
                           {"Metadata", json::object{{"Owner", "me"}}}});
  ASSERT_TRUE(stored) << stored.error().message;
  EXPECT_EQ(get_string(stored->output, "ETag"), "\"5eb63bbbe01eeed093cb22bb8f5acdc3\"");
  const auto found = get("dir/key");
  ASSERT_TRUE(found);
  EXPECT_EQ(found->payload, "hello world");
  EXPECT_EQ(get_int(found->output, "ContentLength"), 11);
  EXPECT_EQ(get_string(found->output, "ContentType"), "text/plain");
  EXPECT_EQ(get_string(found->output, "ContentEncoding"), "gzip");
  EXPECT_EQ(get_int(found->output, "Expires"), 1'700'000'000'000);
  EXPECT_EQ(get_string(*find_object(found->output, "Metadata"), "owner"), "me");
  EXPECT_TRUE(files(true).empty());
}

TEST_F(S3Test, LargeObjectIsStreamedAndRangesCutIt) {
  std::vector<std::string> pieces;
  std::string whole;
  for (int i = 0; i < 60; ++i) {
    pieces.push_back(std::string(17'001, static_cast<char>('a' + i % 26)));
    whole += pieces.back();
  }
  const auto stored = put("large", pieces);
  ASSERT_TRUE(stored);
  EXPECT_EQ(get_string(stored->output, "ETag"), '"' + to_hex(md5(whole)) + '"');
  EXPECT_EQ(content(get("large")), whole);
  EXPECT_EQ(content(get("large", {{"Range", "bytes=17000-17002"}})), "abb");
  EXPECT_EQ(content(get("large", {{"Range", "bytes=10-700009"}})), whole.substr(10, 700'000));
  const auto tail = get("large", {{"Range", "bytes=-5"}});
  EXPECT_EQ(tail->payload, whole.substr(whole.size() - 5));
  EXPECT_EQ(tail->status, 206);
  EXPECT_EQ(tail->headers.get("content-range"), "bytes 1020055-1020059/1020060");
  EXPECT_EQ(reason(get("large", {{"Range", "bytes=1020060-"}})), "InvalidRange");
  EXPECT_FALSE(get("large", {{"Range", "bytes=0-1,3-4"}})->status);
}

TEST_F(S3Test, BodyThatFailsLeavesNothing) {
  ASSERT_TRUE(put("k", {"old"}));
  PiecesBody body({std::string(300'000, 'x'), "rest"});
  body.failure = make_error(ErrorKind::kUnauthenticated, "chunk signature", "SignatureDoesNotMatch");
  EXPECT_EQ(reason(call("PutObject", {{"Bucket", "bucket"}, {"Key", "k"}}, &body)), "SignatureDoesNotMatch");
  PiecesBody cut({"half"});
  cut.length = 10;
  EXPECT_EQ(reason(call("PutObject", {{"Bucket", "bucket"}, {"Key", "k"}}, &cut)), "IncompleteBody");
  EXPECT_EQ(content(get("k")), "old");
  EXPECT_TRUE(files(true).empty());
  EXPECT_EQ(files(false).size(), 1u);
}

TEST_F(S3Test, DeclaredDigestsAreChecked) {
  const std::string md5_ok = "XUFAKrxLKna5cZ2REBfFkg==";  // of "hello"
  EXPECT_EQ(reason(put("k", {"hello"}, {{"ContentMD5", md5_ok}})), "ok");
  EXPECT_EQ(reason(put("k", {"hellx"}, {{"ContentMD5", md5_ok}})), "BadDigest");
  EXPECT_EQ(reason(put("k", {"hello"}, {{"ContentMD5", "short"}})), "InvalidDigest");
  struct Case {
    const char *member, *value;
  };
  for (const Case& c : {Case{"ChecksumCRC32", "NhCmhg=="}, Case{"ChecksumCRC32C", "mnG7TA=="},
                        Case{"ChecksumSHA1", "qvTGHdzF6KLavt4PO0gs2a6pQ00="},
                        Case{"ChecksumSHA256", "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ="}}) {
    const auto stored = put("k", {"he", "llo"}, {{c.member, c.value}});
    ASSERT_TRUE(stored) << c.member << stored.error().message;
    EXPECT_EQ(get_string(stored->output, c.member), c.value);
    EXPECT_EQ(get_string(get("k", {{"ChecksumMode", "ENABLED"}})->output, c.member), c.value);
    EXPECT_FALSE(has(get("k")->output, c.member));
    EXPECT_EQ(reason(put("k", {"hellx"}, {{c.member, c.value}})), "BadDigest");
    EXPECT_EQ(reason(put("k", {"hello"}, {{c.member, "AAAA"}})), "InvalidRequest");
  }
  EXPECT_EQ(reason(put("k", {"hello"}, {{"ChecksumCRC32", "NhCmhg=="}, {"ChecksumCRC32C", "mnG7TA=="}})),
            "InvalidRequest");
  EXPECT_EQ(reason(put("k", {"hello"}, {{"ChecksumAlgorithm", "SHA256"}})), "InvalidRequest");
  EXPECT_EQ(content(get("k")), "hello");
  http.headers.add("x-amz-checksum-crc64nvme", "AAAAAAAAAAA=");
  EXPECT_EQ(reason(put("k", {"hello"})), "NotImplemented");
}

TEST_F(S3Test, RefusalsComeBeforeTheBodyIsRead) {
  PiecesBody body({"x"});
  EXPECT_EQ(reason(call("PutObject", {{"Bucket", "nowhere"}, {"Key", "k"}}, &body)), "NoSuchBucket");
  body.length = 2'000'001;
  EXPECT_EQ(reason(call("PutObject", {{"Bucket", "bucket"}, {"Key", "k"}}, &body)), "EntityTooLarge");
  body.length = -1;
  EXPECT_EQ(reason(call("PutObject", {{"Bucket", "bucket"}, {"Key", "k"}}, &body)), "MissingContentLength");
  EXPECT_EQ(reason(put("k", {}, {{"ExpectedBucketOwner", "999999999999"}})), "AccessDenied");
  EXPECT_EQ(reason(put(std::string(1025, 'k'), {})), "KeyTooLongError");
  EXPECT_EQ(reason(put("k", {}, {{"ContentType", "\xff"}})), "InvalidArgument");
  EXPECT_EQ(reason(put("k", {}, {{"Metadata", json::object{{"a", std::string(3000, 'v')}}}})), "MetadataTooLarge");
  EXPECT_EQ(body.at, 0u);
}

TEST_F(S3Test, StoreThatRefusesKeepsTheOldObjectAndLeavesTheBlobToRecovery) {
  ASSERT_TRUE(put("k", {"old"}));
  PiecesBody body({"new"});
  body.pieces.push_back("er");
  body.length = 5;
  // The bucket is looked up first, with nothing to write: only the commit of the record fails.
  store->set_faults({.seed = 1, .refuse = 1});
  const auto refused = call("PutObject", {{"Bucket", "bucket"}, {"Key", "k"}}, &body);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::kUnavailable);
  EXPECT_EQ(files(true).size(), 1u);
  store->set_faults({});
  EXPECT_EQ(content(get("k")), "old");
  EXPECT_EQ(*blobs->recover(*store), 1u);
  EXPECT_EQ(files(false).size(), 1u);
}

TEST_F(S3Test, ConditionsOfReadsAndWrites) {
  ASSERT_TRUE(put("k", {"hello"}));
  const std::string etag = "\"5d41402abc4b2a76b9719d911017c592\"";
  const auto unchanged = get("k", {{"IfNoneMatch", etag}});
  ASSERT_TRUE(unchanged);
  EXPECT_EQ(unchanged->status, 304);
  EXPECT_EQ(unchanged->payload, "");
  EXPECT_EQ(get_string(unchanged->output, "ETag"), etag);
  EXPECT_EQ(reason(get("k", {{"IfMatch", "\"x\""}})), "PreconditionFailed");
  EXPECT_EQ(reason(get("k", {{"IfUnmodifiedSince", clock.now_ms() - 5000}})), "PreconditionFailed");
  EXPECT_EQ(reason(put("k", {"again"}, {{"IfNoneMatch", "*"}})), "PreconditionFailed");
  EXPECT_EQ(reason(put("other", {"first"}, {{"IfNoneMatch", "*"}})), "ok");
  auto remove = [&](const char* tag) {
    return reason(call("DeleteObject", {{"Bucket", "bucket"}, {"Key", "other"}, {"IfMatch", tag}}));
  };
  EXPECT_EQ(remove("\"x\""), "PreconditionFailed");
  EXPECT_EQ(remove("*"), "ok");
  EXPECT_EQ(remove("*"), "PreconditionFailed");
  EXPECT_EQ(content(get("k")), "hello");
}

TEST_F(S3Test, OverridesAreForSignedRequests) {
  ASSERT_TRUE(put("k", {"x"}));
  const json::object wanted{{"ResponseContentDisposition", "attachment; filename=\"f\""}};
  EXPECT_EQ(get_string(get("k", wanted)->output, "ContentDisposition"), "attachment; filename=\"f\"");
  caller.kind = iam::PrincipalKind::kAnonymous;
  EXPECT_EQ(reason(get("k", wanted)), "InvalidRequest");
}

TEST_F(S3Test, HeadSaysWhatGetSays) {
  ASSERT_TRUE(put("k", {"hello"}));
  const auto head = call("HeadObject", {{"Bucket", "bucket"}, {"Key", "k"}, {"Range", "bytes=1-2"}});
  ASSERT_TRUE(head);
  EXPECT_EQ(head->status, 206);
  EXPECT_EQ(get_int(head->output, "ContentLength"), 2);
  EXPECT_EQ(head->headers.get("Content-Range"), "bytes 1-2/5");
  EXPECT_EQ(reason(call("HeadObject", {{"Bucket", "bucket"}, {"Key", "none"}})), "NoSuchKey");
}

TEST_F(S3Test, CopyCarriesOrReplacesTheDescription) {
  ASSERT_TRUE(put("a b/\xc3\xa9", {"hello"}, {{"ContentType", "text/plain"}, {"Metadata", json::object{{"x", "1"}}}}));
  json::object input{{"Bucket", "bucket"}, {"Key", "copy"}, {"CopySource", "/bucket/a%20b%2F%C3%A9"}};
  auto copied = call("CopyObject", input);
  ASSERT_TRUE(copied) << copied.error().message;
  EXPECT_EQ(get_string(*find_object(copied->output, "CopyObjectResult"), "ETag"),
            "\"5d41402abc4b2a76b9719d911017c592\"");
  EXPECT_EQ(get_string(get("copy")->output, "ContentType"), "text/plain");
  input["MetadataDirective"] = "REPLACE";
  input["ChecksumAlgorithm"] = "CRC32";
  ASSERT_TRUE(call("CopyObject", input));
  const auto found = get("copy", {{"ChecksumMode", "ENABLED"}});
  EXPECT_EQ(get_string(found->output, "ContentType"), "binary/octet-stream");
  EXPECT_FALSE(has(found->output, "Metadata"));
  EXPECT_EQ(get_string(found->output, "ChecksumCRC32"), "NhCmhg==");
  ASSERT_TRUE(call("DeleteObject", {{"Bucket", "bucket"}, {"Key", "a b/\xc3\xa9"}}));
  clock.advance_ms(100'000);
  EXPECT_EQ(*blobs->sweep(*store, 1000), 2u);
  EXPECT_EQ(content(get("copy")), "hello");
}

TEST_F(S3Test, CopyRefusals) {
  ASSERT_TRUE(put("k", {"hello"}));
  auto copy = [&](std::string source, json::object more = {}) {
    more["Bucket"] = "bucket";
    if (!has(more, "Key")) more["Key"] = "copy";
    more["CopySource"] = source;
    return reason(call("CopyObject", more));
  };
  EXPECT_EQ(copy("bucket/none"), "NoSuchKey");
  EXPECT_EQ(copy("nowhere/k"), "NoSuchBucket");
  EXPECT_EQ(copy("bucket"), "InvalidArgument");
  EXPECT_EQ(copy("/bucket/"), "InvalidArgument");
  EXPECT_EQ(copy("bucket/%zz"), "InvalidArgument");
  EXPECT_EQ(copy("bucket/k?versionId=abc"), "NotImplemented");
  EXPECT_EQ(copy("bucket/k", {{"Key", "k"}}), "InvalidRequest");
  EXPECT_EQ(copy("bucket/k", {{"CopySourceIfMatch", "\"x\""}}), "PreconditionFailed");
  caller.kind = iam::PrincipalKind::kUser;  // without a policy
  caller.name = "nobody";
  caller.arn = "arn:aws:iam::123456789012:user/nobody";
  EXPECT_NE(copy("bucket/k"), "ok");
  EXPECT_EQ(files(false).size(), 1u);
}

TEST_F(S3Test, DeleteObjectsTellsOfEachKey) {
  ASSERT_TRUE(put("a", {"1"}));
  ASSERT_TRUE(put("b", {"2"}));
  const json::array keys{json::object{{"Key", "a"}}, json::object{{"Key", "none"}},
                         json::object{{"Key", std::string(1025, 'k')}}};
  const auto reply = call("DeleteObjects", {{"Bucket", "bucket"}, {"Delete", json::object{{"Objects", keys}}}});
  ASSERT_TRUE(reply);
  EXPECT_EQ(find_array(reply->output, "Deleted")->size(), 2u);
  EXPECT_EQ(get_string(find_array(reply->output, "Errors")->at(0).get_object(), "Code"), "KeyTooLongError");
  EXPECT_EQ(reason(get("a")), "NoSuchKey");
  EXPECT_EQ(reason(get("b")), "ok");
  EXPECT_EQ(reason(call("DeleteObjects", {{"Bucket", "bucket"}, {"Delete", json::object{{"Objects", json::array{}}}}})),
            "MalformedXML");
}

TEST_F(S3Test, PagesByTokenReachEveryKeyOnce) {
  for (const char* key : {"a", "b/1", "b/2", "c d", "e"}) ASSERT_TRUE(put(key, {"x"}));
  json::object input{{"Bucket", "bucket"}, {"MaxKeys", 2}, {"Delimiter", "/"}, {"EncodingType", "url"}};
  std::string seen;
  for (int pages = 0; pages < 10; ++pages) {
    const auto page = call("ListObjectsV2", input);
    ASSERT_TRUE(page) << page.error().message;
    std::int64_t count = 0;
    if (const auto* contents = find_array(page->output, "Contents")) {
      for (const auto& item : *contents) seen += std::string(get_string(item.get_object(), "Key")) + ";", ++count;
    }
    if (const auto* prefixes = find_array(page->output, "CommonPrefixes")) {
      for (const auto& item : *prefixes) seen += std::string(get_string(item.get_object(), "Prefix")) + "*;", ++count;
    }
    EXPECT_EQ(get_int(page->output, "KeyCount"), count);
    if (!get_bool(page->output, "IsTruncated")) break;
    input["ContinuationToken"] = get_string(page->output, "NextContinuationToken");
  }
  EXPECT_EQ(seen, "a;b/*;c%20d;e;");
}

TEST_F(S3Test, OnlyDefaultsMayBeAskedFor) {
  EXPECT_EQ(reason(put("k", {"x"}, {{"ACL", "private"}, {"StorageClass", "STANDARD"}})), "ok");
  EXPECT_EQ(reason(put("k", {"x"}, {{"ACL", "public-read"}})), "NotImplemented");
  EXPECT_EQ(reason(put("k", {"x"}, {{"StorageClass", "GLACIER"}})), "NotImplemented");
}

TEST_F(S3Test, BucketsComeInPages) {
  for (const char* name : {"aaa", "logs-1", "logs-2", "logs-3"}) {
    ASSERT_TRUE(call("CreateBucket", {{"Bucket", name}}));
  }
  json::object input{{"Prefix", "logs-"}, {"MaxBuckets", 2}};
  const auto first = call("ListBuckets", input);
  ASSERT_TRUE(first);
  EXPECT_EQ(find_array(first->output, "Buckets")->size(), 2u);
  input["ContinuationToken"] = get_string(first->output, "ContinuationToken");
  const auto second = call("ListBuckets", input);
  ASSERT_TRUE(second);
  EXPECT_EQ(find_array(second->output, "Buckets")->size(), 1u);
  EXPECT_FALSE(has(second->output, "ContinuationToken"));
  EXPECT_EQ(find_array(call("ListBuckets", {{"BucketRegion", "eu-west-1"}})->output, "Buckets")->size(), 0u);
  EXPECT_EQ(find_array(call("ListBuckets", {})->output, "Buckets")->size(), 5u);
}

TEST_F(S3Test, ListingRefusesWhatItCannotMean) {
  EXPECT_EQ(reason(call("ListObjectsV2", {{"Bucket", "bucket"}, {"ContinuationToken", "!"}})), "InvalidArgument");
  EXPECT_EQ(reason(call("ListObjectsV2", {{"Bucket", "bucket"}, {"ContinuationToken", ""}})), "InvalidArgument");
  EXPECT_EQ(reason(call("ListObjectsV2", {{"Bucket", "bucket"}, {"MaxKeys", -1}})), "InvalidArgument");
  EXPECT_EQ(reason(call("ListObjects", {{"Bucket", "bucket"}, {"EncodingType", "xml"}})), "InvalidArgument");
  EXPECT_EQ(reason(call("ListObjects", {{"Bucket", "nowhere"}})), "NoSuchBucket");
}

TEST(S3Range, FollowsRfc9110) {
  auto text = [](std::string_view range, std::int64_t size) -> std::string {
    const auto parsed = s3::parse_range(range, size);
    if (!parsed) return parsed.error().reason;
    return *parsed ? s3::content_range(**parsed, size) : "whole";
  };
  EXPECT_EQ(text("", 10), "whole");
  EXPECT_EQ(text("bytes=0-0", 10), "bytes 0-0/10");
  EXPECT_EQ(text("bytes=3-", 10), "bytes 3-9/10");
  EXPECT_EQ(text("bytes=3-99", 10), "bytes 3-9/10");
  EXPECT_EQ(text("bytes=-3", 10), "bytes 7-9/10");
  EXPECT_EQ(text("bytes=-30", 10), "bytes 0-9/10");
  EXPECT_EQ(text("bytes=10-", 10), "InvalidRange");
  EXPECT_EQ(text("bytes=-0", 10), "InvalidRange");
  EXPECT_EQ(text("bytes=0-", 0), "InvalidRange");
  EXPECT_EQ(text("bytes=99999999999999999999-", 10), "InvalidRange");
  for (const char* ignored : {"bytes=", "bytes=-", "bytes=a-b", "bytes=5-3", "bytes=1-x", "bytes=x-1", "items=0-1",
                              "bytes=0-1,2-3", "bytes=--1", "bytes=1--2"}) {
    EXPECT_EQ(text(ignored, 10), "whole") << ignored;
  }
}

}  // namespace
}  // namespace muster::api
