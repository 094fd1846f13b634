// SPDX-License-Identifier: Apache-2.0
#include "domain/objects/object_url.h"

#include <gtest/gtest.h>

namespace muster::objects {
namespace {

std::string parse(std::string_view url, bool encoded = true) {
  const auto result = parse_object_url(url, encoded, {"s3.local", "localhost"});
  if (!result) return "!";
  return result->bucket + "|" + result->key + (result->version.empty() ? "" : "|" + result->version);
}

TEST(ObjectUrl, KnowsEveryFormOfAnAddress) {
  EXPECT_EQ(parse("https://s3.amazonaws.com/bucket/dir/key"), "bucket|dir/key");
  EXPECT_EQ(parse("https://s3.eu-west-1.amazonaws.com/bucket/key"), "bucket|key");
  EXPECT_EQ(parse("https://s3-eu-west-1.amazonaws.com/bucket/key"), "bucket|key");
  EXPECT_EQ(parse("https://s3.dualstack.eu-west-1.amazonaws.com/bucket/key"), "bucket|key");
  EXPECT_EQ(parse("https://bucket.s3.amazonaws.com/dir/key"), "bucket|dir/key");
  EXPECT_EQ(parse("https://bucket.s3.eu-west-1.amazonaws.com/key"), "bucket|key");
  EXPECT_EQ(parse("https://bucket.s3-eu-west-1.amazonaws.com/key"), "bucket|key");
  EXPECT_EQ(parse("https://bucket.s3.dualstack.eu-west-1.amazonaws.com/key"), "bucket|key");
  EXPECT_EQ(parse("https://my.dotted.bucket.s3.cn-north-1.amazonaws.com.cn/key"), "my.dotted.bucket|key");
  EXPECT_EQ(parse("HTTPS://BUCKET.S3.amazonaws.com/Key"), "bucket|Key");
  EXPECT_EQ(parse("http://127.0.0.1:4566/bucket/key"), "bucket|key");
  EXPECT_EQ(parse("http://[::1]:4566/bucket/key"), "bucket|key");
  EXPECT_EQ(parse("http://[::1]/bucket/key"), "bucket|key");
  EXPECT_EQ(parse("http://muster.example/bucket/key"), "bucket|key");
  EXPECT_EQ(parse("http://bucket.localhost:4566/key"), "bucket|key");
  EXPECT_EQ(parse("http://localhost:4566/bucket/key"), "bucket|key");
  EXPECT_EQ(parse("http://bucket.s3.local/a/b"), "bucket|a/b");
}

TEST(ObjectUrl, DecodesOnlyWhatIsEncoded) {
  EXPECT_EQ(parse("https://s3.amazonaws.com/bucket/a%20b%2Fc+d?versionId=v%3D1&x=y"), "bucket|a b/c+d|v=1");
  EXPECT_EQ(parse("https://s3.amazonaws.com/bucket/a%20b?c", false), "bucket|a%20b?c");
  EXPECT_EQ(parse("https://s3.amazonaws.com/bucket/k?versionId=7", false), "bucket|k|7");
  EXPECT_EQ(parse("https://s3.amazonaws.com/bucket/k%zz"), "!");
  EXPECT_EQ(parse("https://s3.amazonaws.com/bucket/k%ff"), "!");
}

TEST(ObjectUrl, RefusesWhatIsNone) {
  for (const char* url :
       {"", "s3://bucket/key", "ftp://s3.amazonaws.com/bucket/key", "https://", "https:///bucket/key",
        "https://s3.amazonaws.com", "https://s3.amazonaws.com/", "https://s3.amazonaws.com/bucket",
        "https://s3.amazonaws.com/bucket/", "https://s3.amazonaws.com/UPPER/key", "https://bucket.s3.amazonaws.com/",
        "https://user:pass@s3.amazonaws.com/bucket/key", "bucket/key", "//s3.amazonaws.com/bucket/key"}) {
    EXPECT_EQ(parse(url), "!") << url;
  }
}

}  // namespace
}  // namespace muster::objects
