// SPDX-License-Identifier: Apache-2.0
#include "mqtt/broker/broker_fixture.h"

#include <filesystem>

namespace muster::mqtt {

void BrokerTest::SetUp() {
  store = store::make_memory_store(clock);
  std::string pattern = std::filesystem::temp_directory_path() / "muster-broker-XXXXXX";
  directory = ::mkdtemp(pattern.data());
  options.message_log_directory = directory + "/mqtt";
  options.may_write_log = [this] { return !log_fails; };
  loop.start();
  make_broker();
}

void BrokerTest::TearDown() {
  kill_broker();
  loop.stop();
  std::filesystem::remove_all(directory);
}

void BrokerTest::make_broker() {
  // On the loop: what it reads at the start belongs to the loop from then on.
  on_loop([&] {
    auto made = Broker::create({{&loop, &authorizer}}, clock, *store, options);
    ASSERT_TRUE(made.has_value());
    broker = std::move(*made);
    for (IngressHook* hook : hooks) broker->add_ingress(0, *hook);
  });
  advance_ms(0);
}

void BrokerTest::kill_broker() {
  on_loop([&] { broker.reset(); });
  settle();
}

void BrokerTest::advance_ms(std::int64_t by) {
  settle();
  clock.advance_ms(by);
  on_loop([&] { broker->tick(); });
  settle();
}

std::unique_ptr<Device> BrokerTest::connected(std::string_view client_id, bool clean_start, std::uint32_t expiry_s) {
  auto made = device(GetParam());
  made->connect(client_id, clean_start, expiry_s);
  EXPECT_EQ(made->take_one(PacketType::kConnack).reason, Reason::kSuccess);
  return made;
}

std::unique_ptr<Device> BrokerTest::persistent(std::string_view client_id, bool present, std::uint32_t expiry_s) {
  auto made = device(GetParam());
  made->connect(client_id, false, expiry_s);
  const auto seen = made->take();
  EXPECT_FALSE(seen.empty());
  if (seen.empty()) return made;
  EXPECT_EQ(seen[0].reason, Reason::kSuccess);
  EXPECT_EQ(seen[0].session_present, present);
  backlog.assign(seen.begin() + 1, seen.end());
  return made;
}

ClientSummary BrokerTest::summary(std::string_view client_id) {
  ClientSummary found;
  std::promise<void> done;
  broker->clients({}, 1000, [&](std::vector<ClientSummary> list) {
    for (const ClientSummary& row : list) {
      if (row.client_id == client_id) found = row;
    }
    done.set_value();
  });
  done.get_future().wait();
  return found;
}

Device::Device(BrokerTest& owner, Version spoken, std::size_t capacity) : test(owner), version(spoken) {
  test.on_loop([&] {
    auto [mine, theirs] = io::memory_pair(test.loop, capacity);
    stream_ = std::move(mine);
    pump();
    test.broker->accept(0, std::move(theirs));
  });
}

Device::~Device() {
  test.on_loop([&] { stream_.reset(); });
}

// On the loop.
void Device::pump() {
  char buffer[4096];
  while (reading_ && stream_ && !closed_) {
    const io::IoOutcome outcome = stream_->read(buffer);
    if (outcome.kind == io::IoOutcome::Kind::kMoved) {
      inbox_.append(buffer, outcome.bytes);
      continue;
    }
    if (outcome.kind == io::IoOutcome::Kind::kWouldBlock) {
      if (!waiting_) {
        waiting_ = true;
        stream_->when_readable([this] {
          waiting_ = false;
          pump();
        });
      }
      break;
    }
    closed_ = true;
  }
  while (stream_ && !outbox_.empty() && !writing_) {
    const io::IoOutcome outcome = stream_->write(outbox_);
    if (outcome.kind == io::IoOutcome::Kind::kMoved) {
      outbox_.erase(0, outcome.bytes);
      continue;
    }
    if (outcome.kind == io::IoOutcome::Kind::kWouldBlock) {
      writing_ = true;
      stream_->when_writable([this] {
        writing_ = false;
        pump();
      });
    } else {
      outbox_.clear();
    }
    break;
  }
}

void Device::send(std::string bytes) {
  test.on_loop([&] {
    outbox_ += bytes;
    pump();
  });
}

void Device::connect(const Connect& packet) {
  std::string bytes;
  ASSERT_TRUE(encode(bytes, packet));
  send(bytes);
}

void Device::connect(std::string_view client_id, bool clean_start, std::uint32_t expiry_s) {
  Connect packet;
  packet.version = version;
  packet.client_id = client_id;
  packet.clean_start = clean_start;
  packet.keep_alive_s = 60;
  PropertyWriter writer;
  if (version == Version::k5 && expiry_s > 0) writer.add(PropertyId::kSessionExpiry, expiry_s);
  packet.properties = writer.view();
  connect(packet);
}

void Device::subscribe(std::string_view filter, std::uint8_t qos, std::uint16_t packet_id) {
  SubscribeFilter wanted;
  wanted.filter = filter;
  wanted.qos = qos;
  std::string bytes;
  ASSERT_TRUE(encode_subscribe(bytes, version, packet_id, std::span(&wanted, 1)));
  send(bytes);
}

void Device::publish(std::string_view topic, std::string_view payload, std::uint8_t qos, std::uint16_t packet_id,
                     bool retain) {
  Publish packet;
  packet.topic = topic;
  packet.payload = payload;
  packet.qos = qos;
  packet.packet_id = packet_id;
  packet.retain = retain;
  std::string bytes;
  ASSERT_TRUE(encode(bytes, version, packet));
  send(bytes);
}

void Device::puback(std::uint16_t packet_id) {
  std::string bytes;
  Puback packet;
  packet.packet_id = packet_id;
  encode(bytes, version, packet);
  send(bytes);
}

void Device::ack(PacketType type, std::uint16_t packet_id, Reason reason) {
  const Ack packet{packet_id, reason, {}};
  std::string bytes;
  if (type == PacketType::kPubrec) encode(bytes, version, Pubrec{packet});
  if (type == PacketType::kPubrel) encode(bytes, version, Pubrel{packet});
  if (type == PacketType::kPubcomp) encode(bytes, version, Pubcomp{packet});
  send(bytes);
}

void Device::disconnect() {
  std::string bytes;
  encode(bytes, version, Disconnect{});
  send(bytes);
  test.settle();
}

void Device::drop() {
  test.on_loop([&] {
    stream_->close();
    closed_ = true;
  });
  test.settle();
}

void Device::set_reading(bool reading) {
  test.on_loop([&] {
    reading_ = reading;
    pump();
  });
}

bool Device::closed() {
  test.settle();
  bool result = false;
  test.on_loop([&] { result = closed_; });
  return result;
}

namespace {

const Ack* ack_of(const Packet& packet) {
  if (const auto* puback = std::get_if<Puback>(&packet)) return puback;
  if (const auto* pubrec = std::get_if<Pubrec>(&packet)) return pubrec;
  if (const auto* pubrel = std::get_if<Pubrel>(&packet)) return pubrel;
  return std::get_if<Pubcomp>(&packet);
}

}  // namespace

std::vector<Seen> Device::take() {
  test.settle();
  std::string bytes;
  test.on_loop([&] { bytes = std::exchange(inbox_, {}); });
  std::vector<Seen> seen;
  std::string_view rest = bytes;
  while (!rest.empty()) {
    const DecodeOutcome outcome = decode(rest, version);
    if (outcome.status == DecodeStatus::kNeedMore) break;
    EXPECT_EQ(outcome.status, DecodeStatus::kPacket) << outcome.error.text;
    if (outcome.status != DecodeStatus::kPacket) break;
    Seen one;
    one.type = static_cast<PacketType>(static_cast<std::uint8_t>(rest.front()) >> 4);
    const auto copy = [&](const Properties& properties) {
      one.properties = properties.bytes();
      one.present = properties.present();
    };
    if (const auto* connack = std::get_if<Connack>(&outcome.packet)) {
      one.reason = connack->reason;
      one.session_present = connack->session_present;
      copy(connack->properties);
    } else if (const auto* publish = std::get_if<Publish>(&outcome.packet)) {
      one.topic = publish->topic;
      one.payload = publish->payload;
      one.qos = publish->qos;
      one.retain = publish->retain;
      one.dup = publish->dup;
      one.packet_id = publish->packet_id;
      copy(publish->properties);
    } else if (const Ack* ack = ack_of(outcome.packet)) {
      one.packet_id = ack->packet_id;
      one.reason = ack->reason;
    } else if (const auto* suback = std::get_if<Suback>(&outcome.packet)) {
      one.packet_id = suback->packet_id;
      one.codes = suback->codes;
    } else if (const auto* unsuback = std::get_if<Unsuback>(&outcome.packet)) {
      one.packet_id = unsuback->packet_id;
      one.codes = unsuback->codes;
    } else if (const auto* bye = std::get_if<Disconnect>(&outcome.packet)) {
      one.reason = bye->reason;
    }
    seen.push_back(std::move(one));
    rest.remove_prefix(outcome.consumed);
  }
  test.on_loop([&] { inbox_.insert(0, rest); });
  return seen;
}

Seen Device::take_one(PacketType type) {
  const std::vector<Seen> seen = take();
  EXPECT_EQ(seen.size(), 1U) << "waiting for " << to_string(type);
  if (seen.empty()) return {};
  EXPECT_EQ(to_string(seen.front().type), to_string(type)) << to_string(seen.front().reason);
  return seen.front();
}

}  // namespace muster::mqtt
