// SPDX-License-Identifier: Apache-2.0
#include "domain/registry/billing_groups.h"

#include "domain/registry/registry_test_support.h"
#include "domain/registry/tags.h"

namespace muster::registry {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class BillingGroups : public RegistryTest {
 protected:
  std::string create(const std::string& name, const std::string& description = "") {
    return said([&](store::Tx& tx) { return create_billing_group(tx, realm_, name, description); });
  }
  std::string text(const Status& status) { return status ? "ok" : status.error().message; }
  std::string add(const std::string& group_name, const std::string& thing_name) {
    return text(status([&](store::Tx& tx) { return add_thing_to_billing_group(tx, group_name, thing_name); }));
  }
  std::string take(const std::string& group_name, const std::string& thing_name) {
    return text(status([&](store::Tx& tx) { return remove_thing_from_billing_group(tx, group_name, thing_name); }));
  }
  std::string remove(const std::string& name, std::optional<std::int64_t> version = std::nullopt) {
    return text(status([&](store::Tx& tx) { return delete_billing_group(tx, realm_, name, version); }));
  }
  std::vector<std::string> members(const std::string& name) {
    return run([&](store::Tx& tx) { return list_things_in_billing_group(tx, name, {}); }).items;
  }
  Thing described(const std::string& name) {
    return run([&](store::Tx& tx) { return get_thing(tx, name); });
  }
};

TEST_F(BillingGroups, CreatingAgainAlikeIsASuccessAndOtherwiseAConflict) {
  EXPECT_EQ(create("g", "ours"), "ok");
  const BillingGroup first = run([](store::Tx& tx) { return get_billing_group(tx, "g"); });
  EXPECT_EQ(first.version, 1);
  EXPECT_EQ(first.description, "ours");
  EXPECT_EQ(first.created_ms, clock_.now_ms());
  EXPECT_EQ(create("g", "ours"), "ok");
  EXPECT_EQ(run([](store::Tx& tx) { return get_billing_group(tx, "g"); }).id, first.id);
  auto other = result([&](store::Tx& tx) { return create_billing_group(tx, realm_, "g", "theirs"); });
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().kind, ErrorKind::kAlreadyExists);
  EXPECT_EQ(get_string(other.error().fields, "resourceArn"), "arn:aws:iot:eu-central-1:123456789012:billinggroup/g");
}

TEST_F(BillingGroups, NamesAndDescriptionsHaveBounds) {
  for (const std::string& name : {std::string(), std::string(129, 'a'), std::string("a/b"), std::string("+"),
                                  std::string("a\x01"), std::string("#")})
    EXPECT_THAT(create(name), HasSubstr("Invalid billing group name")) << name;
  EXPECT_THAT(create("g", std::string(2029, 'x')), HasSubstr("2028"));
  EXPECT_THAT(create("g", "a\x7f"), HasSubstr("control characters"));
  EXPECT_EQ(create("g", std::string(2028, 'x')), "ok");
}

TEST_F(BillingGroups, UpdatesCountVersionsAndExpectThem) {
  create("g", "one");
  auto update = [&](UpdateBillingGroup change) {
    change.name = "g";
    return result([&](store::Tx& tx) { return update_billing_group(tx, change); });
  };
  EXPECT_EQ(update({.description = "two", .expected_version = 1})->version, 2);
  auto refused = update({.description = "three", .expected_version = 1});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::kVersionConflict);
  EXPECT_EQ(refused.error().message, "The version for billing group g does not match the expected version.");
  EXPECT_EQ(update({})->description, "two");
  EXPECT_THAT(remove("g", 2), HasSubstr("expected version"));
  EXPECT_EQ(remove("g", 3), "ok");
  EXPECT_EQ(remove("g", 3), "ok") << "absent is a success";
  EXPECT_EQ(said([](store::Tx& tx) { return update_billing_group(tx, {.name = "g"}); }), "Billing group g not found.");
}

