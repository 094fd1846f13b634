// SPDX-License-Identifier: Apache-2.0
// What a certificate and its IoT policies allow.
#include "api/device/authorizer_test_support.h"

namespace muster::api::device {
namespace {

TEST_F(AuthorizerTest, OnlyRegisteredActiveCertificatesConnect) {
  EXPECT_FALSE(connect("c"));
  EXPECT_EQ(why_, "certificate is not registered");
  certificate_.status = security::CertificateStatus::kInactive;
  add_certificate();
  add_policy("all", statement("Allow", "iot:*", "*"));
  EXPECT_FALSE(connect("c"));
  EXPECT_EQ(why_, "certificate is INACTIVE");
  write([&](store::Tx& tx) -> Status {
    TRY_VOID(security::update_certificate(tx, id_, security::CertificateStatus::kActive));
    return {};
  });
  EXPECT_TRUE(connect("c"));
  peer_.client_certificate_der.clear();
  EXPECT_FALSE(connect("c"));
}

TEST_F(AuthorizerTest, CertificatesOutOfDateAreRefused) {
  certificate_.not_before_ms = clock_.now_ms() - 1000;
  certificate_.not_after_ms = clock_.now_ms() + 1000;
  add_certificate();
  add_policy("all", statement("Allow", "iot:*", "*"));
  const auto grant = connect("c");
  ASSERT_TRUE(grant);
  EXPECT_EQ(grants_[*grant]->expires_ms(), certificate_.not_after_ms) << "then the broker ends the connection";
  clock_.advance_ms(2000);
  EXPECT_FALSE(connect("c"));
  EXPECT_EQ(why_, "certificate has expired");
}

TEST_F(AuthorizerTest, EachActionIsAskedOnItsOwnResource) {
  add_certificate();
  add_policy("connect", statement("Allow", "iot:Connect", kArn + "client/c"));
  add_policy("publish", statement("Allow", "iot:Publish", kArn + "topic/up/*"));
  add_policy("subscribe", statement("Allow", "iot:Subscribe", kArn + "topicfilter/down/#"));
  add_policy("receive", statement("Allow", "iot:Receive", kArn + "topic/down/*"));
  EXPECT_FALSE(connect("other"));
  const auto grant = connect("c");
  ASSERT_TRUE(grant);
  auto& g = *grants_[*grant];
  EXPECT_TRUE(ask([&] { return g.may_publish("up/1", false); }));
  EXPECT_TRUE(ask([&] { return g.may_publish("up/1", false); }));  // the remembered answer
  EXPECT_FALSE(ask([&] { return g.may_publish("down/1", false); }));
  EXPECT_FALSE(ask([&] { return g.may_publish("up/1", true); }));  // no iot:RetainPublish
  EXPECT_TRUE(ask([&] { return g.may_subscribe("down/#"); }));
  EXPECT_FALSE(ask([&] { return g.may_subscribe("down/x"); }));  // '#' in a policy is no wildcard
  EXPECT_FALSE(ask([&] { return g.may_subscribe("#"); }));
  EXPECT_TRUE(ask([&] { return g.may_receive("down/x"); }));
  EXPECT_FALSE(ask([&] { return g.may_receive("up/1"); }));
  EXPECT_TRUE(ask([&] { return g.still_valid() && g.principal_id() == id_; }));
}

TEST_F(AuthorizerTest, AClientIdNeverBecomesAWildcard) {
  add_certificate();
  add_policy("own", statement("Allow", "iot:*", kArn + "*/${iot:ClientId}"));
  const auto star = connect("*");
  ASSERT_TRUE(star);
  EXPECT_TRUE(ask([&] { return grants_[*star]->may_publish("*", false); }));
  EXPECT_FALSE(ask([&] { return grants_[*star]->may_publish("anything", false); }));
}

TEST_F(AuthorizerTest, AValueThatHoldsWildcardsOpensNothing) {
  add_certificate();
  add_policy("connect", statement("Allow", "iot:Connect", "*"));
  add_policy("own", statement("Allow", "iot:Subscribe", kArn + "topicfilter/my/${iot:ClientId}"));
  add_policy("fixed", statement("Allow", "iot:Subscribe", kArn + "topicfilter/all/+/${iot:Certificate.SerialNumber}"));
  add_policy("up", statement("Allow", "iot:Publish", kArn + "topic/up/${iot:ClientId}"));
  for (const char* id : {"#", "+", "*", "?", "${iot:ClientId}", "+/#"}) {
    const auto grant = connect(id);
    ASSERT_TRUE(grant) << id;
    auto& g = *grants_[*grant];
    EXPECT_FALSE(ask([&] { return g.may_subscribe("my/#"); })) << id;
    EXPECT_FALSE(ask([&] { return g.may_subscribe("my/+"); })) << id;
    EXPECT_FALSE(ask([&] { return g.may_subscribe("my/+/#"); })) << id;
    EXPECT_FALSE(ask([&] { return g.may_subscribe("my/other"); })) << id;
    EXPECT_FALSE(ask([&] { return g.may_publish("up/other", false); })) << id;
    EXPECT_TRUE(ask([&] { return g.may_subscribe("all/+/1f"); })) << id;  // the policy's own wildcard
  }
  const auto plain = connect("c");
  EXPECT_TRUE(ask([&] { return grants_[*plain]->may_subscribe("my/c"); }));
}

TEST_F(AuthorizerTest, ADenyIsNotEscapedByWildcardsInTheClientId) {
  add_certificate();
  add_policy("all", statement("Allow", "iot:*", "*"));
  add_policy("not",
             R"({"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"iot:Subscribe","Resource":"*",
    "Condition":{"StringEquals":{"iot:ClientId":"a#"}}}]})");
  const auto grant = connect("a#");
  EXPECT_FALSE(ask([&] { return grants_[*grant]->may_subscribe("x/#"); }));
  EXPECT_FALSE(ask([&] { return grants_[*grant]->may_subscribe("x"); }));
}

