// SPDX-License-Identifier: Apache-2.0
// What a certificate and its IoT policies allow, on a live registry in the memory store.
#include "api/device/authorizer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <boost/asio/awaitable.hpp>
#include <future>
#include <optional>
#include <set>

#include "api/device/denials.h"
#include "base/crypto.h"
#include "domain/registry/groups.h"
#include "domain/registry/things.h"
#include "domain/security/certificates.h"
#include "domain/security/policies.h"
#include "domain/security/principals.h"
#include "io/env.h"
#include "store/memory_engine.h"

namespace muster::api::device {
namespace {

const Realm kRealm{"123456789012", "us-east-1"};
const std::string kDer = "the bytes of a certificate";
const std::string kArn = "arn:aws:iot:us-east-1:123456789012:";

std::string statement(const std::string& effect, const std::string& action, const std::string& resource) {
  return R"({"Version":"2012-10-17","Statement":[{"Effect":")" + effect + R"(","Action":")" + action +
         R"(","Resource":")" + resource + R"("}]})";
}

class AuthorizerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    store_ = store::make_memory_store(clock_);
    generations_.follow(*store_, kRealm);
    loop_.start();
    make({});
    certificate_.id = id_;
    certificate_.pem = "pem";
    certificate_.status = security::CertificateStatus::kActive;
    certificate_.subject = "CN=device-7,O=Acme";
    certificate_.issuer = "CN=ca";
    certificate_.serial_number = "1f";
    peer_.address = "10.1.2.3";
    peer_.tls = true;
    peer_.server_name = "iot.example.com";
    peer_.client_certificate_der = kDer;
  }
  void TearDown() override {
    on_loop([&] {
      grants_.clear();
      authorizer_.reset();
    });
    loop_.stop();
  }
  void make(AuthorizerOptions options) {
    on_loop([&] {
      grants_.clear();
      authorizer_ = std::make_unique<DeviceAuthorizer>(loop_, *store_, kRealm, generations_, options);
      authorizer_->on_refused([this](const std::string& id) {
        if (refused_.empty())
          valid_when_told_ =
              std::ranges::count_if(grants_, [](const auto& grant) { return grant && grant->still_valid(); });
        refused_.push_back(id);
      });
    });
  }
  void on_loop(const std::function<void()>& fn) {
    std::promise<void> done;
    loop_.post([&] {
      fn();
      done.set_value();
    });
    done.get_future().wait();
  }
  void settle() {
    for (int i = 0; i < 10; ++i) on_loop([] {});
  }
  template <class F>
  void write(F&& body) {
    const Status status = store::run_blocking(*store_, [&](store::Tx& tx) -> Status { return body(tx); });
    ASSERT_TRUE(status.has_value()) << status.error().message;
  }
  void add_certificate() {
    write([&](store::Tx& tx) -> Status {
      TRY_VOID(security::register_certificate(tx, kRealm, certificate_));
      return {};
    });
  }
  void add_policy(const std::string& name, const std::string& document, bool attach = true) {
    write([&](store::Tx& tx) -> Status {
      TRY_VOID(security::create_policy(tx, kRealm, name, document));
      if (!attach) return {};
      return security::attach_policy(tx, kRealm, name, security::certificate_arn(kRealm, id_));
    });
  }
  // The grant's index in grants_, or nullopt with the reason in why_.
  std::optional<std::size_t> connect(const std::string& client_id) {
    auto decided = std::make_shared<std::promise<void>>();
    std::optional<std::size_t> index;
    mqtt::ConnectAttempt attempt;
    attempt.client_id = client_id;
    attempt.peer = &peer_;
    attempt.has_will = !will_topic_.empty();
    attempt.will_topic = will_topic_;
    on_loop([&] {
      authorizer_->connect(attempt, [&, decided](mqtt::Authorizer::Decision decision) {
        why_ = decision.reason;
        if (decision.grant) {
          index = grants_.size();
          grants_.push_back(std::move(decision.grant));
        }
        decided->set_value();
      });
    });
    decided->get_future().wait();
    return index;
  }
  bool ask(const std::function<bool()>& question) {
    bool answer = false;
    on_loop([&] { answer = question(); });
    return answer;
  }
  Status https(const CertificateCall& call) {
    std::promise<Status> done;
    auto run = [](DeviceAuthorizer* authorizer, CertificateCall asked,
                  std::promise<Status>* out) -> boost::asio::awaitable<void> {
      Status status = co_await authorizer->authorize(asked);
      out->set_value(std::move(status));
    };
    loop_.post([&] { loop_.spawn(run(authorizer_.get(), call, &done)); });
    return done.get_future().get();
  }

  io::VirtualClock clock_;
  io::Loop loop_{"authorizer"};
  std::unique_ptr<store::MemoryStore> store_;
  security::PolicyGenerations generations_;
  std::unique_ptr<DeviceAuthorizer> authorizer_;
  std::vector<std::unique_ptr<mqtt::ConnectionGrant>> grants_;
  std::vector<std::string> refused_;
  std::ptrdiff_t valid_when_told_ = 0;  // connections, at the first refusal
  const std::string id_ = sha256_hex(kDer);
  security::Certificate certificate_;
  io::PeerInfo peer_;
  std::string why_;
  std::string will_topic_;
};

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

