// SPDX-License-Identifier: Apache-2.0
// The broker on several loops at once, over real sockets: connections that take each other over from shard to shard,
// subscriptions that come and go, sessions that end while messages for them are under way, calls from other threads,
// and an end in the middle of it. What was promised holds all the same. Most of its worth is under the sanitizers.
#include <filesystem>
#include <map>
#include <mutex>

#include "io/net.h"
#include "mqtt/broker/broker_fixture.h"
#include "mqtt/broker/storm_peer.h"

namespace muster::mqtt {
namespace {

constexpr std::size_t kShards = 3;
constexpr std::uint32_t kShortExpiry = 1;  // of sessions that come and go; virtual seconds

class Storm : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = std::filesystem::temp_directory_path() / "muster-storm-XXXXXX";
    directory = ::mkdtemp(pattern.data());
    options.message_log_directory = directory + "/mqtt";
    options.connect_deadline_ms = options.write_stall_ms = 3'600'000;  // the clock runs fast
    options.session_expiry_s = kShortExpiry;
    options.max_queue_messages = 1'000'000;
    options.max_queue_bytes = 256u << 20;
    options.may_write_log = [this] { return !disk_fails || ++writes % 8 != 0; };
    store = store::make_memory_store(clock);
    start(kShards);
  }
  void TearDown() override {
    over = true;
    end();
    calm();
    std::filesystem::remove_all(directory);
  }

  void start(std::size_t shards) {
    ports.clear();
    std::vector<BrokerLoop> on;
    for (std::size_t i = 0; i < shards; ++i) {
      loops.push_back(std::make_unique<io::Loop>("device-" + std::to_string(i)));
      authorizers.push_back(std::make_unique<RuledAuthorizer>());
      on.push_back({loops[i].get(), authorizers[i].get()});
    }
    auto made = Broker::create(on, clock, *store, options);
    ASSERT_TRUE(made.has_value());
    broker = std::move(*made);
    for (std::size_t i = 0; i < shards; ++i) {
      auto listener = io::Listener::create(
          *loops[i], {}, [this, i](std::unique_ptr<io::Stream> stream) { broker->accept(i, std::move(stream)); });
      ASSERT_TRUE(listener.has_value());
      ports.push_back((*listener)->port());
      listeners.push_back(std::move(*listener));
      loops[i]->start();
      listeners[i]->start();
    }
    broker->start();
  }
  // As the process ends: whoever is connected is cut off.
  void end() {
    for (const auto& loop : loops) loop->stop();
    broker.reset();
    listeners.clear();
    loops.clear();
    authorizers.clear();
  }
  std::uint16_t port(std::size_t turn) const { return ports[turn % ports.size()]; }
  void pass(std::int64_t ms) {
    clock.advance_ms(ms);
    for (std::size_t i = 0; i < loops.size(); ++i) loops[i]->post([this, i] { broker->tick(i); });
  }
  // Runs until `met`; time passes meanwhile.
  template <class Condition>
  bool await(Condition&& met, std::int64_t ms) {
    const io::SystemClock time;
    const std::int64_t give_up = time.steady_ms() + kPatienceMs;
    while (!met()) {
      if (time.steady_ms() > give_up) return false;
      pass(ms);
      std::promise<void> done;
      broker->clients({}, 1, [&](const auto&) { done.set_value(); });
      done.get_future().wait();
    }
    return true;
  }

  // Connects; again when the broker cannot store sessions just now.
  std::unique_ptr<Peer> enter(std::size_t turn, Version version, const std::string& id, bool clean,
                              std::uint32_t expiry) {
    std::unique_ptr<Peer> peer;
    do {
      peer = std::make_unique<Peer>(port(turn), version);
    } while (!peer->connect(id, clean, expiry) && peer->connacks > 0);
    EXPECT_TRUE(peer->accepted) << id;
    return peer;
  }
  void take_over(std::size_t self);
  void churn(std::size_t self);
  void publish_all(Peer& peer, std::size_t self, std::size_t rounds);
  void administer();
  void storm();  // starts all of those that nothing is promised to
  void calm() {
    over = true;
    for (std::thread& thread : threads) thread.join();
    threads.clear();
  }

  io::VirtualClock clock;
  std::unique_ptr<store::MemoryStore> store;
  BrokerOptions options;
  std::string directory;
  std::vector<std::unique_ptr<io::Loop>> loops;
  std::vector<std::unique_ptr<RuledAuthorizer>> authorizers;
  std::vector<std::unique_ptr<io::Listener>> listeners;
  std::vector<std::uint16_t> ports;
  std::unique_ptr<Broker> broker;
  std::vector<std::thread> threads;
  std::atomic<bool> over{false};
  std::atomic<bool> ending{false};  // the broker is: connections close
  std::atomic<std::size_t> taken_over{0};
  std::atomic<bool> disk_fails{false};
  std::atomic<std::size_t> writes{0};  // to the message log, while it fails
  std::size_t administered = 0;        // messages of administer() for each topic
};

