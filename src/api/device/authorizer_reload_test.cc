// SPDX-License-Identifier: Apache-2.0
// Changes of what a connection's rights are made of reach it while it lives.
#include "api/device/authorizer_test_support.h"

namespace muster::api::device {
namespace {

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

}  // namespace
}  // namespace muster::api::device
