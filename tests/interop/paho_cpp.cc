// SPDX-License-Identifier: Apache-2.0
// The scenarios on Eclipse Paho C++ (mqtt::async_client with its tokens).
#include <mqtt/async_client.h>

#include "scenarios.h"

namespace interop {
namespace {

class PahoCpp : public Client {
 public:
  explicit PahoCpp(const Broker& broker) : broker_(broker) {}
  ~PahoCpp() override {
    if (client_) client_->disable_callbacks();
  }

  std::optional<bool> connect(const Start& start) override {
    const int version = broker_.v5() ? MQTTVERSION_5 : MQTTVERSION_3_1_1;
    client_ = std::make_unique<mqtt::async_client>(broker_.uri(), start.id, mqtt::create_options(version, 300));
    client_->set_message_callback([this](mqtt::const_message_ptr message) { arrived(read(*message)); });
    client_->set_connection_lost_handler([this](const std::string&) { lost(); });
    client_->set_disconnected_handler([this](const mqtt::properties&, mqtt::ReasonCode) { lost(); });
    mqtt::connect_options_builder builder;
    builder.mqtt_version(version).connect_timeout(kPatience).max_inflight(200);
    if (broker_.v5()) {
      builder.clean_start(start.clean);
      if (start.expiry_s)
        builder.properties({{mqtt::property::SESSION_EXPIRY_INTERVAL, static_cast<int>(start.expiry_s)}});
    } else {
      builder.clean_session(start.clean);
    }
    if (broker_.tls())
      builder.ssl(mqtt::ssl_options_builder()
                      .trust_store(broker_.ca)
                      .key_store(broker_.certificate)
                      .private_key(broker_.key)
                      .verify()
                      .finalize());
    if (!start.will.topic.empty())
      builder.will(mqtt::message(start.will.topic, start.will.payload, start.will.qos, start.will.retain));
    return wait(client_->connect(builder.finalize()), "CONNECT")->get_connect_response().is_session_present();
  }

  int subscribe(const std::string& filter, const Filter& how) override {
    mqtt::subscribe_options options(how.no_local, how.retain_as_published,
                                    static_cast<mqtt::subscribe_options::RetainHandling>(how.retain_handling));
    const auto answer = wait(client_->subscribe(filter, how.qos, options), "SUBSCRIBE")->get_subscribe_response();
    return answer.get_reason_codes().at(0);
  }

  void unsubscribe(const std::string& filter) override { wait(client_->unsubscribe(filter), "UNSUBSCRIBE"); }

  int begin_publish(const Message& message) override {
    mqtt::properties properties;
    if (!message.content_type.empty()) properties.add({mqtt::property::CONTENT_TYPE, message.content_type});
    if (!message.response_topic.empty()) properties.add({mqtt::property::RESPONSE_TOPIC, message.response_topic});
    if (!message.correlation.empty()) properties.add({mqtt::property::CORRELATION_DATA, message.correlation});
    for (const auto& [name, value] : message.user) properties.add({mqtt::property::USER_PROPERTY, name, value});
    tokens_.push_back(client_->publish(mqtt::message::create(
        message.topic, message.payload.data(), message.payload.size(), message.qos, message.retain, properties)));
    return static_cast<int>(tokens_.size()) - 1;
  }

  void finish_publish(int token) override { wait(std::move(tokens_[token]), "PUBLISH"); }

  void disconnect() override { wait(client_->disconnect(), "DISCONNECT"); }

 private:
  template <class Token>
  static Token wait(Token token, const char* what) {
    if (!token->wait_for(kPatience)) throw Failure(std::string("no answer to ") + what);
    return token;
  }

  static Message read(const mqtt::message& from) {
    Message message{.topic = from.get_topic(),
                    .payload = from.get_payload_str(),
                    .qos = from.get_qos(),
                    .retain = from.is_retained()};
    const mqtt::properties& list = from.get_properties();
    if (list.contains(mqtt::property::CONTENT_TYPE))
      message.content_type = mqtt::get<std::string>(list, mqtt::property::CONTENT_TYPE);
    if (list.contains(mqtt::property::RESPONSE_TOPIC))
      message.response_topic = mqtt::get<std::string>(list, mqtt::property::RESPONSE_TOPIC);
    if (list.contains(mqtt::property::CORRELATION_DATA))
      message.correlation = mqtt::get<mqtt::binary>(list, mqtt::property::CORRELATION_DATA);
    for (std::size_t at = 0; at < list.count(mqtt::property::USER_PROPERTY); ++at) {
      const auto [name, value] = mqtt::get<mqtt::string_pair>(list, mqtt::property::USER_PROPERTY, at);
      message.user.emplace_back(name, value);
    }
    return message;
  }

  const Broker broker_;
  std::unique_ptr<mqtt::async_client> client_;
  std::vector<mqtt::delivery_token_ptr> tokens_;
};

}  // namespace

std::unique_ptr<Client> make_client(const Broker& broker) {
  return std::make_unique<PahoCpp>(broker);
}

}  // namespace interop
