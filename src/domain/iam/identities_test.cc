// SPDX-License-Identifier: Apache-2.0
#include "domain/iam/identities.h"

#include "base/crypto.h"
#include "domain/iam/entities.h"
#include "domain/iam/iam_test_support.h"

namespace muster::iam {
namespace {

using testing::HasSubstr;

using Identities = IamTest;

TEST_F(Identities, AccountIsMadeOnceAndItsRegionIsKept) {
  EXPECT_TRUE(account_.created);
  EXPECT_EQ(realm_.account_id.size(), 12u);
  EXPECT_THAT(account_.root_key.id, testing::MatchesRegex("AKIA[A-Z2-7]{16}"));
  EXPECT_EQ(account_.root_key.secret.size(), 40u);
  Account again = run([](store::Tx& tx) { return ensure_account(tx, ""); });
  EXPECT_FALSE(again.created);
  EXPECT_EQ(again.realm.account_id, realm_.account_id);
  EXPECT_EQ(again.root_key.secret, account_.root_key.secret);
  auto moved = result([](store::Tx& tx) { return ensure_account(tx, "us-east-1"); });
  ASSERT_FALSE(moved);
  EXPECT_THAT(moved.error().message, HasSubstr("eu-central-1"));
}

TEST_F(Identities, UsersAreUniqueWithoutCaseAndListInPages) {
  User ann = user("Ann");
  EXPECT_THAT(ann.id, testing::StartsWith("AIDA"));
  auto again = result([](store::Tx& tx) { return create_user(tx, User{.name = "ANN"}); });
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().reason, "EntityAlreadyExists");
  EXPECT_EQ(again.error().message, "User with name ANN already exists.");
  for (const char* name : {"bob", "cid", "dan"}) user(name);
  std::vector<std::string> names;
  ListNames list;
  list.limit = 3;
  for (int pages = 1;; ++pages) {
    auto page = run([&](store::Tx& tx) { return list_users(tx, list); });
    for (const User& each : page.items) names.push_back(each.name);
    if (page.next_marker.empty()) {
      EXPECT_EQ(pages, 2);
      break;
    }
    list.marker = page.next_marker;
  }
  EXPECT_THAT(names, testing::ElementsAre("Ann", "bob", "cid", "dan"));
  list.marker = "%%%";
  EXPECT_FALSE(result([&](store::Tx& tx) { return list_users(tx, list); }));
}

TEST_F(Identities, DeletionNeedsAnEmptyUser) {
  user("ann");
  AccessKey first = key("ann");
  EXPECT_EQ(status([](store::Tx& tx) { return delete_user(tx, "ann"); }).error().reason, "DeleteConflict");
  EXPECT_TRUE(status([&](store::Tx& tx) { return delete_access_key(tx, "ann", first.id); }));
  EXPECT_TRUE(status([&](store::Tx& tx) { return put_user_policy(tx, "ann", "p", kAllowAll); }));
  EXPECT_EQ(status([](store::Tx& tx) { return delete_user(tx, "ann"); }).error().message,
            "Cannot delete entity, must delete policies first.");
  EXPECT_TRUE(status([](store::Tx& tx) { return delete_user_policy(tx, "ann", "p"); }));
  EXPECT_TRUE(status([](store::Tx& tx) { return delete_user(tx, "ann"); }));
  EXPECT_EQ(status([](store::Tx& tx) { return delete_user(tx, "ann"); }).error().reason, "NoSuchEntity");
}

TEST_F(Identities, KeysHaveAQuotaAndAnOwner) {
  user("ann");
  user("bob");
  AccessKey first = key("ann");
  key("ann");
  auto third = result([](store::Tx& tx) { return create_access_key(tx, "ann"); });
  EXPECT_EQ(third.error().reason, "LimitExceeded");
  EXPECT_EQ(status([&](store::Tx& tx) { return delete_access_key(tx, "bob", first.id); }).error().reason,
            "NoSuchEntity")
      << "another user's key is not found";
  EXPECT_FALSE(status([&](store::Tx& tx) { return update_access_key(tx, "", first.id, false); }));
  auto keys = run([](store::Tx& tx) { return list_access_keys(tx, "ann"); });
  ASSERT_EQ(keys.size(), 2u);
  EXPECT_EQ(keys[0].secret, "");
}

TEST_F(Identities, InlinePoliciesAreCheckedAndBounded) {
  user("ann");
  auto put = [&](std::string_view name, std::string_view text) {
    return status([&](store::Tx& tx) { return put_user_policy(tx, "ann", name, text); });
  };
  EXPECT_EQ(put("p", "{").error().reason, "MalformedPolicyDocument");
  EXPECT_TRUE(put("p", allow("s3:*", "arn:aws:s3:::" + std::string(1200, 'b'))));
  EXPECT_EQ(put("q", allow("s3:*", "arn:aws:s3:::" + std::string(1200, 'b'))).error().reason, "LimitExceeded");
  EXPECT_TRUE(put("p", allow("s3:*", "arn:aws:s3:::" + std::string(1300, 'b')))) << "replacing counts once";
  EXPECT_EQ(result([](store::Tx& tx) { return get_inline_policy(tx, EntityKind::kUser, "ann", "q"); }).error().reason,
            "NoSuchEntity");
}

// ---- credentials

TEST_F(Identities, LongTermKeysAreFound) {
  Principal root = principal(account_.root_key.id);
  EXPECT_EQ(root.kind, PrincipalKind::kRoot);
  EXPECT_EQ(root.arn, "arn:aws:iam::" + realm_.account_id + ":root");
  user("ann");
  AccessKey ann = key("ann");
  auto found = known(ann.id);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->secret_access_key, ann.secret);
  EXPECT_EQ(found->principal.arn, "arn:aws:iam::" + realm_.account_id + ":user/ann");
  EXPECT_EQ(known(ann.id, "token").error().reason, "InvalidToken");
  EXPECT_TRUE(status([&](store::Tx& tx) { return update_access_key(tx, "ann", ann.id, false); }));
  EXPECT_EQ(known(ann.id).error().reason, "InvalidAccessKeyId");
  EXPECT_EQ(known("AKIANOSUCHKEY").error().kind, ErrorKind::kUnauthenticated);
  EXPECT_FALSE(known(""));
  EXPECT_FALSE(known(std::string(5000, 'A')));
}