// The same few client ids from all sides, with sessions that are kept and such that are not.
void Storm::take_over(std::size_t self) {
  static constexpr std::string_view kFilters[] = {"t/#", "$share/g/t/#", "t/+/2", "#", "$share/g/t/+/1"};
  for (std::size_t turn = self; !over; ++turn) {
    Peer peer(port(turn), turn % 2 == 0 ? Version::k5 : Version::k311);
    peer.over = &over;
    const std::string id = "storm-" + std::to_string(turn % 4);
    const bool with_will = turn % 5 == 0;
    if (!peer.connect(id, turn % 3 == 0, kShortExpiry, with_will ? "r/will" : "")) continue;
    ++taken_over;
    peer.subscribe(kFilters[turn % 5], static_cast<std::uint8_t>(turn % 3));
    for (std::uint8_t qos = 0; qos < 3; ++qos) peer.publish("noise/" + id, "x", qos);
    for (std::size_t i = 0; i < turn % 7 && peer.pump(5); ++i) {
    }
    if (turn % 2 == 0) peer.disconnect();
  }
}

// Stays connected, subscribes and unsubscribes.
void Storm::churn(std::size_t self) {
  static constexpr std::string_view kFilters[] = {"t/+/1", "$share/g/t/#", "t/publisher-0/+", "r/#"};
  const auto entered = enter(self, self % 2 == 0 ? Version::k5 : Version::k311, "churn-" + std::to_string(self),
                             self % 2 == 0, kShortExpiry);
  Peer& peer = *entered;
  peer.over = &over;
  for (std::size_t turn = self; !over; ++turn) {
    const std::string_view filter = kFilters[turn % 4];
    peer.subscribe(filter, static_cast<std::uint8_t>(turn % 3));
    peer.pump(0);
    peer.unsubscribe(filter);
    EXPECT_TRUE(peer.await([&] { return peer.answered == peer.asked; }) || over || ending) << "no SUBACK or UNSUBACK";
    if (peer.closed()) break;
  }
  EXPECT_TRUE(!peer.closed() || over || ending);
}

void Storm::publish_all(Peer& peer, std::size_t self, std::size_t rounds) {
  const std::string name = "t/publisher-" + std::to_string(self) + "/";
  for (std::size_t number = 1; number <= rounds && !over; ++number) {
    for (std::uint8_t qos = 0; qos < 3; ++qos) peer.publish(name + std::to_string(qos), std::to_string(number), qos);
    if (number % 4 == 0) peer.publish("r/kept", number % 8 == 0 ? "" : std::to_string(number), number % 3, true);
    if (!peer.await([&] { return peer.outstanding.size() < 40; })) break;
  }
  peer.await([&] { return peer.outstanding.empty(); });
}

// All that may be called from any thread.
void Storm::administer() {
  const auto wait_for = [](const auto& call) {
    auto done = std::make_shared<std::promise<void>>();
    call([done](const auto&...) { done->set_value(); });
    const bool came = done->get_future().wait_for(std::chrono::milliseconds(kPatienceMs)) == std::future_status::ready;
    EXPECT_TRUE(came) << "no answer";
    return came;
  };
  bool well = true;
  for (std::size_t turn = 1; well && !over; ++turn) {
    pass(10);
    broker->recheck_all();
    for (std::uint8_t qos = 0; qos < 3; ++qos) {
      ServerMessage message;
      message.topic = "t/server/" + std::to_string(qos);
      message.payload = std::to_string(turn);
      message.qos = qos;
      broker->publish(message, nullptr);
    }
    store::OutboxMessage row;
    row.topic = "t/outbox/1";
    row.payload = std::to_string(turn);
    row.qos = 1;
    broker->disconnect("storm-" + std::to_string(turn % 4), "test", nullptr);
    well = wait_for([&](auto done) { broker->publish_from_server({row}, done); }) &&
           wait_for([&](auto done) { broker->clients({}, 10, done); }) &&
           wait_for([&](auto done) { broker->retained_message("r/kept", done); }) &&
           wait_for([&](auto done) { broker->retained_messages({}, 10, done); });
    EXPECT_GE(broker->total(&BrokerStats::sessions), 1U);
    administered = turn;
  }
}

void Storm::storm() {
  for (std::size_t i = 0; i < 3; ++i) threads.emplace_back([this, i] { take_over(i * 5); });
  for (std::size_t i = 0; i < 2; ++i) threads.emplace_back([this, i] { churn(i); });
}

