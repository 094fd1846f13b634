// SPDX-License-Identifier: Apache-2.0
#include "domain/fleet/indexer.h"

#include <random>

#include "domain/fleet/document.h"
#include "domain/fleet/shadow_fields.h"
#include "domain/jobs/execution.h"
#include "domain/registry/billing_groups.h"
#include "domain/registry/dynamic_groups.h"
#include "domain/registry/registry_test_support.h"
#include "domain/shadows/shadows.h"

namespace muster::fleet {
namespace {

using registry::delete_group;
using registry::delete_thing;
using registry::RegistryTest;
using registry::remove_thing_from_group;
using registry::update_dynamic_group;
using registry::update_group;
using registry::update_thing;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using Names = std::vector<std::string>;

class IndexerTest : public RegistryTest {
 protected:
  IndexerTest() { settle(); }

  void settle() {
    for (int i = 0; indexer_.step(); ++i) ASSERT_LT(i, 100) << "never at rest";
  }
  Status configure(const std::string& things, const std::string& groups = "") {
    const auto parsed = parse_json(things.empty() ? "{}" : things);
    const auto parsed_groups = parse_json(groups.empty() ? "{}" : groups);
    return status([&](store::Tx& tx) {
      return update_indexing_configuration(tx, things.empty() ? nullptr : &parsed->as_object(),
                                           groups.empty() ? nullptr : &parsed_groups->as_object());
    });
  }
  void turn_on(const std::string& things, const std::string& groups = "") {
    auto done = configure(things, groups);
    ASSERT_TRUE(done) << done.error().message;
    settle();
  }
  void turn_everything_on() {
    turn_on(R"({"thingIndexingMode":"REGISTRY_AND_SHADOW","thingConnectivityIndexingMode":"STATUS",
                "namedShadowIndexingMode":"ON","filter":{"namedShadowNames":["s"]}})",
            R"({"thingGroupIndexingMode":"ON"})");
  }
  std::string refusal(const std::string& things, const std::string& groups = "") {
    auto done = configure(things, groups);
    return done ? "accepted" : done.error().message;
  }
  Names find(const std::string& text, QuerySubject subject = QuerySubject::kThings) {
    Names names;
    auto query = FleetQuery::parse(text, subject);
    EXPECT_TRUE(query) << text;
    auto looked = indexer_.with_index(
        subject, [&](const Index& index) { names = page_of(index, search(index, *query), "", 100).names; });
    EXPECT_TRUE(looked) << looked.error().message;
    return names;
  }
  void set(const std::string& name, const std::string& attribute, const std::string& value) {
    registry::UpdateThing change{.name = name, .attributes = registry::Attributes{{attribute, value}}, .merge = true};
    run([&](store::Tx& tx) { return update_thing(tx, change); });
  }
  void shadow(const std::string& name, const std::string& state, const std::string& shadow_name = "") {
    auto body = parse_json(R"({"state":)" + state + "}");
    auto update = shadows::read_update(body->as_object());
    ASSERT_TRUE(update);
    run([&](store::Tx& tx) {
      return shadows::update_shadow(tx, {name, shadow_name}, *update, {}, [](std::string_view) { return false; });
    });
  }
  void execution(const std::string& name, const std::string& job, jobs::ExecutionStatus now, std::int64_t number = 1) {
    run([&](store::Tx& tx) -> Result<bool> {
      TRY(auto before, jobs::find_execution(tx, name, job, number));
      jobs::Execution after = before.value_or(jobs::Execution());
      after.status = now;
      after.number = number;
      jobs::put_execution(tx, {name, job, number}, before ? &*before : nullptr, after);
      return true;
    });
  }
  void dynamic(const std::string& name, const std::string& query) {
    run([&](store::Tx& tx) { return registry::create_dynamic_group(tx, realm_, {.name = name, .query = query}); });
  }
  Names members(const std::string& name) {
    return run([&](store::Tx& tx) { return registry::for_each_member(tx, name, true, "", 1000); }).things;
  }
  void build(registry::Candidates candidates = {}) {
    registry::DynamicGroupBuilder builder(
        *store_, [this](auto&&... given) { return note(given...); }, [] {}, index_fields, std::move(candidates));
    for (int i = 0; builder.step(); ++i) ASSERT_LT(i, 100);
  }
  Status note(store::Tx&, std::string_view thing_name, const Names& before, const Names& after) {
    EXPECT_NE(before, after);
    if (thing_name == refused_) return internal("this one never");
    observed_.emplace_back(thing_name);
    return {};
  }

