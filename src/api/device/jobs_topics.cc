// SPDX-License-Identifier: Apache-2.0
#include "api/device/jobs_topics.h"

#include <algorithm>

#include "api/device/jobs_requests.h"
#include "api/device/reserved_topics.h"
#include "base/ids.h"
#include "base/log.h"

namespace muster::api::device {

namespace {

constexpr std::string_view kPrefix = "$aws/things/";
constexpr std::string_view kJobs = "/jobs/";
constexpr std::string_view kNamespace = "namespace-";

using Call = JobsTopic::Call;

// [a-zA-Z0-9_-]+, as job ids but of any length.
bool is_namespace_id(std::string_view text) {
  const auto legal = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
  };
  return !text.empty() && std::ranges::all_of(text, legal);
}

// JOB/get, JOB/update and the same with a namespace between: JOB/namespace-NAMESPACE/get.
void parse_job_call(std::string_view rest, JobsTopic& topic) {
  const auto slash = rest.find('/');
  if (slash == std::string_view::npos) return;
  const std::string_view job = rest.substr(0, slash);
  std::string_view verb = rest.substr(slash + 1);
  if (job != jobs::kNext && !is_job_id(job)) return;
  std::string_view namespace_id;
  if (verb.starts_with(kNamespace)) {
    const auto next = verb.find('/');
    if (next == std::string_view::npos) return;
    namespace_id = verb.substr(kNamespace.size(), next - kNamespace.size());
    if (!is_namespace_id(namespace_id)) return;
    verb = verb.substr(next + 1);
  }
  if (verb != "get" && verb != "update") return;
  topic.job = job;
  topic.namespace_id = namespace_id;
  // $next/update too: AWS answers it with InvalidRequest, as a bad job id (aws-iot-device-sdk-cpp-v2, issue 357), and
  // so does update_execution().
  topic.call = verb == "get" ? Call::kDescribe : Call::kUpdate;
}

}  // namespace

std::optional<JobsTopic> parse_jobs_topic(std::string_view topic) {
  if (!topic.starts_with(kPrefix)) return std::nullopt;
  const std::string_view tail = topic.substr(kPrefix.size());
  const auto end = tail.find(kJobs);
  if (end == std::string_view::npos || tail.substr(0, end).find('/') != std::string_view::npos) return std::nullopt;
  JobsTopic parsed;
  parsed.thing = tail.substr(0, end);
  if (!is_thing_name(parsed.thing)) return parsed;
  const std::string_view rest = tail.substr(end + kJobs.size());
  if (rest == "get") {
    parsed.call = Call::kGetPending;
  } else if (rest == "start-next") {
    parsed.call = Call::kStartNext;
  } else {
    parse_job_call(rest, parsed);
  }
  return parsed;
}

struct JobsTopics::State : std::enable_shared_from_this<JobsTopics::State> {
  io::Loop& loop;
  const io::Clock& clock;
  store::Store& store;
  const jobs::Context context;
  const jobs::Signals signals;
  bool stopped = false;  // the loop's thread only

  State(io::Loop& l, const io::Clock& c, store::Store& s, jobs::Context x, jobs::Signals g)
      : loop(l), clock(c), store(s), context(std::move(x)), signals(std::move(g)) {}

  // One request from its PUBLISH to its reply.
  struct Request {
    std::string topic;
    std::function<void(std::string, std::string)> reply;
    std::function<void(bool)> handled;
    std::optional<std::string> token;
    // Written by the transaction's body.
    std::int64_t now_ms = 0;
    std::string members;
    jobs::Effects effects;
  };

  void accept(Request& request) {
    request.reply(request.topic + "/accepted", accepted_payload(request.token, request.now_ms, request.members));
  }

  void reject(Request& request, const Error& error) {
    if (error.kind == ErrorKind::kInternal) {
      log::error("jobs request failed", {{"topic", request.topic}, {"error", error.message}});
    }
    request.reply(request.topic + "/rejected", rejected_payload(request.token, request.now_ms, error));
  }

