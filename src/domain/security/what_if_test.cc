// SPDX-License-Identifier: Apache-2.0
#include "domain/security/what_if.h"

#include "domain/security/security_test_support.h"

namespace muster::security {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using Verdict = iam::Verdict;

const std::string kPrefix = "arn:aws:iot:eu-central-1:123456789012:";

class WhatIfs : public SecurityTest {
 protected:
  WhatIfs() {
    id_ = certificate("c");
    asked_.principal = arn(id_);
    asked_.client_id = "dev";
  }
  void policy_of(const std::string& name, const std::string& effect, const std::string& action,
                 const std::string& resource, bool attached = true) {
    const std::string text = R"({"Version":"2012-10-17","Statement":[{"Effect":")" + effect + R"(","Action":")" +
                             action + R"(","Resource":")" + resource + R"("}]})";
    run([&](store::Tx& tx) { return create_policy(tx, realm_, name, text); });
    if (attached) EXPECT_TRUE(status([&](store::Tx& tx) { return attach_policy(tx, realm_, name, arn(id_)); }));
  }
  WhatIfAnswer ask(const std::string& action, const std::vector<std::string>& resources) {
    asked_.questions = {{action, resources}};
    auto answers = run([&](store::Tx& tx) { return what_if(tx, realm_, asked_, cache_); });
    return answers.empty() ? WhatIfAnswer() : answers.front();
  }
  Result<std::vector<WhatIfAnswer>> refused(const WhatIf& asked) {
    return result([&](store::Tx& tx) { return what_if(tx, realm_, asked, cache_); });
  }

  iam::PolicyCache cache_;
  std::string id_;
  WhatIf asked_;
};

TEST_F(WhatIfs, NamesThePoliciesThatDecide) {
  policy_of("allow", "Allow", "iot:Publish", kPrefix + "topic/*");
  policy_of("deny", "Deny", "iot:Publish", kPrefix + "topic/secret");
  policy_of("silent", "Allow", "iot:Connect", "*");
  WhatIfAnswer open = ask("PUBLISH", {kPrefix + "topic/open"});
  EXPECT_EQ(open.verdict, Verdict::kAllow);
  EXPECT_THAT(open.allowing, ElementsAre("allow"));
  EXPECT_THAT(open.silent, ElementsAre("deny", "silent"));
  EXPECT_THAT(open.denying, IsEmpty());
  WhatIfAnswer secret = ask("PUBLISH", {kPrefix + "topic/secret"});
  EXPECT_EQ(secret.verdict, Verdict::kExplicitDeny);
  EXPECT_THAT(secret.denying, ElementsAre("deny"));
  EXPECT_EQ(ask("PUBLISH", {kPrefix + "topic/open", kPrefix + "topic/secret"}).verdict, Verdict::kExplicitDeny);
  EXPECT_EQ(ask("RECEIVE", {kPrefix + "topic/open"}).verdict, Verdict::kImplicitDeny);
  EXPECT_EQ(ask("CONNECT", {kPrefix + "client/dev"}).verdict, Verdict::kAllow);
}

TEST_F(WhatIfs, PoliciesAreAddedAndSkipped) {
  policy_of("connect", "Allow", "iot:Connect", "*");
  policy_of("more", "Deny", "iot:Connect", kPrefix + "client/dev", false);
  asked_.policies_to_add = {"more", "connect"};
  EXPECT_EQ(ask("CONNECT", {kPrefix + "client/dev"}).verdict, Verdict::kExplicitDeny);
  asked_.policies_to_add = {};
  asked_.policies_to_skip = {"connect", "nosuch"};
  EXPECT_EQ(ask("CONNECT", {kPrefix + "client/dev"}).verdict, Verdict::kImplicitDeny);
  asked_.policies_to_add = {"nosuch"};
  EXPECT_EQ(refused(asked_).error().kind, ErrorKind::kNotFound);
  asked_.principal = {};
  asked_.policies_to_skip = {};
  asked_.policies_to_add = {"connect"};
  EXPECT_EQ(ask("CONNECT", {kPrefix + "client/dev"}).verdict, Verdict::kAllow) << "no principal at all";
}

TEST_F(WhatIfs, MissingVariablesAreNamed) {
  policy_of("own", "Allow", "iot:Publish", kPrefix + "topic/${iot:Connection.Thing.ThingName}/${iot:ClientId}");
  WhatIfAnswer without = ask("PUBLISH", {kPrefix + "topic/t/dev"});
  EXPECT_EQ(without.verdict, Verdict::kImplicitDeny);
  EXPECT_THAT(without.missing, ElementsAre("iot:Connection.Thing.ThingName"));
  thing("dev");
  EXPECT_TRUE(status([&](store::Tx& tx) { return attach_thing_principal(tx, realm_, "dev", arn(id_)); }));
  WhatIfAnswer with = ask("PUBLISH", {kPrefix + "topic/dev/dev"});
  EXPECT_EQ(with.verdict, Verdict::kAllow);
  EXPECT_THAT(with.missing, IsEmpty());
}

TEST_F(WhatIfs, AFiltersWildcardHasToStandInThePolicy) {
  policy_of("own", "Allow", "iot:Subscribe", kPrefix + "topicfilter/${iot:ClientId}");
  asked_.client_id = "#";
  EXPECT_EQ(ask("SUBSCRIBE", {kPrefix + "topicfilter/#"}).verdict, Verdict::kImplicitDeny) << "as at a connection";
  asked_.client_id = "dev";
  EXPECT_EQ(ask("SUBSCRIBE", {kPrefix + "topicfilter/dev"}).verdict, Verdict::kAllow);
}

TEST_F(WhatIfs, StatusDoesNotCount) {
  policy_of("connect", "Allow", "iot:Connect", "*");
  run([&](store::Tx& tx) { return update_certificate(tx, id_, CertificateStatus::kInactive); });
  EXPECT_EQ(ask("CONNECT", {kPrefix + "client/dev"}).verdict, Verdict::kAllow);
}

TEST_F(WhatIfs, QuestionsThatMakeNoSenseAreRefused) {
  asked_.questions = {{"PUBLISH", {"topic"}}};
  EXPECT_THAT(refused(asked_).error().message, HasSubstr("Invalid resource ARN"));
  asked_.questions = {{"", {kPrefix + "topic/x"}}};
  EXPECT_EQ(refused(asked_).error().kind, ErrorKind::kInvalid);
  asked_.questions = {{"PUBLISH", {}}};
  EXPECT_EQ(refused(asked_).error().kind, ErrorKind::kInvalid);
  asked_.principal = "arn:aws:iot:eu-central-1:999999999999:cert/" + id_;
  EXPECT_EQ(refused(asked_).error().kind, ErrorKind::kInvalid);
  asked_.principal = arn(sha256_hex("none"));
  EXPECT_EQ(refused(asked_).error().kind, ErrorKind::kNotFound);
  asked_.principal = {};
  EXPECT_EQ(refused(asked_).error().kind, ErrorKind::kInvalid);
}

}  // namespace
}  // namespace muster::security