  Names observed_;
  std::string refused_;
  int committed_ = 0;
  ConnectivityRecorder recorder_{*store_};
  Indexer indexer_{{.store = *store_,
                    .changed = [this](auto&&... given) { return note(given...); },
                    .committed = [this] { ++committed_; },
                    .connectivity = &recorder_,
                    .now_ms = [this] { return clock_.now_ms(); }}};
};

TEST_F(IndexerTest, IsOffUntilItIsTurnedOn) {
  thing("a");
  settle();
  EXPECT_EQ(indexer_.status(QuerySubject::kThings), IndexStatus::kOff);
  auto looked = indexer_.with_index(QuerySubject::kThings, [](const Index&) { FAIL(); });
  EXPECT_EQ(looked.error().kind, ErrorKind::kNotFound);
  EXPECT_EQ(looked.error().message,
            "Index AWS_Things does not exist. Please enable index by calling UpdateIndexingConfiguration");
  ASSERT_TRUE(configure(R"({"thingIndexingMode":"REGISTRY"})"));
  turn_on(R"({"thingIndexingMode":"REGISTRY"})");
  EXPECT_EQ(indexer_.status(QuerySubject::kThings), IndexStatus::kActive);
  EXPECT_EQ(indexer_.status(QuerySubject::kThingGroups), IndexStatus::kOff);
  EXPECT_THAT(find("*"), ElementsAre("a"));
  turn_on(R"({"thingIndexingMode":"OFF"})");
  EXPECT_EQ(indexer_.status(QuerySubject::kThings), IndexStatus::kOff);
  thing("b");
  settle();
  turn_on(R"({"thingIndexingMode":"REGISTRY"})");
  EXPECT_THAT(find("*"), ElementsAre("a", "b"));
}

TEST_F(IndexerTest, ANewIndexerIsNotReadyBeforeItHasBuilt) {
  turn_on(R"({"thingIndexingMode":"REGISTRY"})");
  thing("a");
  Indexer other({.store = *store_, .changed = {}, .committed = {}});
  auto looked = other.with_index(QuerySubject::kThings, [](const Index&) { FAIL(); });
  EXPECT_EQ(looked.error().reason, "IndexNotReadyException");
  EXPECT_EQ(other.status(QuerySubject::kThings), IndexStatus::kBuilding);
  EXPECT_TRUE(other.step());
  EXPECT_TRUE(other.with_index(QuerySubject::kThings, [](const Index& index) { EXPECT_EQ(index.size(), 1u); }));
}

TEST_F(IndexerTest, FollowsTheRegistry) {
  turn_everything_on();
  group("europe");
  group("italy", "europe");
  thing("a", {{"k", "v"}});
  join("italy", "a");
  settle();
  EXPECT_THAT(find("attributes.k:V thingGroupNames:europe"), ElementsAre("a"));
  set("a", "k", "w");
  settle();
  EXPECT_THAT(find("attributes.k:v"), IsEmpty());
  EXPECT_THAT(find("attributes.k:w"), ElementsAre("a"));
  run([&](store::Tx& tx) { return remove_thing_from_group(tx, "italy", "a"); });
  settle();
  EXPECT_THAT(find("thingGroupNames:*"), IsEmpty());
  join("italy", "a");
  settle();
  EXPECT_THAT(find("thingGroupNames:italy"), ElementsAre("a"));
  run([&](store::Tx& tx) { return delete_group(tx, realm_, "italy", std::nullopt); });
  settle();
  EXPECT_THAT(find("thingGroupNames:*"), IsEmpty());
  run([](store::Tx& tx) { return delete_thing(tx, "a", std::nullopt); });
  settle();
  EXPECT_THAT(find("*"), IsEmpty());
}

