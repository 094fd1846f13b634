// SPDX-License-Identifier: Apache-2.0
// Templates, claims, ownership tokens, hooks: all that a fleet device meets.
#include "domain/provisioning/fleet.h"

#include <optional>

#include "domain/provisioning/claims.h"
#include "domain/provisioning/ownership.h"
#include "domain/provisioning/provisioning_test_support.h"
#include "store/timers.h"

namespace muster::provisioning {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// Answers what it is told to, at once, or never.
class TestFunctions final : public functions::FunctionInvoker {
 public:
  void invoke(functions::Invocation invocation, Done done) override {
    asked_.push_back(std::move(invocation));
    if (answer_) done(*answer_);
  }
  std::vector<functions::Invocation> asked_;
  std::optional<Result<std::string>> answer_;
};

class Fleet : public ProvisioningTest {
 protected:
  void make(const std::string& name, const std::string& source, std::optional<Hook> hook = {}, bool enabled = true,
            const std::string& as = "provisioner") {
    ProvisioningTemplate wanted{.name = name, .enabled = enabled, .role_arn = role_arn(as), .hook = std::move(hook)};
    run([&](store::Tx& tx) { return create_template(tx, realm_, wanted, source); });
  }
  Hook hook() { return {.target_arn = "arn:aws:lambda:eu-central-1:123456789012:function:hook"}; }

  // A certificate that waits for RegisterThing; its id. The token is in token_.
  std::string own() {
    const auto made = issued();
    token_ = new_ownership_token();
    EXPECT_TRUE(status([&](store::Tx& tx) { return own_certificate(context_, tx, made, token_); }));
    return made.id;
  }
  Result<FleetAnswer> ask(const std::string& name, Parameters parameters, const std::string& claim = "") {
    FleetProvisioner provisioner(context_, *store_, &functions_);
    std::optional<Result<FleetAnswer>> got;
    provisioner.run({name, token_, std::move(parameters), "client-1", claim},
                    [&](Result<FleetAnswer> answer) { got = std::move(answer); });
    return got ? *std::move(got) : Result<FleetAnswer>(make_error(ErrorKind::kTimeout, "no answer"));
  }
  std::string refused(const std::string& name, Parameters parameters, const std::string& claim = "") {
    auto answer = ask(name, std::move(parameters), claim);
    if (answer) return "accepted";
    return answer.error().reason.empty() ? answer.error().message : answer.error().reason;
  }
  bool certificate_exists(const std::string& id) {
    return run([&](store::Tx& tx) -> Result<bool> { return security::find_certificate(tx, id).has_value(); });
  }
  // What the timers do that are due.
  void fire() {
    store::Timers timers(*store_, [this] { return clock_.now_ms(); });
    timers.handle(kClaimTimer, [this](store::Tx& tx, std::string_view id, std::string_view, std::function<void()>&) {
      return expire_claim(context_, tx, id);
    });
    timers.handle(kOwnershipTimer, [this](store::Tx& tx, std::string_view id, std::string_view,
                                          std::function<void()>&) { return expire_token(context_, tx, id); });
    timers.fire_due();
  }
  Claim claim(const std::string& name, const x509::Certificate& certificate) {
    return run([&](store::Tx& tx) { return create_claim(context_, tx, name, certificate); });
  }

