// SPDX-License-Identifier: Apache-2.0
// links: muster_mqtt_broker
// Records of the message log and stored retained messages, as a damaged disk may have them: read or left out, within
// memory; what was read can be written and read again.
#include <cstdint>
#include <string_view>

#include "base/assert.h"
#include "mqtt/broker/message_log.h"
#include "mqtt/broker/retained.h"

using namespace muster;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(bytes), size);
  mqtt::RestoredLog restored;
  const bool whole = mqtt::restore_record(input, restored).has_value();
  CHECK(whole == mqtt::restore_record(input, restored).has_value());  // records may be repeated
  for (const auto& [id, session] : restored.sessions) {
    for (const auto& [number, entry] : session.entries) {
      CHECK(entry.message && number <= session.last_number);
      CHECK(entry.message->topic.size() + entry.message->payload.size() <= size);
    }
  }
  if (const auto record = mqtt::read_retained_record(input)) {
    const auto again =
        mqtt::read_retained_record(mqtt::retained_record(record->version, mqtt::to_stored(*record->message)));
    CHECK(again && again->version == record->version && again->message->payload == record->message->payload);
  }
  return 0;
}