TEST_F(IndexerTest, FollowsTypesAndBillingGroups) {
  turn_everything_on();
  run([&](store::Tx& tx) -> Result<bool> {
    TRY_VOID(registry::create_billing_group(tx, realm_, "cost", ""));
    return true;
  });
  thing("a");
  thing("b");
  dynamic("paid", "billingGroupName:cost");
  run([&](store::Tx& tx) -> Result<bool> {
    TRY_VOID(registry::add_thing_to_billing_group(tx, "cost", "a"));
    return true;
  });
  settle();
  EXPECT_THAT(find("billingGroupName:COST"), ElementsAre("a"));
  EXPECT_THAT(find("thingGroupNames:cost"), ElementsAre("a"));
  EXPECT_THAT(members("paid"), ElementsAre("a"));
  run([&](store::Tx& tx) -> Result<bool> {
    TRY_VOID(registry::remove_thing_from_billing_group(tx, "cost", "a"));
    return true;
  });
  settle();
  EXPECT_THAT(find("thingGroupNames:cost"), IsEmpty());
  EXPECT_THAT(members("paid"), IsEmpty());
}

TEST_F(IndexerTest, FollowsThingGroups) {
  group("europe");
  turn_everything_on();
  group("italy", "europe");
  run([&](store::Tx& tx) {
    return update_group(tx, {.name = "italy", .description = "hot and sunny", .attributes = {{{"k", "v"}}}});
  });
  settle();
  EXPECT_THAT(find("parentGroupNames:europe", QuerySubject::kThingGroups), ElementsAre("italy"));
  EXPECT_THAT(find("description:sunny attributes.k:v", QuerySubject::kThingGroups), ElementsAre("italy"));
  EXPECT_THAT(find("*", QuerySubject::kThingGroups), ElementsAre("europe", "italy"));
  run([&](store::Tx& tx) { return delete_group(tx, realm_, "italy", std::nullopt); });
  settle();
  EXPECT_THAT(find("*", QuerySubject::kThingGroups), ElementsAre("europe"));
}

TEST_F(IndexerTest, FollowsShadows) {
  thing("a");
  shadow("a", R"({"reported":{"t":20,"on":true,"list":["x",{"deep":"y z"}]},"desired":{"t":21}})");
  turn_everything_on();
  for (const char* text :
       {"shadow.reported.t:20", "shadow.reported.t>=19.5", "shadow.desired.t:21", "shadow.delta.t:21",
        "shadow.hasDelta:true", "shadow.reported.on:true", "shadow.reported.list:x", "shadow.reported.list.deep:z",
        "shadow.metadata.reported.t.timestamp:*", "shadow.metadata.reported.list.timestamp:*"})
    EXPECT_THAT(find(text), ElementsAre("a")) << text;
  shadow("a", R"({"reported":{"t":21,"on":null}})");
  settle();
  EXPECT_THAT(find("shadow.hasDelta:false shadow.reported.t:21 NOT shadow.reported.on:*"), ElementsAre("a"));
  EXPECT_THAT(find("shadow.delta.t:*"), IsEmpty());
  shadow("a", R"({"reported":{"v":"1.2"}})", "s");
  shadow("a", R"({"reported":{"v":"1.2"}})", "other");
  settle();
  EXPECT_THAT(find("shadow.name.s.reported.v:1.2"), ElementsAre("a"));
  EXPECT_THAT(find("shadow.name.other.reported.v:1.2"), IsEmpty()) << "its name is not in the filter";
  run([](store::Tx& tx) { return shadows::delete_shadow(tx, {"a", ""}, {}, {}); });
  settle();
  EXPECT_THAT(find("shadow.hasDelta:*"), IsEmpty());
  EXPECT_THAT(find("shadow.name.s.hasDelta:false"), ElementsAre("a"));
  turn_on(R"({"thingIndexingMode":"REGISTRY"})");
  EXPECT_THAT(find("shadow.name.s.reported.v:*"), IsEmpty()) << "indexed no longer";
  EXPECT_THAT(find("*"), ElementsAre("a"));
}

