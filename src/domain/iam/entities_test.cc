// SPDX-License-Identifier: Apache-2.0
#include "domain/iam/entities.h"

#include "domain/iam/groups.h"
#include "domain/iam/iam_test_support.h"
#include "domain/iam/managed_policies.h"

namespace muster::iam {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class Entities : public IamTest {
 protected:
  void SetUp() override {
    IamTest::SetUp();
    user("ann");
  }
  std::string policy(std::string name, const std::string& document, std::string path = "/") {
    ManagedPolicy wanted;
    wanted.name = std::move(name);
    wanted.path = std::move(path);
    return run([&](store::Tx& tx) { return create_managed_policy(tx, realm_, wanted, document); }).arn;
  }
  Status attach(EntityKind kind, std::string_view name, std::string_view arn) {
    return status([&](store::Tx& tx) { return attach_policy(tx, realm_, kind, name, arn); });
  }
  Status group(std::string_view name) {
    return status([&](store::Tx& tx) -> Status {
      TRY_VOID(create_group(tx, name, "/"));
      return {};
    });
  }
  Status join(std::string_view group, std::string_view user) {
    return status([&](store::Tx& tx) { return add_user_to_group(tx, group, user); });
  }
  Status rename(std::string_view to, std::string_view path = "") {
    return status([&](store::Tx& tx) -> Status {
      TRY_VOID(update_user(tx, "ann", to, path));
      return {};
    });
  }
};

TEST_F(Entities, AttachedPoliciesCountForUsersRolesAndGroups) {
  Principal ann = principal(key("ann").id);
  const std::string arn = policy("things", allow("iot:CreateThing", "*"));
  EXPECT_FALSE(allowed(ann, "iot:CreateThing", "*"));
  EXPECT_TRUE(attach(EntityKind::kUser, "ann", arn));
  EXPECT_TRUE(attach(EntityKind::kUser, "ANN", arn)) << "twice is a success";
  EXPECT_TRUE(allowed(ann, "iot:CreateThing", "*"));
  EXPECT_TRUE(status([&](store::Tx& tx) { return detach_policy(tx, EntityKind::kUser, "ann", arn); }));
  EXPECT_FALSE(allowed(ann, "iot:CreateThing", "*"));
  EXPECT_EQ(status([&](store::Tx& tx) { return detach_policy(tx, EntityKind::kUser, "ann", arn); }).error().reason,
            "NoSuchEntity");
  EXPECT_TRUE(group("makers"));
  EXPECT_TRUE(attach(EntityKind::kGroup, "makers", arn));
  EXPECT_TRUE(join("Makers", "Ann"));
  EXPECT_TRUE(allowed(ann, "iot:CreateThing", "*")) << "by the group";
  EXPECT_TRUE(status([&](store::Tx& tx) {
    return put_inline_policy(tx, EntityKind::kGroup, "makers", "no", allow("iot:Create*", "*", "Deny"));
  }));
  EXPECT_THAT(allowed(ann, "iot:CreateThing", "*").error().message, HasSubstr("explicit deny"));
  EXPECT_TRUE(status([](store::Tx& tx) { return remove_user_from_group(tx, "makers", "ann"); }));
  EXPECT_FALSE(allowed(ann, "iot:CreateThing", "*"));
  EXPECT_EQ(attach(EntityKind::kUser, "ann", arn + "x").error().reason, "NoSuchEntity");
  EXPECT_EQ(attach(EntityKind::kUser, "ann", "arn:aws:iam::999999999999:policy/things").error().reason, "NoSuchEntity")
      << "another account's policy";
  EXPECT_TRUE(attach(EntityKind::kUser, "ann", "arn:aws:iam::aws:policy/AWSIoTConfigAccess"));
  EXPECT_TRUE(allowed(ann, "iot:CreateThing", "*"));
  EXPECT_FALSE(allowed(ann, "iot:Publish", "*"));
}

TEST_F(Entities, TenPoliciesCanBeAttached) {
  for (int i = 0; i < 11; ++i) {
    const Status attached = attach(EntityKind::kUser, "ann", policy("p" + std::to_string(i), std::string(kAllowAll)));
    EXPECT_EQ(attached.has_value(), i < 10);
    if (i == 10) {
      EXPECT_EQ(attached.error().reason, "LimitExceeded");
      EXPECT_EQ(attached.error().message, "Cannot exceed quota for PoliciesPerUser: 10");
    }
  }
}

TEST_F(Entities, BoundaryBoundsWhatIdentityPoliciesAllow) {
  Principal ann = principal(key("ann").id);
  const std::string all = policy("all", std::string(kAllowAll)),
                    reading = policy("reading", allow("iot:Describe*", "*"));
  EXPECT_TRUE(attach(EntityKind::kUser, "ann", all));
  EXPECT_TRUE(status([&](store::Tx& tx) { return put_boundary(tx, realm_, EntityKind::kUser, "ann", reading); }));
  EXPECT_TRUE(allowed(ann, "iot:DescribeThing", "*"));
  EXPECT_THAT(allowed(ann, "iot:CreateThing", "*").error().message,
              HasSubstr("because no permissions boundary allows the iot:CreateThing action"));
  EXPECT_TRUE(allowed(ann, "s3:GetObject", "arn:aws:s3:::b/k", R"({"Version":"2012-10-17","Statement":[
      {"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/*"}]})"))
      << "a boundary does not bound what a resource's policy gives a user";
  EXPECT_EQ(status([&](store::Tx& tx) { return delete_managed_policy(tx, realm_, reading); }).error().reason,
            "DeleteConflict");
  EXPECT_TRUE(status([](store::Tx& tx) { return delete_boundary(tx, EntityKind::kUser, "ann"); }));
  EXPECT_TRUE(allowed(ann, "iot:CreateThing", "*"));
  EXPECT_TRUE(status([&](store::Tx& tx) { return delete_managed_policy(tx, realm_, reading); }));
}