  void finish(Request& request, const Status& status) {
    if (stopped) return;
    if (status) {
      accept(request);
    } else {
      reject(request, status.error());
    }
    request.handled(true);
    // After the reply: a device reads accepted before the notifications that its own update caused.
    if (status) signals.send(request.effects);
  }

  // `work` writes the accepted members; it may run more than once.
  template <class F>
  void run(std::shared_ptr<Request> request, F work) {
    auto* pending = request.get();
    store.run(
        [pending, work = std::move(work), self = this](store::Tx& tx) -> Status {
          pending->now_ms = tx.now_ms();
          pending->effects = {};
          TRY(pending->members, work(self->context, tx, pending->effects));
          return {};
        },
        [self = shared_from_this(), request = std::move(request)](Status status) {
          self->loop.post([self, request, status = std::move(status)] { self->finish(*request, status); });
        });
  }

  Status dispatch(const JobsTopic& topic, const json::object& body, const std::shared_ptr<Request>& request);
};

Status JobsTopics::State::dispatch(const JobsTopic& topic, const json::object& body,
                                   const std::shared_ptr<Request>& request) {
  switch (topic.call) {
    case Call::kGetPending:
      run(request, [thing = topic.thing](const jobs::Context&, store::Tx& tx, jobs::Effects&) -> Result<std::string> {
        TRY(const auto lists, jobs::get_pending(tx, thing));
        return pending_members(lists);
      });
      return {};
    case Call::kStartNext: {
      TRY(auto start, parse_start_next(topic.thing, body));
      run(request,
          [start = std::move(start)](const jobs::Context& c, store::Tx& tx,
                                     jobs::Effects& effects) -> Result<std::string> {
            TRY(const auto execution, jobs::start_next(c, tx, start, effects));
            return execution_member(execution);
          });
      return {};
    }
    case Call::kDescribe: {
      TRY(auto describe, parse_describe(topic.thing, topic.job, body));
      describe.namespace_id = topic.namespace_id;
      run(request,
          [describe = std::move(describe)](const jobs::Context& c, store::Tx& tx,
                                           jobs::Effects&) -> Result<std::string> {
            TRY(const auto execution, jobs::describe_for_device(c, tx, describe));
            return execution_member(execution);
          });
      return {};
    }
    case Call::kUpdate: {
      TRY(auto update, parse_update(topic.thing, topic.job, body));
      update.namespace_id = topic.namespace_id;
      run(request,
          [update = std::move(update)](const jobs::Context& c, store::Tx& tx,
                                       jobs::Effects& effects) -> Result<std::string> {
            TRY(const auto updated, jobs::update_execution(c, tx, update, effects));
            return updated_members(updated);
          });
      return {};
    }
    case Call::kUnknown:
      break;
  }
  return make_error(ErrorKind::kInvalid, "The topic does not name a Jobs API.", "InvalidTopic");
}

JobsTopics::JobsTopics(io::Loop& loop, const io::Clock& clock, store::Store& store, jobs::Context context,
                       jobs::Signals signals)
    : state_(std::make_shared<State>(loop, clock, store, std::move(context), std::move(signals))) {}

JobsTopics::~JobsTopics() {
  state_->stopped = true;
}

bool JobsTopics::handle(const mqtt::Ingress& message, std::function<void(bool accepted)> handled) {
  const auto topic = parse_jobs_topic(message.topic);
  if (!topic) return false;
  // What only the server says; the broker refuses it like every reserved topic without an owner.
  if (topic->call == JobsTopic::Call::kUnknown && is_jobs_answer_topic(message.topic)) return false;
  auto request = std::make_shared<State::Request>();
  request->topic = message.topic;
  request->reply = message.reply;
  request->handled = std::move(handled);
  request->now_ms = state_->clock.now_ms();
  const auto refuse = [&](const Error& error) {
    state_->reject(*request, error);
    request->handled(true);
    return true;
  };
  auto body = parse_jobs_request(message.payload);
  if (!body) return refuse(body.error());
  auto token = client_token(*body);
  if (!token) return refuse(token.error());
  request->token = *std::move(token);
  if (const auto status = state_->dispatch(*topic, *body, request); !status) return refuse(status.error());
  return true;
}

}  // namespace muster::api::device