TEST_F(IndexerTest, OfAHugeShadowTheMetadataIsLeftOutFirst) {
  thing("a");
  std::string state = R"({"reported":{"m0":0)";
  for (int i = 1; i < 700; ++i) state += ",\"m" + std::to_string(i) + "\":" + std::to_string(i);
  shadow("a", state + "}}");
  turn_everything_on();
  EXPECT_THAT(find("shadow.reported.m699:699 shadow.hasDelta:false"), ElementsAre("a"));
  EXPECT_THAT(find("shadow.metadata.reported.m699.timestamp:*"), IsEmpty());
  EXPECT_TRUE(indexer_.with_index(QuerySubject::kThings,
                                  [](const Index& index) { EXPECT_LT(index.sizes().values, kShadowValues + 20); }));
}

TEST_F(IndexerTest, FollowsConnections) {
  thing("a");
  thing("b");
  recorder_.connected("a", "first", 5000);
  turn_everything_on();
  EXPECT_THAT(find("connectivity.connected:true connectivity.timestamp:5000"), ElementsAre("a"))
      << "who was connected before it was turned on";
  EXPECT_THAT(find("connectivity.connected:false"), ElementsAre("b")) << "never seen";
  recorder_.connected("a", "second", 6000);
  recorder_.disconnected("a", "first", "DUPLICATE_CLIENTID", 6001);
  settle();
  EXPECT_THAT(find("connectivity.connected:true connectivity.timestamp:6000"), ElementsAre("a"))
      << "the end of one that was taken over is no news";
  recorder_.disconnected("a", "second", "CONNECTION_LOST", 7000);
  recorder_.connected("stranger", "x", 7000);
  settle();
  EXPECT_THAT(find("connectivity.disconnectReason:connection_lost connectivity.timestamp>6999"), ElementsAre("a"));
  thing("stranger");
  settle();
  EXPECT_THAT(find("connectivity.connected:true"), ElementsAre("stranger")) << "it became a thing while connected";
  ConnectivityRecorder next_process(*store_);
  ASSERT_TRUE(next_process.settle(9000));
  settle();
  EXPECT_THAT(find("connectivity.connected:true"), IsEmpty());
  EXPECT_THAT(find("connectivity.disconnectReason:SERVER_ERROR connectivity.timestamp:9000"), ElementsAre("stranger"));
  run([](store::Tx& tx) { return delete_thing(tx, "stranger", std::nullopt); });
  settle();
  thing("stranger");
  settle();
  EXPECT_THAT(find("connectivity.timestamp:9000"), IsEmpty()) << "a new thing of the name has no past";
}

TEST_F(IndexerTest, ANewThingBeginsWithAllThatIsKnownOfItsName) {
  turn_everything_on();
  shadow("late", R"({"reported":{"t":1}})");
  settle();
  EXPECT_THAT(find("*"), IsEmpty()) << "a shadow is no thing";
  thing("late");
  settle();
  EXPECT_THAT(find("shadow.reported.t:1 connectivity.connected:false"), ElementsAre("late"));
}

TEST_F(IndexerTest, FollowsJobs) {
  thing("a");
  execution("a", "j1", jobs::ExecutionStatus::kQueued);
  turn_on(R"({"thingIndexingMode":"REGISTRY"})");
  EXPECT_THAT(find("jobs.j1.status:QUEUED jobs.status:queued"), ElementsAre("a"));
  execution("a", "j2", jobs::ExecutionStatus::kFailed);
  execution("a", "j2", jobs::ExecutionStatus::kInProgress, 2);
  settle();
  EXPECT_THAT(find("jobs.j2.status:IN_PROGRESS"), ElementsAre("a")) << "the latest execution counts";
  EXPECT_THAT(find("jobs.status:FAILED"), IsEmpty());
  EXPECT_THAT(find("jobs.j1.status:*"), ElementsAre("a"));
}

