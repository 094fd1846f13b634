// SPDX-License-Identifier: Apache-2.0
// The scenarios on the asynchronous client of Eclipse Paho C: every call answers by callback.
#include <MQTTAsync.h>

#include "paho_properties.h"
#include "scenarios.h"

namespace interop {
namespace {

void check(int code, const char* what) {
  if (code != MQTTASYNC_SUCCESS) throw Failure(std::string(what) + ": " + std::to_string(code));
}

class PahoAsync : public Client {
 public:
  explicit PahoAsync(const Broker& broker) : broker_(broker) {}
  ~PahoAsync() override {
    if (handle_) MQTTAsync_destroy(&handle_);
  }

  std::optional<bool> connect(const Start& start) override {
    MQTTAsync_createOptions create = MQTTAsync_createOptions_initializer;
    create.MQTTVersion = broker_.v5() ? MQTTVERSION_5 : MQTTVERSION_3_1_1;
    create.maxBufferedMessages = 300;
    check(MQTTAsync_createWithOptions(&handle_, broker_.uri().c_str(), start.id.c_str(), MQTTCLIENT_PERSISTENCE_NONE,
                                      nullptr, &create),
          "create");
    check(MQTTAsync_setCallbacks(
              handle_, this, [](void* self, char*) { static_cast<PahoAsync*>(self)->lost(); }, on_message, nullptr),
          "setCallbacks");
    if (broker_.v5())  // DISCONNECT from the server
      MQTTAsync_setDisconnected(
          handle_, this, [](void* self, MQTTProperties*, MQTTReasonCodes) { static_cast<PahoAsync*>(self)->lost(); });
    MQTTAsync_connectOptions options = MQTTAsync_connectOptions_initializer;
    MQTTAsync_connectOptions options5 = MQTTAsync_connectOptions_initializer5;
    PahoProperties properties;
    if (broker_.v5()) {
      options = options5;
      options.cleanstart = start.clean;
      if (start.expiry_s) properties.number(MQTTPROPERTY_CODE_SESSION_EXPIRY_INTERVAL, start.expiry_s);
      options.connectProperties = properties.get();
      options.onSuccess5 = [](void* self, MQTTAsync_successData5* response) {
        static_cast<PahoAsync*>(self)->answers_.give(kConnect, response->alt.connect.sessionPresent);
      };
      options.onFailure5 = [](void* self, MQTTAsync_failureData5* response) {
        static_cast<PahoAsync*>(self)->answers_.give(kConnect, failure(response->code, response->reasonCode));
      };
    } else {
      options.MQTTVersion = MQTTVERSION_3_1_1;
      options.cleansession = start.clean;
      options.onSuccess = [](void* self, MQTTAsync_successData* response) {
        static_cast<PahoAsync*>(self)->answers_.give(kConnect, response->alt.connect.sessionPresent);
      };
      options.onFailure = [](void* self, MQTTAsync_failureData* response) {
        static_cast<PahoAsync*>(self)->answers_.give(kConnect, failure(response->code, 0));
      };
    }
    options.context = this;
    options.connectTimeout = 5;
    options.maxInflight = 200;
    MQTTAsync_SSLOptions tls = MQTTAsync_SSLOptions_initializer;
    tls.trustStore = broker_.ca.c_str();
    tls.keyStore = broker_.certificate.c_str();
    tls.privateKey = broker_.key.c_str();
    tls.verify = 1;
    if (broker_.tls()) options.ssl = &tls;
    MQTTAsync_willOptions will = MQTTAsync_willOptions_initializer;
    will.topicName = start.will.topic.c_str();
    will.message = start.will.payload.c_str();
    will.qos = start.will.qos;
    if (!start.will.topic.empty()) options.will = &will;
    check(MQTTAsync_connect(handle_, &options), "connect");
    return answer(kConnect, "CONNECT") != 0;
  }

  int subscribe(const std::string& filter, const Filter& how) override {
    MQTTAsync_responseOptions response = responding();
    response.subscribeOptions.noLocal = how.no_local;
    response.subscribeOptions.retainAsPublished = how.retain_as_published;
    response.subscribeOptions.retainHandling = static_cast<unsigned char>(how.retain_handling);
    if (!broker_.v5())
      response.onSuccess = [](void* self, MQTTAsync_successData* data) {
        static_cast<PahoAsync*>(self)->answers_.give(data->token, data->alt.qos);
      };
    check(MQTTAsync_subscribe(handle_, filter.c_str(), how.qos, &response), "subscribe");
    return answer(response.token, "SUBSCRIBE");
  }

