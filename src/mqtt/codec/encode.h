// SPDX-License-Identifier: Apache-2.0
// Packets to bytes, appended to a string. Callers pass values that the protocol allows (topic at most 65535 bytes,
// valid packet id); a string that is too long for its 16-bit length makes encode() append nothing and return false.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "mqtt/codec/packets.h"

namespace muster::mqtt {

bool encode(std::string& out, const Connect& packet);  // in its own version
bool encode(std::string& out, Version version, const Connack& packet);
bool encode(std::string& out, Version version, const Publish& packet);
bool encode(std::string& out, Version version, const Puback& packet);
bool encode(std::string& out, Version version, const Pubrec& packet);
bool encode(std::string& out, Version version, const Pubrel& packet);
bool encode(std::string& out, Version version, const Pubcomp& packet);
bool encode(std::string& out, Version version, const Subscribe& packet);  // from a decoded FilterList
bool encode(std::string& out, Version version, const Suback& packet);     // 3.1.1: codes above 2 become 0x80
bool encode(std::string& out, Version version, const Unsubscribe& packet);
bool encode(std::string& out, Version version, const Unsuback& packet);
bool encode(std::string& out, const Pingreq& packet);
bool encode(std::string& out, const Pingresp& packet);
bool encode(std::string& out, Version version, const Disconnect& packet);
bool encode(std::string& out, const Auth& packet);
bool encode(std::string& out, Version version, const Packet& packet);

// What clients send: filters given as a list.
bool encode_subscribe(std::string& out, Version version, std::uint16_t packet_id,
                      std::span<const SubscribeFilter> filters, const Properties& properties = {});
bool encode_unsubscribe(std::string& out, Version version, std::uint16_t packet_id,
                        std::span<const std::string_view> filters, const Properties& properties = {});

// 3.1.1 CONNACK return code of a reason: 0 to 5.
std::uint8_t connect_return_code(Reason reason);
Reason reason_of_return_code(std::uint8_t code);

void append_varint(std::string& out, std::uint32_t value);  // at most 268,435,455
std::uint32_t varint_size(std::uint32_t value);

// A PUBLISH encoded once for all receivers of the same version, QoS and retain flag; packet id and DUP are patched
// into each copy. What arrived in the same form is not encoded again: then the image is a view of the received bytes.
// Topic alias and subscription identifiers of the original belong to its connection and are left out; receivers with
// subscription identifiers get an image of their own.
class PublishImage {
 public:
  PublishImage() = default;
  PublishImage(const PublishImage&) = delete;  // it may view its own bytes
  PublishImage& operator=(const PublishImage&) = delete;
  // False (and empty) when the topic is longer than 65535 bytes or the whole beyond the protocol's size.
  bool build(Version version, const Publish& publish, std::span<const std::uint32_t> subscription_ids = {});

  bool empty() const { return view_.empty(); }
  std::size_t size() const { return view_.size(); }
  std::uint8_t qos() const { return qos_; }
  Version version() const { return version_; }
  void append_to(std::string& out, std::uint16_t packet_id = 0, bool dup = false) const;

 private:
  std::string bytes_;
  std::string_view view_;  // of bytes_, or of the packet that it was built from
  std::uint32_t packet_id_at_ = 0;
  std::uint8_t first_byte_ = 0;
  std::uint8_t qos_ = 0;
  Version version_ = Version::k311;
};

}  // namespace muster::mqtt