TEST_F(IndexerTest, DynamicGroupsFollowTheIndex) {
  thing("a");
  thing("b");
  thing("c");
  shadow("c", R"({"reported":{"t":50}})");
  EXPECT_THAT(said([&](store::Tx& tx) {
                return registry::create_dynamic_group(tx, realm_, {.name = "hot", .query = "shadow.reported.t>30"});
              }),
              HasSubstr("shadow fields are not indexed"));
  turn_everything_on();
  dynamic("hot", "shadow.reported.t>30");
  dynamic("online", "connectivity.connected:true");
  build();
  EXPECT_THAT(members("hot"), ElementsAre("c"));
  EXPECT_THAT(observed_, ElementsAre("c"));
  observed_.clear();
  shadow("a", R"({"reported":{"t":31}})");
  recorder_.connected("b", "s", 1);
  settle();
  EXPECT_THAT(members("hot"), ElementsAre("a", "c"));
  EXPECT_THAT(members("online"), ElementsAre("b"));
  EXPECT_THAT(observed_, testing::UnorderedElementsAre("a", "b"));
  EXPECT_GT(committed_, 0);
  EXPECT_THAT(find("thingGroupNames:hot"), ElementsAre("a", "c"));
  set("a", "k", "v");
  EXPECT_THAT(members("hot"), ElementsAre("a", "c")) << "a change of the registry leaves it to the index";
  shadow("c", R"({"reported":{"t":1}})");
  recorder_.disconnected("b", "s", "CONNECTION_LOST", 2);
  settle();
  EXPECT_THAT(members("hot"), ElementsAre("a"));
  EXPECT_THAT(members("online"), IsEmpty());
  EXPECT_THAT(refusal(R"({"thingIndexingMode":"REGISTRY","thingConnectivityIndexingMode":"STATUS"})"),
              HasSubstr("dynamic thing group hot would have a query that is not indexed: shadow fields"));
}

TEST_F(IndexerTest, GroupsAreBuiltOfCandidates) {
  for (int i = 0; i < 30; ++i) {
    thing("t" + std::to_string(100 + i), {{"n", std::to_string(i)}});
    if (i < 5) shadow("t" + std::to_string(100 + i), R"({"reported":{"on":true}})");
  }
  turn_everything_on();
  int asked = 0;
  const auto candidates = [&](const FleetQuery& query) {
    ++asked;
    return indexer_.candidates(query);
  };
  dynamic("on", "shadow.reported.on:true attributes.n>1");
  build(candidates);
  EXPECT_THAT(members("on"), ElementsAre("t102", "t103", "t104"));
  EXPECT_EQ(asked, 1);
  registry::UpdateDynamicGroup change{.group = {.name = "on"}, .query = "attributes.n<=1 OR attributes.n:3"};
  run([&](store::Tx& tx) { return update_dynamic_group(tx, change); });
  settle();
  build(candidates);
  EXPECT_THAT(members("on"), ElementsAre("t100", "t101", "t103")) << "members that match no more leave";
  dynamic("all", "NOT thingGroupNames:on");
  build([](const FleetQuery&) { return std::nullopt; });
  EXPECT_EQ(members("all").size(), 30u) << "without candidates the walk; dynamic groups do not see one another";
}

TEST_F(IndexerTest, WhatTheStoreRefusesIsDoneLater) {
  turn_everything_on();
  thing("a", {{"k", "1"}});
  settle();
  dynamic("hot", "shadow.reported.t>30");
  build();
  store_->set_faults({.seed = 5, .refuse = 0.5, .conflict = 0.3});
  for (int i = 0; i < 40; ++i) {
    auto body = parse_json(R"({"state":{"reported":{"t":)" + std::to_string(i) + "}}}");
    auto update = shadows::read_update(body->as_object());
    (void)status([&](store::Tx& tx) -> Status {
      auto done = shadows::update_shadow(tx, {"a", ""}, *update, {}, {});
      if (!done) return done.error();
      return {};
    });
    (void)indexer_.step();
  }
  store_->set_faults({});
  shadow("a", R"({"reported":{"t":99}})");
  settle();
  EXPECT_THAT(find("shadow.reported.t:99"), ElementsAre("a"));
  EXPECT_THAT(members("hot"), ElementsAre("a"));
}

