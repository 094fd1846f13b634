// SPDX-License-Identifier: Apache-2.0
#include "domain/iam/sessions.h"

#include "domain/iam/entities.h"
#include "domain/iam/iam_test_support.h"
#include "domain/iam/managed_policies.h"

namespace muster::iam {
namespace {

using testing::HasSubstr;

class Sessions : public IamTest {
 protected:
  void SetUp() override {
    IamTest::SetUp();
    user("ann");
    ann_ = principal(key("ann").id);
  }
  static std::string trust(std::string_view who, std::string_view actions = R"("sts:AssumeRole")",
                           std::string_view condition = "{}") {
    return R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":)" + std::string(who) +
           R"(,"Action":[)" + std::string(actions) + R"(],"Condition":)" + std::string(condition) + "}]}";
  }
  AssumeRole of(const Role& role) { return {.role_arn = role_arn(realm_, role), .session_name = "s1"}; }
  Principal assumed(const Principal& who, const AssumeRole& wanted) {
    auto session = assume(who, wanted);
    EXPECT_TRUE(session) << session.error().message;
    if (!session) return {};
    return principal(session->credentials.access_key_id, session->credentials.session_token);
  }
  static constexpr std::string_view kAll = R"("sts:AssumeRole","sts:TagSession","sts:SetSourceIdentity")";

