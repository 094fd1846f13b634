// SPDX-License-Identifier: Apache-2.0
#include "domain/iam/vouched_sessions.h"

#include <gtest/gtest.h>

#include "domain/iam/authorize.h"
#include "domain/iam/identities.h"
#include "store/memory_engine.h"

namespace muster::iam {
namespace {

constexpr std::string_view kWebAction = "sts:AssumeRoleWithWebIdentity";

class VouchedSessionsTest : public testing::Test {
 protected:
  VouchedSessionsTest() {
    auto account = store::run_blocking_for(*store_, [](store::Tx& tx) { return ensure_account(tx, "us-east-1"); });
    EXPECT_TRUE(account) << account.error().message;
    realm_ = account->realm;
    identity_ = {"id.example", "user-1", "app", {"app"}, {"mfa"}};
  }
  static std::string trust(const std::string& effect, const std::string& principal, std::string_view action,
                           const std::string& condition = {}) {
    return R"({"Effect":")" + effect + R"(","Principal":)" + principal + R"(,"Action":")" + std::string(action) + "\"" +
           (condition.empty() ? "" : R"(,"Condition":)" + condition) + "}";
  }
  std::string federated() { return R"({"Federated":")" + oidc_provider_arn(realm_, "id.example") + "\"}"; }
  std::string make_role(const std::string& name, const std::string& statements, const std::string& policy = {}) {
    auto made = store::run_blocking_for(*store_, [&](store::Tx& tx) -> Result<std::string> {
      Role wanted;
      wanted.name = name;
      wanted.trust_policy = R"({"Version":"2012-10-17","Statement":[)" + statements + "]}";
      TRY(const Role role, create_role(tx, wanted));
      if (!policy.empty()) TRY_VOID(put_role_policy(tx, name, "p", policy));
      return role_arn(realm_, role);
    });
    EXPECT_TRUE(made) << made.error().message;
    return made ? *made : "";
  }
  Result<RoleSession> assume(const std::string& role, std::int64_t duration_s = 3600, const std::string& policy = {}) {
    return store::run_blocking_for(*store_, [&](store::Tx& tx) {
      return assume_role_with_web_identity(tx, realm_, identity_, {role, "session", duration_s, policy, {}, context_});
    });
  }
  std::string said(const std::string& role) {
    auto session = assume(role);
    return session ? "ok" : session.error().reason + ": " + session.error().message;
  }
  Result<RoleSession> device(const std::string& role, std::int64_t duration_s = 3600) {
    return store::run_blocking_for(*store_, [&](store::Tx& tx) {
      return session_for_device(tx, realm_,
                                {role, "certificate", duration_s, {{"credentials-iot:ThingName", "t1"}}, context_});
    });
  }
  bool allowed(const RoleSession& session, const std::string& action, const std::string& resource) {
    auto decided = store::run_blocking(*store_, [&](store::Tx& tx) -> Status {
      const auto& given = session.credentials;
      TRY(const KnownCredentials known,
          find_credentials(tx, realm_, given.access_key_id, given.session_token, tx.now_ms()));
      EXPECT_EQ(known.secret_access_key, given.secret_access_key);
      return authorize(tx, realm_, known.principal, {action, {resource}, {}, {}});
    });
    return decided.has_value();
  }

  io::VirtualClock clock_;
  std::unique_ptr<store::MemoryStore> store_ = store::make_memory_store(clock_);
  Realm realm_;
  WebIdentity identity_;
  RequestKeys context_;
};

TEST_F(VouchedSessionsTest, TheProviderHasToBeNamedByTheTrustPolicy) {
  EXPECT_EQ(said(make_role("a", trust("Allow", federated(), kWebAction))), "ok");
  const std::string denied = "AccessDenied: Not authorized to perform sts:AssumeRoleWithWebIdentity";
  EXPECT_EQ(said(make_role("b", trust("Allow", R"("*")", "sts:*"))), denied);
  EXPECT_EQ(said(make_role("c", trust("Allow", R"({"AWS":"*"})", "sts:*"))), denied);
  EXPECT_EQ(said(make_role("d", trust("Allow", R"({"AWS":")" + realm_.account_id + "\"}", "sts:*"))), denied);
  EXPECT_EQ(said(make_role("e", trust("Allow", federated(), "sts:AssumeRole"))), denied);
  std::string other = federated();
  other.replace(other.find("id.example"), 10, "evil.example");
  EXPECT_EQ(said(make_role("f", trust("Allow", other, kWebAction))), denied);
  EXPECT_EQ(said(make_role("g", trust("Allow", federated(), kWebAction) + "," + trust("Deny", R"("*")", "sts:*"))),
            denied);
  EXPECT_EQ(said("arn:aws:iam::" + realm_.account_id + ":role/gone"), denied);
  EXPECT_EQ(said("arn:aws:iam::999999999999:role/a"), denied);
  EXPECT_NE(said("a"), "ok");
}

TEST_F(VouchedSessionsTest, ConditionsSeeTheTokensClaims) {
  auto by = [&](const std::string& name, const std::string& condition) {
    return said(make_role(name, trust("Allow", federated(), kWebAction, condition)));
  };
  EXPECT_EQ(by("a", R"({"StringEquals":{"id.example:aud":"app","id.example:sub":"user-1"}})"), "ok");
  EXPECT_NE(by("b", R"({"StringEquals":{"id.example:sub":"user-2"}})"), "ok");
  EXPECT_EQ(by("c", R"({"ForAnyValue:StringEquals":{"id.example:amr":["mfa"]}})"), "ok");
  EXPECT_NE(by("d", R"({"StringEquals":{"other.example:sub":"user-1"}})"), "ok");
  EXPECT_EQ(by("e", R"({"StringEquals":{"id.example:oaud":"app"},"StringLike":{"aws:FederatedProvider":"*"}})"), "ok");
}