TEST_F(IndexerTest, AnIndexerThatStartsFindsWhatAnEarlierOneLeft) {
  turn_everything_on();
  for (const char* name : {"joins", "leaves", "stays"}) thing(name);
  for (const char* name : {"leaves", "stays"}) shadow(name, R"({"reported":{"t":50}})");
  settle();
  dynamic("hot", "shadow.reported.t>30");
  build();
  EXPECT_THAT(members("hot"), ElementsAre("leaves", "stays"));
  observed_.clear();
  shadow("joins", R"({"reported":{"t":50}})");
  shadow("leaves", R"({"reported":{"t":1}})");
  Indexer next({.store = *store_, .changed = [this](auto&&... given) { return note(given...); }, .committed = [] {}});
  for (int i = 0; next.step(); ++i) ASSERT_LT(i, 100);
  EXPECT_THAT(members("hot"), ElementsAre("joins", "stays"));
  EXPECT_THAT(observed_, testing::UnorderedElementsAre("joins", "leaves"));
}

TEST_F(IndexerTest, WhoLeavesWhileNobodyRecordsIsNotConnectedAfterwards) {
  turn_everything_on();
  thing("a");
  recorder_.connected("a", "s", 5000);
  settle();
  turn_on(R"({"thingIndexingMode":"REGISTRY","thingConnectivityIndexingMode":"OFF"})");
  recorder_.disconnected("a", "s", "CONNECTION_LOST", 6000);
  turn_on(R"({"thingIndexingMode":"REGISTRY","thingConnectivityIndexingMode":"STATUS"})");
  EXPECT_THAT(find("connectivity.connected:false connectivity.disconnectReason:UNKNOWN"), ElementsAre("a"));
}

TEST_F(IndexerTest, RecordsThatFailedAreWrittenByARetryOrAStop) {
  turn_everything_on();
  thing("a");
  thing("b");
  settle();
  int told = 0;
  recorder_.on_failure([&] { ++told; });
  store_->set_faults({.refuse = 1});
  recorder_.connected("a", "s", 5000);
  EXPECT_EQ(told, 1);
  store_->set_faults({});
  recorder_.retry();
  settle();
  EXPECT_THAT(find("connectivity.connected:true"), ElementsAre("a"));
  store_->set_faults({.refuse = 1});
  recorder_.disconnected("a", "s", "CLIENT_INITIATED_DISCONNECT", 6000);
  recorder_.connected("b", "s", 6000);
  store_->set_faults({});
  recorder_.stop();
  settle();
  EXPECT_THAT(find("connectivity.disconnectReason:CLIENT_INITIATED_DISCONNECT"), ElementsAre("a"));
  EXPECT_THAT(find("connectivity.connected:true"), ElementsAre("b"));
}

TEST_F(IndexerTest, OneThingThatIsRefusedStopsNoOther) {
  turn_everything_on();
  dynamic("hot", "shadow.reported.t>30");
  build();
  refused_ = "t7";
  Names expected;
  for (int i = 0; i < 10; ++i) {
    const std::string name = "t" + std::to_string(i);
    thing(name);
    shadow(name, R"({"reported":{"t":50}})");
    if (name != refused_) expected.push_back(name);
  }
  settle();
  EXPECT_EQ(members("hot"), expected);
  EXPECT_EQ(find("shadow.reported.t:50").size(), 10u);
}

