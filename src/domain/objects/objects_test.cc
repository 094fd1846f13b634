// SPDX-License-Identifier: Apache-2.0
#include "domain/objects/objects.h"

#include <random>

#include "domain/objects/objects_test_support.h"

namespace muster::objects {
namespace {

struct ObjectsTest : ObjectsFixture {
  ObjectsTest() { EXPECT_TRUE(make_bucket("bucket")); }

  Listing list(const ListRequest& request) {
    auto listing = tx([&](store::Tx& t) { return list_objects(t, "bucket", request); });
    EXPECT_TRUE(listing) << listing.error().message;
    return *listing;
  }
  // All pages, as "key" and "prefix/*".
  std::vector<std::string> walk(ListRequest request) {
    std::vector<std::string> all;
    for (int pages = 0; pages < 1000; ++pages) {
      const Listing page = list(request);
      EXPECT_LE(page.objects.size() + page.common_prefixes.size(), request.max_keys);
      std::vector<std::string> here;
      for (const Object& object : page.objects) here.push_back(object.key);
      for (const std::string& prefix : page.common_prefixes) here.push_back(prefix + "*");
      std::sort(here.begin(), here.end());
      all.insert(all.end(), here.begin(), here.end());
      if (!page.truncated) return all;
      request.start_after = page.last;
    }
    ADD_FAILURE() << "the listing does not end";
    return all;
  }
  // Records without files: listing does not look at blobs.
  void add_keys(const std::vector<std::string>& keys) {
    ASSERT_TRUE(store::run_blocking(*store, [&](store::Tx& t) -> Status {
      for (const std::string& key : keys) {
        Object object;
        object.key = key;
        object.blob = std::string(32, '0');
        TRY_VOID(put_object(t, "bucket", object));
      }
      return {};
    }));
  }
};

TEST_F(ObjectsTest, KeepsWhatWasStored) {
  auto writer = publish("payload");
  Object object;
  object.key = std::string("dir/\xc3\xa9\0 +&<", 11);
  object.blob = writer->id();
  object.size = 7;
  object.etag = "321c3cf486ed509164edec1e1981fec8";
  object.headers = {{"ContentType", "text/plain"}, {"CacheControl", "no-store"}};
  object.metadata = {{"owner", "\"quoted\" \xc3\xa9"}};
  object.checksums = {{"ChecksumCRC32", "AAAAAA=="}};
  ASSERT_TRUE(tx([&](store::Tx& t) { return put_object(t, "bucket", object); }));
  const auto found = get("bucket", object.key);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->key, object.key);
  EXPECT_EQ(found->etag, object.etag);
  EXPECT_EQ(found->headers, object.headers);
  EXPECT_EQ(found->metadata, object.metadata);
  EXPECT_EQ(found->checksums, object.checksums);
  EXPECT_EQ(found->modified_ms, clock.now_ms());
  EXPECT_EQ(list({}).objects[0].key, object.key);
}

TEST_F(ObjectsTest, AbsentThingsAreNamed) {
  EXPECT_EQ(get("bucket", "k").error().reason, "NoSuchKey");
  EXPECT_EQ(get("nowhere", "k").error().reason, "NoSuchBucket");
  EXPECT_EQ(put("nowhere", "k", "x").error().reason, "NoSuchBucket");
  EXPECT_TRUE(store::run_blocking(*store, [](store::Tx& t) { return delete_object(t, "bucket", "k"); }));
  EXPECT_EQ(store::run_blocking(*store, [](store::Tx& t) { return delete_object(t, "no", "k"); }).error().reason,
            "NoSuchBucket");
  EXPECT_TRUE(files(false).empty());  // the refused blob went away
}

TEST_F(ObjectsTest, KeysAndMetadataAreBounded) {
  EXPECT_TRUE(check_key(std::string(1024, 'k')));
  EXPECT_EQ(check_key(std::string(1025, 'k')).error().reason, "KeyTooLongError");
  EXPECT_EQ(check_key("\xff").error().reason, "InvalidURI");
  EXPECT_TRUE(check_metadata({{"a", std::string(2047, 'v')}}));
  EXPECT_EQ(check_metadata({{"a", std::string(2048, 'v')}}).error().reason, "MetadataTooLarge");
}

TEST_F(ObjectsTest, ConditionalWritesCompareWithTheStoredTag) {
  EXPECT_EQ(put("bucket", "k", "1", {.if_match = "\"x\""}).error().reason, "NoSuchKey");
  ASSERT_TRUE(put("bucket", "k", "1", {.if_none_match = "*"}));
  EXPECT_EQ(put("bucket", "k", "2", {.if_none_match = "*"}).error().reason, "PreconditionFailed");
  EXPECT_EQ(put("bucket", "k", "2", {.if_match = "\"wrong\""}).error().reason, "PreconditionFailed");
  EXPECT_TRUE(put("bucket", "k", "2", {.if_match = '"' + get("bucket", "k")->etag + '"'}));
  EXPECT_EQ(*read("bucket", "k"), "2");
}

TEST(Conditions, FollowRfc9110) {
  Object object;
  object.etag = "abc";
  object.modified_ms = 1'700'000'000'500;
  const std::int64_t same = 1'700'000'000'000, earlier = same - 1000, later = same + 1000;
  const std::vector<std::pair<Conditions, Verdict>> table = {
      {{}, Verdict::kProceed},
      {{.if_match = "\"abc\""}, Verdict::kProceed},
      {{.if_match = "abc"}, Verdict::kProceed},
      {{.if_match = "*"}, Verdict::kProceed},
      {{.if_match = "\"x\", \"abc\""}, Verdict::kProceed},
      {{.if_match = "\"x\""}, Verdict::kFailed},
      {{.if_none_match = "\"abc\""}, Verdict::kNotModified},
      {{.if_none_match = "W/\"abc\""}, Verdict::kNotModified},
      {{.if_none_match = "\"x\""}, Verdict::kProceed},
      {{.if_modified_since_ms = same}, Verdict::kNotModified},
      {{.if_modified_since_ms = earlier}, Verdict::kProceed},
      {{.if_modified_since_ms = later}, Verdict::kNotModified},
      {{.if_unmodified_since_ms = same}, Verdict::kProceed},
      {{.if_unmodified_since_ms = earlier}, Verdict::kFailed},
      {{.if_match = "abc", .if_unmodified_since_ms = earlier}, Verdict::kProceed},
      {{.if_none_match = "x", .if_modified_since_ms = same}, Verdict::kProceed},
      {{.if_match = "x", .if_none_match = "abc"}, Verdict::kFailed},
  };
  for (std::size_t i = 0; i < table.size(); ++i)
    EXPECT_EQ(check_conditions(table[i].first, object), table[i].second) << i;
}

TEST_F(ObjectsTest, SmallReadIsBounded) {
  ASSERT_TRUE(put("bucket", "k", "12345"));
  EXPECT_EQ(*read("bucket", "k", 5), "12345");
  EXPECT_EQ(read("bucket", "k", 4).error().kind, ErrorKind::kTooLarge);
  EXPECT_EQ(read("bucket", "none", 4).error().reason, "NoSuchKey");
}

TEST_F(ObjectsTest, BlobCutShortIsNotServedAsWhole) {
  const auto object = put("bucket", "k", "12345");
  const auto path = folder / "blobs" / object->blob.substr(0, 2) / object->blob;
  std::filesystem::resize_file(path, 3);
  EXPECT_EQ(read("bucket", "k").error().kind, ErrorKind::kInternal);
}

TEST_F(ObjectsTest, ListsInByteOrderAndByPrefix) {
  add_keys({"b", "a/1", "a", "a/2", "a0", "B", "\xc3\xa9"});
  EXPECT_EQ(walk({}), (std::vector<std::string>{"B", "a", "a/1", "a/2", "a0", "b", "\xc3\xa9"}));
  EXPECT_EQ(walk({.prefix = "a/"}), (std::vector<std::string>{"a/1", "a/2"}));
  EXPECT_EQ(walk({.prefix = "zz"}), std::vector<std::string>{});
  EXPECT_EQ(walk({.start_after = "a/1"}), (std::vector<std::string>{"a/2", "a0", "b", "\xc3\xa9"}));
  EXPECT_EQ(walk({.prefix = "a", .start_after = "A"}), (std::vector<std::string>{"a", "a/1", "a/2", "a0"}));
  EXPECT_EQ(walk({.prefix = "a", .start_after = "b"}), std::vector<std::string>{});
}

TEST_F(ObjectsTest, DelimiterFoldsAndPagesDoNotRepeatAPrefix) {
  add_keys({"a", "d1/x", "d1/y", "d1/z/1", "d2/x", "e", "f//g"});
  const std::vector<std::string> folded = {"a", "d1/*", "d2/*", "e", "f/*"};
  for (const std::size_t max_keys : {1, 2, 3, 5, 1000}) {
    EXPECT_EQ(walk({.delimiter = "/", .max_keys = max_keys}), folded) << max_keys;
  }
  EXPECT_EQ(walk({.prefix = "d1/", .delimiter = "/"}), (std::vector<std::string>{"d1/x", "d1/y", "d1/z/*"}));
  EXPECT_EQ(walk({.prefix = "d", .delimiter = "/"}), (std::vector<std::string>{"d1/*", "d2/*"}));
  EXPECT_EQ(walk({.prefix = "f/", .delimiter = "/"}), (std::vector<std::string>{"f//*"}));
  EXPECT_EQ(walk({.delimiter = "1/"}), (std::vector<std::string>{"a", "d1/*", "d2/x", "e", "f//g"}));
  // A key inside a prefix as marker: the prefix has more keys behind it and is listed.
  EXPECT_EQ(walk({.delimiter = "/", .start_after = "d1/x"}), (std::vector<std::string>{"d1/*", "d2/*", "e", "f/*"}));
}

TEST_F(ObjectsTest, TruncationIsExact) {
  add_keys({"a", "b", "c"});
  EXPECT_FALSE(list({.max_keys = 3}).truncated);
  const Listing two = list({.max_keys = 2});
  EXPECT_TRUE(two.truncated);
  EXPECT_EQ(two.last, "b");
  const Listing none = list({.max_keys = 0});
  EXPECT_FALSE(none.truncated);
  EXPECT_TRUE(none.objects.empty());
}

TEST_F(ObjectsTest, ListingAgreesWithAPlainOneOnRandomKeys) {
  std::mt19937 random(7);
  std::set<std::string> keys;
  while (keys.size() < 300) {
    std::string key;
    for (int i = static_cast<int>(random() % 8) + 1; i > 0; --i)
      key += std::string_view(
          "ab/\0\xff"
          "c",
          6)[random() % 3];
    keys.insert(key);
  }
  add_keys({keys.begin(), keys.end()});
  for (int round = 0; round < 60; ++round) {
    ListRequest request;
    if (random() % 2) request.delimiter = "/";
    if (random() % 2) request.prefix = std::string("ab/").substr(random() % 3, 1);
    request.max_keys = 1 + random() % 40;
    std::vector<std::string> expected;
    for (const std::string& key : keys) {
      if (!key.starts_with(request.prefix)) continue;
      const auto at = request.delimiter.empty() ? std::string::npos : key.find('/', request.prefix.size());
      const std::string entry = at == std::string::npos ? key : key.substr(0, at + 1) + "*";
      if (expected.empty() || expected.back() != entry) expected.push_back(entry);
    }
    std::vector<std::string> got = walk(request);
    std::sort(got.begin(), got.end());
    std::sort(expected.begin(), expected.end());
    EXPECT_EQ(got, expected) << request.prefix << " " << request.max_keys;
  }
}

}  // namespace
}  // namespace muster::objects
