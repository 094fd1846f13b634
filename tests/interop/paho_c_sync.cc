// SPDX-License-Identifier: Apache-2.0
// The scenarios on the synchronous client of Eclipse Paho C; what arrives comes by its callback.
#include <MQTTClient.h>

#include <cstring>

#include "paho_properties.h"
#include "scenarios.h"

namespace interop {
namespace {

void check(int code, const char* what) {
  if (code != MQTTCLIENT_SUCCESS) throw Failure(std::string(what) + ": " + std::to_string(code));
}

class PahoSync : public Client {
 public:
  explicit PahoSync(const Broker& broker) : broker_(broker) {}
  ~PahoSync() override {
    if (handle_) MQTTClient_destroy(&handle_);
  }

  std::optional<bool> connect(const Start& start) override {
    MQTTClient_createOptions create = MQTTClient_createOptions_initializer;
    create.MQTTVersion = broker_.v5() ? MQTTVERSION_5 : MQTTVERSION_3_1_1;
    check(MQTTClient_createWithOptions(&handle_, broker_.uri().c_str(), start.id.c_str(), MQTTCLIENT_PERSISTENCE_NONE,
                                       nullptr, &create),
          "create");
    check(MQTTClient_setCallbacks(
              handle_, this, [](void* self, char*) { static_cast<PahoSync*>(self)->lost(); }, on_message, nullptr),
          "setCallbacks");
    if (broker_.v5())  // DISCONNECT from the server
      MQTTClient_setDisconnected(
          handle_, this, [](void* self, MQTTProperties*, MQTTReasonCodes) { static_cast<PahoSync*>(self)->lost(); });
    MQTTClient_connectOptions options = MQTTClient_connectOptions_initializer;
    MQTTClient_connectOptions options5 = MQTTClient_connectOptions_initializer5;
    if (broker_.v5()) {
      options = options5;
      options.cleanstart = start.clean;
    } else {
      options.cleansession = start.clean;
      options.MQTTVersion = MQTTVERSION_3_1_1;
    }
    options.connectTimeout = 5;
    options.reliable = 0;
    options.maxInflightMessages = 200;
    MQTTClient_SSLOptions tls = MQTTClient_SSLOptions_initializer;
    tls.trustStore = broker_.ca.c_str();
    tls.keyStore = broker_.certificate.c_str();
    tls.privateKey = broker_.key.c_str();
    tls.verify = 1;
    if (broker_.tls()) options.ssl = &tls;
    MQTTClient_willOptions will = MQTTClient_willOptions_initializer;
    will.topicName = start.will.topic.c_str();
    will.message = start.will.payload.c_str();
    will.qos = start.will.qos;
    if (!start.will.topic.empty()) options.will = &will;
    if (!broker_.v5()) {
      check(MQTTClient_connect(handle_, &options), "connect");
      return options.returned.sessionPresent != 0;
    }
    PahoProperties properties;
    if (start.expiry_s) properties.number(MQTTPROPERTY_CODE_SESSION_EXPIRY_INTERVAL, start.expiry_s);
    MQTTResponse answer = MQTTClient_connect5(handle_, &options, properties.get(), nullptr);
    const int code = answer.reasonCode;
    MQTTResponse_free(answer);
    check(code, "connect");
    return std::nullopt;  // version 1.3.12 says 0 whatever CONNACK says
  }

  int subscribe(const std::string& filter, const Filter& how) override {
    if (!broker_.v5()) {
      int qos = how.qos;
      char* name = const_cast<char*>(filter.c_str());
      check(MQTTClient_subscribeMany(handle_, 1, &name, &qos), "subscribe");
      return qos;  // what was granted is written there
    }
    MQTTSubscribe_options options = MQTTSubscribe_options_initializer;
    options.noLocal = how.no_local;
    options.retainAsPublished = how.retain_as_published;
    options.retainHandling = static_cast<unsigned char>(how.retain_handling);
    MQTTResponse answer = MQTTClient_subscribe5(handle_, filter.c_str(), how.qos, &options, nullptr);
    const int granted = answer.reasonCode;
    MQTTResponse_free(answer);
    return granted;
  }

  void unsubscribe(const std::string& filter) override {
    if (!broker_.v5()) return check(MQTTClient_unsubscribe(handle_, filter.c_str()), "unsubscribe");
    MQTTResponse answer = MQTTClient_unsubscribe5(handle_, filter.c_str(), nullptr);
    const int code = answer.reasonCode;
    MQTTResponse_free(answer);
    check(code, "unsubscribe");
  }

  int begin_publish(const Message& message) override {
    MQTTClient_message packet = MQTTClient_message_initializer;
    packet.payload = const_cast<char*>(message.payload.data());
    packet.payloadlen = static_cast<int>(message.payload.size());
    packet.qos = message.qos;
    packet.retained = message.retain;
    MQTTClient_deliveryToken token = 0;
    if (!broker_.v5()) {
      check(MQTTClient_publishMessage(handle_, message.topic.c_str(), &packet, &token), "publish");
    } else {
      PahoProperties properties(message);
      packet.properties = *properties.get();
      MQTTResponse answer = MQTTClient_publishMessage5(handle_, message.topic.c_str(), &packet, &token);
      const int code = answer.reasonCode;
      MQTTResponse_free(answer);
      check(code, "publish");
    }
    return message.qos ? token : 0;
  }

  void finish_publish(int token) override {
    if (token) check(MQTTClient_waitForCompletion(handle_, token, kPatienceMs), "PUBLISH");
  }

  void disconnect() override {
    if (broker_.v5())
      check(MQTTClient_disconnect5(handle_, kPatienceMs, MQTTREASONCODE_SUCCESS, nullptr), "disconnect");
    else
      check(MQTTClient_disconnect(handle_, kPatienceMs), "disconnect");
  }

 private:
  static int on_message(void* self, char* topic, int, MQTTClient_message* from) {
    Message message{.topic = topic,
                    .payload = std::string(static_cast<const char*>(from->payload), from->payloadlen),
                    .qos = from->qos,
                    .retain = from->retained != 0};
    read_properties(from->properties, message);
    MQTTClient_freeMessage(&from);
    MQTTClient_free(topic);
    static_cast<PahoSync*>(self)->arrived(std::move(message));
    return 1;
  }

  const Broker broker_;
  MQTTClient handle_ = nullptr;
};

}  // namespace

std::unique_ptr<Client> make_client(const Broker& broker) {
  return std::make_unique<PahoSync>(broker);
}

}  // namespace interop
