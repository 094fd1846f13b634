// SPDX-License-Identifier: Apache-2.0
#include "base/crypto.h"

#include <gtest/gtest.h>

#include <set>
#include <thread>

#include "base/text.h"

namespace muster {
namespace {

TEST(Crypto, DigestsMatchPublishedVectors) {
  EXPECT_EQ(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");  // FIPS 180-4
  EXPECT_EQ(sha256_hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(to_hex(md5("message digest")), "f96b697d7cb7938d525a2f31aaf161d0");  // RFC 1321
  // RFC 4231 cases 2 and 6 (a key longer than the block), RFC 2202 case 2.
  EXPECT_EQ(to_hex(hmac_sha256("Jefe", "what do ya want for nothing?")),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  EXPECT_EQ(to_hex(hmac_sha256(std::string(131, '\xaa'), "Test Using Larger Than Block-Size Key - Hash Key First")),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
  EXPECT_EQ(to_hex(hmac_sha1("Jefe", "what do ya want for nothing?")), "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
}

TEST(Crypto, ChecksumsMatchPublishedVectors) {
  EXPECT_EQ(crc32("123456789"), 0xCBF43926u);
  EXPECT_EQ(crc32c("123456789"), 0xE3069283u);
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8A9136AAu);  // RFC 3720 B.4
  EXPECT_EQ(crc64_nvme("123456789"), 0xAE8B14860A799888u);
  EXPECT_EQ(crc64_nvme("6789", crc64_nvme("12345")), 0xAE8B14860A799888u);
  EXPECT_EQ(crc32(""), 0u);
}

TEST(Crypto, ChecksumsContinueFromASeed) {
  std::string bytes = random_bytes(1000);
  for (std::size_t cut : {0, 1, 7, 8, 9, 500, 999, 1000}) {
    EXPECT_EQ(crc32(std::string_view(bytes).substr(cut), crc32(std::string_view(bytes).substr(0, cut))), crc32(bytes));
    EXPECT_EQ(crc32c(std::string_view(bytes).substr(cut), crc32c(std::string_view(bytes).substr(0, cut))),
              crc32c(bytes));
  }
}

TEST(Crypto, IncrementalDigestEqualsOneShot) {
  Digest digest(Digest::Kind::kSha256);
  digest.update("a");
  Digest other(Digest::Kind::kSha1);
  other.update("abc");
  digest.update("bc");
  EXPECT_EQ(to_hex(other.finish()), "a9993e364706816aba3e25717850c26c9cd0d89d");
  Digest moved = std::move(digest);
  EXPECT_EQ(moved.finish(), sha256("abc"));
}

TEST(Crypto, WorksFromManyThreads) {
  std::vector<std::thread> threads;
  std::atomic<int> wrong = 0;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int n = 0; n < 200; ++n) {
        if (to_hex(hmac_sha1("Jefe", "what do ya want for nothing?")) != "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79")
          ++wrong;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

TEST(Crypto, ComparesConstantTime) {
  EXPECT_TRUE(equal_constant_time("", ""));
  EXPECT_TRUE(equal_constant_time("abc", "abc"));
  EXPECT_FALSE(equal_constant_time("abc", "abd"));
  EXPECT_FALSE(equal_constant_time("abc", "abcd"));
}

TEST(Random, HasItsForm) {
  EXPECT_EQ(random_bytes(0), "");
  EXPECT_EQ(random_hex(20).size(), 40u);
  std::string uuid = random_uuid();
  ASSERT_EQ(uuid.size(), 36u);
  EXPECT_EQ(uuid[14], '4');
  EXPECT_NE(std::string("89ab").find(uuid[19]), std::string::npos);
  EXPECT_NE(random_uuid(), uuid);
}

TEST(Random, TextUsesTheWholeAlphabet) {
  std::string text = random_text(4000, "abc");
  EXPECT_EQ(text.size(), 4000u);
  std::map<char, int> counts;
  for (char c : text) ++counts[c];
  EXPECT_EQ(counts.size(), 3u);
  for (auto [c, count] : counts) EXPECT_NEAR(count, 1333, 250) << c;
}

}  // namespace
}  // namespace muster