// A subscriber that stays, on its own thread.
struct Stayer {
  Stayer(std::uint16_t port, Version version, std::string client_id, std::string_view filter)
      : peer(port, version), id(std::move(client_id)) {
    peer.on_message = [this](const Publish& packet) { record.take(packet); };
    EXPECT_TRUE(peer.connect(id, version == Version::k5, 10));
    peer.subscribe(filter, 2);
    EXPECT_TRUE(peer.await([&] { return peer.answered == 1; }));
  }
  void run(const std::atomic<bool>& enough) {
    thread = std::thread([this, &enough] {
      while (!enough && peer.pump(5)) {
      }
      still_connected = !peer.closed();
    });
  }
  Peer peer;
  const std::string id;
  Record record;
  std::thread thread;
  bool still_connected = false;
};

// Also when the disk refuses now and then.
class StayInStorm : public Storm, public ::testing::WithParamInterface<bool> {};
INSTANTIATE_TEST_SUITE_P(DiskFails, StayInStorm, ::testing::Bool());

TEST_P(StayInStorm, GetsEverythingOnceAndInOrder) {
  constexpr std::size_t kRounds = 500;
  std::vector<std::unique_ptr<Stayer>> stayers;
  for (std::size_t i = 0; i < 6; ++i) {
    stayers.push_back(std::make_unique<Stayer>(port(i), i % 2 == 0 ? Version::k5 : Version::k311,
                                               "stayer-" + std::to_string(i), i < 3 ? "t/#" : "$share/stay/t/#"));
  }
  disk_fails = GetParam();
  if (GetParam()) store->set_faults({.refuse = 0.02, .conflict = 0.1});
  storm();
  threads.emplace_back([this] { administer(); });
  std::atomic<bool> enough{false};
  for (const auto& stayer : stayers) stayer->run(enough);
  std::vector<std::thread> publishers;
  for (std::size_t i = 0; i < 3; ++i) {
    publishers.emplace_back([this, i] {
      const auto peer = enter(i + 1, Version::k5, "publisher-" + std::to_string(i), i == 0, i == 1 ? 10 : 0);
      publish_all(*peer, i, kRounds);
      EXPECT_TRUE(peer->outstanding.empty()) << peer->outstanding.size() << " without acknowledgement";
    });
  }
  for (std::thread& thread : publishers) thread.join();
  disk_fails = false;
  store->set_faults({});
  EXPECT_TRUE(await([&] { return taken_over > 40 && broker->total(&BrokerStats::moved) > 20; }, 1));
  calm();
  // What is acknowledged is with each subscriber or in its queue: those are empty once nothing is under way.
  EXPECT_TRUE(await([&] { return broker->total(&BrokerStats::queued_messages) == 0; }, 100));
  enough = true;
  for (const auto& stayer : stayers) stayer->thread.join();

  std::map<std::string, std::size_t> wanted = {
      {"t/server/1", administered}, {"t/server/2", administered}, {"t/outbox/1", administered}};
  for (std::size_t i = 0; i < 3; ++i) {
    for (const char* qos : {"/1", "/2"}) wanted["t/publisher-" + std::to_string(i) + qos] = kRounds;
  }
  for (const auto& [topic, count] : wanted) {
    std::multiset<std::uint64_t> shared;
    for (std::size_t i = 0; i < 6; ++i) {
      if (i < 3) EXPECT_EQ(stayers[i]->record.count(topic), count) << stayers[i]->id << " on " << topic;
      if (i >= 3) shared.insert(stayers[i]->record.got[topic].begin(), stayers[i]->record.got[topic].end());
    }
    EXPECT_EQ(shared.size(), count) << topic;
    EXPECT_EQ(std::set<std::uint64_t>(shared.begin(), shared.end()).size(), count) << topic;
  }
  for (const auto& stayer : stayers) {
    EXPECT_EQ(stayer->record.fault, "") << stayer->id;
    EXPECT_TRUE(stayer->still_connected) << stayer->id;
  }
  stayers.clear();
  const auto nothing_left = [&] {
    return broker->total(&BrokerStats::sessions) + broker->total(&BrokerStats::subscriptions) +
               broker->total(&BrokerStats::queued_messages) + broker->total(&BrokerStats::queued_bytes) +
               broker->total(&ListenerStats::connections) ==
           0;
  };
  EXPECT_TRUE(await(nothing_left, 500)) << broker->total(&BrokerStats::sessions) << " sessions, "
                                        << broker->total(&BrokerStats::subscriptions) << " subscriptions, "
                                        << broker->total(&BrokerStats::queued_bytes) << " bytes";
}

