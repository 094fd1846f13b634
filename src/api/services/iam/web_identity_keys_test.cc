// SPDX-License-Identifier: Apache-2.0
#include "api/services/iam/web_identity_keys.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <future>

#include "base/jwt_test_support.h"
#include "io/loop_test_support.h"

namespace muster::api::iam_service {
namespace {

constexpr std::int64_t kMinute = 60'000, kHour = 60 * kMinute;

class WebIdentityKeysTest : public testing::Test {
 protected:
  WebIdentityKeysTest()
      : path_(std::filesystem::temp_directory_path() / ("muster-keys-" + std::to_string(::getpid()))) {
    client_ = *io::HttpClient::create({});
    keys_ = std::make_unique<WebIdentityKeys>(*client_, pool_, clock_, KeyFiles{{"id.example", path_.string()}});
    write("k1");
  }
  ~WebIdentityKeysTest() override {
    client_->stop();
    std::filesystem::remove(path_);
  }
  void write(const std::string& id) {
    static const jwt::TestSigner signer("P-256");
    std::ofstream(path_) << jwt::key_set({signer.jwk(id)});
  }
  Result<WebIdentityKeys::Keys> get(WebIdentityKeys::Keys lacking = nullptr, const std::string& url = "id.example") {
    std::promise<Result<WebIdentityKeys::Keys>> promise;
    keys_->get(url, std::move(lacking), [&](auto keys) { promise.set_value(std::move(keys)); });
    return promise.get_future().get();
  }
  // The id of the one key, or the reason of the error.
  std::string id(WebIdentityKeys::Keys lacking = nullptr) {
    auto keys = get(std::move(lacking));
    return keys ? (*keys)->front().id : keys.error().reason;
  }

  std::filesystem::path path_;
  io::VirtualClock clock_;
  std::unique_ptr<io::HttpClient> client_;
  std::unique_ptr<WebIdentityKeys> keys_;
  io::BlockingPool pool_{1};
};

TEST_F(WebIdentityKeysTest, AnUnknownKeyHasThemReadAgainOnceAMinute) {
  auto first = get();
  ASSERT_TRUE(first) << first.error().message;
  write("k2");
  EXPECT_EQ(id(), "k1");
  EXPECT_EQ(id(*first), "k1");
  clock_.advance_ms(kMinute - 1);
  EXPECT_EQ(id(*first), "k1");
  clock_.advance_ms(1);
  EXPECT_EQ(id(), "k1");  // nobody lacks a key
  EXPECT_EQ(id(*first), "k2");
  EXPECT_EQ(id(*first), "k2");  // newer ones than those that lacked it
  EXPECT_EQ(id(), "k2");
}

TEST_F(WebIdentityKeysTest, OldKeysServeForADayWhenThereAreNoNewerOnes) {
  EXPECT_EQ(id(), "k1");
  std::filesystem::remove(path_);
  clock_.advance_ms(kHour);
  EXPECT_EQ(id(), "k1");
  write("k2");
  EXPECT_EQ(id(), "k1");  // it failed a moment ago
  clock_.advance_ms(10'000);
  EXPECT_EQ(id(), "k2");
  std::filesystem::remove(path_);
  clock_.advance_ms(24 * kHour);
  EXPECT_EQ(id(), "IDPCommunicationError");
  write("k3");
  EXPECT_EQ(id(), "IDPCommunicationError");
  clock_.advance_ms(10'000);
  EXPECT_EQ(id(), "k3");
}

TEST_F(WebIdentityKeysTest, WhatIsNoKeySetIsRefused) {
  for (const char* text : {"{}", "not json", R"({"keys":[]})"}) {
    std::ofstream(path_) << text;
    clock_.advance_ms(2 * 24 * kHour);
    EXPECT_EQ(id(), "InvalidIdentityToken") << text;
  }
  std::ofstream(path_) << std::string(300'000, ' ');
  clock_.advance_ms(kMinute);
  EXPECT_EQ(id(), "InvalidIdentityToken");
}

TEST_F(WebIdentityKeysTest, AnIssuerThatCannotBeReachedIsSaidSo) {
  auto keys = get(nullptr, "127.0.0.1:1/nobody");
  ASSERT_FALSE(keys);
  EXPECT_EQ(keys.error().reason, "IDPCommunicationError");
}

TEST(KeyFilesTest, LinesAreChecked) {
  auto files = parse_key_files({"https://id.example/a = /etc/a=b.json"});
  ASSERT_TRUE(files) << files.error().message;
  EXPECT_EQ(files->at("id.example/a"), "/etc/a=b.json");
  for (const char* bad :
       {"", "https://id.example", "https://id.example=", "http://id.example=/x", "=/x", "https://=/x"}) {
    EXPECT_FALSE(parse_key_files({bad})) << bad;
  }
  EXPECT_FALSE(parse_key_files({"https://a=/x", "https://a=/y"}));
}

}  // namespace
}  // namespace muster::api::iam_service