TEST_F(Entities, BoundaryAloneAllowsNothingAndItsDenyWins) {
  Principal ann = principal(key("ann").id);
  const std::string all = policy("all", std::string(kAllowAll)), none = policy("none", allow("*", "*", "Deny"));
  auto bound = [&](const std::string& arn) {
    return status([&](store::Tx& tx) { return put_boundary(tx, realm_, EntityKind::kUser, "ann", arn); });
  };
  EXPECT_TRUE(bound(all));
  EXPECT_THAT(allowed(ann, "iot:CreateThing", "*").error().message, HasSubstr("no identity-based policy"));
  EXPECT_TRUE(attach(EntityKind::kUser, "ann", all));
  EXPECT_TRUE(bound(none));
  EXPECT_THAT(allowed(ann, "iot:CreateThing", "*").error().message,
              HasSubstr("with an explicit deny in a permissions boundary"));
}

TEST_F(Entities, RenamedUserKeepsKeysGroupsAttachmentsAndBoundary) {
  const std::string all = policy("all", std::string(kAllowAll));
  EXPECT_TRUE(group("g"));
  EXPECT_TRUE(join("g", "ann"));
  EXPECT_TRUE(attach(EntityKind::kUser, "ann", all));
  EXPECT_TRUE(status([&](store::Tx& tx) { return put_boundary(tx, realm_, EntityKind::kUser, "ann", all); }));
  AccessKey ann_key = key("ann");
  user("bob");
  EXPECT_EQ(rename("BOB").error().reason, "EntityAlreadyExists");
  EXPECT_TRUE(rename("Anna", "/staff/"));
  Principal anna = principal(ann_key.id);
  EXPECT_EQ(anna.arn, "arn:aws:iam::" + realm_.account_id + ":user/staff/Anna");
  EXPECT_TRUE(allowed(anna, "iot:CreateThing", "*"));
  run([&](store::Tx& tx) -> Result<bool> {
    EXPECT_FALSE(find_user(tx, "ann"));
    EXPECT_THAT(groups_of_user(tx, "anna"), ElementsAre("g"));
    EXPECT_THAT(list_users_of_group(tx, "g", {})->items, ElementsAre("anna"));
    const auto users = list_policy_users(tx, all, {})->items;
    EXPECT_EQ(users.size(), 1u) << "its policy and its boundary: once";
    EXPECT_EQ(users[0].name, "Anna");
    EXPECT_EQ(with_path(tx, realm_, "arn:aws:iam::" + realm_.account_id + ":user/anna"), anna.arn);
    return true;
  });
  EXPECT_TRUE(status([](store::Tx& tx) -> Status {
    TRY_VOID(update_user(tx, "anna", "ANNA", ""));
    return {};
  })) << "only the case changes";
  EXPECT_EQ(principal(ann_key.id).name, "ANNA");
}

TEST_F(Entities, GroupsHaveMembersUntilTheyAreDeleted) {
  EXPECT_TRUE(group("g"));
  EXPECT_EQ(group("G").error().reason, "EntityAlreadyExists");
  EXPECT_EQ(join("g", "nobody").error().reason, "NoSuchEntity");
  EXPECT_EQ(join("h", "ann").error().message, "The group with name h cannot be found.");
  EXPECT_TRUE(join("g", "ann"));
  EXPECT_TRUE(join("g", "ann"));
  EXPECT_EQ(status([](store::Tx& tx) { return delete_user(tx, "ann"); }).error().reason, "DeleteConflict");
  EXPECT_EQ(status([](store::Tx& tx) { return delete_group(tx, "g"); }).error().reason, "DeleteConflict");
  EXPECT_TRUE(status([](store::Tx& tx) { return update_group(tx, "g", "h", "/x/"); }));
  run([&](store::Tx& tx) -> Result<bool> {
    EXPECT_THAT(groups_of_user(tx, "ann"), ElementsAre("h"));
    EXPECT_EQ(entity_arn(realm_, *find_entity(tx, EntityKind::kGroup, "h")),
              "arn:aws:iam::" + realm_.account_id + ":group/x/h");
    return true;
  });
  EXPECT_TRUE(status([](store::Tx& tx) { return remove_user_from_group(tx, "h", "ann"); }));
  EXPECT_EQ(status([](store::Tx& tx) { return remove_user_from_group(tx, "h", "ann"); }).error().reason,
            "NoSuchEntity");
  EXPECT_TRUE(status([](store::Tx& tx) { return delete_group(tx, "h"); }));
  for (int i = 0; i < 11; ++i) {
    EXPECT_TRUE(group("g" + std::to_string(i)));
    EXPECT_EQ(join("g" + std::to_string(i), "ann").has_value(), i < 10);
  }
}