TEST_F(IndexerTest, WhatBeginsAgainWhileNothingIsIndexedHasNoPast) {
  turn_everything_on();
  thing("a");
  recorder_.connected("a", "s", 5000);
  settle();
  turn_on(R"({"thingIndexingMode":"OFF","thingConnectivityIndexingMode":"OFF","namedShadowIndexingMode":"OFF"})");
  run([](store::Tx& tx) { return delete_thing(tx, "a", std::nullopt); });
  thing("a");
  EXPECT_TRUE(run([](store::Tx& tx) -> Result<bool> { return !tx.get(connectivity_key("a")); }));
}

TEST_F(IndexerTest, ManyChangesAtRandomEndAsAFreshBuildWould) {
  turn_everything_on();
  std::mt19937 random(11);
  group("g");
  dynamic("hot", "shadow.reported.t>5");
  build();
  for (int i = 0; i < 600; ++i) {
    const std::string name = "t" + std::to_string(random() % 25);
    const bool there = run([&](store::Tx& tx) -> Result<bool> { return registry::thing_exists(tx, name); });
    switch (there ? random() % 8 : 0) {
      case 0:
        if (!there) thing(name, {{"k", std::to_string(random() % 4)}});
        break;
      case 1:
        set(name, "k", std::to_string(random() % 4));
        break;
      case 2:
        shadow(name, R"({"reported":{"t":)" + std::to_string(random() % 12) + "}}");
        break;
      case 3:
        join("g", name);
        break;
      case 4:
        run([&](store::Tx& tx) { return remove_thing_from_group(tx, "g", name); });
        break;
      case 5:
        execution(name, "j" + std::to_string(random() % 2), jobs::kAllStatuses[random() % 8]);
        break;
      case 6:
        recorder_.connected(name, "s", i);
        break;
      case 7:
        if (random() % 3 == 0) run([&](store::Tx& tx) { return delete_thing(tx, name, std::nullopt); });
        break;
    }
    if (random() % 5 == 0) (void)indexer_.step();
  }
  settle();
  Indexer fresh({.store = *store_, .changed = {}, .committed = {}});
  (void)fresh.step();
  auto names_in = [](const Indexer& indexer, const std::string& text) {
    Names names;
    EXPECT_TRUE(indexer.with_index(QuerySubject::kThings, [&](const Index& index) {
      names = all_names(index, search(index, *FleetQuery::parse(text)));
    }));
    std::ranges::sort(names);
    return names;
  };
  for (const std::string text : {"*", "attributes.k:1", "attributes.k:*", "thingGroupNames:g", "shadow.reported.t>5",
                                 "shadow.hasDelta:false", "jobs.status:FAILED", "jobs.j1.status:*",
                                 "connectivity.connected:true", "connectivity.connected:false", "thingGroupNames:hot"})
    EXPECT_EQ(names_in(indexer_, text), names_in(fresh, text)) << text;
  EXPECT_EQ(members("hot"), names_in(fresh, "shadow.reported.t>5")) << "the group has who matches";
}

TEST_F(IndexerTest, DocumentsAreWhatClientsSee) {
  group("europe");
  group("italy", "europe");
  thing("a", {{"k", "v"}});
  join("italy", "a");
  shadow("a", R"({"reported":{"t":20},"desired":{"t":21}})");
  shadow("a", R"({"reported":{"v":1}})", "s");
  turn_everything_on();
  recorder_.connected("a", "x", 77);
  auto document = run(
      [](store::Tx& tx) -> Result<json::object> { return *thing_document(tx, "a", registry::indexed_sources(tx)); });
  EXPECT_EQ(get_string(document, "thingName"), "a");
  EXPECT_EQ(to_text(document["thingGroupNames"]), R"(["europe","italy"])");
  EXPECT_EQ(to_text(document["attributes"]), R"({"k":"v"})");
  EXPECT_EQ(to_text(document["connectivity"]), R"({"connected":true,"timestamp":77})");
  auto shown = parse_json(get_string(document, "shadow"));
  ASSERT_TRUE(shown);
  EXPECT_EQ(to_text(shown->at("desired")), R"({"t":21})");
  EXPECT_EQ(to_text(shown->at("reported")), R"({"t":20})");
  EXPECT_TRUE(shown->at("hasDelta").as_bool());
  EXPECT_EQ(to_text(shown->at("version")), "1");
  EXPECT_TRUE(shown->at("metadata").at("reported").at("t").as_object().contains("timestamp"));
  EXPECT_EQ(to_text(shown->at("name").at("s").at("reported")), R"({"v":1})");
  auto of_group = run([](store::Tx& tx) -> Result<json::object> { return *group_document(tx, "italy"); });
  EXPECT_EQ(to_text(of_group["parentGroupNames"]), R"(["europe"])");
}

