// SPDX-License-Identifier: Apache-2.0
#include "domain/security/principals.h"

#include "domain/security/security_test_support.h"
#include "store/keys.h"
#include "store/schema.h"

namespace muster::security {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

const std::string kIdentity = "eu-central-1:12345678-90ab-cdef-1234-123456789012";

class Principals : public SecurityTest {
 protected:
  Principals() {
    for (const char* name : {"a", "b"}) thing(name);
    arn_ = arn(certificate("c"));
  }
  std::string attach(const std::string& name, std::optional<AttachmentKind> kind = std::nullopt) {
    return attach(name, arn_, kind);
  }
  std::string attach(const std::string& name, const std::string& principal, std::optional<AttachmentKind> kind) {
    const Status done =
        status([&](store::Tx& tx) { return attach_thing_principal(tx, realm_, name, principal, kind); });
    return done ? "ok" : done.error().message;
  }
  std::vector<std::string> things(std::optional<AttachmentKind> kind) {
    auto page = run([&](store::Tx& tx) { return list_principal_attachments(tx, realm_, arn_, kind, {}); });
    std::vector<std::string> names;
    for (const Attachment& each : page.items) names.push_back(each.name + " " + std::string(to_string(each.kind)));
    return names;
  }

  std::string arn_;
};

TEST_F(Principals, AnExclusiveThingIsTheOnlyOne) {
  EXPECT_EQ(attach("a", AttachmentKind::kExclusive), "ok");
  EXPECT_EQ(attach("a", AttachmentKind::kExclusive), "ok");
  EXPECT_EQ(attach("a"), "ok") << "as it is";
  EXPECT_THAT(attach("a", AttachmentKind::kNonExclusive), HasSubstr("detach it first"));
  EXPECT_THAT(attach("b"), HasSubstr("exclusively to another thing"));
  EXPECT_THAT(attach("b", AttachmentKind::kExclusive), HasSubstr("exclusively to another thing"));
  EXPECT_THAT(things(std::nullopt), ElementsAre("a EXCLUSIVE_THING"));
  EXPECT_THAT(things(AttachmentKind::kNonExclusive), IsEmpty());
  EXPECT_TRUE(status([&](store::Tx& tx) { return detach_thing_principal(tx, realm_, "a", arn_); }));
  EXPECT_EQ(attach("b"), "ok");
  EXPECT_EQ(attach("a", AttachmentKind::kNonExclusive), "ok");
  EXPECT_THAT(attach("a", AttachmentKind::kExclusive), HasSubstr("detach it first"));
  EXPECT_THAT(things(AttachmentKind::kNonExclusive), ElementsAre("a NON_EXCLUSIVE_THING", "b NON_EXCLUSIVE_THING"));
}

TEST_F(Principals, OneThatHasThingsIsNotAttachedExclusively) {
  EXPECT_EQ(attach("a"), "ok");
  EXPECT_THAT(attach("b", AttachmentKind::kExclusive), HasSubstr("attached to another thing"));
  EXPECT_THAT(attach("b", kIdentity, AttachmentKind::kExclusive), HasSubstr("Only a certificate"));
}

TEST_F(Principals, AThingMayHaveExclusiveAndOtherPrincipals) {
  const std::string other = arn(certificate("other"));
  EXPECT_EQ(attach("a", AttachmentKind::kExclusive), "ok");
  EXPECT_EQ(attach("a", other, std::nullopt), "ok");
  EXPECT_EQ(attach("a", kIdentity, std::nullopt), "ok");
  auto list = [&](std::optional<AttachmentKind> kind) {
    return run([&](store::Tx& tx) { return list_thing_attachments(tx, "a", kind, {}); }).items.size();
  };
  EXPECT_EQ(list(std::nullopt), 3u);
  EXPECT_EQ(list(AttachmentKind::kExclusive), 1u);
  EXPECT_EQ(list(AttachmentKind::kNonExclusive), 2u);
}

TEST_F(Principals, IdentitiesAreRegionAndUuid) {
  EXPECT_TRUE(is_identity(kIdentity));
  for (const char* wrong :
       {"", ":", "eu-central-1:", "eu-central-1:12345678-90ab-cdef-1234-12345678901",
        "eu-central-1:12345678-90ab-cdef-1234-1234567890123", "eu-central-1:12345678x90ab-cdef-1234-123456789012",
        "eu-central-1:12345678-90AB-cdef-1234-123456789012", "EU-central-1:12345678-90ab-cdef-1234-123456789012",
        "x:12345678-90ab-cdef-1234-123456789012", "eu-central-1/12345678-90ab-cdef-1234-123456789012",
        "eu central 1:12345678-90ab-cdef-1234-123456789012", "*:12345678-90ab-cdef-1234-123456789012"})
    EXPECT_FALSE(is_identity(wrong)) << wrong;
}

TEST_F(Principals, IdentitiesCarryPolicies) {
  policy("p");
  EXPECT_TRUE(status([&](store::Tx& tx) { return attach_policy(tx, realm_, "p", kIdentity); }));
  auto attached = run([&](store::Tx& tx) { return list_attached_policies(tx, realm_, kIdentity, false, {}); });
  EXPECT_THAT(attached.items, ElementsAre("p"));
  auto rights = run([&](store::Tx& tx) { return rights_of(tx, realm_, {kIdentity, {}}); });
  ASSERT_EQ(rights.policies.size(), 1u);
  EXPECT_EQ(rights.policies[0].name, "p");
  EXPECT_TRUE(status([&](store::Tx& tx) { return detach_policy(tx, realm_, "p", kIdentity); }));
}

TEST_F(Principals, OtherAccountsArnsAreNeitherPrincipalsNorTargets) {
  policy("p");
  const std::string id = sha256_hex("c");
  for (const std::string& foreign : std::vector<std::string>{
           "arn:aws:iot:eu-central-1:999999999999:cert/" + id, "arn:aws:iot:us-east-1:123456789012:cert/" + id,
           "arn:aws:iot:eu-central-1:999999999999:thinggroup/g", "arn:aws-cn:iot:eu-central-1:123456789012:cert/" + id,
           std::string("arn:aws:iam::999999999999:role/r"), std::string("*")}) {
    EXPECT_EQ(status([&](store::Tx& tx) { return attach_policy(tx, realm_, "p", foreign); }).error().kind,
              ErrorKind::kInvalid)
        << foreign;
    EXPECT_EQ(status([&](store::Tx& tx) { return detach_policy(tx, realm_, "p", foreign); }).error().kind,
              ErrorKind::kInvalid)
        << foreign;
    EXPECT_THAT(attach("a", foreign, std::nullopt), HasSubstr("Invalid principal")) << foreign;
  }
  EXPECT_THAT(run([](store::Tx& tx) { return list_policy_targets(tx, "p", {}); }).items, IsEmpty());
}

TEST_F(Principals, RightsOfAThingAreItsGroups) {
  policy("own");
  policy("group");
  group("g");
  join("g", "a");
  EXPECT_TRUE(status([&](store::Tx& tx) { return attach_policy(tx, realm_, "own", arn_); }));
  EXPECT_TRUE(
      status([&](store::Tx& tx) { return attach_policy(tx, realm_, "group", registry::group_arn(realm_, "g")); }));
  auto names = [&](RightsOf whom) {
    auto rights = result([&](store::Tx& tx) { return rights_of(tx, realm_, whom); });
    std::string text;
    if (!rights) return std::string(to_string(rights.error().kind));
    for (const EffectivePolicy& each : rights->policies) text += each.name + " ";
    return text;
  };
  EXPECT_EQ(names({{}, "a"}), "group ");
  EXPECT_EQ(names({arn_, {}}), "own ");
  EXPECT_EQ(names({arn_, "a"}), "own ") << "not attached";
  EXPECT_EQ(attach("a"), "ok");
  EXPECT_EQ(names({arn_, "a"}), "group own ");
  EXPECT_EQ(names({arn_, "b"}), "own ");
  EXPECT_EQ(names({{}, {}}), to_string(ErrorKind::kInvalid));
  EXPECT_EQ(names({{}, "none"}), to_string(ErrorKind::kNotFound));
  EXPECT_EQ(names({arn(sha256_hex("none")), {}}), to_string(ErrorKind::kNotFound));
}

TEST_F(Principals, NoThingsGroupIsForgottenHoweverManyThereAre) {
  policy("last");
  group("r");
  group("g", "r");
  std::vector<std::string> names;
  for (std::size_t i = 0; i < kThingsPerPrincipal; ++i) names.push_back("t" + std::to_string(1000 + i));
  for (const std::string& name : names) {
    thing(name);
    ASSERT_EQ(attach(name), "ok");
  }
  EXPECT_THAT(attach("a"), HasSubstr("maximum number of things, 1000")) << "fails closed";
  EXPECT_EQ(attach(names.back()), "ok") << "attached already";
  join("g", names.back());
  EXPECT_TRUE(
      status([&](store::Tx& tx) { return attach_policy(tx, realm_, "last", registry::group_arn(realm_, "r")); }));
  const auto rights = run([&](store::Tx& tx) { return rights_of(tx, realm_, {arn_, {}}); });
  EXPECT_EQ(rights.things, names);
  EXPECT_THAT(rights.groups, ElementsAre("g", "r"));
  ASSERT_EQ(rights.policies.size(), 1u);
  EXPECT_EQ(rights.policies[0].name, "last");
  // As many as were ever attached: another page, written before there was a bound.
  run([&](store::Tx& tx) -> Result<int> {
    for (int i = 0; i < 1001; ++i)
      tx.put(store::Key(store::table::kPrincipalThing).text(arn_).text("s" + std::to_string(1000 + i)).str(), "");
    return 0;
  });
  EXPECT_EQ(run([&](store::Tx& tx) -> Result<std::size_t> { return things_of_principal(tx, arn_).size(); }), 2001u);
}

}  // namespace
}  // namespace muster::security
