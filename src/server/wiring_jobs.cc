// SPDX-License-Identifier: Apache-2.0
// Jobs: the engine, its timers and messages, and the dynamic thing groups that feed it.
#include "server/parts.h"

#include "api/services/iot/jobs_objects.h"
#include "domain/fleet/document.h"
#include "domain/jobs/membership.h"
#include "server/job_limits.h"

namespace muster::server {

void Server::Parts::make_jobs() {
  std::string origin = config.http_public_origin.empty() ? endpoints.api_origin : config.http_public_origin;
  jobs_context = jobs::make_context(account.realm, api::iot::job_url_parser(config.http_base_domains),
                                    api::iot::job_url_signer(account.realm, origin), job_limits(config));
  notices = std::make_unique<jobs::NoticeExpander>(
      *store, *jobs_context, [this](std::string_view topic) { return broker->wanted(topic); },
      [this](auto batch, auto handled) { broker->publish_from_server(std::move(batch), std::move(handled)); });
  outbox = std::make_unique<store::Outbox>(
      *store, [this](auto batch, auto handled) { notices->publish(std::move(batch), std::move(handled)); });
  timers = std::make_unique<store::Timers>(*store, [this] { return clock.now_ms(); });
  signals.outbox = [this] { outbox->wake(); };
  signals.engine = [this](std::string_view job_id) { engine->poke(job_id); };
  engine = std::make_unique<jobs::Engine>(*store, *jobs_context, signals, [this] { return clock.now_ms(); });
  engine->register_timers(*timers);
  for (std::size_t shard = 0; shard < device_loops.size(); ++shard) {
    jobs_topics.push_back(
        std::make_unique<api::device::JobsTopics>(*device_loops[shard], clock, *store, *jobs_context, signals));
    broker->add_ingress(shard, *jobs_topics.back());
  }
}

// Who joins or leaves a dynamic group while it is built joins or leaves its continuous jobs, in the same transaction.
void Server::Parts::make_group_builder() {
  auto changed = [this](store::Tx& tx, std::string_view thing, const std::vector<std::string>& before,
                        const std::vector<std::string>& after) -> Status {
    return jobs::membership_changed(*jobs_context, tx, thing, before, after, built);
  };
  // A run that was thrown away has left its effects too: one look too many at a job is harmless.
  auto committed = [this] { signals.send(std::exchange(built, {})); };
  group_builder = std::make_unique<registry::DynamicGroupBuilder>(
      *store, changed, committed, fleet::index_fields,
      [this](const registry::FleetQuery& query) { return indexer->candidates(query); });
}

}  // namespace muster::server