  TestFunctions functions_;
  std::string token_;
};

TEST_F(Fleet, ADeviceIsProvisioned) {
  make("T", fleet_body(R"(,"AttributePayload":{"a":{"Ref":"Group"}})"));
  const std::string id = own();
  EXPECT_EQ(certificate_of(id).status, security::CertificateStatus::kPendingActivation);
  auto answer = ask("T", {{"Name", "device-1"}, {"Group", "x"}, {"Undeclared", "for a hook"}});
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(answer->thing_name, "device-1");
  EXPECT_EQ(certificate_of(id).status, security::CertificateStatus::kActive);
  EXPECT_EQ(thing_named("device-1").attributes.at("a"), "x");
}

TEST_F(Fleet, ReplayedOwnershipToken) {
  make("T", fleet_body());
  own();
  ASSERT_TRUE(ask("T", {{"Name", "one"}}));
  EXPECT_EQ(refused("T", {{"Name", "two"}}), "InvalidCertificateOwnershipToken");
  run([&](store::Tx& tx) -> Result<int> {
    EXPECT_FALSE(registry::thing_exists(tx, "two"));
    return 0;
  });
}

TEST_F(Fleet, ATokenThatFailedIsStillGood) {
  make("T", fleet_body(R"(,"ThingGroups":[{"Ref":"Group"}])"));
  const std::string id = own();
  EXPECT_THAT(refused("T", {{"Name", "one"}, {"Group", "missing"}}), HasSubstr("not found"));
  EXPECT_EQ(certificate_of(id).status, security::CertificateStatus::kPendingActivation);
  group("missing");
  EXPECT_TRUE(ask("T", {{"Name", "one"}, {"Group", "missing"}}));
}

TEST_F(Fleet, TokensThatAreNone) {
  make("T", fleet_body());
  for (const std::string& token : {std::string(), std::string("x"), std::string(5000, 'x'), std::string("\0", 1)}) {
    token_ = token;
    EXPECT_EQ(refused("T", {{"Name", "one"}}), "InvalidCertificateOwnershipToken");
  }
}

TEST_F(Fleet, AfterAnHourTheTokenIsWorthNothingAndTheCertificateIsGone) {
  make("T", fleet_body());
  const std::string id = own();
  clock_.advance_ms(kOwnershipMs - 1);
  fire();
  EXPECT_TRUE(certificate_exists(id));
  clock_.advance_ms(1);
  EXPECT_EQ(refused("T", {{"Name", "one"}}), "InvalidCertificateOwnershipToken") << "before the timer has fired, too";
  fire();
  EXPECT_FALSE(certificate_exists(id));
  EXPECT_EQ(refused("T", {{"Name", "one"}}), "InvalidCertificateOwnershipToken");
}

TEST_F(Fleet, AProvisionedOrActivatedCertificateOutlivesItsToken) {
  make("T", fleet_body());
  const std::string used = own();
  ASSERT_TRUE(ask("T", {{"Name", "one"}}));
  const std::string activated = own();
  run([&](store::Tx& tx) { return security::update_certificate(tx, activated, security::CertificateStatus::kActive); });
  policy("p");
  const std::string attached = own();
  EXPECT_TRUE(status([&](store::Tx& tx) { return security::attach_policy(tx, realm_, "p", arn(attached)); }));
  clock_.advance_ms(kOwnershipMs);
  fire();
  EXPECT_TRUE(certificate_exists(used));
  EXPECT_TRUE(certificate_exists(activated));
  EXPECT_TRUE(certificate_exists(attached));
}

TEST_F(Fleet, TemplatesThatAreNotThereOrNotForThis) {
  make("off", fleet_body(), {}, false);
  own();
  EXPECT_THAT(refused("off", {{"Name", "n"}}), HasSubstr("is not enabled"));
  EXPECT_THAT(refused("none", {{"Name", "n"}}), HasSubstr("not found"));
  ProvisioningTemplate jit{
      .name = "jit", .type = TemplateType::kJustInTime, .enabled = true, .role_arn = role_arn("provisioner")};
  run([&](store::Tx& tx) { return create_template(tx, realm_, jit, fleet_body()); });
  EXPECT_THAT(refused("jit", {{"Name", "n"}}), HasSubstr("not found"));
}

TEST_F(Fleet, ParametersThatADeviceMayNotGive) {
  make("T", fleet_body());
  own();
  EXPECT_EQ(refused("T", {{"Name", "n"}, {"AWS::IoT::Certificate::Id", std::string(64, 'b')}}), "InvalidParameters");
  EXPECT_EQ(refused("T", {}), "InvalidParameters");
  EXPECT_EQ(refused("T", {{"Name", std::string(5000, 'x')}}), "InvalidParameters");
  Parameters many;
  for (int i = 0; i < 51; ++i) many["p" + std::to_string(i)] = "x";
  EXPECT_EQ(refused("T", many), "InvalidParameters");
  EXPECT_EQ(refused("T", {{"Name", "a/b"}}), "InvalidParameters");
  EXPECT_EQ(refused("T", {{"Name", "*"}}), "InvalidParameters");
}

// ---- claims

TEST_F(Fleet, AClaimIsForItsTemplateAlone) {
  make("T", fleet_body());
  make("Other", fleet_body());
  const auto certificate = issued();
  claim("T", certificate);
  own();
  EXPECT_THAT(refused("Other", {{"Name", "n"}}, certificate.id), HasSubstr("for another template"));
  EXPECT_TRUE(ask("T", {{"Name", "n"}}, certificate.id));
  const auto policies = run([&](store::Tx& tx) -> Result<std::vector<security::EffectivePolicy>> {
    return security::effective_policies(tx, realm_, certificate.id);
  });
  ASSERT_EQ(policies.size(), 1U);
  EXPECT_THAT(policies[0].document, HasSubstr("topic/$aws/provisioning-templates/T/provision/*"));
  EXPECT_THAT(policies[0].document, testing::Not(HasSubstr("Other")));
}

TEST_F(Fleet, ExpiredClaim) {
  make("T", fleet_body());
  const auto certificate = issued();
  EXPECT_EQ(claim("T", certificate).expires_ms, clock_.now_ms() + kClaimMs);
  const auto policies = [&] {
    return run([&](store::Tx& tx) { return security::list_policies(tx, {}); }).items.size();
  };
  EXPECT_EQ(policies(), 1U);
  clock_.advance_ms(kClaimMs);
  own();
  EXPECT_THAT(refused("T", {{"Name", "n"}}, certificate.id), HasSubstr("has expired"));
  fire();
  EXPECT_FALSE(certificate_exists(certificate.id));
  EXPECT_EQ(policies(), 0U);
}

TEST_F(Fleet, ClaimOfNoTemplate) {
  EXPECT_THAT(said([&](store::Tx& tx) { return create_claim(context_, tx, "none", issued()); }),
              HasSubstr("not found"));
}

// ---- hooks

TEST_F(Fleet, AHookSeesTheRequestAndChangesParameters) {
  make("T", fleet_body(), hook());
  const std::string id = own();
  functions_.answer_ = R"({"allowProvisioning":true,"parameterOverrides":{"Name":"from-hook"}})";
  auto answer = ask("T", {{"Name", "from-device"}, {"Secret", "s"}}, std::string(64, 'c'));
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(answer->thing_name, "from-hook");
  ASSERT_EQ(functions_.asked_.size(), 1U);
  EXPECT_EQ(functions_.asked_[0].timeout_ms, 5000);
  EXPECT_EQ(functions_.asked_[0].function_arn, hook().target_arn);
  const json::object payload = parse_json(functions_.asked_[0].payload)->as_object();
  EXPECT_EQ(get_string(payload, "claimCertificateId"), std::string(64, 'c'));
  EXPECT_EQ(get_string(payload, "certificateId"), id);
  EXPECT_EQ(get_string(payload, "certificatePem"), certificate_of(id).pem);
  EXPECT_EQ(get_string(payload, "templateArn"), template_arn(realm_, "T"));
  EXPECT_EQ(get_string(payload, "clientId"), "client-1");
  EXPECT_EQ(to_text(payload.at("parameters")), R"({"Name":"from-device","Secret":"s"})");
}

TEST_F(Fleet, AHookThatAnswersAnythingElseDenies) {
  make("T", fleet_body(), hook());
  const std::string id = own();
  for (const char* answer :
       {"", "garbage", "null", "true", "[]", "{}", R"({"allowProvisioning":false})", R"({"allowProvisioning":"true"})",
        R"({"allowProvisioning":1})", R"({"allowProvisioning":true,"parameterOverrides":[]})",
        R"({"allowProvisioning":true,"parameterOverrides":{"Name":1}})",
        R"({"allowProvisioning":true,"parameterOverrides":{"AWS::IoT::Certificate::Id":"x"}})"}) {
    functions_.answer_ = std::string(answer);
    auto outcome = ask("T", {{"Name", "n"}});
    ASSERT_FALSE(outcome) << answer;
    EXPECT_EQ(outcome.error().kind, ErrorKind::kAccessDenied) << answer;
  }
  EXPECT_EQ(certificate_of(id).status, security::CertificateStatus::kPendingActivation);
  functions_.answer_ = R"({"allowProvisioning":true})";
  EXPECT_TRUE(ask("T", {{"Name", "n"}})) << "the token is still good";
}

TEST_F(Fleet, AHookThatTimesOutOrFailsDenies) {
  make("T", fleet_body(), hook());
  own();
  for (Error error : {make_error(ErrorKind::kTimeout, "too slow"),
                      make_error(ErrorKind::kUnavailable, "x", "FunctionError"), not_found("no such function")}) {
    functions_.answer_ = std::move(error);
    EXPECT_EQ(ask("T", {{"Name", "n"}}).error().kind, ErrorKind::kAccessDenied);
  }
  FleetProvisioner without(context_, *store_, nullptr);
  without.run({"T", token_, {{"Name", "n"}}, "c", ""},
              [](Result<FleetAnswer> answer) { EXPECT_EQ(answer.error().kind, ErrorKind::kAccessDenied); });
}

TEST_F(Fleet, AHookIsNotAskedForWhatIsRefusedAnyway) {
  make("T", fleet_body(), hook());
  token_ = "none";
  EXPECT_EQ(refused("T", {{"Name", "n"}}), "InvalidCertificateOwnershipToken");
  EXPECT_TRUE(functions_.asked_.empty());
}

TEST_F(Fleet, ATokenSpentWhileTheHookThinksIsSpent) {
  make("T", fleet_body(), hook());
  own();
  FleetProvisioner provisioner(context_, *store_, &functions_);
  std::vector<Result<FleetAnswer>> answers;
  functions_.answer_.reset();
  // The second request comes while the first one's function runs.
  class Nested final : public functions::FunctionInvoker {
   public:
    std::function<void()> meanwhile;
    void invoke(functions::Invocation, Done done) override {
      if (meanwhile) std::exchange(meanwhile, nullptr)();
      done(std::string(R"({"allowProvisioning":true})"));
    }
  } nested;
  FleetProvisioner both(context_, *store_, &nested);
  const auto collect = [&](Result<FleetAnswer> answer) { answers.push_back(std::move(answer)); };
  nested.meanwhile = [&] { both.run({"T", token_, {{"Name", "inner"}}, "c", ""}, collect); };
  both.run({"T", token_, {{"Name", "outer"}}, "c", ""}, collect);
  ASSERT_EQ(answers.size(), 2U);
  EXPECT_TRUE(answers[0]);
  EXPECT_EQ(answers[1].error().reason, "InvalidCertificateOwnershipToken");
}

TEST_F(Fleet, RolesThatMayNot) {
  role("poor", allow(R"("iot:CreateThing")"));
  role("lambda", allow(R"("iot:*")"), "iot.amazonaws.com");
  make("poor", fleet_body(), {}, true, "poor");
  make("lambda", fleet_body(), {}, true, "lambda");
  own();
  EXPECT_THAT(refused("poor", {{"Name", "n"}}), HasSubstr("iot:UpdateCertificate"));
  run([&](store::Tx& tx) -> Result<int> {
    TRY_VOID(iam::update_trust_policy(
        tx, "lambda",
        R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"lambda.amazonaws.com"})"
        R"(,"Action":"sts:AssumeRole"}]})"));
    return 0;
  });
  EXPECT_THAT(refused("lambda", {{"Name", "n"}}), HasSubstr("does not allow iot.amazonaws.com"));
}