  void unsubscribe(const std::string& filter) override {
    MQTTAsync_responseOptions response = responding();
    check(MQTTAsync_unsubscribe(handle_, filter.c_str(), &response), "unsubscribe");
    answer(response.token, "UNSUBSCRIBE");
  }

  int begin_publish(const Message& message) override {
    MQTTAsync_responseOptions response = responding();
    MQTTAsync_message packet = MQTTAsync_message_initializer;
    packet.payload = const_cast<char*>(message.payload.data());
    packet.payloadlen = static_cast<int>(message.payload.size());
    packet.qos = message.qos;
    packet.retained = message.retain;
    PahoProperties properties(message);
    packet.properties = *properties.get();
    check(MQTTAsync_sendMessage(handle_, message.topic.c_str(), &packet, &response), "sendMessage");
    return response.token;
  }

  void finish_publish(int token) override { answer(token, "PUBLISH"); }

  void disconnect() override {
    MQTTAsync_disconnectOptions options = MQTTAsync_disconnectOptions_initializer;
    MQTTAsync_disconnectOptions options5 = MQTTAsync_disconnectOptions_initializer5;
    if (broker_.v5()) {
      options = options5;
      options.onSuccess5 = [](void* self, MQTTAsync_successData5*) {
        static_cast<PahoAsync*>(self)->answers_.give(kDisconnect, 0);
      };
    } else {
      options.onSuccess = [](void* self, MQTTAsync_successData*) {
        static_cast<PahoAsync*>(self)->answers_.give(kDisconnect, 0);
      };
    }
    options.context = this;
    options.timeout = kPatienceMs;
    check(MQTTAsync_disconnect(handle_, &options), "disconnect");
    answer(kDisconnect, "DISCONNECT");
  }

 private:
  static constexpr int kConnect = -1, kDisconnect = -2;  // tokens of calls that have none

  static int failure(int code, int reason) { return -1000 - (reason ? reason : code < 0 ? -code : code); }

  int answer(int token, const char* what) {
    const int got = answers_.await(token, what);
    if (got <= -1000) throw Failure(std::string(what) + " refused: " + std::to_string(-1000 - got));
    return got;
  }

  MQTTAsync_responseOptions responding() {
    MQTTAsync_responseOptions response = MQTTAsync_responseOptions_initializer;
    response.context = this;
    if (broker_.v5()) {
      response.onSuccess5 = [](void* self, MQTTAsync_successData5* data) {
        static_cast<PahoAsync*>(self)->answers_.give(data->token, data->reasonCode);
      };
      response.onFailure5 = [](void* self, MQTTAsync_failureData5* data) {
        static_cast<PahoAsync*>(self)->answers_.give(data->token, failure(data->code, data->reasonCode));
      };
    } else {
      response.onSuccess = [](void* self, MQTTAsync_successData* data) {
        static_cast<PahoAsync*>(self)->answers_.give(data->token, 0);
      };
      response.onFailure = [](void* self, MQTTAsync_failureData* data) {
        static_cast<PahoAsync*>(self)->answers_.give(data->token, failure(data->code, 0));
      };
    }
    return response;
  }

  static int on_message(void* self, char* topic, int, MQTTAsync_message* from) {
    Message message{.topic = topic,
                    .payload = std::string(static_cast<const char*>(from->payload), from->payloadlen),
                    .qos = from->qos,
                    .retain = from->retained != 0};
    read_properties(from->properties, message);
    MQTTAsync_freeMessage(&from);
    MQTTAsync_free(topic);
    static_cast<PahoAsync*>(self)->arrived(std::move(message));
    return 1;
  }

  const Broker broker_;
  MQTTAsync handle_ = nullptr;
  Answers answers_;
};

}  // namespace

std::unique_ptr<Client> make_client(const Broker& broker) {
  return std::make_unique<PahoAsync>(broker);
}

}  // namespace interop