TEST_F(IndexerTest, ConfigurationsAreRefusedByName) {
  const std::string registry = R"({"thingIndexingMode":"REGISTRY")";
  EXPECT_THAT(refusal(R"({"thingIndexingMode":"OFF","thingConnectivityIndexingMode":"STATUS"})"),
              HasSubstr("thingConnectivityIndexingMode cannot be STATUS while thingIndexingMode is OFF"));
  EXPECT_THAT(refusal(registry + R"(,"deviceDefenderIndexingMode":"VIOLATIONS"})"), HasSubstr("Device Defender"));
  EXPECT_THAT(refusal(registry + R"(,"namedShadowIndexingMode":"ON"})"), HasSubstr("filter.namedShadowNames"));
  std::string eleven = R"(,"namedShadowIndexingMode":"ON","filter":{"namedShadowNames":["s0")";
  for (int i = 1; i < 11; ++i) eleven += ",\"s" + std::to_string(i) + "\"";
  EXPECT_THAT(refusal(registry + eleven + "]}}"), HasSubstr("more than 10 names"));
  const auto custom = [&](const std::string& fields) {
    return refusal(registry + R"(,"customFields":[)" + fields + "]}");
  };
  EXPECT_THAT(custom(R"({"name":"thingName","type":"String"})"), HasSubstr("cannot contain managed fields: thingName"));
  EXPECT_THAT(custom(R"({"name":"attributes.a","type":"String"},{"name":"attributes.a","type":"Number"})"),
              HasSubstr("twice"));
  EXPECT_THAT(custom(R"({"name":"shadow.reported.t","type":"Number"})"), HasSubstr("shadow fields are not indexed"));
  EXPECT_THAT(custom(R"({"name":"nothing","type":"Number"})"), HasSubstr("nothing is not indexed"));
  EXPECT_THAT(custom(R"({"name":"attributes.a"})"), HasSubstr("needs a type"));
  std::string six;
  for (int i = 0; i < 6; ++i)
    six += (i == 0 ? "" : ",") + (R"({"name":"attributes.a)" + std::to_string(i) + R"(","type":"String"})");
  EXPECT_THAT(custom(six), HasSubstr("more than 5 fields"));
  EXPECT_THAT(
      refusal("", R"({"thingGroupIndexingMode":"OFF","customFields":[{"name":"attributes.a","type":"String"}]})"),
      HasSubstr("while thingGroupIndexingMode is OFF"));
  EXPECT_EQ(refusal(registry + R"(,"customFields":[{"name":"attributes.a","type":"Number"}],
                    "managedFields":[{"name":"registry.version","type":"Number"}]})"),
            "accepted");
  EXPECT_THAT(refusal(registry + R"(,"managedFields":[{"name":"registry.version","type":"String"}]})"),
              HasSubstr("managedFields cannot be modified"));
  const auto configuration =
      run([](store::Tx& tx) -> Result<IndexingConfiguration> { return indexing_configuration(tx); });
  EXPECT_EQ(aggregated_field(configuration, "attributes.a", QuerySubject::kThings)->type, FieldType::kNumber);
  EXPECT_EQ(aggregated_field(configuration, "registry.thingTypeName", QuerySubject::kThings)->name, "thingTypeName");
  EXPECT_EQ(aggregated_field(configuration, "attributes.b", QuerySubject::kThings).error().reason,
            "InvalidAggregationException");
}

}  // namespace
}  // namespace muster::fleet