TEST_F(AuthorizerTest, AChangeReachesLiveConnections) {
  add_certificate();
  add_policy("all", statement("Allow", "iot:*", "*"));
  add_policy("deny", statement("Deny", "iot:Publish", kArn + "topic/secret"), false);
  const auto grant = connect("c");
  ASSERT_TRUE(grant);
  EXPECT_TRUE(ask([&] { return grants_[*grant]->may_publish("secret", false); }));
  write([&](store::Tx& tx) -> Status {
    return security::attach_policy(tx, kRealm, "deny", security::certificate_arn(kRealm, id_));
  });
  settle();
  EXPECT_FALSE(ask([&] { return grants_[*grant]->may_publish("secret", false); }));
  EXPECT_TRUE(ask([&] { return grants_[*grant]->still_valid(); }));
  EXPECT_TRUE(refused_.empty()) << "it may stay";
  write([&](store::Tx& tx) -> Status {
    TRY_VOID(
        security::create_policy_version(tx, "all", statement("Allow", "iot:Connect", kArn + "client/other"), true));
    return {};
  });
  settle();
  EXPECT_FALSE(ask([&] { return grants_[*grant]->still_valid(); }));
  EXPECT_EQ(refused_, std::vector<std::string>{id_});
  write([&](store::Tx& tx) -> Status {
    TRY_VOID(security::update_certificate(tx, id_, security::CertificateStatus::kRevoked));
    return {};
  });
  settle();
  EXPECT_FALSE(ask([&] { return grants_[*grant]->still_valid() || grants_[*grant]->may_publish("x", false); }));
  EXPECT_FALSE(connect("c"));
}

TEST_F(AuthorizerTest, EveryPathOfAChangeReachesTheConnection) {
  add_certificate();
  add_policy("connect", statement("Allow", "iot:Connect", "*"));
  add_policy("site", statement("Allow", "iot:Publish", kArn + "topic/${iot:Connection.Thing.Attributes[site]}"));
  add_policy("group", statement("Allow", "iot:Publish", kArn + "topic/group"), false);
  const std::string arn = security::certificate_arn(kRealm, id_);
  const auto grant = connect("t");
  ASSERT_TRUE(grant);
  const auto may = [&](const char* topic) {
    settle();
    return ask([&] { return grants_[*grant]->may_publish(topic, false); });
  };
  write([](store::Tx& tx) -> Status {
    TRY_VOID(registry::create_thing(tx, kRealm, {.name = "t", .attributes = {{"site", "north"}}}));
    TRY_VOID(registry::create_group(tx, kRealm, {.name = "root"}));
    TRY_VOID(registry::create_group(tx, kRealm, {.name = "leaf", .parent = "root"}));
    return {};
  });
  EXPECT_FALSE(may("north"));
  write([&](store::Tx& tx) { return security::attach_thing_principal(tx, kRealm, "t", arn); });
  EXPECT_TRUE(may("north")) << "a thing was attached";
  write([](store::Tx& tx) -> Status {
    registry::UpdateThing change;
    change.name = "t";
    change.attributes = registry::Attributes{{"site", "south"}};
    TRY_VOID(registry::update_thing(tx, change));
    return {};
  });
  EXPECT_FALSE(may("north"));
  EXPECT_TRUE(may("south")) << "an attribute changed";
  write([](store::Tx& tx) -> Status {
    return security::attach_policy(tx, kRealm, "group", registry::group_arn(kRealm, "root"));
  });
  EXPECT_FALSE(may("group"));
  write([](store::Tx& tx) -> Status {
    TRY_VOID(registry::add_thing_to_group(tx, "leaf", "t"));
    return {};
  });
  EXPECT_TRUE(may("group")) << "the thing joined a group below";
  write([](store::Tx& tx) -> Status {
    return security::detach_policy(tx, kRealm, "group", registry::group_arn(kRealm, "root"));
  });
  EXPECT_FALSE(may("group")) << "the group lost its policy";
  write([](store::Tx& tx) -> Status {
    return security::attach_policy(tx, kRealm, "group", registry::group_arn(kRealm, "leaf"));
  });
  EXPECT_TRUE(may("group"));
  write([](store::Tx& tx) -> Status {
    TRY_VOID(security::create_policy_version(tx, "group", statement("Deny", "iot:Publish", "*"), true));
    return {};
  });
  EXPECT_FALSE(may("group"));
  EXPECT_FALSE(may("south")) << "a group's policy has a version that denies";
  write([](store::Tx& tx) -> Status { return security::set_default_policy_version(tx, "group", "1"); });
  EXPECT_TRUE(may("south") && may("group"));
  write([](store::Tx& tx) -> Status {
    TRY_VOID(registry::delete_group(tx, kRealm, "leaf", std::nullopt));
    return {};
  });
  EXPECT_FALSE(may("group")) << "the group is gone";
  EXPECT_TRUE(may("south"));
  EXPECT_TRUE(refused_.empty());
}

