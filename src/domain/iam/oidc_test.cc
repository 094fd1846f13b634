// SPDX-License-Identifier: Apache-2.0
#include "domain/iam/oidc.h"

#include <gtest/gtest.h>

#include "store/memory_engine.h"

namespace muster::iam {
namespace {

constexpr std::int64_t kNowMs = 1'700'000'000'000;
constexpr std::string_view kThumbprint = "0123456789abcdef0123456789ABCDEF01234567";

class OidcTest : public testing::Test {
 protected:
  template <class F>
  std::string said(F&& body) {
    Status status = store::run_blocking(*store_, [&](store::Tx& tx) -> Status {
      auto outcome = body(tx);
      if (!outcome) return outcome.error();
      return {};
    });
    return status ? "ok" : status.error().reason + ": " + status.error().message;
  }
  std::string create(const std::string& url, std::vector<std::string> clients = {"app"}) {
    return said([&](store::Tx& tx) {
      return create_oidc_provider(tx, {url, clients, {std::string(kThumbprint)}, {}});
    });
  }
  OidcProvider get(const std::string& url) {
    auto found =
        store::run_blocking_for(*store_, [&](store::Tx& tx) { return get_oidc_provider(tx, realm_, arn(url)); });
    EXPECT_TRUE(found) << found.error().message;
    return found ? *found : OidcProvider();
  }
  std::string arn(const std::string& url) { return oidc_provider_arn(realm_, url); }

