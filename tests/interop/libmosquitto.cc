// SPDX-License-Identifier: Apache-2.0
// The scenarios on libmosquitto. Its loop runs on a thread of ours, since its own one would connect again by itself.
#include <mosquitto.h>
#include <mqtt_protocol.h>

#include <atomic>
#include <cstdlib>
#include <thread>

#include "scenarios.h"

namespace interop {
namespace {

void check(int code, const char* what) {
  if (code != MOSQ_ERR_SUCCESS) throw Failure(std::string(what) + ": " + mosquitto_strerror(code));
}

struct Properties {
  mosquitto_property* list = nullptr;
  ~Properties() { mosquitto_property_free_all(&list); }
};

class MosquittoClient : public Client {
 public:
  explicit MosquittoClient(const Broker& broker) : broker_(broker) {}
  ~MosquittoClient() override {
    stopping_ = true;
    if (loop_.joinable()) loop_.join();
    if (handle_) mosquitto_destroy(handle_);
  }

  std::optional<bool> connect(const Start& start) override {
    // Of MQTT 5's two, the constructor's flag is Clean Start.
    handle_ = mosquitto_new(start.id.c_str(), start.clean, this);
    if (!handle_) throw Failure("mosquitto_new");
    mosquitto_threaded_set(handle_, true);
    mosquitto_int_option(handle_, MOSQ_OPT_PROTOCOL_VERSION, broker_.v5() ? MQTT_PROTOCOL_V5 : MQTT_PROTOCOL_V311);
    if (broker_.tls())
      check(mosquitto_tls_set(handle_, broker_.ca.c_str(), nullptr, broker_.certificate.c_str(), broker_.key.c_str(),
                              nullptr),
            "tls_set");
    if (!start.will.topic.empty())
      check(mosquitto_will_set(handle_, start.will.topic.c_str(), static_cast<int>(start.will.payload.size()),
                               start.will.payload.data(), start.will.qos, start.will.retain),
            "will_set");
    mosquitto_connect_v5_callback_set(
        handle_, [](mosquitto*, void* self, int code, int flags, const mosquitto_property*) {
          static_cast<MosquittoClient*>(self)->answers_.give(0, code ? code : -1 - (flags & 1));
        });
    mosquitto_publish_v5_callback_set(handle_, [](mosquitto*, void* self, int id, int code, const mosquitto_property*) {
      static_cast<MosquittoClient*>(self)->answers_.give(id, code);
    });
    mosquitto_subscribe_v5_callback_set(
        handle_, [](mosquitto*, void* self, int id, int, const int* granted, const mosquitto_property*) {
          static_cast<MosquittoClient*>(self)->answers_.give(id, granted[0]);
        });
    mosquitto_unsubscribe_v5_callback_set(handle_, [](mosquitto*, void* self, int id, const mosquitto_property*) {
      static_cast<MosquittoClient*>(self)->answers_.give(id, 0);
    });
    mosquitto_message_v5_callback_set(handle_, on_message);
    Properties properties;
    if (broker_.v5() && start.expiry_s)
      mosquitto_property_add_int32(&properties.list, MQTT_PROP_SESSION_EXPIRY_INTERVAL, start.expiry_s);
    check(mosquitto_connect_bind_v5(handle_, broker_.host.c_str(), broker_.port, 60, nullptr, properties.list),
          "connect");
    loop_ = std::thread([this] {
      while (!stopping_ && mosquitto_loop(handle_, 100, 1) == MOSQ_ERR_SUCCESS) {
      }
      lost();
    });
    const int answer = answers_.await(0, "CONNECT");
    if (answer >= 0) throw Failure("CONNACK " + std::to_string(answer));
    return answer == -2;
  }

  int subscribe(const std::string& filter, const Filter& how) override {
    int id = 0, options = how.retain_handling << 4;
    if (how.no_local) options |= MQTT_SUB_OPT_NO_LOCAL;
    if (how.retain_as_published) options |= MQTT_SUB_OPT_RETAIN_AS_PUBLISHED;
    check(mosquitto_subscribe_v5(handle_, &id, filter.c_str(), how.qos, options, nullptr), "subscribe");
    return answers_.await(id, "SUBSCRIBE");
  }

  void unsubscribe(const std::string& filter) override {
    int id = 0;
    check(mosquitto_unsubscribe(handle_, &id, filter.c_str()), "unsubscribe");
    answers_.await(id, "UNSUBSCRIBE");
  }

  int begin_publish(const Message& message) override {
    Properties properties;
    if (!message.content_type.empty())
      mosquitto_property_add_string(&properties.list, MQTT_PROP_CONTENT_TYPE, message.content_type.c_str());
    if (!message.response_topic.empty())
      mosquitto_property_add_string(&properties.list, MQTT_PROP_RESPONSE_TOPIC, message.response_topic.c_str());
    if (!message.correlation.empty())
      mosquitto_property_add_binary(&properties.list, MQTT_PROP_CORRELATION_DATA, message.correlation.data(),
                                    static_cast<std::uint16_t>(message.correlation.size()));
    for (const auto& [name, value] : message.user)
      mosquitto_property_add_string_pair(&properties.list, MQTT_PROP_USER_PROPERTY, name.c_str(), value.c_str());
    int id = 0;
    check(mosquitto_publish_v5(handle_, &id, message.topic.c_str(), static_cast<int>(message.payload.size()),
                               message.payload.data(), message.qos, message.retain, properties.list),
          "publish");
    return id;
  }

  void finish_publish(int token) override {
    const int code = answers_.await(token, "PUBLISH");
    if (code >= 0x80) throw Failure("PUBLISH refused: " + std::to_string(code));
  }

  void disconnect() override {
    check(mosquitto_disconnect(handle_), "disconnect");
    loop_.join();
  }

 private:
  static std::string take(const mosquitto_property* list, int which) {
    char* text = nullptr;
    if (!mosquitto_property_read_string(list, which, &text, false)) return {};
    std::string out = text;
    std::free(text);
    return out;
  }

  static void on_message(mosquitto*, void* self, const mosquitto_message* from, const mosquitto_property* list) {
    Message message{.topic = from->topic,
                    .payload = std::string(static_cast<const char*>(from->payload), from->payloadlen),
                    .qos = from->qos,
                    .retain = from->retain};
    message.content_type = take(list, MQTT_PROP_CONTENT_TYPE);
    message.response_topic = take(list, MQTT_PROP_RESPONSE_TOPIC);
    void* bytes = nullptr;
    std::uint16_t size = 0;
    if (mosquitto_property_read_binary(list, MQTT_PROP_CORRELATION_DATA, &bytes, &size, false)) {
      message.correlation.assign(static_cast<char*>(bytes), size);
      std::free(bytes);
    }
    char *name = nullptr, *value = nullptr;
    bool next = false;
    while ((list = mosquitto_property_read_string_pair(list, MQTT_PROP_USER_PROPERTY, &name, &value, next))) {
      message.user.emplace_back(name, value);
      std::free(name);
      std::free(value);
      next = true;
    }
    static_cast<MosquittoClient*>(self)->arrived(std::move(message));
  }

  const Broker broker_;
  mosquitto* handle_ = nullptr;
  std::thread loop_;
  std::atomic<bool> stopping_ = false;
  Answers answers_;
};

}  // namespace

std::unique_ptr<Client> make_client(const Broker& broker) {
  static const bool started = mosquitto_lib_init() == MOSQ_ERR_SUCCESS;
  if (!started) throw Failure("mosquitto_lib_init");
  return std::make_unique<MosquittoClient>(broker);
}

}  // namespace interop
