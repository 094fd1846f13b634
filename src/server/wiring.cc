// SPDX-License-Identifier: Apache-2.0
// The map of the program: its parts in the order of construction (parts.h), how it starts and how it stops. The other
// wiring_*.cc build what is named in them.
#include "server/parts.h"

#include "base/json.h"
#include "base/log.h"
#include "io/files.h"
#include "mqtt/broker/broker_metrics.h"
#include "server/draining.h"
#include "store/cluster_engine.h"
#include "store/embedded_engine.h"

namespace muster::server {
namespace {

constexpr std::int64_t kBlobSweepEveryMs = 60'000;
constexpr std::int64_t kBlobGraceMs = 60'000;

}  // namespace

Status Server::Parts::open_store() {
  if (config.store_engine == "postgresql") {
    TRY(store, store::open_cluster_store({.connection = config.store_postgresql, .clock = &clock}));
  } else {
    TRY(store, store::open_embedded_store({.directory = data.file("store"), .clock = &clock}));
  }
  TRY(blobs, objects::Blobs::open(data.file("blobs")));
  TRY(auto removed, blobs->recover(*store));
  if (removed > 0) log::info("removed unfinished uploads", {{"count", static_cast<std::uint64_t>(removed)}});
  return {};
}

Status Server::Parts::open_account() {
  TRY(account, store::run_blocking_for(*store, [&](store::Tx& tx) { return iam::ensure_account(tx, config.region); }));
  json::object key{{"accessKeyId", account.root_key.id}, {"secretAccessKey", account.root_key.secret}};
  std::string text = to_text(key);
  if (data.read("root-key.json") != text) TRY_VOID(data.write("root-key.json", text));
  TRY(identity, ensure_tls_identity(data, config.tls_names, clock.now_ms()));
  return {};
}

void Server::Parts::sweep_blobs() {
  pool->submit([this] {
    auto removed = blobs->sweep(*store, kBlobGraceMs);
    if (!removed) log::warn("removing old object bytes failed", {{"reason", removed.error().message}});
  });
  sweep_timer = api_loop.after_ms(kBlobSweepEveryMs, [this] { sweep_blobs(); });
}

Server::Server(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}

Server::~Server() {
  stop();
}

Result<std::unique_ptr<Server>> Server::create(const Config& config, const DataDir& data) {
  auto parts = std::make_unique<Parts>(config, data);
  TRY_VOID(parts->open_store());
  TRY_VOID(parts->open_account());
  TRY_VOID(parts->open_audit());
  TRY_VOID(parts->open_ports());
  TRY_VOID(parts->make_callers());
  TRY_VOID(parts->make_broker());
  parts->make_jobs();
  parts->make_fleet_index();
  parts->make_shadows();
  parts->make_group_builder();
  parts->make_provisioning();
  parts->make_operations();
  TRY_VOID(parts->make_http());
  return std::make_unique<Server>(std::move(parts));
}

void Server::start() {
  Parts& p = *parts_;
  const auto token = [&p](const io::HttpRequest& request) {
    const auto query = api::parse_form(request.raw_query(), 64 * 1024);
    return query && p.custom_authorizers->claims(request, *query);
  };
  FrontDoor::Handlers handlers;
  handlers.api = [&p](io::HttpRequest& request, io::HttpBody& body) -> boost::asio::awaitable<io::HttpResponse> {
    if (auto answer = p.admin->answer(request)) co_return std::move(*answer);
    co_return co_await p.pipeline->handle(request, body, api::Front::kApi);
  };
  handlers.device = [&p](io::HttpRequest& request, io::HttpBody& body) -> boost::asio::awaitable<io::HttpResponse> {
    if (p.credentials_provider->wants(request)) co_return co_await p.credentials_provider->answer(request);
    co_return co_await p.pipeline->handle(request, body, api::Front::kDevice);
  };
  p.door->start(*p.broker, *p.upgrade, token, std::move(handlers));
  mqtt::register_listener_metrics(p.metrics, *p.broker);
  p.start_fleet_index();
  p.broker->start();
  if (p.sys_topics) p.sys_topics->start();
  p.timers->start_thread();
  p.engine->start_thread();
  p.group_builder->start_thread();
  p.registration_worker->start_thread();
  for (const auto& loop : p.device_loops) loop->start();
  p.api_loop.start();
  p.api_loop.post([&p] { p.sweep_blobs(); });
  p.started = true;
}

void Server::stop() {
  Parts& p = *parts_;
  if (!std::exchange(p.started, false)) return;
  p.readiness->set_stopping();
  p.door->close();
  wait_for([&p] { return p.door->running_requests() == 0; }, p.config.drain_s * 1000);
  wait_for_call([&p](auto done) { p.broker->stop(done); }, p.config.drain_s * 1000);
  p.registration_worker->stop();
  p.indexer->stop();  // whom the group builder may wait for
  p.group_builder->stop();
  p.connectivity->stop();
  p.engine->stop();
  for (const auto& loop : p.device_loops) loop->stop();
  p.api_loop.stop();
  p.http_client->stop();  // what it still calls back is about loops that have ended
  p.queries.reset();
  p.pool.reset();
  p.trail.reset();   // its last answers go to loops that are still there
  p.timers.reset();  // its handlers wake the outbox
  p.notices->stop();
  p.outbox.reset();
  p.store->flush();
}

const Endpoints& Server::endpoints() const {
  return parts_->endpoints;
}
bool Server::first_start() const {
  return parts_->account.created;
}

}  // namespace muster::server