  io::VirtualClock clock_;
  std::unique_ptr<store::MemoryStore> store_ = store::make_memory_store(clock_);
  Realm realm_{"123456789012", "us-east-1"};
};

TEST_F(OidcTest, ProvidersAreMadeChangedAndDeleted) {
  ASSERT_EQ(create("https://id.example/realms/a"), "ok");
  EXPECT_EQ(arn("id.example/realms/a"), "arn:aws:iam::123456789012:oidc-provider/id.example/realms/a");
  EXPECT_EQ(create("https://id.example/realms/a"),
            "EntityAlreadyExists: Provider with url https://id.example/realms/a already exists.");
  const std::string of = arn("id.example/realms/a");
  EXPECT_EQ(said([&](store::Tx& tx) { return add_oidc_client_id(tx, realm_, of, "two"); }), "ok");
  EXPECT_EQ(said([&](store::Tx& tx) { return add_oidc_client_id(tx, realm_, of, "two"); }), "ok");
  EXPECT_EQ(get("id.example/realms/a").client_ids, (std::vector<std::string>{"app", "two"}));
  EXPECT_EQ(said([&](store::Tx& tx) { return remove_oidc_client_id(tx, realm_, of, "app"); }), "ok");
  EXPECT_EQ(said([&](store::Tx& tx) { return remove_oidc_client_id(tx, realm_, of, "app"); }), "ok");
  EXPECT_EQ(get("id.example/realms/a").client_ids, std::vector<std::string>{"two"});
  EXPECT_EQ(said([&](store::Tx& tx) { return update_oidc_thumbprints(tx, realm_, of, {"xx"}); }),
            "InvalidInput: Invalid thumbprint: not 40 hex digits");
  EXPECT_EQ(said([&](store::Tx& tx) { return tag_oidc_provider(tx, realm_, of, {{"k", "v"}, {"l", "w"}}); }), "ok");
  EXPECT_EQ(said([&](store::Tx& tx) { return untag_oidc_provider(tx, realm_, of, {"k"}); }), "ok");
  EXPECT_EQ(get("id.example/realms/a").tags, (std::map<std::string, std::string>{{"l", "w"}}));
  EXPECT_EQ(said([&](store::Tx& tx) { return delete_oidc_provider(tx, realm_, of); }), "ok");
  EXPECT_EQ(said([&](store::Tx& tx) { return delete_oidc_provider(tx, realm_, of); }),
            "NoSuchEntity: OpenIDConnect Provider not found for arn " + of);
}

TEST_F(OidcTest, UrlsOfProviders) {
  for (const char* good : {"https://a", "https://id.example:8443/x"}) EXPECT_EQ(create(good), "ok") << good;
  for (const std::string& bad :
       {std::string(), std::string("http://id.example"), std::string("https://"), std::string("https://a?x=y"),
        std::string("https://a#x"), std::string("https://user@a"), std::string("https:///x"),
        std::string("https://a b"), std::string("https://*"), "https://" + std::string(250, 'a'),
        std::string("ftp://a"), std::string("https://:1/"), std::string("https://%61/")}) {
    EXPECT_EQ(create(bad), "InvalidInput: Invalid Open ID Connect Provider URL") << bad;
  }
}

TEST_F(OidcTest, Quotas) {
  EXPECT_EQ(create("https://a", std::vector<std::string>(101, "x")).substr(0, 13), "LimitExceeded");
  for (int i = 0; i < 100; ++i) ASSERT_EQ(create("https://host" + std::to_string(i)), "ok");
  EXPECT_EQ(create("https://more").substr(0, 13), "LimitExceeded");
}

TEST_F(OidcTest, AnotherAccountsProviderIsNotFound) {
  ASSERT_EQ(create("https://a"), "ok");
  EXPECT_NE(
      said([&](store::Tx& tx) { return get_oidc_provider(tx, realm_, "arn:aws:iam::999999999999:oidc-provider/a"); }),
      "ok");
}

// ---- claims

json::object claims() {
  return {
      {"iss", "https://id.example"}, {"sub", "user-1"}, {"aud", "app"}, {"exp", 1'700'000'600}, {"iat", 1'700'000'000}};
}

std::string checked(const json::object& of, std::int64_t now_ms = kNowMs) {
  const OidcProvider provider{"id.example", {"app", "two"}, {}, {}};
  auto identity = check_web_identity(provider, of, now_ms);
  return identity ? "ok" : identity.error().reason + ": " + identity.error().message;
}

std::string with(std::string_view name, json::value value, std::int64_t now_ms = kNowMs) {
  json::object changed = claims();
  changed[name] = std::move(value);
  return checked(changed, now_ms);
}

std::string without(std::string_view name) {
  json::object changed = claims();
  changed.erase(name);
  return checked(changed);
}

TEST(WebIdentityTest, ConditionKeysNameTheProvider) {
  json::object of = claims();
  of["amr"] = json::array{"authenticated", "mfa"};
  const auto identity = check_web_identity({"id.example", {"app"}, {}, {}}, of, kNowMs);
  ASSERT_TRUE(identity) << identity.error().message;
  const std::map<std::string, std::vector<std::string>> expected{{"id.example:sub", {"user-1"}},
                                                                 {"id.example:aud", {"app"}},
                                                                 {"id.example:oaud", {"app"}},
                                                                 {"id.example:amr", {"authenticated", "mfa"}}};
  EXPECT_EQ(identity->condition_keys(), expected);
}

TEST(WebIdentityTest, TheAudienceIsAClientIdOfTheProvider) {
  EXPECT_EQ(checked(claims()), "ok");
  EXPECT_EQ(with("aud", json::array{"x", "two"}), "ok");
  const std::string wrong = "InvalidIdentityToken: Incorrect token audience";
  EXPECT_EQ(with("aud", "other"), wrong);
  EXPECT_EQ(with("aud", "app "), wrong);
  EXPECT_EQ(with("azp", "two"), "ok");
  EXPECT_EQ(with("azp", "other"), wrong);  // though aud is right
  EXPECT_EQ(with("azp", json::array{"app"}), wrong);
  EXPECT_EQ(without("aud"), "InvalidIdentityToken: Missing a required claim: aud");
  EXPECT_EQ(with("aud", json::array{}), "InvalidIdentityToken: Missing a required claim: aud");
  EXPECT_EQ(with("aud", json::array{"app", 1}), "InvalidIdentityToken: Missing a required claim: aud");
  EXPECT_EQ(with("aud", json::array(101, "app")), "InvalidIdentityToken: Missing a required claim: aud");
}

TEST(WebIdentityTest, AnotherIssuersTokenIsRefused) {
  for (const char* issuer : {"https://evil.example", "http://id.example", "id.example", "https://id.example/", ""}) {
    EXPECT_EQ(with("iss", issuer), "InvalidIdentityToken: Incorrect token issuer") << issuer;
  }
  EXPECT_EQ(without("sub"), "InvalidIdentityToken: Missing a required claim: sub");
  EXPECT_EQ(with("sub", 5), "InvalidIdentityToken: Missing a required claim: sub");
  EXPECT_NE(with("sub", json::value(std::string(256, 's'))), "ok");
}

TEST(WebIdentityTest, ClocksMayDifferByFiveMinutes) {
  constexpr std::int64_t kExpires = 1'700'000'600'000, kSkew = 300'000;
  EXPECT_EQ(checked(claims(), kExpires + kSkew - 1), "ok");
  EXPECT_EQ(checked(claims(), kExpires + kSkew).substr(0, 21), "ExpiredTokenException");
  EXPECT_EQ(checked(claims(), kNowMs - kSkew), "ok");
  EXPECT_EQ(checked(claims(), kNowMs - kSkew - 1), "InvalidIdentityToken: Token was issued in the future");
  EXPECT_EQ(with("nbf", 1'700'000'300), "ok");
  EXPECT_EQ(with("nbf", 1'700'000'301), "InvalidIdentityToken: Token is not valid yet");
  EXPECT_EQ(with("nbf", "soon"), "InvalidIdentityToken: Token is not valid yet");
  EXPECT_EQ(without("exp"), "InvalidIdentityToken: Missing a required claim: exp");
  EXPECT_EQ(without("iat"), "InvalidIdentityToken: Missing a required claim: iat");
  for (json::value bad : {json::value("1700000600"), json::value(-1), json::value(1e300), json::value(nullptr)}) {
    EXPECT_EQ(with("exp", bad), "InvalidIdentityToken: Missing a required claim: exp");
  }
  EXPECT_EQ(with("exp", 1'700'000'600.5), "ok");
}

TEST(WebIdentityTest, ClaimsThatWouldHandOverTagsAreRefusedByName) {
  EXPECT_EQ(with("https://aws.amazon.com/tags", json::object{}),
            "InvalidIdentityToken: The claim https://aws.amazon.com/tags is not served");
  EXPECT_NE(with("https://aws.amazon.com/source_identity", "x"), "ok");
  EXPECT_NE(with("amr", 5), "ok");
}

}  // namespace
}  // namespace muster::iam