TEST_F(Storm, TheLastRetainedMessageIsTheOneOnDisk) {
  std::vector<std::thread> setters;
  for (std::size_t i = 0; i < kShards; ++i) {
    setters.emplace_back([this, i] {
      Peer peer(port(i));
      EXPECT_TRUE(peer.connect("setter-" + std::to_string(i), true, 0));
      for (std::size_t turn = 1; turn <= 200; ++turn) {
        peer.publish("r/" + std::to_string(turn % 3), turn % 5 == 0 ? "" : std::to_string(i * 1000 + turn), turn % 3,
                     true);
        if (!peer.await([&] { return peer.outstanding.size() < 20; })) break;
      }
      EXPECT_TRUE(peer.await([&] { return peer.outstanding.empty(); }));
    });
  }
  for (std::thread& thread : setters) thread.join();
  const auto all = [&] {
    std::map<std::string, std::string> found;
    for (int i = 0; i < 3; ++i) {
      std::promise<void> done;
      broker->retained_message("r/" + std::to_string(i), [&](const std::optional<RetainedSummary>& message) {
        if (message) found[message->topic] = message->payload;
        done.set_value();
      });
      done.get_future().wait();
    }
    return found;
  };
  Peer reader(port(0));
  std::map<std::string, std::string> received;
  reader.on_message = [&](const Publish& packet) { received[std::string(packet.topic)] = packet.payload; };
  EXPECT_TRUE(reader.connect("reader", true, 0));
  reader.publish("behind/all", "x", 1, true);  // when this one is on disk, so is everything before it
  EXPECT_TRUE(reader.await([&] { return reader.outstanding.empty(); }));
  const auto before = all();
  reader.subscribe("r/#", 1);
  EXPECT_TRUE(reader.await([&] { return reader.answered == 1 && received.size() == before.size(); }));
  EXPECT_EQ(received, before);
  end();
  start(2);
  EXPECT_EQ(all(), before);
}

// Publishes one after the other until it is cut off; what was acknowledged.
std::uint64_t publish_until_cut_off(Peer& peer, const std::string& topic, std::uint8_t qos,
                                    std::atomic<std::uint64_t>& total) {
  for (std::uint64_t number = 1;; ++number) {
    peer.publish(topic, std::to_string(number), qos);
    if (!peer.await([&] { return peer.outstanding.empty(); })) return number - 1;
    ++total;
  }
}

class EndOfStorm : public Storm, public ::testing::WithParamInterface<bool> {};
INSTANTIATE_TEST_SUITE_P(Orderly, EndOfStorm, ::testing::Bool());

TEST_P(EndOfStorm, LosesNothingThatWasAcknowledged) {
  for (std::size_t i = 0; i < kShards; ++i) {
    Peer peer(port(i));
    ASSERT_TRUE(peer.connect("absent-" + std::to_string(i), true, 3600));
    peer.subscribe("t/#", 2);
    ASSERT_TRUE(peer.await([&] { return peer.answered == 1; }));
  }
  storm();
  std::map<std::string, std::uint64_t> acknowledged;
  std::atomic<std::uint64_t> total{0};
  std::mutex mutex;
  for (std::size_t i = 0; i < 4; ++i) {
    threads.emplace_back([&, i] {
      const std::uint8_t qos = i % 2 == 0 ? 1 : 2;
      const std::string topic = "t/publisher-" + std::to_string(i) + "/" + std::to_string(qos);
      Peer peer(port(i));
      EXPECT_TRUE(peer.connect("publisher-" + std::to_string(i), true, 0));
      const std::uint64_t count = publish_until_cut_off(peer, topic, qos, total);
      const std::lock_guard lock(mutex);
      acknowledged[topic] = count;
    });
  }
  EXPECT_TRUE(await([&] { return taken_over > 40 && total > 400; }, 1));
  ending = true;
  if (GetParam()) {
    std::promise<void> stopped;
    broker->stop([&] { stopped.set_value(); });
    EXPECT_EQ(stopped.get_future().wait_for(std::chrono::milliseconds(kPatienceMs)), std::future_status::ready);
  }
  over = true;
  end();
  calm();
  start(2);
  for (std::size_t i = 0; i < kShards; ++i) {
    Record record;
    Peer peer(port(i));
    peer.on_message = [&](const Publish& packet) { record.take(packet); };
    ASSERT_TRUE(peer.connect("absent-" + std::to_string(i), false, 0));
    EXPECT_TRUE(peer.session_present);
    const auto complete = [&] {
      return std::ranges::all_of(acknowledged, [&](const auto& row) { return record.count(row.first) >= row.second; });
    };
    EXPECT_TRUE(peer.await(complete));
    EXPECT_EQ(record.fault, "");
    for (const auto& [topic, count] : acknowledged) {
      EXPECT_GT(count, 0U) << topic;
      const auto& got = record.got[topic];
      for (std::size_t k = 0; k < got.size(); ++k) ASSERT_EQ(got[k], k + 1) << topic;
    }
  }
}

}  // namespace
}  // namespace muster::mqtt