TEST_F(Identities, StoreCredentialsForgetsChangedKeys) {
  user("ann");
  AccessKey ann = key("ann");
  StoreCredentials source(*store_, realm_);
  auto look = [&](std::string id, std::string token = "") {
    Result<KnownCredentials> found;
    int calls = 0;
    source.lookup(std::move(id), std::move(token), clock_.now_ms(), [&](Result<KnownCredentials> answer) {
      ++calls;
      found = std::move(answer);
    });
    EXPECT_EQ(calls, 1);
    return found;
  };
  EXPECT_TRUE(look(ann.id));
  EXPECT_TRUE(status([&](store::Tx& tx) { return update_access_key(tx, "ann", ann.id, false); }));
  EXPECT_TRUE(look(ann.id)) << "cached";
  source.forget(ann.id);
  EXPECT_FALSE(look(ann.id));
  EXPECT_TRUE(status([&](store::Tx& tx) { return update_access_key(tx, "ann", ann.id, true); }));
  EXPECT_TRUE(look(ann.id));
  EXPECT_TRUE(status([&](store::Tx& tx) { return delete_access_key(tx, "ann", ann.id); }));
  clock_.advance_ms(5001);
  EXPECT_FALSE(look(ann.id)) << "a change by another process is seen after cache_ms";
}

// ---- sessions

TEST_F(Identities, ServiceSessionNeedsTheRoleAndItsTrust) {
  Role trusted = role("signer", kTrustIot);
  std::string arn = role_arn(realm_, trusted);
  auto session = [&](std::string_view role_text, std::string_view service) {
    return result([&](store::Tx& tx) { return session_for_role(tx, realm_, role_text, "job", 3600, service); });
  };
  auto credentials = session(arn, "iot.amazonaws.com");
  ASSERT_TRUE(credentials);
  EXPECT_THAT(credentials->access_key_id, testing::MatchesRegex("ASIA[A-Z2-7]{16}"));
  EXPECT_EQ(credentials->secret_access_key.size(), 40u);
  EXPECT_EQ(session(arn, "s3.amazonaws.com").error().kind, ErrorKind::kInvalid);
  EXPECT_THAT(session(arn + "x", "iot.amazonaws.com").error().message, HasSubstr("does not exist"));
  EXPECT_FALSE(session("signer", "iot.amazonaws.com"));
  EXPECT_FALSE(session("arn:aws:iam::999999999999:role/signer", "iot.amazonaws.com"));
}