TEST_F(Entities, TagsReplaceWithoutCaseAndAreBounded) {
  auto tag = [&](const std::map<std::string, std::string>& tags) {
    return status([&](store::Tx& tx) { return tag_entity(tx, EntityKind::kUser, "ann", tags); });
  };
  EXPECT_TRUE(tag({{"Team", "a"}}));
  EXPECT_TRUE(tag({{"team", "b"}}));
  run([&](store::Tx& tx) -> Result<bool> {
    EXPECT_THAT(find_user(tx, "ann")->tags, ElementsAre(testing::Pair("team", "b")));
    return true;
  });
  EXPECT_EQ(tag({{"aws:x", "b"}}).error().reason, "InvalidInput");
  std::map<std::string, std::string> many;
  for (int i = 0; i < 50; ++i) many["k" + std::to_string(i)] = "v";
  EXPECT_EQ(tag(many).error().reason, "LimitExceeded");
  EXPECT_TRUE(status([](store::Tx& tx) { return untag_entity(tx, EntityKind::kUser, "ann", {"TEAM", "absent"}); }));
  EXPECT_TRUE(tag(many));
}

TEST_F(Entities, PoliciesHaveFiveVersionsAndADefault) {
  const std::string arn = policy("p", allow("iot:A*", "*"), "/deep/er/");
  EXPECT_EQ(arn, "arn:aws:iam::" + realm_.account_id + ":policy/deep/er/p");
  auto add = [&](const std::string& text, bool as_default) {
    return result([&](store::Tx& tx) { return create_managed_version(tx, realm_, arn, text, as_default); });
  };
  for (int i = 2; i <= 5; ++i) EXPECT_EQ(add(allow("iot:B*", "*"), i == 3)->id, "v" + std::to_string(i));
  EXPECT_EQ(add(allow("iot:B*", "*"), false).error().reason, "LimitExceeded");
  EXPECT_EQ(add("{", false).error().reason, "MalformedPolicyDocument");
  auto erase = [&](std::string_view version) {
    return status([&](store::Tx& tx) { return delete_managed_version(tx, realm_, arn, version); });
  };
  EXPECT_EQ(erase("v3").error().message, "Cannot delete the default version of a policy.");
  EXPECT_EQ(erase("v9").error().reason, "NoSuchEntity");
  EXPECT_TRUE(erase("v5"));
  EXPECT_EQ(add(allow("iot:B*", "*"), false)->id, "v6") << "numbers are not used again";
  auto remove = [&] { return status([&](store::Tx& tx) { return delete_managed_policy(tx, realm_, arn); }); };
  EXPECT_THAT(remove().error().message, HasSubstr("more than one version"));
  for (const char* version : {"v1", "v2", "v4", "v6"}) EXPECT_TRUE(erase(version));
  EXPECT_TRUE(remove());
  EXPECT_EQ(remove().error().reason, "NoSuchEntity");
}

TEST_F(Entities, PoliciesOfAwsAreReadOnlyAndCompile) {
  for (const ManagedPolicy& one : aws_managed_policies()) {
    EXPECT_TRUE(compile_policy(one.versions[0].document, PolicyUse::kIdentity)) << one.name;
    EXPECT_LE(policy_size_without_white_space(one.versions[0].document), 6144u) << one.name;
    EXPECT_EQ(status([&](store::Tx& tx) { return delete_managed_policy(tx, realm_, one.arn); }).error().kind,
              ErrorKind::kAccessDenied);
  }
  EXPECT_TRUE(std::ranges::is_sorted(aws_managed_policies(), {}, &ManagedPolicy::arn));
}

TEST_F(Entities, DocumentsBeyondTheQuotaAreRefused) {
  ManagedPolicy wanted;
  wanted.name = "big";
  const std::string big = allow("s3:*", "arn:aws:s3:::" + std::string(6200, 'b'));
  auto made = result([&](store::Tx& tx) { return create_managed_policy(tx, realm_, wanted, big); });
  EXPECT_EQ(made.error().message, "Cannot exceed quota for PolicySize: 6144");
}

}  // namespace
}  // namespace muster::iam
