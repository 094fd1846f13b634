// SPDX-License-Identifier: Apache-2.0
// Against the worked examples that AWS publishes: "Signature Version 4 signing process" (IAM ListUsers) and the Amazon
// S3 API reference, "Authenticating Requests" (header, query and chunked examples).
#include "base/sigv4.h"

#include <gtest/gtest.h>

#include "base/crypto.h"
#include "base/text.h"

namespace muster::sigv4 {
namespace {

constexpr char kEmptyHash[] = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
constexpr char kIamSecret[] = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const Credentials kS3{"AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", ""};
const Scope kS3Scope{"20130524", "us-east-1", "s3"};

std::string signature(std::string_view secret, const std::string& date, const Scope& scope,
                      const CanonicalInput& input) {
  return sign(signing_key(secret, scope), string_to_sign(date, scope, canonical_request(input)));
}
std::string s3_signature(const CanonicalInput& input) {
  return signature(kS3.secret_access_key, "20130524T000000Z", kS3Scope, input);
}

TEST(SigV4, DerivesTheDocumentedSigningKeys) {
  EXPECT_EQ(to_hex(signing_key(kIamSecret, {"20120215", "us-east-1", "iam"})),
            "f4780e2d9f65fa895f9c67b32ce1baf0b0d8a43505a000a1a9e090d414db404d");
  EXPECT_EQ(to_hex(signing_key(kIamSecret, {"20150830", "us-east-1", "iam"})),
            "c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9");
}

TEST(SigV4, SignsIamListUsers) {
  CanonicalInput input{"GET",
                       "/",
                       {{"Version", "2010-05-08"}, {"Action", "ListUsers"}},
                       {{"x-amz-date", "20150830T123600Z"},
                        {"host", "iam.amazonaws.com"},
                        {"content-type", "application/x-www-form-urlencoded; charset=utf-8"}},
                       kEmptyHash};
  EXPECT_EQ(sha256_hex(canonical_request(input)), "f536975d06c0309214f805bb90ccff089219ecd68b2577efef23edd43b7e1a59");
  EXPECT_EQ(signature(kIamSecret, "20150830T123600Z", {"20150830", "us-east-1", "iam"}, input),
            "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7");
}

TEST(SigV4, SignsS3GetObject) {
  CanonicalInput input{"GET",
                       "/test.txt",
                       {},
                       {{"host", "examplebucket.s3.amazonaws.com"},
                        {"range", "bytes=0-9"},
                        {"x-amz-content-sha256", kEmptyHash},
                        {"x-amz-date", "20130524T000000Z"}},
                       kEmptyHash};
  EXPECT_EQ(sha256_hex(canonical_request(input)), "7344ae5b7ee6c3e7e6b0fe0640412a37625d1fbfff95c48bbb2dc43964946972");
  EXPECT_EQ(signed_headers(input.headers), "host;range;x-amz-content-sha256;x-amz-date");
  EXPECT_EQ(s3_signature(input), "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
}

TEST(SigV4, SignsS3PutObjectWithAnEncodedPath) {
  std::string hash = sha256_hex("Welcome to Amazon S3.");
  CanonicalInput input{"PUT",
                       percent_encode("/test$file.text", true),
                       {},
                       {{"date", "Fri, 24 May 2013 00:00:00 GMT"},
                        {"host", "examplebucket.s3.amazonaws.com"},
                        {"x-amz-content-sha256", hash},
                        {"x-amz-date", "20130524T000000Z"},
                        {"x-amz-storage-class", "REDUCED_REDUNDANCY"}},
                       hash};
  EXPECT_EQ(s3_signature(input), "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");
}

TEST(SigV4, SignsS3QueriesWithAndWithoutValues) {
  Pairs headers{{"host", "examplebucket.s3.amazonaws.com"},
                {"x-amz-content-sha256", kEmptyHash},
                {"x-amz-date", "20130524T000000Z"}};
  EXPECT_EQ(s3_signature({"GET", "/", {{"lifecycle", ""}}, headers, kEmptyHash}),
            "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
  EXPECT_EQ(s3_signature({"GET", "/", {{"prefix", "J"}, {"max-keys", "2"}}, headers, kEmptyHash}),
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
}

TEST(SigV4, PresignsAsS3Documents) {
  PresignInput input;
  input.origin = "https://examplebucket.s3.amazonaws.com";
  input.path = "/test.txt";
  input.region = "us-east-1";
  input.now_ms = 1'369'353'600'000;
  input.expires_seconds = 86'400;
  EXPECT_EQ(presign(kS3, input),
            "https://examplebucket.s3.amazonaws.com/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential="
            "AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires="
            "86400&X-Amz-SignedHeaders=host&X-Amz-Signature="
            "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404");
}

TEST(SigV4, PresignCarriesSessionTokenAndExtras) {
  Credentials temporary = kS3;
  temporary.session_token = "to/ken+=";
  PresignInput input;
  input.origin = "http://127.0.0.1:4566";
  input.path = "/b/a b/\xC3\xA9";
  input.query = {{"versionId", "7"}};
  input.region = "eu-west-1";
  std::string url = presign(temporary, input);
  EXPECT_TRUE(url.starts_with("http://127.0.0.1:4566/b/a%20b/%C3%A9?X-Amz-Algorithm=")) << url;
  EXPECT_NE(url.find("&X-Amz-Security-Token=to%2Fken%2B%3D&"), std::string::npos) << url;
  EXPECT_NE(url.find("&versionId=7&X-Amz-Signature="), std::string::npos) << url;
}

TEST(SigV4, FoldsAndJoinsHeaderValues) {
  // Test suite "get-header-value-order", "get-header-value-trim" of the AWS SigV4 test suite.
  CanonicalInput input{"GET", "/", {}, {{"my-header1", " value4\t  x "}, {"host", "h"}, {"my-header1", "value1"}}, "H"};
  EXPECT_EQ(canonical_request(input), "GET\n/\n\nhost:h\nmy-header1:value4 x,value1\n\nhost;my-header1\nH");
}

TEST(SigV4, SortsQueriesByTheirEncodedForm) {
  EXPECT_EQ(canonical_query({{"b", "2"}, {"a", "z"}, {"a", "A"}, {"a b", "="}, {"A", ""}}), "A=&a=A&a=z&a%20b=%3D&b=2");
}

}  // namespace
}  // namespace muster::sigv4