TEST_F(Identities, TrustMayNameTheSourceArn) {
  Role limited = role("limited", R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow",
      "Principal":{"Service":"iot.amazonaws.com"},"Action":"sts:AssumeRole",
      "Condition":{"ArnLike":{"aws:SourceArn":"arn:aws:iot:*:*:job/nightly-*"}}}]})");
  auto check = [&](std::string_view source) {
    return status([&](store::Tx& tx) {
      return check_service_role(tx, realm_, role_arn(realm_, limited), "iot.amazonaws.com", source);
    });
  };
  EXPECT_TRUE(check("arn:aws:iot:eu-central-1:1:job/nightly-7"));
  EXPECT_FALSE(check("arn:aws:iot:eu-central-1:1:job/other"));
  EXPECT_FALSE(check(""));
}

TEST_F(Identities, SessionTokensAreVerified) {
  Role signer = role("signer", kTrustIot);
  auto credentials =
      run([&](store::Tx& tx) { return session_for_role(tx, realm_, role_arn(realm_, signer), "job-1", 900); });
  auto found = known(credentials.access_key_id, credentials.session_token);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->secret_access_key, credentials.secret_access_key);
  EXPECT_EQ(found->principal.arn, "arn:aws:sts::" + realm_.account_id + ":assumed-role/signer/job-1");
  EXPECT_EQ(found->principal.user_id, signer.id + ":job-1");
  EXPECT_EQ(known(credentials.access_key_id).error().kind, ErrorKind::kUnauthenticated);
  EXPECT_EQ(known("ASIAAAAAAAAAAAAAAAAA", credentials.session_token).error().reason, "InvalidToken");
  for (std::size_t at = 0; at < credentials.session_token.size(); at += 7) {
    std::string forged = credentials.session_token;
    forged[at] = forged[at] == 'A' ? 'B' : 'A';
    EXPECT_FALSE(known(credentials.access_key_id, forged)) << at;
  }
  for (std::string_view junk : {".", "a.b", "..", "x", "%%%.%%%"})
    EXPECT_EQ(known(credentials.access_key_id, junk).error().reason, "InvalidToken") << junk;
  clock_.advance_ms(900 * 1000);
  EXPECT_EQ(known(credentials.access_key_id, credentials.session_token).error().reason, "ExpiredToken");
}

TEST_F(Identities, AssumeRoleNeedsTrustAndMayNeedPermission) {
  user("ann");
  Principal ann = principal(key("ann").id);
  std::string account = R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":")" +
                        realm_.account_id + R"("},"Action":"sts:AssumeRole"}]})";
  Role by_account = role("by-account", account);
  Role by_name = role("by-name", R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":")" +
                                     ann.arn + R"("},"Action":"sts:AssumeRole",
                                     "Condition":{"StringEquals":{"sts:ExternalId":"42"}}}]})");
  AssumeRole wanted{.role_arn = role_arn(realm_, by_account), .session_name = "s1"};
  auto refused = assume(ann, wanted);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message,
            "User: " + ann.arn + " is not authorized to perform: sts:AssumeRole on resource: " + wanted.role_arn);
  EXPECT_TRUE(status([&](store::Tx& tx) { return put_user_policy(tx, "ann", "p", allow("sts:AssumeRole", "*")); }));
  EXPECT_TRUE(assume(ann, wanted));
  AssumeRole named{.role_arn = role_arn(realm_, by_name), .session_name = "s1"};
  EXPECT_FALSE(assume(ann, named)) << "the external id is missing";
  named.external_id = "42";
  EXPECT_TRUE(assume(ann, named));
  EXPECT_TRUE(status([&](store::Tx& tx) { return put_user_policy(tx, "ann", "p", allow("sts:*", "*", "Deny")); }));
  EXPECT_FALSE(assume(ann, named)) << "an explicit deny of the caller's own wins";
  EXPECT_THAT(assume(principal(account_.root_key.id), wanted).error().message, HasSubstr("root accounts"));
}

