// SPDX-License-Identifier: Apache-2.0
#include "api/wire/pipeline.h"

#include <array>
#include <exception>

#include "api/wire/cors.h"
#include "api/wire/errors.h"
#include "api/wire/pipeline_stages.h"
#include "base/crypto.h"
#include "base/log.h"

namespace muster::api {
namespace {

using Stages = PipelineStages;

struct Stage {
  std::string_view name;
  Status (Stages::*at_once)(Exchange&) const = nullptr;
  io::Task<void> (Stages::*waiting)(Exchange&) const = nullptr;
};

// In this order because:
constexpr std::array kStages = {
    // a browser asks before it signs, so nothing below can judge it;
    Stage{"preflight", &Stages::answer_cors},
    // everything below reads the query decoded once, so that no two stages disagree about it;
    Stage{"query", &Stages::read_query},
    // the credential scope names the service, and two kinds of credential must not reach any further;
    Stage{"signature", &Stages::find_signature},
    Stage{"service", &Stages::find_service},
    // needed to know whether strangers may call it; a wrong path is reported only after authentication;
    Stage{"operation", &Stages::find_operation},
    // before any byte of the body is interpreted;
    Stage{"authenticate", nullptr, &Stages::authenticate},
    // names the operation that is not served, now that the caller is known;
    Stage{"supported", &Stages::require_operation},
    // bounded, and checked against the signature while it is read; streamed payloads stay for the handler;
    Stage{"body", nullptr, &Stages::read_body},
    // the query protocol keeps its operation in the body;
    Stage{"action", &Stages::find_action},
    // refused members are named here, before anything was done;
    Stage{"input", &Stages::parse},
    // the audit log keeps what was asked for, denied or not; the handler takes the input away;
    Stage{"note", &Stages::note_input},
    // needs the input: resources are named there;
    Stage{"authorize", nullptr, &Stages::authorize},
    // what could not be recorded afterwards must not be done; behind the decision: strangers do not learn of the disk;
    Stage{"audit", &Stages::may_change},
    Stage{"handler", nullptr, &Stages::call},
    Stage{"output", &Stages::serialise},
};

}  // namespace

struct Pipeline::State {
  State(const PipelineParts& parts, PipelineOptions options) : stages(parts, std::move(options)) {}

  io::Task<void> run(Exchange& exchange, std::string_view& stage_name) const {
    for (const Stage& stage : kStages) {
      stage_name = stage.name;
      if (stage.at_once != nullptr) {
        CO_TRY_VOID((stages.*stage.at_once)(exchange));
      } else {
        CO_TRY_VOID(co_await (stages.*stage.waiting)(exchange));
      }
      if (exchange.answered) break;
    }
    co_return Status();
  }

  PipelineStages stages;
};

Pipeline::Pipeline(const PipelineParts& parts, PipelineOptions options)
    : state_(std::make_unique<State>(parts, std::move(options))) {}
Pipeline::~Pipeline() = default;

boost::asio::awaitable<io::HttpResponse> Pipeline::handle(io::HttpRequest& request, io::HttpBody& body, Front front) {
  const PipelineStages& stages = state_->stages;
  std::int64_t started_ms = stages.clock().steady_ms();
  Exchange exchange{request, body};
  exchange.front = front;
  exchange.request_id = random_uuid();
  exchange.now_ms = stages.clock().now_ms();
  std::string_view stage_name;
  Status status;
  try {
    status = co_await state_->run(exchange, stage_name);
  } catch (const std::exception& thrown) {
    status = internal(std::string("exception: ") + thrown.what());
  }
  if (!status) stages.fail(exchange, status.error(), stage_name);
  Status recorded = co_await stages.record(exchange);
  if (!recorded) stages.fail(exchange, recorded.error(), "record");
  stages.finish(exchange, stages.clock().steady_ms() - started_ms);
  co_return std::move(exchange.response);
}

}  // namespace muster::api