TEST_F(AuthorizerTest, TheWillsTopicIsACondition) {
  add_certificate();
  add_policy("will", R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iot:Connect","Resource":"*",
    "Condition":{"ArnEquals":{"iot:LastWillTopic":")" +
                         kArn + R"(topic/will/${iot:ClientId}"}}}]})");
  EXPECT_FALSE(connect("c"));
  will_topic_ = "will/d";
  EXPECT_FALSE(connect("c"));
  will_topic_ = "will/c";
  EXPECT_TRUE(connect("c"));
}

TEST_F(AuthorizerTest, AddressAndServerNameAreVariables) {
  add_certificate();
  add_policy("here", R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iot:Connect","Resource":"*",
    "Condition":{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"},"StringEquals":{"iot:DomainName":"iot.example.com"},
    "ForAnyValue:StringEquals":{"iot:Certificate.AvailableKeys":"iot:Certificate.Subject.Organization"}}}]})");
  EXPECT_TRUE(connect("c"));
  peer_.server_name = "other.example.com";
  EXPECT_FALSE(connect("c"));
  peer_.server_name = "iot.example.com";
  peer_.address = "192.0.2.1";
  EXPECT_FALSE(connect("c"));
}

TEST_F(AuthorizerTest, FiltersThatNobodyServesAreRefusedWhateverThePolicy) {
  add_certificate();
  add_policy("all", statement("Allow", "iot:*", "*"));
  const auto grant = connect("c");
  EXPECT_FALSE(ask([&] { return grants_[*grant]->may_subscribe("$aws/rules/#"); }));
  EXPECT_FALSE(ask([&] { return grants_[*grant]->may_subscribe("$SYS/#"); }));
  EXPECT_TRUE(ask([&] { return grants_[*grant]->may_subscribe("$aws/events/presence/#"); }));
}

