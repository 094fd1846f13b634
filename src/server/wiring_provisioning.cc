// SPDX-License-Identifier: Apache-2.0
// Provisioning: what it does to others (connections, jobs, messages), its timers, its worker, its MQTT topics.
#include "server/parts.h"

#include "api/services/provisioning/provisioning.h"
#include "base/sigv4.h"
#include "domain/jobs/membership.h"
#include "domain/provisioning/claims.h"
#include "domain/provisioning/ownership.h"

namespace muster::server {

namespace {

constexpr std::int64_t kReportLinkSeconds = 3600;

}  // namespace

void Server::Parts::make_provisioning() {
  provisioning::Context& context = provisioning_context;
  context.realm = account.realm;
  context.authority = &identity->authority;
  context.policies = &provisioning_policies;
  context.follow = [this](store::Tx& tx, const registry::MembershipChange& change,
                          provisioning::Effects& effects) -> Status {
    jobs::Effects own;
    TRY_VOID(jobs::membership_changed(*jobs_context, tx, change.thing, change.before, change.after, own));
    effects.messages |= own.messages;
    if (!own.jobs.empty()) effects.committed.emplace_back([this, own = std::move(own)] { signals.send(own); });
    return {};
  };
  context.announce = [this](const provisioning::Effects& effects) {
    for (const auto& call : effects.committed) call();
    if (effects.messages) outbox->wake();
  };
  using Committed = std::function<void()>;
  timers->handle(provisioning::kClaimTimer,
                 [&context](store::Tx& tx, std::string_view id, std::string_view, Committed&) {
                   return provisioning::expire_claim(context, tx, id);
                 });
  timers->handle(provisioning::kOwnershipTimer,
                 [&context](store::Tx& tx, std::string_view id, std::string_view, Committed&) {
                   return provisioning::expire_token(context, tx, id);
                 });
  timers->handle(provisioning::kTaskTimer,
                 [this](store::Tx& tx, std::string_view id, std::string_view, std::function<void()>&) {
                   return provisioning::remove_task(tx, account.realm, id);
                 });
  fleet_provisioner = std::make_unique<provisioning::FleetProvisioner>(context, *store, invoker.get());
  registration_worker =
      std::make_unique<provisioning::RegistrationWorker>(context, *store, *blobs, [this] { return clock.now_ms(); });
  for (std::size_t shard = 0; shard < device_loops.size(); ++shard) {
    io::Loop& loop = *device_loops[shard];
    certificate_topics.push_back(
        std::make_unique<api::device::CertificateTopics>(loop, clock, *store, *pool, context, device_calls));
    provisioning_topics.push_back(
        std::make_unique<api::device::ProvisioningTopics>(loop, *fleet_provisioner, device_calls));
    broker->add_ingress(shard, *certificate_topics.back());
    broker->add_ingress(shard, *provisioning_topics.back());
  }
}

void Server::Parts::make_provisioning_operations() {
  api::iot::ProvisioningServices services;
  services.store = store.get();
  services.context = &provisioning_context;
  services.pool = pool.get();
  services.wake_worker = [this] { registration_worker->poke(); };
  const std::string origin = config.http_public_origin.empty() ? endpoints.api_origin : config.http_public_origin;
  // The caller was allowed to list the reports; the link opens this one object for whoever has it, as on AWS.
  services.sign_report = [this, origin](std::string_view bucket, std::string_view key, std::int64_t now_ms) {
    sigv4::PresignInput input;
    input.method = "GET";
    input.origin = origin;
    input.path = "/" + std::string(bucket) + "/" + std::string(key);
    input.region = account.realm.region;
    input.now_ms = now_ms;
    input.expires_seconds = kReportLinkSeconds;
    return sigv4::presign({.access_key_id = account.root_key.id, .secret_access_key = account.root_key.secret}, input);
  };
  api::iot::register_provisioning(operations, services);
}

}  // namespace muster::server