  Principal ann_;
};

TEST_F(Sessions, ManagedSessionPoliciesBoundTheSession) {
  Role open = role("open", trust("\"*\""));
  EXPECT_TRUE(status([&](store::Tx& tx) { return put_role_policy(tx, "open", "p", kAllowAll); }));
  AssumeRole wanted = of(open);
  wanted.policy_arns = {"arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"};
  Principal session = assumed(ann_, wanted);
  EXPECT_TRUE(allowed(session, "s3:GetObject", "arn:aws:s3:::b/k"));
  EXPECT_THAT(allowed(session, "s3:PutObject", "arn:aws:s3:::b/k").error().message, HasSubstr("no session policy"));
  wanted.session_policy = allow("s3:PutObject", "*");
  EXPECT_TRUE(allowed(assumed(ann_, wanted), "s3:PutObject", "arn:aws:s3:::b/k")) << "the union of both";
  wanted.policy_arns = {"arn:aws:iam::aws:policy/NoSuchPolicy"};
  EXPECT_EQ(assume(ann_, wanted).error().kind, ErrorKind::kInvalid);
  wanted.policy_arns.assign(11, "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess");
  EXPECT_EQ(assume(ann_, wanted).error().reason, "ValidationError");
  wanted.policy_arns.clear();
  wanted.session_policy = allow("s3:PutObject", "arn:aws:s3:::" + std::string(2100, 'b'));
  EXPECT_EQ(assume(ann_, wanted).error().reason, "PackedPolicyTooLarge");
}

TEST_F(Sessions, SessionThatItsResourceNamesIsNotBounded) {
  Role open = role("open", trust("\"*\""));
  EXPECT_TRUE(status([&](store::Tx& tx) {
    return put_boundary(tx, realm_, EntityKind::kRole, "open", "arn:aws:iam::aws:policy/AWSIoTDataAccess");
  }));
  Principal session = assumed(ann_, of(open));
  auto bucket = [&](const std::string& who) {
    return R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":)" + who +
           R"(,"Action":"s3:GetObject","Resource":"arn:aws:s3:::b/*"}]})";
  };
  auto get = [&](const std::string& who) {
    return allowed(session, "s3:GetObject", "arn:aws:s3:::b/k", bucket(who)).has_value();
  };
  EXPECT_FALSE(get("\"*\""));
  EXPECT_FALSE(get(R"({"AWS":")" + role_arn(realm_, open) + "\"}"));
  EXPECT_TRUE(get(R"({"AWS":")" + session.arn + "\"}"));
  EXPECT_TRUE(get(R"({"AWS":[")" + role_arn(realm_, open) + R"(",")" + session.arn + "\"]}"));
}

TEST_F(Sessions, TagsNeedTagSessionAndReachPolicies) {
  Role plain = role("plain", trust("\"*\"")), tagging = role("tagging", trust("\"*\"", kAll));
  EXPECT_TRUE(status([&](store::Tx& tx) {
    return put_role_policy(tx, "tagging", "p", allow("s3:*", "arn:aws:s3:::b/${aws:PrincipalTag/team}/*"));
  }));
  AssumeRole wanted = of(plain);
  wanted.tags = {{"team", "red"}};
  EXPECT_THAT(assume(ann_, wanted).error().message, HasSubstr("sts:TagSession"));
  wanted.role_arn = role_arn(realm_, tagging);
  Principal session = assumed(ann_, wanted);
  EXPECT_TRUE(allowed(session, "s3:GetObject", "arn:aws:s3:::b/red/x"));
  EXPECT_FALSE(allowed(session, "s3:GetObject", "arn:aws:s3:::b/blue/x"));
  wanted.tags = {{"team", "*"}};
  EXPECT_FALSE(allowed(assumed(ann_, wanted), "s3:GetObject", "arn:aws:s3:::b/blue/x")) << "a value is no wildcard";
  wanted.transitive_tags = {"other"};
  EXPECT_EQ(assume(ann_, wanted).error().reason, "ValidationError");
}

TEST_F(Sessions, TransitiveTagsAndSourceIdentityStayForTheChain) {
  Role first = role("first", trust("\"*\"", kAll)), second = role("second", trust("\"*\"", kAll));
  AssumeRole wanted = of(first);
  wanted.tags = {{"team", "red"}, {"shift", "night"}};
  wanted.transitive_tags = {"team"};
  wanted.source_identity = "ann";
  Principal session = assumed(ann_, wanted);
  EXPECT_EQ(session.source_identity, "ann");
  AssumeRole onward = of(second);
  Principal chained = assumed(session, onward);
  EXPECT_THAT(chained.session_tags, testing::ElementsAre(testing::Pair("team", "red")));
  EXPECT_EQ(chained.source_identity, "ann");
  onward.tags = {{"Team", "blue"}};
  EXPECT_THAT(assume(session, onward).error().message, HasSubstr("conflicts with a transitive tag key"));
  onward.tags.clear();
  onward.source_identity = "bob";
  EXPECT_EQ(assume(session, onward).error().kind, ErrorKind::kAccessDenied);
}

TEST_F(Sessions, ChainsLastAnHourAtMost) {
  Role longer = run([&](store::Tx& tx) {
    return create_role(tx, Role{.name = "longer", .trust_policy = trust("\"*\""), .max_session_s = 43200});
  });
  AssumeRole wanted = of(longer);
  wanted.duration_s = 7200;
  Principal session = assumed(ann_, wanted);
  EXPECT_THAT(assume(session, wanted).error().message, HasSubstr("1 hour session limit"));
  wanted.duration_s = 3600;
  EXPECT_TRUE(assume(session, wanted));
}

TEST_F(Sessions, BoundaryOfTheCallerBoundsADelegatedAssumption) {
  Role by_account = role("by-account", trust(R"({"AWS":")" + realm_.account_id + "\"}"));
  Role by_name = role("by-name", trust(R"({"AWS":")" + ann_.arn + "\"}"));
  EXPECT_TRUE(status([&](store::Tx& tx) { return put_user_policy(tx, "ann", "p", kAllowAll); }));
  EXPECT_TRUE(assume(ann_, of(by_account)));
  EXPECT_TRUE(status([&](store::Tx& tx) {
    return put_boundary(tx, realm_, EntityKind::kUser, "ann", "arn:aws:iam::aws:policy/AWSIoTFullAccess");
  }));
  EXPECT_FALSE(assume(ann_, of(by_account)));
  EXPECT_TRUE(assume(ann_, of(by_name))) << "the trust policy names the user";
}

TEST_F(Sessions, ConfusedDeputyOfAnotherAccountIsRefused) {
  const std::string other = R"({"AWS":"999999999999"})";
  Role theirs = role("theirs", trust(other));
  EXPECT_TRUE(status([&](store::Tx& tx) { return put_user_policy(tx, "ann", "p", kAllowAll); }));
  EXPECT_FALSE(assume(ann_, of(theirs))) << "trusts another account";
  AssumeRole foreign{.role_arn = "arn:aws:iam::999999999999:role/theirs", .session_name = "s1"};
  EXPECT_EQ(assume(ann_, foreign).error().kind, ErrorKind::kAccessDenied);
  Role needs_id = role("needs-id", trust("\"*\"", R"("sts:AssumeRole")", R"({"StringEquals":{"sts:ExternalId":"x"}})"));
  AssumeRole wanted = of(needs_id);
  EXPECT_FALSE(assume(ann_, wanted));
  wanted.external_id = "y";
  EXPECT_FALSE(assume(ann_, wanted));
  wanted.external_id = "x";
  EXPECT_TRUE(assume(ann_, wanted));
}

TEST_F(Sessions, TrustSeesTheRequest) {
  Role inside = role("inside", trust("\"*\"", R"("sts:AssumeRole")", R"({"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}})"));
  AssumeRole wanted = of(inside);
  EXPECT_FALSE(assume(ann_, wanted));
  wanted.context["aws:SourceIp"] = {"10.1.2.3"};
  EXPECT_TRUE(assume(ann_, wanted));
}

TEST_F(Sessions, SessionTokenIsTheUserForAWhile) {
  auto token = [&](const Principal& who, std::int64_t duration_s) {
    return result([&](store::Tx& tx) { return get_session_token(tx, realm_, who, duration_s); });
  };
  auto session = token(ann_, 900);
  ASSERT_TRUE(session);
  Principal again = principal(session->credentials.access_key_id, session->credentials.session_token);
  EXPECT_EQ(again.kind, PrincipalKind::kUser);
  EXPECT_EQ(again.arn, ann_.arn);
  EXPECT_FALSE(allowed(again, "iot:ListThings", "*"));
  EXPECT_TRUE(status([&](store::Tx& tx) {
    return put_user_policy(tx, "ann", "p", R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow",
        "Action":"iot:*","Resource":"*","Condition":{"Bool":{"aws:MultiFactorAuthPresent":"false"}}}]})");
  }));
  EXPECT_TRUE(allowed(again, "iot:ListThings", "*"));
  EXPECT_FALSE(allowed(ann_, "iot:ListThings", "*")) << "the key is absent with long-term credentials";
  EXPECT_EQ(token(again, 900).error().message, "Cannot call GetSessionToken with session credentials");
  EXPECT_EQ(token(ann_, 899).error().reason, "ValidationError");
  EXPECT_EQ(token(ann_, 129601).error().reason, "ValidationError");
  auto root = token(principal(account_.root_key.id), 7200);
  ASSERT_TRUE(root);
  EXPECT_EQ(root->expires_ms, clock_.now_ms() + 3600 * 1000);
  EXPECT_EQ(principal(root->credentials.access_key_id, root->credentials.session_token).kind, PrincipalKind::kRoot);
  clock_.advance_ms(900 * 1000);
  EXPECT_EQ(known(session->credentials.access_key_id, session->credentials.session_token).error().reason,
            "ExpiredToken");
}

TEST_F(Sessions, SessionTokenEndsWithItsUserAndNoNamesakeRevivesIt) {
  Role by_name = role("by-name", trust(R"({"AWS":")" + ann_.arn + "\"}"));
  auto token = result([&](store::Tx& tx) { return get_session_token(tx, realm_, ann_, 129600); });
  ASSERT_TRUE(token);
  Principal session = principal(token->credentials.access_key_id, token->credentials.session_token);
  const std::string bucket = R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":")" +
                             ann_.arn + R"("},"Action":"s3:GetObject","Resource":"arn:aws:s3:::b/*"}]})";
  auto may = [&](const Principal& who) {
    const bool assumes = assume(who, of(by_name)).has_value();
    EXPECT_EQ(allowed(who, "s3:GetObject", "arn:aws:s3:::b/k", bucket).has_value(), assumes);
    return assumes;
  };
  EXPECT_TRUE(may(session));
  EXPECT_TRUE(status([&](store::Tx& tx) { return update_access_key(tx, "ann", ann_.access_key_id, false); }));
  EXPECT_TRUE(may(session)) << "as on AWS: the session does not end with the key";
  EXPECT_TRUE(status([&](store::Tx& tx) { return delete_access_key(tx, "ann", ann_.access_key_id); }));
  EXPECT_TRUE(may(session));
  EXPECT_TRUE(status([&](store::Tx& tx) { return delete_user(tx, "ann"); }));
  EXPECT_FALSE(may(session));
  EXPECT_THAT(allowed(session, "s3:GetObject", "arn:aws:s3:::b/k", bucket).error().message,
              HasSubstr("because the user does not exist"));
  EXPECT_FALSE(result([&](store::Tx& tx) { return get_session_token(tx, realm_, ann_, 900); })) << "a cached key";
  user("ann");
  EXPECT_FALSE(may(session)) << "another user of that name";
  EXPECT_TRUE(status([&](store::Tx& tx) { return put_user_policy(tx, "ann", "p", kAllowAll); }));
  EXPECT_FALSE(may(session));
  EXPECT_TRUE(may(principal(key("ann").id)));
}

TEST_F(Sessions, LastUseOfAKeyIsRemembered) {
  AccessKey second = key("ann");
  StoreCredentials source(*store_, realm_);
  auto last = [&](const StoreCredentials& of_whom) {
    std::optional<KeyUse> use;
    EXPECT_TRUE(status([&](store::Tx& tx) -> Status {
      use = of_whom.last_used(tx, second.id);
      return {};
    }));
    return use;
  };
  EXPECT_FALSE(last(source));
  source.used(second.id, "iot", clock_.now_ms());
  const std::int64_t first_ms = clock_.now_ms();
  clock_.advance_ms(1000);
  source.used(second.id, "s3", clock_.now_ms());
  EXPECT_EQ(last(source)->service, "s3");
  EXPECT_EQ(last(source)->at_ms, clock_.now_ms());
  StoreCredentials restarted(*store_, realm_);
  EXPECT_EQ(last(restarted)->at_ms, first_ms) << "written at most once a minute";
  clock_.advance_ms(kKeyUseFlushMs);
  source.used(second.id, "s3", clock_.now_ms());
  EXPECT_EQ(last(restarted)->at_ms, clock_.now_ms());
}

}  // namespace
}  // namespace muster::iam