TEST_F(BillingGroups, AThingIsInAtMostOne) {
  create("a");
  create("b");
  thing("t");
  EXPECT_EQ(add("a", "t"), "ok");
  EXPECT_EQ(add("a", "t"), "ok") << "once more changes nothing";
  EXPECT_THAT(add("b", "t"), HasSubstr("it belongs to billing group a"));
  EXPECT_EQ(described("t").billing_group, "a");
  EXPECT_EQ(described("t").version, 1);
  EXPECT_EQ(take("b", "t"), "ok") << "it is not in b";
  EXPECT_THAT(members("a"), ElementsAre("t"));
  EXPECT_EQ(take("a", "t"), "ok");
  EXPECT_THAT(members("a"), ElementsAre());
  EXPECT_EQ(add("b", "t"), "ok");
  EXPECT_EQ(add("b", "nosuch"), "Thing nosuch not found.");
  EXPECT_EQ(add("nosuch", "t"), "Billing group nosuch not found.");
  EXPECT_EQ(take("nosuch", "t"), "Billing group nosuch not found.");
  EXPECT_EQ(take("b", "nosuch"), "Thing nosuch not found.");
}

TEST_F(BillingGroups, AThingCanBeCreatedInOneAndKeepsItWhenChanged) {
  create("g");
  auto make = [&](const std::string& group_name) {
    return said([&](store::Tx& tx) {
      return create_thing(tx, realm_, {.name = "t", .type = {}, .attributes = {}, .billing_group = group_name});
    });
  };
  EXPECT_EQ(make("nosuch"), "Billing group nosuch not found.");
  EXPECT_EQ(make("g"), "ok");
  EXPECT_EQ(make("g"), "ok");
  EXPECT_THAT(make(""), HasSubstr("already exists"));
  run([](store::Tx& tx) { return update_thing(tx, {.name = "t", .attributes = Attributes{{"a", "b"}}}); });
  EXPECT_EQ(described("t").billing_group, "g");
  EXPECT_THAT(members("g"), ElementsAre("t"));
}

TEST_F(BillingGroups, DeletionIsRefusedWhileThereAreThingsAndLeavesNothingBehind) {
  create("g");
  thing("t");
  add("g", "t");
  run([&](store::Tx& tx) -> Result<int> {
    TRY_VOID(tag_resource(tx, billing_group_arn(realm_, "g"), {{"a", "b"}}));
    return 0;
  });
  EXPECT_THAT(remove("g"), HasSubstr("there are things in it"));
  EXPECT_TRUE(run([](store::Tx& tx) { return delete_thing(tx, "t", std::nullopt); }));
  EXPECT_EQ(remove("g"), "ok");
  EXPECT_EQ(store_->size(), 0u);
}

TEST_F(BillingGroups, AreListedInPagesByPrefix) {
  for (const char* name : {"a1", "a2", "a3", "b1"}) create(name);
  ListBillingGroups list;
  list.name_prefix = "a";
  list.page.limit = 2;
  auto page = run([&](store::Tx& tx) { return list_billing_groups(tx, list); });
  EXPECT_THAT(page.items, ElementsAre("a1", "a2"));
  list.page.token = page.next_token;
  auto rest = run([&](store::Tx& tx) { return list_billing_groups(tx, list); });
  EXPECT_THAT(rest.items, ElementsAre("a3"));
  EXPECT_EQ(rest.next_token, "");
  list.name_prefix = "b";  // with the token of another listing
  EXPECT_EQ(said([&](store::Tx& tx) { return list_billing_groups(tx, list); }), "Invalid next token");
  EXPECT_THAT(run([](store::Tx& tx) { return list_billing_groups(tx, {}); }).items,
              ElementsAre("a1", "a2", "a3", "b1"));
}

TEST_F(BillingGroups, MembersAreListedInPagesWithTokensOfTheirOwn) {
  create("g");
  create("h");
  for (int i = 0; i < 3; ++i) {
    thing("t" + std::to_string(i));
    add("g", "t" + std::to_string(i));
  }
  auto list = [&](const std::string& name, const std::string& token) {
    return result([&](store::Tx& tx) { return list_things_in_billing_group(tx, name, {token, 2}); });
  };
  auto first = list("g", "");
  EXPECT_THAT(first->items, ElementsAre("t0", "t1"));
  EXPECT_THAT(list("g", first->next_token)->items, ElementsAre("t2"));
  EXPECT_EQ(list("h", first->next_token).error().message, "Invalid next token");
  EXPECT_EQ(list("nosuch", "").error().message, "Billing group nosuch not found.");
}

}  // namespace
}  // namespace muster::registry
