// SPDX-License-Identifier: Apache-2.0
// The distributed engine under the common suite, on a PostgreSQL server of its own, and what only it does: several
// processes' worth of engines on one database, lost connections.
#include <cstdlib>

#include "store/cluster_engine.h"
#include "store/store_model_test.h"
#include "store/store_stress_test.h"
#include "store/store_suite_test.h"
#include "store/test_postgres/private_postgres.h"

namespace muster::store {
namespace {

// One server for all tests.
class Server final : public testing::Environment {
 public:
  void SetUp() override {
    auto started = PrivatePostgres::start();
    ASSERT_TRUE(started) << started.error().message;
    server_ = *std::move(started);
  }
  void TearDown() override { server_.reset(); }
  PrivatePostgres& get() {
    if (!server_) throw std::runtime_error("no PostgreSQL server");
    return *server_;
  }

 private:
  std::unique_ptr<PrivatePostgres> server_;
};
Server* server = nullptr;

class ClusterUnderTest final : public EngineUnderTest {
 public:
  ClusterUnderTest() {
    (void)server->get().query("DROP TABLE IF EXISTS muster_kv, muster_counter, muster_stamp, muster_batch");
    open();
  }
  Store& store() override { return *store_; }
  bool runs_bodies_at_once() const override { return false; }
  void reopen() override {
    store_.reset();
    open();
  }

 private:
  void open() {
    auto opened = open_cluster_store({.connection = server->get().connection(), .clock = &clock, .workers = 6});
    if (!opened) throw std::runtime_error(opened.error().message);
    store_ = *std::move(opened);
  }
  std::unique_ptr<Store> store_;
};

// Every call goes to another of two engines on the same database, as two server processes would.
class TwoNodes final : public EngineUnderTest, public Store {
 public:
  TwoNodes() {
    (void)server->get().query("DROP TABLE IF EXISTS muster_kv, muster_counter, muster_stamp, muster_batch");
    for (auto& node : nodes_) {
      auto opened = open_cluster_store({.connection = server->get().connection(), .clock = &clock, .workers = 4});
      if (!opened) throw std::runtime_error(opened.error().message);
      node = *std::move(opened);
    }
  }
  Store& store() override { return *this; }
  bool is_one_process() const override { return false; }
  void reopen() override {}
  void run(Body body, Done done) override { nodes_[turn_++ % 2]->run(std::move(body), std::move(done)); }
  bool flush() override { return nodes_[0]->flush() && nodes_[1]->flush(); }
  Stats stats() const override { return nodes_[0]->stats(); }
  Status checkpoint(const std::string& directory) override { return nodes_[0]->checkpoint(directory); }

 private:
  std::atomic<unsigned> turn_ = 0;
  std::array<std::unique_ptr<Store>, 2> nodes_;
};

INSTANTIATE_TEST_SUITE_P(cluster, StoreSuite, testing::Values([] { return std::make_unique<ClusterUnderTest>(); }));
INSTANTIATE_TEST_SUITE_P(cluster, StoreModel, testing::Values([] { return std::make_unique<ClusterUnderTest>(); }));
INSTANTIATE_TEST_SUITE_P(cluster, StoreStress, testing::Values([] { return std::make_unique<ClusterUnderTest>(); }));
INSTANTIATE_TEST_SUITE_P(two_nodes, StoreSuite, testing::Values([] { return std::make_unique<TwoNodes>(); }));
INSTANTIATE_TEST_SUITE_P(two_nodes, StoreStress, testing::Values([] { return std::make_unique<TwoNodes>(); }));

Status count_up(Store& store, const std::string& key) {
  return run_blocking(store, [&](Tx& tx) -> Status {
    tx.put(key, std::to_string(std::stoi(tx.get(key).value_or("0")) + 1));
    tx.add("fcount", 1);
    return {};
  });
}

TEST(ClusterEngine, a_database_that_crashes_and_returns_loses_nothing_and_doubles_nothing) {
  ClusterUnderTest engine;
  std::atomic<bool> stop = false;
  std::atomic<int> acknowledged = 0, unknown = 0;
  std::thread client([&] {
    while (!stop) ++(count_up(engine.store(), "Hn") ? acknowledged : unknown);
  });
  for (int crash = 0; crash < 2; ++crash) {
    const int before = acknowledged;
    while (acknowledged < before + 20) std::this_thread::yield();
    // fsync is off, but the operating system lives on, so what was committed is there after the restart.
    EXPECT_TRUE(server->get().restart_at_once());
  }
  const int before = acknowledged;
  while (acknowledged < before + 5) std::this_thread::yield();
  stop = true;
  client.join();
  // A worker whose connection the restart broke says so once, so the question may have to be asked again. What a body
  // read counts only when its transaction succeeded.
  int found = 0;
  std::int64_t counted = 0;
  Status read;
  for (int attempt = 0; attempt < 100; ++attempt) {
    read = run_blocking(engine.store(), [&](Tx& tx) -> Status {
      found = std::stoi(tx.get("Hn").value_or("0"));
      counted = tx.counter("fcount");
      return {};
    });
    if (read) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_GE(found, acknowledged);
  EXPECT_LE(found, acknowledged + unknown);
  EXPECT_EQ(counted, found);
}

TEST(ClusterEngine, a_database_that_cannot_be_reached_is_named) {
  io::VirtualClock clock;
  const auto store = open_cluster_store({.connection = "host=/nowhere dbname=x", .clock = &clock});
  ASSERT_FALSE(store);
  EXPECT_EQ(store.error().kind, ErrorKind::kUnavailable);
  EXPECT_NE(store.error().message.find("cannot be reached"), std::string::npos) << store.error().message;
}

TEST(ClusterEngine, a_database_that_refuses_writes_ends_them_and_not_reads) {
  ClusterUnderTest engine;
  ASSERT_TRUE(count_up(engine.store(), "Hn"));
  ASSERT_TRUE(server->get().query("ALTER TABLE muster_kv ADD CONSTRAINT no_more CHECK (version < 0) NOT VALID"));
  const Status status = count_up(engine.store(), "Hn");
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().kind, ErrorKind::kUnavailable);
  EXPECT_FALSE(engine.store().flush());
  EXPECT_TRUE(run_blocking(engine.store(), [&](Tx& tx) -> Status {
    EXPECT_EQ(tx.get("Hn"), "1");
    EXPECT_EQ(tx.counter("fcount"), 1);
    return {};
  }));
  ASSERT_TRUE(server->get().query("ALTER TABLE muster_kv DROP CONSTRAINT no_more"));
  EXPECT_TRUE(count_up(engine.store(), "Hn"));
}

}  // namespace
}  // namespace muster::store

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  if (const char* skip = std::getenv("MUSTER_SKIP_POSTGRES"); skip != nullptr && std::string_view(skip) == "1") {
    std::puts("skipped: MUSTER_SKIP_POSTGRES=1");
    return 0;
  }
  muster::store::server = new muster::store::Server;
  testing::AddGlobalTestEnvironment(muster::store::server);
  return RUN_ALL_TESTS();
}
