// SPDX-License-Identifier: Apache-2.0
#include "domain/security/custom_authorizers.h"

#include "base/jwt_test_support.h"
#include "domain/registry/tags.h"
#include "domain/security/role_aliases.h"
#include "domain/security/security_test_support.h"

namespace muster::security {
namespace {

const std::string& pem() {
  static const std::string text = jwt::TestSigner().public_pem();
  return text;
}

class CustomAuthorizersTest : public SecurityTest {
 protected:
  CustomAuthorizer wanted(const std::string& name) {
    CustomAuthorizer out;
    out.name = name;
    out.function_arn = "arn:aws:lambda:eu-central-1:123456789012:function:f";
    out.token_key_name = "token";
    out.public_keys = {{"k", pem()}};
    return out;
  }
  std::string create(const CustomAuthorizer& authorizer) {
    return said([&](store::Tx& tx) { return create_authorizer(tx, realm_, authorizer); });
  }
  std::string update(const std::string& name, const AuthorizerChange& change) {
    return said([&](store::Tx& tx) { return update_authorizer(tx, name, change); });
  }
  std::string set_default(const std::string& name) {
    return said([&](store::Tx& tx) { return set_default_authorizer(tx, realm_, name); });
  }
  std::string erase(const std::string& name) {
    return said([&](store::Tx& tx) { return delete_authorizer(tx, realm_, name); });
  }
  RoleAlias alias(const std::string& name, const std::string& role = "arn:aws:iam::123456789012:role/x/r") {
    return {name, role};
  }
  std::string create(const RoleAlias& wanted_alias) {
    return said([&](store::Tx& tx) { return create_role_alias(tx, realm_, wanted_alias); });
  }
};

TEST_F(CustomAuthorizersTest, RoundTripOfEveryMember) {
  CustomAuthorizer made = wanted("a");
  made.active = made.cache_for_http = true;
  ASSERT_EQ(create(made), "ok");
  EXPECT_EQ(create(made), "Authorizer a already exists");
  auto found = run([&](store::Tx& tx) { return get_authorizer(tx, "a"); });
  EXPECT_EQ(found.function_arn, made.function_arn);
  EXPECT_EQ(found.token_key_name, "token");
  EXPECT_EQ(found.public_keys, made.public_keys);
  EXPECT_TRUE(found.active && found.cache_for_http && !found.signing_disabled);
  EXPECT_EQ(found.created_ms, clock_.now_ms());
  clock_.advance_ms(5);
  ASSERT_EQ(update("a", {.token_key_name = "other", .active = false}), "ok");
  found = run([&](store::Tx& tx) { return get_authorizer(tx, "a"); });
  EXPECT_EQ(found.token_key_name, "other");
  EXPECT_EQ(found.modified_ms, found.created_ms + 5);
  EXPECT_TRUE(!found.active && found.cache_for_http);
  EXPECT_EQ(update("b", {}), "Authorizer b does not exist");
}

TEST_F(CustomAuthorizersTest, SigningNeedsAKeyAndItsTokensName) {
  CustomAuthorizer bad = wanted("a");
  bad.token_key_name.clear();
  EXPECT_EQ(create(bad), "tokenKeyName is required when signing is enabled");
  bad = wanted("a");
  bad.public_keys.clear();
  EXPECT_EQ(create(bad), "tokenSigningPublicKeys is required when signing is enabled");
  bad.signing_disabled = true;
  EXPECT_EQ(create(bad), "ok");
  bad = wanted("b");
  for (const std::string& key :
       {std::string("x"), jwt::TestSigner("P-256").public_pem(), jwt::TestSigner("RSA", 1024).public_pem()}) {
    bad.public_keys = {{"k", key}};
    EXPECT_EQ(create(bad), "Token signing public key k is not a PEM-encoded RSA public key of 2048 bits or more");
  }
  bad.public_keys = {{"a", pem()}, {"b", pem()}, {"c", pem()}};
  EXPECT_EQ(create(bad), "An authorizer can have at most 2 token signing public keys");
  ASSERT_EQ(create(wanted("c")), "ok");
  EXPECT_EQ(update("c", {.public_keys = std::map<std::string, std::string>()}),
            "tokenSigningPublicKeys is required when signing is enabled");
}

TEST_F(CustomAuthorizersTest, TheDefaultIsActiveAndGuarded) {
  EXPECT_EQ(set_default("a"), "Authorizer a does not exist");
  EXPECT_EQ(said([&](store::Tx& tx) { return clear_default_authorizer(tx); }), "There is no default authorizer");
  ASSERT_EQ(create(wanted("a")), "ok");
  EXPECT_EQ(set_default("a"), "Authorizer a is not active");
  ASSERT_EQ(update("a", {.active = true}), "ok");
  CustomAuthorizer other = wanted("b");
  other.active = true;
  ASSERT_EQ(create(other), "ok");
  EXPECT_EQ(set_default("a"), "ok");
  EXPECT_EQ(set_default("a"), "ok");
  EXPECT_EQ(set_default("b"), "There is a default authorizer already: a");
  EXPECT_EQ(update("a", {.active = false}), "The default authorizer cannot be made inactive; clear the default first");
  EXPECT_NE(erase("a"), "ok");
  EXPECT_EQ(said([&](store::Tx& tx) { return clear_default_authorizer(tx); }), "ok");
  EXPECT_NE(erase("a"), "ok");  // active
  ASSERT_EQ(update("a", {.active = false}), "ok");
  EXPECT_EQ(erase("a"), "ok");
  EXPECT_EQ(erase("a"), "Authorizer a does not exist");
}

TEST_F(CustomAuthorizersTest, ListingsPageInBothDirectionsAndByStatus) {
  for (const char* name : {"a", "b", "c", "d", "e"}) {
    CustomAuthorizer made = wanted(name);
    made.active = name[0] == 'b' || name[0] == 'd' || name[0] == 'e';
    ASSERT_EQ(create(made), "ok");
  }
  ASSERT_EQ(set_default("b"), "ok");
  auto all = [&](bool ascending, std::optional<bool> active, std::size_t limit) {
    std::string names;
    registry::PageRequest request{"", limit};
    do {
      auto page = run([&](store::Tx& tx) { return list_authorizers(tx, request, ascending, active); });
      EXPECT_LE(page.items.size(), limit);
      for (const std::string& name : page.items) names += name;
      request.token = page.next_token;
    } while (!request.token.empty());
    return names;
  };
  EXPECT_EQ(all(true, {}, 2), "abcde");
  EXPECT_EQ(all(false, {}, 2), "edcba");
  EXPECT_EQ(all(true, true, 2), "bde");
  EXPECT_EQ(all(false, true, 1), "edb");
  EXPECT_EQ(all(true, false, 100), "ac");
}

TEST_F(CustomAuthorizersTest, RoleAliases) {
  ASSERT_EQ(create(alias("a")), "ok");
  EXPECT_EQ(create(alias("a")), "Role alias a already exists");
  auto found = run([&](store::Tx& tx) { return get_role_alias(tx, "a"); });
  EXPECT_EQ(found.role_arn, "arn:aws:iam::123456789012:role/x/r");
  EXPECT_EQ(found.credential_duration_s, 3600);
  clock_.advance_ms(3);
  ASSERT_EQ(said([&](store::Tx& tx) { return update_role_alias(tx, realm_, "a", {.credential_duration_s = 900}); }),
            "ok");
  found = run([&](store::Tx& tx) { return get_role_alias(tx, "a"); });
  EXPECT_EQ(found.credential_duration_s, 900);
  EXPECT_EQ(found.modified_ms, found.created_ms + 3);
  run([&](store::Tx& tx) -> Result<int> {
    TRY_VOID(registry::tag_resource(tx, role_alias_arn(realm_, "a"), {{"k", "v"}}));
    TRY_VOID(delete_role_alias(tx, realm_, "a"));
    EXPECT_TRUE(registry::tags_of(tx, role_alias_arn(realm_, "a")).empty());
    return 0;
  });
  EXPECT_EQ(said([&](store::Tx& tx) { return get_role_alias(tx, "a"); }), "Role alias a does not exist");
}

TEST_F(CustomAuthorizersTest, RoleAliasesOfOtherAccountsAndOddDurationsAreRefused) {
  for (const char* role :
       {"arn:aws:iam::999999999999:role/r", "arn:aws:iam::123456789012:user/u", "arn:aws:iam::123456789012:role/",
        "arn:aws:sts::123456789012:role/r", "r", "arn:aws:iam:us-east-1:123456789012:role/r"}) {
    EXPECT_NE(create(alias("a", role)), "ok") << role;
  }
  for (std::int64_t duration : {0, 899, 43'201}) {
    RoleAlias bad = alias("a");
    bad.credential_duration_s = duration;
    EXPECT_NE(create(bad), "ok") << duration;
  }
}

}  // namespace
}  // namespace muster::security
