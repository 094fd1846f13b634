// SPDX-License-Identifier: Apache-2.0
// links: muster_mqtt_codec
// The MQTT decoder. First byte: version of all packets but CONNECT, and a small size limit. A packet that decodes must
// lie inside the input, encode again, and then decode to what encodes to the same bytes.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "mqtt/codec/decode.h"
#include "mqtt/codec/encode.h"
#include "mqtt/codec/topics.h"

namespace {

using namespace muster::mqtt;

void require(bool condition) {
  if (!condition) std::abort();
}

std::uint64_t read_all(const Properties& properties, std::string_view input) {
  std::uint64_t present = 0;
  for (const Property& property : properties) {
    present |= std::uint64_t{1} << static_cast<unsigned>(property.id);
    for (const std::string_view text : {property.text, property.value}) {
      if (!text.empty())
        require(text.data() >= input.data() && text.data() + text.size() <= input.data() + input.size());
    }
  }
  require(present == properties.present());
  return present;
}

template <class T>
void check_parts(const T& packet, std::string_view input) {
  if constexpr (requires { packet.properties; }) read_all(packet.properties, input);
  if constexpr (requires { packet.filters; }) {
    std::size_t count = 0;
    for (const SubscribeFilter filter : packet.filters) {
      require(is_topic_filter(filter.filter));
      topic_matches(filter.filter, "a/b/c");
      ++count;
    }
    require(count == packet.filters.size() && count > 0);
  }
  if constexpr (requires { packet.packet_id; }) {
    if constexpr (!std::is_same_v<T, Publish>) require(packet.packet_id != 0);
  }
}

void check_publish(const Publish& publish, Version version) {
  require(publish.topic.empty() || is_topic_name(publish.topic));
  require((publish.packet_id != 0) == (publish.qos != 0));
  PublishImage image;
  require(image.build(version, publish));
  std::string out;
  image.append_to(out, 77, true);
  const DecodeOutcome outcome = decode(out, version);
  // Without its alias, a PUBLISH with an empty topic is invalid; owners resolve it first.
  require(publish.topic.empty() || publish.qos == 0 || outcome.status == DecodeStatus::kPacket);
}

void check_same_again(const Packet& packet, Version version) {
  std::string first;
  require(encode(first, version, packet));
  const DecodeOutcome outcome = decode(first, version);
  require(outcome.status == DecodeStatus::kPacket && outcome.consumed == first.size());
  std::string second;
  require(encode(second, version, outcome.packet));
  require(first == second);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  if (size == 0) return 0;
  const Version version = (bytes[0] & 1) != 0 ? Version::k5 : Version::k311;
  const std::uint32_t most = (bytes[0] & 2) != 0 ? 64 : kLargestPacket;
  std::string_view rest(reinterpret_cast<const char*>(bytes) + 1, size - 1);
  while (!rest.empty()) {
    const Frame frame = read_frame(rest, most);
    const DecodeOutcome outcome = decode(rest, version, most);
    if (frame.status != DecodeStatus::kPacket) require(outcome.status == frame.status);
    if (outcome.status == DecodeStatus::kError) require(static_cast<unsigned>(outcome.error.reason) >= 0x80);
    if (outcome.status != DecodeStatus::kPacket) return 0;
    require(outcome.consumed == frame.size() && outcome.consumed <= rest.size() && outcome.consumed <= most);
    const std::string_view input = rest.substr(0, outcome.consumed);
    std::visit([&](const auto& packet) { check_parts(packet, input); }, outcome.packet);
    Version own = version;
    if (const auto* connect = std::get_if<Connect>(&outcome.packet)) {
      own = connect->version;
      read_all(connect->will.properties, input);
    }
    if (const auto* publish = std::get_if<Publish>(&outcome.packet)) check_publish(*publish, version);
    check_same_again(outcome.packet, own);
    rest.remove_prefix(outcome.consumed);
  }
  return 0;
}
