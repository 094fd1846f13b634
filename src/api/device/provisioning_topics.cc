// SPDX-License-Identifier: Apache-2.0
#include "api/device/provisioning_topics.h"

#include "api/device/provisioning_payload.h"
#include "base/log.h"

namespace muster::api::device {

namespace {

constexpr std::string_view kPrefix = "$aws/provisioning-templates/";
constexpr std::string_view kProvision = "/provision/";
constexpr int kAtOnce = 256;

struct Asked {
  std::string template_name;
  PayloadFormat format = PayloadFormat::kJson;
};

std::optional<Asked> parse_topic(std::string_view topic) {
  if (!topic.starts_with(kPrefix)) return std::nullopt;
  topic.remove_prefix(kPrefix.size());
  const std::size_t slash = topic.find('/');
  if (slash == 0 || slash == std::string_view::npos || !topic.substr(slash).starts_with(kProvision))
    return std::nullopt;
  const auto format = payload_format(topic.substr(slash + kProvision.size()));
  if (!format) return std::nullopt;
  return Asked{std::string(topic.substr(0, slash)), *format};
}

Result<provisioning::FleetRequest> request_of(const std::string& template_name, const json::object& body) {
  const auto bad = [](std::string message, std::string_view reason) {
    return make_error(ErrorKind::kInvalid, std::move(message), std::string(reason));
  };
  provisioning::FleetRequest request{.template_name = template_name};
  // Version 1 of the device SDK's client sends it along.
  TRY(const std::string repeated, text_member(body, "templateName", true));
  if (!repeated.empty() && repeated != template_name) {
    return bad("templateName is not the topic's.", "InvalidPayload");
  }
  TRY(request.token, text_member(body, "certificateOwnershipToken", true));
  for (const auto& member : body) {
    if (member.key() == "certificateOwnershipToken" || member.key() == "templateName") continue;
    if (member.key() != "parameters") return bad("Unknown member " + std::string(member.key()) + ".", "InvalidPayload");
    if (member.value().is_null()) continue;
    if (!member.value().is_object()) return bad("parameters must be an object.", "InvalidParameters");
    for (const auto& parameter : member.value().get_object()) {
      if (!parameter.value().is_string()) {
        return bad("Parameter " + std::string(parameter.key()) + " must be a string.", "InvalidParameters");
      }
      request.parameters.emplace(parameter.key(), parameter.value().get_string());
    }
  }
  return request;
}

}  // namespace

struct ProvisioningTopics::State : std::enable_shared_from_this<ProvisioningTopics::State> {
  State(io::Loop& l, const provisioning::FleetProvisioner& p, const DeviceCalls& r)
      : loop(l), provisioner(p), calls(r) {}

  struct Request {
    std::string topic;
    PayloadFormat format = PayloadFormat::kJson;
    std::function<void(std::string, std::string)> reply;
    std::function<void(bool)> handled;
    DeviceCall call;  // as it is recorded
  };

  io::Loop& loop;
  const provisioning::FleetProvisioner& provisioner;
  const DeviceCalls& calls;
  bool stopped = false;  // the loop's thread
  int running = 0;       // the loop's thread

  void done(const std::shared_ptr<Request>& request, Result<provisioning::FleetAnswer> answer) {
    if (stopped) return;
    if (answer) {
      request->call.thing_name = answer->thing_name;
      request->call.certificate_id = answer->certificate_id;
    } else {
      request->call.error = answer.error();
    }
    DeviceCall call = std::move(request->call);
    auto told = [self = shared_from_this(), request, answer = std::move(answer)](const Status& recorded) {
      Result<provisioning::FleetAnswer> outcome = answer;
      if (answer && !recorded) outcome = recorded.error();
      self->loop.post([self, request, outcome = std::move(outcome)] {
        if (self->stopped) return;
        --self->running;
        finish(*request, outcome);
      });
    };
    calls.record(std::move(call), std::move(told));
  }

  // Nothing was begun.
  void refuse(const std::shared_ptr<Request>& request, Error error) {
    ++running;
    request->call.begun = false;
    done(request, std::move(error));
  }

  static void finish(Request& request, const Result<provisioning::FleetAnswer>& answer) {
    if (!answer) return reject(request, answer.error());
    json::object body{{"deviceConfiguration", answer->device_configuration}, {"thingName", answer->thing_name}};
    request.reply(request.topic + "/accepted", write_payload(request.format, body));
    request.handled(true);
  }

  static void reject(Request& request, const Error& error) {
    if (error.kind == ErrorKind::kInternal) {
      log::error("provisioning failed", {{"topic", request.topic}, {"error", error.message}});
    } else {
      log::info("provisioning refused", {{"topic", request.topic}, {"why", error.message}});
    }
    request.reply(request.topic + "/rejected", write_payload(request.format, rejection(error)));
    request.handled(true);
  }
};

ProvisioningTopics::ProvisioningTopics(io::Loop& loop, const provisioning::FleetProvisioner& provisioner,
                                       const DeviceCalls& calls)
    : state_(std::make_shared<State>(loop, provisioner, calls)) {}

ProvisioningTopics::~ProvisioningTopics() {
  state_->stopped = true;
}

bool ProvisioningTopics::handle(const mqtt::Ingress& message, std::function<void(bool accepted)> handled) {
  const auto asked = parse_topic(message.topic);
  if (!asked) return false;
  auto request = std::make_shared<State::Request>();
  request->topic = message.topic;
  request->format = asked->format;
  request->reply = message.reply;
  request->handled = std::move(handled);
  request->call = device_call("RegisterThing", message);
  request->call.template_name = asked->template_name;
  if (const Status may = state_->calls.may_change(); !may) {
    State::reject(*request, may.error());
    return true;
  }
  const auto body = read_payload(asked->format, message.payload);
  auto wanted = body ? request_of(asked->template_name, *body) : Result<provisioning::FleetRequest>(body.error());
  if (wanted && state_->running >= kAtOnce) {
    wanted = make_error(ErrorKind::kThrottled, "Too many devices are being provisioned, try again later.");
  }
  if (!wanted) {
    state_->refuse(request, wanted.error());
    return true;
  }
  json::object& parameters = (request->call.input["parameters"] = json::object()).get_object();
  for (const auto& [name, value] : wanted->parameters) parameters[name] = value;
  wanted->client_id = message.client_id;
  if (message.grant != nullptr && message.grant->principal_kind() == mqtt::PrincipalKind::kCertificate) {
    wanted->claim_certificate_id = message.grant->principal_id();
  }
  ++state_->running;
  state_->provisioner.run(*std::move(wanted), [state = state_, request](Result<provisioning::FleetAnswer> answer) {
    state->loop.post([state, request, answer = std::move(answer)] { state->done(request, answer); });
  });
  return true;
}

}  // namespace muster::api::device