TEST_F(AuthorizerTest, ThingVariablesNeedTheAttachedThing) {
  add_certificate();
  add_policy("connect", statement("Allow", "iot:Connect", "*"));
  add_policy("thing", statement("Allow", "iot:Publish", kArn + "topic/${iot:Connection.Thing.ThingName}/up"));
  add_policy("site", statement("Allow", "iot:Publish", kArn + "topic/${iot:Connection.Thing.Attributes[site]}/in"));
  add_policy("subject", statement("Allow", "iot:Publish", kArn + "topic/${iot:Certificate.Subject.CommonName}"));
  add_policy("attached",
             R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iot:Receive","Resource":"*",
    "Condition":{"Bool":{"iot:Connection.Thing.IsAttached":["true"]}}}]})");
  write([&](store::Tx& tx) -> Status {
    TRY_VOID(registry::create_thing(tx, kRealm, {.name = "mine", .attributes = {{"site", "north"}}}));
    TRY_VOID(registry::create_thing(tx, kRealm, {.name = "foreign"}));
    return security::attach_thing_principal(tx, kRealm, "mine", security::certificate_arn(kRealm, id_));
  });
  const auto mine = connect("mine");
  const auto foreign = connect("foreign");
  ASSERT_TRUE(mine && foreign);
  EXPECT_TRUE(ask([&] { return grants_[*mine]->may_publish("mine/up", false); }));
  EXPECT_TRUE(ask([&] { return grants_[*mine]->may_publish("north/in", false); }));
  EXPECT_TRUE(ask([&] { return grants_[*mine]->may_publish("device-7", false); }));
  EXPECT_FALSE(ask([&] { return grants_[*mine]->may_publish("foreign/up", false); }));
  EXPECT_TRUE(ask([&] { return grants_[*mine]->may_receive("x"); }));
  EXPECT_FALSE(ask([&] { return grants_[*foreign]->may_publish("foreign/up", false); }));
  EXPECT_FALSE(ask([&] { return grants_[*foreign]->may_publish("mine/up", false); }));
  EXPECT_FALSE(ask([&] { return grants_[*foreign]->may_receive("x"); }));
}

TEST_F(AuthorizerTest, PoliciesOfTheThingsGroupCount) {
  add_certificate();
  add_policy("group", statement("Allow", "iot:*", "*"), false);
  write([&](store::Tx& tx) -> Status {
    TRY_VOID(registry::create_thing(tx, kRealm, {.name = "mine"}));
    TRY_VOID(security::attach_thing_principal(tx, kRealm, "mine", security::certificate_arn(kRealm, id_)));
    TRY_VOID(registry::create_group(tx, kRealm, {.name = "fleet"}));
    TRY_VOID(registry::add_thing_to_group(tx, "fleet", "mine"));
    return security::attach_policy(tx, kRealm, "group", kArn + "thinggroup/fleet");
  });
  EXPECT_TRUE(connect("mine"));
}

TEST_F(AuthorizerTest, AnExclusiveThingStandsForEveryClientId) {
  add_certificate();
  add_policy("connect", statement("Allow", "iot:Connect", "*"));
  add_policy("thing", statement("Allow", "iot:Publish", kArn + "topic/${iot:Connection.Thing.ThingName}"));
  const std::string arn = security::certificate_arn(kRealm, id_);
  write([&](store::Tx& tx) -> Status {
    TRY_VOID(registry::create_thing(tx, kRealm, {.name = "mine"}));
    TRY_VOID(registry::create_thing(tx, kRealm, {.name = "any"}));
    return security::attach_thing_principal(tx, kRealm, "mine", arn, security::AttachmentKind::kExclusive);
  });
  const auto grant = connect("any");
  ASSERT_TRUE(grant);
  EXPECT_TRUE(ask([&] { return grants_[*grant]->may_publish("mine", false); }));
  EXPECT_FALSE(ask([&] { return grants_[*grant]->may_publish("any", false); }));
}

TEST_F(AuthorizerTest, WithoutAPolicyNobodyConnects) {
  add_certificate();
  EXPECT_FALSE(connect("c"));
  EXPECT_EQ(why_, "no policy allows iot:Connect on " + kArn + "client/c");
}

TEST_F(AuthorizerTest, ThePlainListenerIsClosedUnlessOpened) {
  peer_.tls = false;
  peer_.client_certificate_der.clear();
  EXPECT_FALSE(connect("c"));
  make({.plain_policy = "plain"});
  EXPECT_FALSE(connect("c"));
  add_policy("plain", statement("Allow", "iot:*", kArn + "*/lab/*"), false);
  EXPECT_FALSE(connect("c"));
  const auto lab = connect("lab/1");
  ASSERT_TRUE(lab);
  EXPECT_TRUE(ask([&] { return grants_[*lab]->may_publish("lab/x", false); }));
  EXPECT_FALSE(ask([&] { return grants_[*lab]->may_publish("x", false); }));
  make({.plain_policy = "*"});
  const auto open = connect("c");
  ASSERT_TRUE(open);
  EXPECT_TRUE(ask([&] { return grants_[*open]->may_publish("anything", true); }));
  // "*" opens the plain listener, not TLS without a certificate.
  peer_.tls = true;
  EXPECT_FALSE(connect("c"));
}