TEST_F(VouchedSessionsTest, TrustSeesTheRequest) {
  const std::string inside = R"({"IpAddress":{"aws:SourceIp":"10.0.0.0/8"},"Bool":{"aws:SecureTransport":"true"}})";
  const std::string not_curl = R"({"StringLike":{"aws:UserAgent":"curl/*"}})";
  const std::string provider = R"({"Service":"credentials.iot.amazonaws.com"})";
  const std::string web = make_role(
      "web", trust("Allow", federated(), kWebAction, inside) + "," + trust("Deny", R"("*")", "sts:*", not_curl));
  const std::string box = make_role(
      "box", trust("Allow", provider, "sts:AssumeRole", inside) + "," + trust("Deny", R"("*")", "sts:*", not_curl));
  auto may = [&] {
    const bool assumes = assume(web).has_value();
    EXPECT_EQ(device(box).has_value(), assumes);
    return assumes;
  };
  EXPECT_FALSE(may());
  context_ = {{"aws:SourceIp", {"10.1.2.3"}}, {"aws:SecureTransport", {"true"}}, {"aws:UserAgent", {"device"}}};
  EXPECT_TRUE(may());
  context_["aws:UserAgent"] = {"curl/8"};
  EXPECT_FALSE(may());
  context_["aws:UserAgent"].clear();
  context_["aws:SourceIp"] = {"11.1.2.3"};
  EXPECT_FALSE(may());
}

TEST_F(VouchedSessionsTest, SessionsSupplyWhoTheyAreAndEnd) {
  const std::string policy = R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iot:DescribeThing",)"
                             R"("Resource":"arn:aws:iot:*:*:thing/${id.example:sub}"}]})";
  const std::string role = make_role("web", trust("Allow", federated(), kWebAction), policy);
  auto session = assume(role, 900);
  ASSERT_TRUE(session) << session.error().message;
  EXPECT_EQ(session->expires_ms, clock_.now_ms() + 900'000);
  const std::string thing = "arn:aws:iot:us-east-1:" + realm_.account_id + ":thing/";
  EXPECT_TRUE(allowed(*session, "iot:DescribeThing", thing + "user-1"));
  EXPECT_FALSE(allowed(*session, "iot:DescribeThing", thing + "user-2"));
  EXPECT_FALSE(allowed(*session, "iot:DeleteThing", thing + "user-1"));
  auto bounded = assume(role, 900, R"({"Version":"2012-10-17","Statement":[]})");
  EXPECT_FALSE(bounded && allowed(*bounded, "iot:DescribeThing", thing + "user-1"));
  EXPECT_FALSE(assume(role, 3601));
  EXPECT_FALSE(assume(role, 899));
  EXPECT_FALSE(assume(role, 900, "{"));
  clock_.advance_ms(900'000);
  EXPECT_FALSE(allowed(*session, "iot:DescribeThing", thing + "user-1"));
}

TEST_F(VouchedSessionsTest, ASubjectWithWildcardsGainsNothing) {
  identity_.subject = "*";
  const std::string policy = R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iot:DescribeThing",)"
                             R"("Resource":"arn:aws:iot:*:*:thing/${id.example:sub}"}]})";
  auto session = assume(make_role("web", trust("Allow", federated(), kWebAction), policy));
  ASSERT_TRUE(session) << session.error().message;
  EXPECT_FALSE(allowed(*session, "iot:DescribeThing", "arn:aws:iot:us-east-1:" + realm_.account_id + ":thing/any"));
}

TEST_F(VouchedSessionsTest, DevicesNeedARoleThatTrustsTheCredentialsProvider) {
  const std::string words = "Unable to assume the role, or the role to assume does not exist";
  const std::string provider = R"({"Service":"credentials.iot.amazonaws.com"})";
  const std::string policy = R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iot:DescribeThing",)"
                             R"("Resource":"arn:aws:iot:*:*:thing/${credentials-iot:ThingName}"}]})";
  const std::string role = make_role("good", trust("Allow", provider, "sts:AssumeRole"), policy);
  auto session = device(role);
  ASSERT_TRUE(session) << session.error().message;
  EXPECT_EQ(session->assumed_role_arn, "arn:aws:sts::" + realm_.account_id + ":assumed-role/good/certificate");
  const std::string thing = "arn:aws:iot:us-east-1:" + realm_.account_id + ":thing/";
  EXPECT_TRUE(allowed(*session, "iot:DescribeThing", thing + "t1"));
  EXPECT_FALSE(allowed(*session, "iot:DescribeThing", thing + "t2"));
  EXPECT_EQ(device(role, 3601).error().message,
            "The requested CredentialDurationSeconds exceeds the MaxSessionDuration set for the role");
  EXPECT_EQ(device("arn:aws:iam::" + realm_.account_id + ":role/gone").error().message, words);
  EXPECT_EQ(device("arn:aws:iam::999999999999:role/good").error().message, words);
  EXPECT_EQ(device(make_role("other", trust("Allow", R"({"Service":"iot.amazonaws.com"})", "sts:AssumeRole")))
                .error()
                .message,
            words);
  EXPECT_EQ(device(make_role("web", trust("Allow", federated(), kWebAction))).error().message, words);
}

}  // namespace
}  // namespace muster::iam
