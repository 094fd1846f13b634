// SPDX-License-Identifier: Apache-2.0
#include "server/tls_identity.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>

namespace muster::server {
namespace {

constexpr std::int64_t kNow = 1'800'000'000'000;
constexpr std::int64_t kDay = 86'400'000;

class TlsIdentityTest : public ::testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/muster-identity-XXXXXX";
    ASSERT_NE(::mkdtemp(name), nullptr);
    top_ = name;
  }
  void TearDown() override { std::filesystem::remove_all(top_); }
  std::string top_;
};

TEST_F(TlsIdentityTest, StaysTheSameOverStarts) {
  auto data = DataDir::open(top_);
  auto first = ensure_tls_identity(*data, {"localhost", "127.0.0.1"}, kNow);
  ASSERT_TRUE(first) << first.error().message;
  auto second = ensure_tls_identity(*data, {"localhost", "127.0.0.1"}, kNow + 300 * kDay);
  ASSERT_TRUE(second);
  EXPECT_EQ(first->chain_pem, second->chain_pem);
  EXPECT_EQ(first->authority.certificate_pem(), second->authority.certificate_pem());
  auto leaf = second->chain_pem.substr(0, second->chain_pem.size() - second->authority.certificate_pem().size());
  EXPECT_TRUE(x509::key_matches(leaf, second->key_pem));
}

TEST_F(TlsIdentityTest, IsIssuedAgainBeforeItEndsAndForOtherNames) {
  auto data = DataDir::open(top_);
  auto first = ensure_tls_identity(*data, {"a.example"}, kNow);
  auto later = ensure_tls_identity(*data, {"a.example"}, kNow + 370 * kDay);
  ASSERT_TRUE(later);
  EXPECT_NE(first->chain_pem, later->chain_pem);
  auto renamed = ensure_tls_identity(*data, {"b.example"}, kNow + 370 * kDay);
  EXPECT_NE(later->chain_pem, renamed->chain_pem);
  EXPECT_EQ(first->authority.certificate_pem(), renamed->authority.certificate_pem());
}

TEST_F(TlsIdentityTest, ALostCaKeyIsNotReplacedInSilence) {
  auto data = DataDir::open(top_);
  ASSERT_TRUE(ensure_tls_identity(*data, {"a.example"}, kNow));
  std::filesystem::remove(data->file("ca.key"));
  auto again = ensure_tls_identity(*data, {"a.example"}, kNow);
  ASSERT_FALSE(again);
  EXPECT_NE(again.error().message.find("ca.key is missing"), std::string::npos);
}

}  // namespace
}  // namespace muster::server