TEST_F(Identities, AssumeRoleChecksItsInput) {
  user("ann");
  Principal ann = principal(key("ann").id);
  Role open = role(
      "open", R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole"}]})");
  AssumeRole wanted{.role_arn = role_arn(realm_, open), .session_name = "s1"};
  auto with = [&](auto&& change) {
    AssumeRole changed = wanted;
    change(changed);
    auto session = assume(ann, changed);
    return session ? std::string("ok") : session.error().reason;
  };
  EXPECT_EQ(with([](AssumeRole&) {}), "ok");
  EXPECT_EQ(with([](AssumeRole& a) { a.role_arn = "junk"; }), "ValidationError");
  EXPECT_EQ(with([](AssumeRole& a) { a.session_name = "a/b"; }), "ValidationError");
  EXPECT_EQ(with([](AssumeRole& a) { a.session_name = "a"; }), "ValidationError");
  EXPECT_EQ(with([](AssumeRole& a) { a.duration_s = 899; }), "ValidationError");
  EXPECT_EQ(with([](AssumeRole& a) { a.duration_s = 3601; }), "ValidationError");
  EXPECT_EQ(with([](AssumeRole& a) { a.session_policy = "{"; }), "MalformedPolicyDocument");
}

// ---- authorize

TEST_F(Identities, RootIsAllowedEverythingAndAStrangerNothing) {
  EXPECT_TRUE(allowed(principal(account_.root_key.id), "iot:CreateThing", "*"));
  Status stranger = allowed(Principal{}, "s3:GetObject", "arn:aws:s3:::b/k");
  EXPECT_EQ(stranger.error().kind, ErrorKind::kAccessDenied);
  EXPECT_EQ(stranger.error().message, "Access Denied");
  EXPECT_TRUE(allowed(Principal{}, "s3:GetObject", "arn:aws:s3:::b/k", R"({"Version":"2012-10-17","Statement":[
      {"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/*"}]})"));
}

TEST_F(Identities, UsersNeedAnAllowAndObeyADeny) {
  user("ann");
  Principal ann = principal(key("ann").id);
  std::string thing = "arn:aws:iot:eu-central-1:" + realm_.account_id + ":thing/t";
  EXPECT_EQ(allowed(ann, "iot:CreateThing", thing).error().message,
            "User: " + ann.arn + " is not authorized to perform: iot:CreateThing on resource: " + thing +
                " because no identity-based policy allows the iot:CreateThing action");
  auto put = [&](std::string_view name, const std::string& text) {
    EXPECT_TRUE(status([&](store::Tx& tx) { return put_user_policy(tx, "ann", name, text); }));
  };
  put("allow", allow("iot:*", "*"));
  EXPECT_TRUE(allowed(ann, "iot:CreateThing", thing));
  put("deny", allow("iot:Create*", "*", "Deny"));
  EXPECT_THAT(allowed(ann, "iot:CreateThing", thing).error().message,
              HasSubstr("with an explicit deny in an identity-based policy"));
  EXPECT_TRUE(allowed(ann, "iot:DescribeThing", thing));
  std::string bucket_deny = R"({"Version":"2012-10-17","Statement":[
      {"Effect":"Deny","Principal":"*","Action":"*","Resource":"*"}]})";
  EXPECT_THAT(allowed(ann, "iot:DescribeThing", thing, bucket_deny).error().message,
              HasSubstr("explicit deny in a resource-based policy"));
  EXPECT_FALSE(allowed(ann, "iot:DescribeThing", thing, "not a policy")) << "unreadable policies deny";
}

