// SPDX-License-Identifier: Apache-2.0
#include "domain/objects/buckets.h"

#include "domain/objects/objects_test_support.h"

namespace muster::objects {
namespace {

using BucketsTest = ObjectsFixture;

TEST(BucketName, FollowsS3sRules) {
  const std::string longest(63, 'a');
  for (const char* good : {"abc", "firmware-2024", "my.bucket.name", "0ab", longest.c_str()}) {
    EXPECT_TRUE(check_bucket_name(good)) << good;
  }
  const std::string too_long(64, 'a');
  for (const char* bad :
       {"",          "ab",   "Abc",  "a_b",           "-abc",    "abc-",     ".abc",        "abc.",
        "a..b",      "a.-b", "a-.b", "192.168.5.4",   "xn--abc", "sthree-x", "abc-s3alias", "abc--ol-s3",
        "abc--x-s3", "a/b",  "a b",  too_long.c_str()}) {
    const Status status = check_bucket_name(bad);
    ASSERT_FALSE(status) << bad;
    EXPECT_EQ(status.error().reason, "InvalidBucketName");
  }
}

TEST_F(BucketsTest, LivesFromCreateToDelete) {
  ASSERT_TRUE(make_bucket("first"));
  ASSERT_TRUE(make_bucket("another"));
  const auto names = tx([&](store::Tx& t) -> Result<std::vector<Bucket>> { return list_buckets(t); });
  ASSERT_EQ(names->size(), 2u);
  EXPECT_EQ((*names)[0].name, "another");
  EXPECT_EQ((*names)[1].region, "eu-central-1");
  EXPECT_EQ((*names)[1].created_ms, clock.now_ms());
  ASSERT_TRUE(put("first", "k", "x"));
  auto remove = [&] { return store::run_blocking(*store, [](store::Tx& t) { return delete_bucket(t, "first"); }); };
  EXPECT_EQ(remove().error().reason, "BucketNotEmpty");
  ASSERT_TRUE(store::run_blocking(*store, [](store::Tx& t) { return delete_object(t, "first", "k"); }));
  EXPECT_TRUE(remove());
  EXPECT_EQ(remove().error().reason, "NoSuchBucket");
}

TEST_F(BucketsTest, EmptinessLooksAtItsOwnKeysOnly) {
  ASSERT_TRUE(make_bucket("abc"));
  ASSERT_TRUE(make_bucket("abc-d"));
  ASSERT_TRUE(put("abc-d", "k", "x"));
  EXPECT_TRUE(store::run_blocking(*store, [](store::Tx& t) { return delete_bucket(t, "abc"); }));
}

TEST_F(BucketsTest, CreatingAgainDependsOnTheRegionAsOnAws) {
  ASSERT_TRUE(make_bucket("mine"));
  const auto again = make_bucket("mine");
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().reason, "BucketAlreadyOwnedByYou");
  realm.region = "us-east-1";
  const auto created = tx([&](store::Tx& t) { return create_bucket(t, realm, "mine", ""); });
  ASSERT_TRUE(created);
  EXPECT_EQ(created->region, "eu-central-1");
}

TEST_F(BucketsTest, LocationMustBeThisRegion) {
  auto reason = [&](const char* location) {
    const auto created = tx([&](store::Tx& t) { return create_bucket(t, realm, "located", location); });
    return created ? std::string("created") : created.error().reason;
  };
  EXPECT_EQ(reason(""), "IllegalLocationConstraintException");
  EXPECT_EQ(reason("us-west-2"), "IllegalLocationConstraintException");
  EXPECT_EQ(reason("us-east-1"), "InvalidLocationConstraint");
  EXPECT_EQ(reason("eu-central-1"), "created");
}

}  // namespace
}  // namespace muster::objects
