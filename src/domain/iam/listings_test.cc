// SPDX-License-Identifier: Apache-2.0
// Pages that are bounded in what they read, and what is counted rather than read.
#include <set>

#include "domain/iam/counts.h"
#include "domain/iam/entities.h"
#include "domain/iam/groups.h"
#include "domain/iam/iam_test_support.h"
#include "domain/iam/identity_records.h"
#include "domain/iam/managed_policies.h"
#include "store/keys.h"
#include "store/schema.h"

namespace muster::iam {
namespace {

using testing::ElementsAre;

class Listings : public IamTest {
 protected:
  std::string policy(std::string name) {
    ManagedPolicy wanted;
    wanted.name = std::move(name);
    return run([&](store::Tx& tx) { return create_managed_policy(tx, realm_, wanted, kAllowAll); }).arn;
  }
  Status attach(EntityKind kind, std::string_view name, std::string_view arn) {
    return status([&](store::Tx& tx) { return attach_policy(tx, realm_, kind, name, arn); });
  }
  Status bound(std::string_view name, std::string_view arn) {
    return status([&](store::Tx& tx) { return put_boundary(tx, realm_, EntityKind::kUser, name, arn); });
  }
  std::int64_t counted(Counted what) {
    return run([&](store::Tx& tx) -> Result<std::int64_t> { return count_of(tx, what); });
  }
  PolicyUses uses(std::string_view arn) {
    return run([&](store::Tx& tx) -> Result<PolicyUses> { return uses_of_policy(tx, arn); });
  }
  std::vector<std::string> users_of(const std::string& arn, ListPolicyUsers list) {
    std::vector<std::string> names;
    for (int pages = 0; pages < 100; ++pages) {
      const auto page = run([&](store::Tx& tx) { return list_policy_users(tx, arn, list); });
      EXPECT_LE(page.items.size(), list.limit);
      for (const Entity& one : page.items) names.push_back(std::string(word(one.kind)) + " " + one.name);
      if (page.next_marker.empty()) return names;
      list.marker = page.next_marker;
    }
    ADD_FAILURE() << "the listing does not end";
    return names;
  }
};

TEST_F(Listings, APageEndsAmongManyThatDoNotMatch) {
  EXPECT_TRUE(status([](store::Tx& tx) -> Status {
    for (int i = 10'000; i < 12'500; ++i) {
      TRY_VOID(create_user(tx, User{.name = "u" + std::to_string(i)}));
    }
    TRY_VOID(create_user(tx, User{.name = "z", .path = "/last/"}));
    return {};
  }));
  ListNames list{.path_prefix = "/last/", .marker = {}, .limit = 10};
  auto page = run([&](store::Tx& tx) { return list_users(tx, list); });
  EXPECT_TRUE(page.items.empty());
  EXPECT_NE(page.next_marker, "") << "one call does not read the whole table";
  int pages = 1;
  for (; !page.next_marker.empty() && pages < 10; ++pages) {
    list.marker = page.next_marker;
    page = run([&](store::Tx& tx) { return list_users(tx, list); });
  }
  EXPECT_EQ(pages, 3);
  ASSERT_EQ(page.items.size(), 1u);
  EXPECT_EQ(page.items[0].name, "z");
}

TEST_F(Listings, PagesJoinToTheWholeList) {
  std::vector<std::string> all;
  for (int i = 10; i < 40; ++i) {
    all.push_back("u" + std::to_string(i));
    user(all.back());
  }
  for (const std::size_t limit : {1u, 7u, 29u, 30u, 31u, 1000u}) {
    std::vector<std::string> found;
    ListNames list{.limit = limit};
    do {
      const auto page = run([&](store::Tx& tx) { return list_users(tx, list); });
      for (const User& one : page.items) found.push_back(one.name);
      EXPECT_TRUE(page.next_marker.empty() || page.items.size() == limit);
      list.marker = page.next_marker;
    } while (!list.marker.empty());
    EXPECT_EQ(found, all) << limit;
  }
}

TEST_F(Listings, WhoUsesAPolicyComesInPagesEachOnce) {
  const std::string arn = policy("p"), other = policy("q");
  for (const char* name : {"a", "b", "c"}) {
    user(name);
    EXPECT_TRUE(attach(EntityKind::kUser, name, arn));
  }
  EXPECT_TRUE(bound("b", arn));
  user("d");
  EXPECT_TRUE(bound("d", arn));
  role("r", kTrustIot);
  EXPECT_TRUE(attach(EntityKind::kRole, "r", arn));
  EXPECT_TRUE(status([](store::Tx& tx) -> Status {
    TRY_VOID(create_group(tx, "G", "/x/"));
    return {};
  }));
  EXPECT_TRUE(attach(EntityKind::kGroup, "g", arn));
  EXPECT_TRUE(attach(EntityKind::kGroup, "g", other));
  for (const std::size_t limit : {1u, 2u, 3u, 100u}) {
    EXPECT_THAT(users_of(arn, {.limit = limit}),
                ElementsAre("group G", "role r", "user a", "user b", "user c", "user d"));
    EXPECT_THAT(users_of(arn, {.kind = EntityKind::kUser, .limit = limit}),
                ElementsAre("user a", "user b", "user c", "user d"));
    EXPECT_THAT(users_of(arn, {.attached = false, .limit = limit}), ElementsAre("user b", "user d"));
    EXPECT_THAT(users_of(arn, {.boundaries = false, .limit = limit}),
                ElementsAre("group G", "role r", "user a", "user b", "user c"));
    EXPECT_THAT(users_of(arn, {.path_prefix = "/x/", .limit = limit}), ElementsAre("group G"));
  }
  EXPECT_THAT(users_of(other, {}), ElementsAre("group G"));
  EXPECT_EQ(result([&](store::Tx& tx) { return list_policy_users(tx, arn, {.marker = "\x01"}); }).error().reason,
            "ValidationError");
}

TEST_F(Listings, UsersOfAGroupComeInPages) {
  EXPECT_TRUE(status([](store::Tx& tx) -> Status {
    TRY_VOID(create_group(tx, "g", "/"));
    TRY_VOID(create_group(tx, "gg", "/"));
    for (const char* name : {"A", "b", "c", "d", "e"}) {
      TRY_VOID(create_user(tx, User{.name = name}));
      TRY_VOID(add_user_to_group(tx, "g", name));
    }
    return add_user_to_group(tx, "gg", "a");
  }));
  std::vector<std::string> found;
  ListNames list{.limit = 2};
  do {
    const auto page = run([&](store::Tx& tx) { return list_users_of_group(tx, "G", list); });
    found.insert(found.end(), page.items.begin(), page.items.end());
    list.marker = page.next_marker;
  } while (!list.marker.empty());
  EXPECT_THAT(found, ElementsAre("a", "b", "c", "d", "e"));
}

TEST_F(Listings, CountsFollowWhatIsMadeAttachedAndDeleted) {
  const std::string arn = policy("p");
  user("ann");
  role("r", kTrustIot);
  EXPECT_EQ(counted(Counted::kUsers), 1);
  EXPECT_EQ(counted(Counted::kRoles), 1);
  EXPECT_EQ(counted(Counted::kPolicies), 1);
  EXPECT_TRUE(attach(EntityKind::kUser, "ann", arn));
  EXPECT_TRUE(attach(EntityKind::kUser, "ann", arn)) << "twice counts once";
  EXPECT_TRUE(attach(EntityKind::kRole, "r", arn));
  EXPECT_TRUE(bound("ann", arn));
  EXPECT_TRUE(bound("ann", arn));
  EXPECT_TRUE(status([](store::Tx& tx) -> Status {
    TRY_VOID(update_user(tx, "ann", "anna", ""));
    return {};
  }));
  EXPECT_EQ(uses(arn).attached, 2);
  EXPECT_EQ(uses(arn).boundaries, 1);
  const auto version = run([&](store::Tx& tx) { return create_managed_version(tx, realm_, arn, kAllowAll, false); });
  EXPECT_EQ(counted(Counted::kPolicyVersions), 2);
  EXPECT_TRUE(status([&](store::Tx& tx) -> Status {
    TRY_VOID(detach_policy(tx, EntityKind::kUser, "anna", arn));
    TRY_VOID(detach_policy(tx, EntityKind::kRole, "r", arn));
    TRY_VOID(delete_user(tx, "anna"));
    TRY_VOID(delete_role(tx, "r"));
    TRY_VOID(delete_managed_version(tx, realm_, arn, version.id));
    return {};
  }));
  EXPECT_EQ(uses(arn).attached, 0);
  EXPECT_EQ(uses(arn).boundaries, 0) << "its user is gone";
  EXPECT_TRUE(status([&](store::Tx& tx) { return delete_managed_policy(tx, realm_, arn); }));
  for (const Counted what : {Counted::kUsers, Counted::kRoles, Counted::kPolicies, Counted::kPolicyVersions})
    EXPECT_EQ(counted(what), 0);
}

TEST_F(Listings, QuotasOfTheAccountAreEnforced) {
  EXPECT_TRUE(status([](store::Tx& tx) -> Status {
    for (int i = 0; i < 300; ++i) {
      TRY_VOID(create_group(tx, "g" + std::to_string(i), "/"));
    }
    for (const Counted what : {Counted::kUsers, Counted::kRoles, Counted::kPolicies})
      count(tx, what, quota_of(what) - count_of(tx, what));
    return {};
  }));
  auto refusal = [&](auto&& make) {
    auto made = result(make);
    EXPECT_FALSE(made);
    if (made) return std::string();
    EXPECT_EQ(made.error().reason, "LimitExceeded");
    return made.error().message;
  };
  EXPECT_EQ(refusal([](store::Tx& tx) { return create_group(tx, "one-more", "/"); }),
            "Cannot exceed quota for GroupsPerAccount: 300");
  EXPECT_EQ(refusal([](store::Tx& tx) { return create_user(tx, User{.name = "u"}); }),
            "Cannot exceed quota for UsersPerAccount: 5000");
  EXPECT_EQ(
      refusal([](store::Tx& tx) { return create_role(tx, Role{.name = "r", .trust_policy = std::string(kTrustIot)}); }),
      "Cannot exceed quota for RolesPerAccount: 1000");
  EXPECT_EQ(refusal([&](store::Tx& tx) {
              ManagedPolicy wanted;
              wanted.name = "p";
              return create_managed_policy(tx, realm_, wanted, kAllowAll);
            }),
            "Cannot exceed quota for PoliciesPerAccount: 1500");
  EXPECT_TRUE(status([](store::Tx& tx) { return delete_group(tx, "g7"); }));
  EXPECT_TRUE(result([](store::Tx& tx) { return create_group(tx, "one-more", "/"); }));
}

TEST_F(Listings, AStoreFromBeforeTheCountersIsCountedAtStartOnce) {
  const std::string arn = policy("p");
  user("ann");
  EXPECT_TRUE(attach(EntityKind::kUser, "ann", arn));
  EXPECT_TRUE(bound("ann", arn));
  EXPECT_TRUE(status([&](store::Tx& tx) -> Status {
    tx.erase(store::Key(store::table::kMeta).text("iam_counts").str());
    for (const char* what : {"users", "policies", "versions"})
      tx.erase_counter(store::Key(store::table::kIamCount).text(what).str());
    forget_uses(tx, arn);
    return {};
  }));
  EXPECT_EQ(counted(Counted::kUsers), 0);
  for (int starts = 0; starts < 2; ++starts) {
    EXPECT_TRUE(result([](store::Tx& tx) { return ensure_account(tx, "eu-central-1"); }));
    EXPECT_EQ(counted(Counted::kUsers), 1);
    EXPECT_EQ(counted(Counted::kPolicies), 1);
    EXPECT_EQ(counted(Counted::kPolicyVersions), 1);
    EXPECT_EQ(uses(arn).attached, 1);
    EXPECT_EQ(uses(arn).boundaries, 1);
  }
}

TEST_F(Listings, AGroupOfManyIsRenamedAndOnlyAnEmptyOneDeleted) {
  EXPECT_TRUE(status([](store::Tx& tx) -> Status {
    TRY_VOID(create_group(tx, "g", "/"));
    for (int i = 0; i < 1200; ++i) {
      const std::string name = "u" + std::to_string(i);
      TRY_VOID(create_user(tx, User{.name = name}));
      TRY_VOID(add_user_to_group(tx, "g", name));
    }
    return {};
  }));
  EXPECT_TRUE(status([](store::Tx& tx) { return update_group(tx, "g", "h", ""); }));
  const auto page = run([](store::Tx& tx) { return list_users_of_group(tx, "h", {.limit = 2000}); });
  EXPECT_EQ(page.items.size(), 1200u);
  EXPECT_EQ(status([](store::Tx& tx) { return delete_group(tx, "h"); }).error().reason, "DeleteConflict");
}

}  // namespace
}  // namespace muster::iam