TEST_F(AuthorizerTest, HttpsCallsAreDecidedByTheSamePolicies) {
  CertificateCall call;
  call.certificate_der = kDer;
  call.action = "iotjobsdata:GetPendingJobExecutions";
  call.resources = {kArn + "thing/mine"};
  const Status unknown = https(call);
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().kind, ErrorKind::kUnauthenticated);
  add_certificate();
  add_policy("jobs", statement("Allow", "iotjobsdata:*", kArn + "thing/${iot:Connection.Thing.ThingName}"));
  write([&](store::Tx& tx) -> Status {
    TRY_VOID(registry::create_thing(tx, kRealm, {.name = "mine"}));
    TRY_VOID(registry::create_thing(tx, kRealm, {.name = "foreign"}));
    return security::attach_thing_principal(tx, kRealm, "mine", security::certificate_arn(kRealm, id_));
  });
  EXPECT_TRUE(https(call));
  call.resources = {kArn + "thing/foreign"};
  const Status foreign = https(call);
  ASSERT_FALSE(foreign);
  EXPECT_EQ(foreign.error().kind, ErrorKind::kAccessDenied);
  call.resources = {kArn + "thing/mine", kArn + "thing/foreign"};
  EXPECT_FALSE(https(call));
  call.resources = {};
  EXPECT_FALSE(https(call));
  call.action = "iot:Publish";
  call.resources = {kArn + "topic/x"};
  EXPECT_FALSE(https(call));
}

TEST_F(AuthorizerTest, OverHttpsANamedShadowIsItsThingsAndTheServersNameIsKnown) {
  add_certificate();
  add_policy("shadow", statement("Allow", "iot:GetThingShadow", kArn + "thing/${iot:Connection.Thing.ThingName}/*"));
  add_policy("domain", R"({"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*",)"
                       R"("Condition":{"StringNotEquals":{"iot:DomainName":"iot.example.com"}}}]})");
  write([&](store::Tx& tx) -> Status {
    TRY_VOID(registry::create_thing(tx, kRealm, {.name = "me"}));
    TRY_VOID(registry::create_thing(tx, kRealm, {.name = "you"}));
    return security::attach_thing_principal(tx, kRealm, "me", security::certificate_arn(kRealm, id_));
  });
  CertificateCall call;
  call.certificate_der = kDer;
  call.action = "iot:GetThingShadow";
  call.resources = {kArn + "thing/me/n"};
  EXPECT_FALSE(https(call)) << "no server name";
  call.server_name = "iot.example.com";
  EXPECT_TRUE(https(call));
  call.resources = {kArn + "thing/you/n"};
  EXPECT_FALSE(https(call));
  call.resources = {kArn + "thing/me/n"};
  call.server_name = "other.example.com";
  EXPECT_FALSE(https(call));
}

TEST_F(AuthorizerTest, RefusalsNameTheirPrincipalAsItsDoorKnowsIt) {
  Denials denials(clock_);
  std::vector<std::string> told;
  denials.on_refused([&](const Refused& refused) {
    const bool certificate = refused.kind == mqtt::PrincipalKind::kCertificate && refused.who != nullptr &&
                             refused.who->kind == iam::PrincipalKind::kCertificate;
    told.push_back(certificate ? refused.who->arn : "?");
  });
  make({.denials = &denials});
  add_certificate();
  EXPECT_FALSE(connect("c"));
  add_policy("connect", statement("Allow", "iot:Connect", "*"));
  const auto grant = connect("c");
  ASSERT_TRUE(grant);
  EXPECT_FALSE(ask([&] { return grants_[*grant]->may_publish("a", false); }));
  EXPECT_EQ(told, std::vector(2, security::certificate_arn(kRealm, id_)));
  on_loop([&] {
    grants_.clear();
    authorizer_.reset();
  });
}

}  // namespace
}  // namespace muster::api::device
