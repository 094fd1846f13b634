// SPDX-License-Identifier: Apache-2.0
// Images: the wire forms of the message that is being routed, each built when the first receiver needs it: by version,
// QoS and retain flag. Buffers are kept from message to message, so routing allocates nothing.
#pragma once

#include <array>
#include <vector>

#include "mqtt/codec/encode.h"

namespace muster::mqtt {

class Images {
 public:
  void reset() { built_ = 0; }
  // nullptr when the message cannot be encoded.
  const PublishImage* get(const Publish& packet, Version version, std::uint8_t qos, bool retain) {
    const unsigned index = (version == Version::k5 ? 6U : 0U) + qos * 2U + (retain ? 1U : 0U);
    PublishImage& image = images_[index];
    if ((built_ & 1U << index) == 0) {
      Publish variant = packet;
      variant.qos = qos;
      variant.retain = retain;
      variant.dup = false;
      if (!image.build(version, variant)) return nullptr;
      built_ |= 1U << index;
    }
    return &image;
  }

 private:
  std::array<PublishImage, 12> images_;
  unsigned built_ = 0;
};

}  // namespace muster::mqtt
