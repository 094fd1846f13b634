// SPDX-License-Identifier: Apache-2.0
#include "api/device/shadow_topics.h"

#include "base/ids.h"
#include "base/log.h"

namespace muster::api::device {

namespace {

constexpr std::string_view kPrefix = "$aws/things/";
constexpr std::string_view kShadow = "/shadow/";
constexpr std::string_view kName = "name/";

using Call = ShadowTopic::Call;

std::optional<Call> call_of(std::string_view verb) {
  if (verb == "get") return Call::kGet;
  if (verb == "update") return Call::kUpdate;
  if (verb == "delete") return Call::kDelete;
  return std::nullopt;
}

}  // namespace

std::optional<ShadowTopic> parse_shadow_topic(std::string_view topic) {
  if (!topic.starts_with(kPrefix)) return std::nullopt;
  std::string_view rest = topic.substr(kPrefix.size());
  const auto slash = rest.find('/');
  if (slash == std::string_view::npos || !rest.substr(slash).starts_with(kShadow)) return std::nullopt;
  ShadowTopic parsed;
  parsed.id.thing = rest.substr(0, slash);
  if (!is_thing_name(parsed.id.thing)) return std::nullopt;
  rest.remove_prefix(slash + kShadow.size());
  if (rest.starts_with(kName)) {
    rest.remove_prefix(kName.size());
    const auto end = rest.find('/');
    if (end == std::string_view::npos || !shadows::is_shadow_name(rest.substr(0, end))) return std::nullopt;
    parsed.id.shadow = rest.substr(0, end);
    rest.remove_prefix(end + 1);
  }
  const auto call = call_of(rest);
  if (!call) return std::nullopt;
  parsed.call = *call;
  return parsed;
}

struct ShadowTopics::State : std::enable_shared_from_this<ShadowTopics::State> {
  io::Loop& loop;
  const io::Clock& clock;
  store::Store& store;
  const ShadowPort port;
  bool stopped = false;  // the loop's thread only

  State(io::Loop& l, const io::Clock& c, store::Store& s, ShadowPort p)
      : loop(l), clock(c), store(s), port(std::move(p)) {}

  // One request from its PUBLISH to its acknowledgement.
  struct Request {
    std::string topic;
    ShadowTopic parsed;
    std::function<void(bool)> handled;
    shadows::Token token;
    std::optional<shadows::Update> update;  // of kUpdate
    // Written by the transaction's body.
    std::int64_t now_ms = 0;
    std::string accepted;
  };
  using Shared = std::shared_ptr<Request>;

  void answer(const Shared& request, std::string_view suffix, std::string payload) {
    std::string topic = request->topic + std::string(suffix);
    if (port.wanted && !port.wanted(topic)) return request->handled(true);
    auto done = [self = shared_from_this(), request](bool published) {
      self->loop.post([self, request, published] {
        if (!self->stopped) request->handled(published);
      });
    };
    port.publish(std::move(topic), std::move(payload), std::move(done));
  }

  void reject(const Shared& request, const Error& error) {
    const int code = shadows::rejected_code(error);
    if (code == 500) log::error("shadow request failed", {{"topic", request->topic}, {"error", error.message}});
    answer(request, "/rejected", shadows::rejected_payload(error, request->now_ms, request->token));
  }

  void finish(const Shared& request, const Status& status) {
    if (stopped) return;
    if (!status) return reject(request, status.error());
    if (request->parsed.call == Call::kGet) return answer(request, "/accepted", std::move(request->accepted));
    request->handled(true);
    port.wake_outbox();
  }

  Result<std::string> carry_out(store::Tx& tx, const Request& request) const {
    switch (request.parsed.call) {
      case Call::kGet:
        return shadows::get_shadow(tx, request.parsed.id, request.token);
      case Call::kUpdate:
        return shadows::update_shadow(tx, request.parsed.id, *request.update, request.token, port.wanted);
      case Call::kDelete:
        break;
    }
    return shadows::delete_shadow(tx, request.parsed.id, request.token, port.wanted);
  }

  void run(const Shared& request) {
    auto* pending = request.get();
    store.run(
        [pending, self = this](store::Tx& tx) -> Status {
          pending->now_ms = tx.now_ms();
          TRY(pending->accepted, self->carry_out(tx, *pending));
          return {};
        },
        [self = shared_from_this(), request](Status status) {
          self->loop.post([self, request, status = std::move(status)] { self->finish(request, status); });
        });
  }
};

namespace {

// Into the request: its token first, so that a refusal of the rest still carries it.
template <class Request>
Status read_request(Request& request, std::string_view payload) {
  json::object body;
  if (request.parsed.call == Call::kUpdate) {
    TRY(body, shadows::parse_update_body(payload));
  } else {
    body = shadows::parse_other_body(payload);
  }
  TRY(request.token, shadows::client_token(body));
  if (request.parsed.call == Call::kUpdate) {
    TRY(request.update, shadows::read_update(std::move(body)));
  }
  return {};
}

}  // namespace

ShadowTopics::ShadowTopics(io::Loop& loop, const io::Clock& clock, store::Store& store, ShadowPort port)
    : state_(std::make_shared<State>(loop, clock, store, std::move(port))) {}

ShadowTopics::~ShadowTopics() {
  state_->stopped = true;
}

bool ShadowTopics::handle(const mqtt::Ingress& message, std::function<void(bool accepted)> handled) {
  auto topic = parse_shadow_topic(message.topic);
  if (!topic) return false;
  auto request = std::make_shared<State::Request>();
  request->topic = message.topic;
  request->parsed = *std::move(topic);
  request->handled = std::move(handled);
  request->now_ms = state_->clock.now_ms();
  if (const auto status = read_request(*request, message.payload); status) {
    state_->run(request);
  } else {
    state_->reject(request, status.error());
  }
  return true;
}

}  // namespace muster::api::device
