// SPDX-License-Identifier: Apache-2.0
#include "base/ids.h"

#include <gtest/gtest.h>

namespace muster {
namespace {

const Realm kRealm{"123456789012", "eu-west-1"};

TEST(Arns, AreParsed) {
  auto arn = parse_arn("arn:aws:iot:eu-west-1:123456789012:thing/a:b/c");
  ASSERT_TRUE(arn);
  EXPECT_EQ(arn->partition, "aws");
  EXPECT_EQ(arn->service, "iot");
  EXPECT_EQ(arn->region, "eu-west-1");
  EXPECT_EQ(arn->account_id, "123456789012");
  EXPECT_EQ(arn->resource, "thing/a:b/c");
  EXPECT_EQ(parse_arn("arn:aws:s3:::bucket/key")->resource, "bucket/key");
  for (const char* bad : {"", "arn:", "arn:aws:iot:r:a", "arn:aws:iot:r:a:", "ARN:aws:iot:r:a:x", "arn::iot:r:a:x",
                          "arn:aws::r:a:x", " arn:aws:iot:r:a:x"}) {
    EXPECT_FALSE(parse_arn(bad)) << bad;
  }
}

TEST(Arns, AreBuiltAndTakenApart) {
  EXPECT_EQ(iot_arn(kRealm, "thing", "t1"), "arn:aws:iot:eu-west-1:123456789012:thing/t1");
  EXPECT_EQ(iam_arn(kRealm, "user", "u"), "arn:aws:iam::123456789012:user/u");
  EXPECT_EQ(name_in_iot_arn(kRealm, "thing", "arn:aws:iot:eu-west-1:123456789012:thing/t1"), "t1");
  for (const char* other :
       {"arn:aws:iot:eu-west-1:123456789012:thing/", "arn:aws:iot:eu-west-1:123456789012:thinggroup/t1",
        "arn:aws:iot:eu-west-2:123456789012:thing/t1", "arn:aws:iot:eu-west-1:123456789013:thing/t1", ""}) {
    EXPECT_FALSE(name_in_iot_arn(kRealm, "thing", other)) << other;
  }
}

TEST(Names, FollowTheModels) {
  EXPECT_TRUE(is_thing_name("a:b_c-9"));
  EXPECT_TRUE(is_thing_name(std::string(128, 'x')));
  EXPECT_FALSE(is_thing_name(std::string(129, 'x')));
  EXPECT_TRUE(is_job_id(std::string(64, 'x')));
  EXPECT_FALSE(is_job_id(std::string(65, 'x')));
  for (const char* bad : {"", "a b", "a/b", "\xC3\xA9", "a\n"}) {
    EXPECT_FALSE(is_thing_name(bad));
    EXPECT_FALSE(is_job_id(bad));
  }
  EXPECT_FALSE(is_job_id("a:b"));
}

}  // namespace
}  // namespace muster