// ---- templates

TEST_F(Fleet, TemplatesAndTheirVersions) {
  make("T", fleet_body());
  const auto version = [&](bool as_default) {
    return result([&](store::Tx& tx) { return create_template_version(tx, "T", fleet_body(), as_default); });
  };
  EXPECT_EQ(version(false)->number, 2);
  EXPECT_EQ(version(true)->number, 3);
  EXPECT_EQ(run([&](store::Tx& tx) { return get_template(tx, "T"); }).default_version, 3);
  EXPECT_EQ(version(false)->number, 4);
  EXPECT_EQ(version(false)->number, 5);
  EXPECT_EQ(version(false).error().reason, "VersionsLimitExceededException");
  const auto drop = [&](std::int64_t number) {
    return status([&](store::Tx& tx) { return delete_template_version(tx, "T", number); });
  };
  EXPECT_EQ(drop(3).error().reason, "DeleteConflictException");
  EXPECT_TRUE(drop(1));
  EXPECT_EQ(drop(1).error().kind, ErrorKind::kNotFound);
  EXPECT_EQ(version(false)->number, 6) << "numbers do not come again";
  auto page = run([&](store::Tx& tx) { return list_template_versions(tx, "T", {.token = {}, .limit = 2}); });
  EXPECT_EQ(page.items[0].number, 2);
  EXPECT_EQ(page.items[1].number, 3);
  page = run([&](store::Tx& tx) { return list_template_versions(tx, "T", {page.next_token, 10}); });
  EXPECT_EQ(page.items.size(), 3U);
  EXPECT_TRUE(page.next_token.empty());
  EXPECT_TRUE(status([&](store::Tx& tx) { return delete_template(tx, realm_, "T"); }));
  EXPECT_EQ(said([&](store::Tx& tx) { return get_template_version(tx, "T", 3); }),
            "Version 3 of provisioning template T not found.");
}