TEST_F(AuthorizerTest, ChangesOfOthersConcernNobodyHere) {
  add_certificate();
  add_policy("all", statement("Allow", "iot:*", "*"));
  ASSERT_TRUE(connect("c"));
  std::atomic<int> heard{0};
  generations_.on_change([&](security::RightsKind, std::string_view) { ++heard; });
  for (int i = 0; i < 100; ++i) {
    write([&](store::Tx& tx) -> Status {
      const std::string name = "other-" + std::to_string(i);
      security::Certificate other = certificate_;
      other.id = sha256_hex(name);
      TRY_VOID(registry::create_thing(tx, kRealm, {.name = name}));
      TRY_VOID(security::register_certificate(tx, kRealm, other));
      TRY_VOID(security::create_policy(tx, kRealm, name, statement("Allow", "iot:Connect", "*")));
      TRY_VOID(security::attach_policy(tx, kRealm, name, security::certificate_arn(kRealm, other.id)));
      return security::attach_thing_principal(tx, kRealm, name, security::certificate_arn(kRealm, other.id));
    });
  }
  EXPECT_LE(heard, 5) << "but for names that share a slot";
  write([&](store::Tx& tx) -> Status {
    TRY_VOID(security::update_certificate(tx, id_, security::CertificateStatus::kInactive));
    return {};
  });
  EXPECT_GE(heard, 1);
}

TEST_F(AuthorizerTest, AGoneConnectionIsNotWatchedAnyMore) {
  add_certificate();
  add_policy("all", statement("Allow", "iot:*", "*"));
  ASSERT_TRUE(connect("c"));
  std::atomic<int> heard{0};
  generations_.on_change([&](security::RightsKind, std::string_view) { ++heard; });
  on_loop([&] { grants_.clear(); });
  write([&](store::Tx& tx) -> Status {
    TRY_VOID(security::update_certificate(tx, id_, security::CertificateStatus::kInactive));
    return {};
  });
  EXPECT_EQ(heard, 0);
}

TEST_F(AuthorizerTest, ThousandsOfConnectionsFollowTheirCommonPolicy) {
  add_certificate();
  add_policy("all", statement("Allow", "iot:*", "*"));
  for (int i = 0; i < 300; ++i) ASSERT_TRUE(connect("c" + std::to_string(i)));
  write([&](store::Tx& tx) -> Status {
    TRY_VOID(security::create_policy_version(tx, "all", statement("Allow", "iot:Connect", "*"), true));
    return {};
  });
  settle();
  for (const auto& grant : grants_) {
    EXPECT_FALSE(ask([&] { return grant->may_publish("x", false); }));
    EXPECT_TRUE(ask([&] { return grant->still_valid(); }));
  }
  // A change that has each of them read again, in several transactions.
  write([&](store::Tx& tx) -> Status {
    TRY_VOID(security::update_certificate(tx, id_, security::CertificateStatus::kInactive));
    return {};
  });
  settle();
  settle();
  for (const auto& grant : grants_) EXPECT_FALSE(ask([&] { return grant->still_valid(); }));
  EXPECT_EQ(std::set<std::string>(refused_.begin(), refused_.end()), std::set<std::string>{id_}) << "of one principal";
  EXPECT_GT(valid_when_told_, 200) << "the first batch is told of before the others are read";
  EXPECT_LE(refused_.size(), 4u) << "of five batches after the first, second, fourth and last";
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
