// SPDX-License-Identifier: Apache-2.0
// MQTT 5 properties as both clients of Eclipse Paho C take and give them.
#pragma once

#include <MQTTProperties.h>

#include <string>

#include "scenarios.h"

namespace interop {

class PahoProperties {
 public:
  PahoProperties() = default;
  explicit PahoProperties(const Message& message) {
    if (!message.content_type.empty()) text(MQTTPROPERTY_CODE_CONTENT_TYPE, message.content_type);
    if (!message.response_topic.empty()) text(MQTTPROPERTY_CODE_RESPONSE_TOPIC, message.response_topic);
    if (!message.correlation.empty()) text(MQTTPROPERTY_CODE_CORRELATION_DATA, message.correlation);
    for (const auto& [name, value] : message.user) text(MQTTPROPERTY_CODE_USER_PROPERTY, name, value);
  }
  PahoProperties(const PahoProperties&) = delete;
  ~PahoProperties() { MQTTProperties_free(&list_); }

  void number(MQTTPropertyCodes which, unsigned value) {
    MQTTProperty property{};
    property.identifier = which;
    property.value.integer4 = value;
    MQTTProperties_add(&list_, &property);
  }
  MQTTProperties* get() { return &list_; }

 private:
  static MQTTLenString view(const std::string& text) {
    return {static_cast<int>(text.size()), const_cast<char*>(text.data())};
  }
  void text(MQTTPropertyCodes which, const std::string& text, const std::string& value = {}) {
    MQTTProperty property{};
    property.identifier = which;
    property.value.data = view(text);
    property.value.value = view(value);
    MQTTProperties_add(&list_, &property);
  }

  MQTTProperties list_ = MQTTProperties_initializer;
};

inline void read_properties(MQTTProperties& list, Message& into) {
  const auto text = [](const MQTTLenString& from) { return std::string(from.data, from.len); };
  for (int at = 0; at < list.count; ++at) {
    const MQTTProperty& property = list.array[at];
    switch (property.identifier) {
      case MQTTPROPERTY_CODE_CONTENT_TYPE:
        into.content_type = text(property.value.data);
        break;
      case MQTTPROPERTY_CODE_RESPONSE_TOPIC:
        into.response_topic = text(property.value.data);
        break;
      case MQTTPROPERTY_CODE_CORRELATION_DATA:
        into.correlation = text(property.value.data);
        break;
      case MQTTPROPERTY_CODE_USER_PROPERTY:
        into.user.emplace_back(text(property.value.data), text(property.value.value));
        break;
      default:
        break;
    }
  }
}

}  // namespace interop
