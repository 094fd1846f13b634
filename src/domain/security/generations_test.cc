// SPDX-License-Identifier: Apache-2.0
#include "domain/security/generations.h"

#include "domain/registry/dynamic_groups.h"
#include "domain/security/security_test_support.h"

namespace muster::security {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class Generations : public SecurityTest {
 protected:
  Generations() {
    generations_.follow(*store_, realm_);
    generations_.on_change([this](RightsKind kind, std::string_view name) {
      static constexpr const char* kKinds[] = {"certificate ", "policy ", "group ", "thing "};
      std::string text = kKinds[static_cast<std::size_t>(kind)] + std::string(name);
      if (heard_.empty() || heard_.back() != text) heard_.push_back(std::move(text));
    });
  }
  void watch(RightsKind kind, const std::string& name) {
    slots_.push_back(PolicyGenerations::slot(kind, name));
    generations_.watch({&slots_.back(), 1});
  }
  bool changed(std::uint64_t then, RightsKind kind, const std::string& name) {
    const PolicyGenerations::Slot slot = PolicyGenerations::slot(kind, name);
    return generations_.changed_since(then, {&slot, 1});
  }
  std::vector<std::string> heard() { return std::exchange(heard_, {}); }
  template <class F>
  void write(F&& body) {
    const Status done = status([&](store::Tx& tx) -> Status { return body(tx); });
    EXPECT_TRUE(done) << done.error().message;
  }

  PolicyGenerations generations_;
  std::vector<PolicyGenerations::Slot> slots_;
  std::vector<std::string> heard_;
};

TEST_F(Generations, EachWriteConcernsWhatItNames) {
  const std::string id = certificate("c");
  thing("t");
  group("g");
  policy("p");
  for (const auto& [kind, name] : std::vector<std::pair<RightsKind, std::string>>{{RightsKind::kCertificate, id},
                                                                                  {RightsKind::kPolicy, "p"},
                                                                                  {RightsKind::kGroup, "g"},
                                                                                  {RightsKind::kThing, "t"}})
    watch(kind, name);
  heard();
  write([&](store::Tx& tx) { return attach_policy(tx, realm_, "p", arn(id)); });
  EXPECT_THAT(heard(), ElementsAre("certificate " + id));
  write([&](store::Tx& tx) { return attach_policy(tx, realm_, "p", registry::group_arn(realm_, "g")); });
  EXPECT_THAT(heard(), ElementsAre("group g"));
  write([&](store::Tx& tx) { return attach_thing_principal(tx, realm_, "t", arn(id)); });
  EXPECT_THAT(heard(), ElementsAre("certificate " + id));
  join("g", "t");
  EXPECT_THAT(heard(), ElementsAre("thing t"));
  write([&](store::Tx& tx) -> Status {
    TRY_VOID(create_policy_version(tx, "p", document("x"), true));
    return {};
  });
  EXPECT_THAT(heard(), ElementsAre("policy p"));
  write([&](store::Tx& tx) -> Status {
    TRY_VOID(update_certificate(tx, id, CertificateStatus::kRevoked));
    return {};
  });
  EXPECT_THAT(heard(), ElementsAre("certificate " + id));
  write([&](store::Tx& tx) { return detach_policy(tx, realm_, "p", registry::group_arn(realm_, "g")); });
  EXPECT_THAT(heard(), ElementsAre("group g"));
  write([&](store::Tx& tx) -> Status {
    TRY_VOID(registry::remove_thing_from_group(tx, "g", "t"));
    return {};
  });
  EXPECT_THAT(heard(), ElementsAre("thing t"));
  write([&](store::Tx& tx) { return detach_thing_principal(tx, realm_, "t", arn(id)); });
  EXPECT_THAT(heard(), ElementsAre("certificate " + id));
}

TEST_F(Generations, WhatNobodyWatchesIsNotTold) {
  const std::uint64_t then = generations_.now();
  const std::string id = certificate("c");
  thing("t");
  policy("p");
  EXPECT_THAT(heard(), IsEmpty());
  EXPECT_TRUE(changed(then, RightsKind::kCertificate, id)) << "who read before knows all the same";
  EXPECT_TRUE(changed(then, RightsKind::kPolicy, "p"));
  EXPECT_FALSE(changed(generations_.now(), RightsKind::kPolicy, "p"));
  EXPECT_FALSE(changed(then, RightsKind::kGroup, "p")) << "a name of another kind";
}

TEST_F(Generations, WatchersAreCounted) {
  policy("p");
  watch(RightsKind::kPolicy, "p");
  watch(RightsKind::kPolicy, "p");
  auto change = [&] {
    write([&](store::Tx& tx) { return set_default_policy_version(tx, "p", "1"); });
    return heard().size();
  };
  EXPECT_EQ(change(), 1u);
  generations_.unwatch({&slots_.back(), 1});
  EXPECT_EQ(change(), 1u);
  generations_.unwatch({&slots_.back(), 1});
  EXPECT_EQ(change(), 0u);
}

TEST_F(Generations, AttachmentsOfIdentitiesAndStrangersConcernNoCertificate) {
  policy("p");
  const std::uint64_t then = generations_.now();
  const std::string identity = "eu-central-1:12345678-1234-1234-1234-123456789012";
  write([&](store::Tx& tx) { return attach_policy(tx, realm_, "p", identity); });
  EXPECT_EQ(generations_.now(), then);
}

}  // namespace
}  // namespace muster::security