TEST_F(Fleet, WhatATemplateIsRefusedFor) {
  const auto refusal = [&](ProvisioningTemplate wanted) {
    wanted.name = "T";
    if (wanted.role_arn.empty()) wanted.role_arn = role_arn("provisioner");
    return said([&](store::Tx& tx) { return create_template(tx, realm_, wanted, fleet_body()); });
  };
  role("lambda", "", "lambda.amazonaws.com");
  EXPECT_THAT(refusal({.role_arn = role_arn("lambda")}), HasSubstr("does not allow iot.amazonaws.com"));
  EXPECT_THAT(refusal({.role_arn = role_arn("nobody")}), HasSubstr("does not exist"));
  EXPECT_THAT(refusal({.role_arn = "arn:aws:iam::999999999999:role/provisioner"}), HasSubstr("does not exist"));
  EXPECT_THAT(refusal({.hook = Hook{"arn:aws:lambda:eu-central-1:999999999999:function:f"}}),
              HasSubstr("Not a function ARN"));
  EXPECT_THAT(refusal({.hook = Hook{"arn:aws:lambda:us-east-1:123456789012:function:f"}}),
              HasSubstr("Not a function ARN"));
  EXPECT_THAT(refusal({.hook = Hook{"arn:aws:s3:::bucket"}}), HasSubstr("Not a function ARN"));
  EXPECT_THAT(refusal({.hook = Hook{hook().target_arn, "2019-01-01"}}), HasSubstr("payloadVersion"));
  EXPECT_THAT(refusal({.type = TemplateType::kJustInTime, .hook = hook()}),
              HasSubstr("only supported for templates of"));
  EXPECT_EQ(refusal({}), "ok");
  EXPECT_THAT(refusal({}), HasSubstr("already exists"));
}

}  // namespace
}  // namespace muster::provisioning