TEST_F(Identities, EveryResourceMustBeAllowed) {
  user("ann");
  Principal ann = principal(key("ann").id);
  EXPECT_TRUE(status([&](store::Tx& tx) {
    return put_user_policy(tx, "ann", "p", allow("iot:CreateJob", "arn:aws:iot:eu-central-1:*:job/*"));
  }));
  AuthorizationRequest request;
  request.action = "iot:CreateJob";
  request.resources = {"arn:aws:iot:eu-central-1:1:job/j", "arn:aws:iot:eu-central-1:1:thing/t"};
  EXPECT_FALSE(status([&](store::Tx& tx) { return authorize(tx, realm_, ann, request); }));
  request.resources.pop_back();
  EXPECT_TRUE(status([&](store::Tx& tx) { return authorize(tx, realm_, ann, request); }));
}

TEST_F(Identities, ANewUserOfTheSameNameInheritsNothing) {
  user("ann");
  AccessKey old_key = key("ann");
  Principal old_ann = principal(old_key.id);
  EXPECT_TRUE(status([&](store::Tx& tx) { return delete_access_key(tx, "ann", old_key.id); }));
  EXPECT_TRUE(status([](store::Tx& tx) { return delete_user(tx, "ann"); }));
  user("ann");
  EXPECT_TRUE(status([&](store::Tx& tx) { return put_user_policy(tx, "ann", "p", kAllowAll); }));
  EXPECT_FALSE(allowed(old_ann, "iot:ListThings", "*"));
}

TEST_F(Identities, SessionsHaveTheRolesPoliciesWithinTheSessionPolicy) {
  user("ann");
  Principal ann = principal(key("ann").id);
  Role open = role(
      "open", R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole"}]})");
  EXPECT_TRUE(status([&](store::Tx& tx) { return put_role_policy(tx, "open", "p", allow("s3:*", "*")); }));
  AssumeRole wanted{.role_arn = role_arn(realm_, open), .session_name = "s1"};
  auto full = assume(ann, wanted);
  ASSERT_TRUE(full);
  Principal session = principal(full->credentials.access_key_id, full->credentials.session_token);
  EXPECT_TRUE(allowed(session, "s3:PutObject", "arn:aws:s3:::b/k"));
  EXPECT_FALSE(allowed(session, "iot:ListThings", "*"));
  wanted.session_policy = allow("s3:GetObject", "*");
  auto narrow = assume(ann, wanted);
  ASSERT_TRUE(narrow);
  Principal narrowed = principal(narrow->credentials.access_key_id, narrow->credentials.session_token);
  EXPECT_TRUE(allowed(narrowed, "s3:GetObject", "arn:aws:s3:::b/k"));
  EXPECT_THAT(allowed(narrowed, "s3:PutObject", "arn:aws:s3:::b/k").error().message,
              HasSubstr("because no session policy allows"));
  EXPECT_TRUE(status([](store::Tx& tx) { return delete_role_policy(tx, "open", "p"); }));
  EXPECT_TRUE(status([](store::Tx& tx) { return delete_role(tx, "open"); }));
  EXPECT_FALSE(allowed(session, "s3:PutObject", "arn:aws:s3:::b/k"));
  role("open", kTrustIot);
  EXPECT_TRUE(status([&](store::Tx& tx) { return put_role_policy(tx, "open", "p", kAllowAll); }));
  EXPECT_FALSE(allowed(session, "s3:PutObject", "arn:aws:s3:::b/k")) << "another role of the same name";
  Role hub = role(
      "hub", R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole"}]})");
  AssumeRole onward{.role_arn = role_arn(realm_, hub), .session_name = "s2"};
  EXPECT_TRUE(assume(ann, onward));
  EXPECT_EQ(assume(session, onward).error().kind, ErrorKind::kAccessDenied) << "its role is gone";
}

TEST_F(Identities, ConditionsSeeThePrincipal) {
  user("ann");
  Principal ann = principal(key("ann").id);
  EXPECT_TRUE(status([&](store::Tx& tx) {
    return put_user_policy(tx, "ann", "p", allow("s3:*", "arn:aws:s3:::home/${aws:username}/*"));
  }));
  EXPECT_TRUE(allowed(ann, "s3:GetObject", "arn:aws:s3:::home/ann/x"));
  EXPECT_FALSE(allowed(ann, "s3:GetObject", "arn:aws:s3:::home/bob/x"));
}

}  // namespace
}  // namespace muster::iam
