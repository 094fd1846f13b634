// SPDX-License-Identifier: Apache-2.0
// The map of the program: every object, constructed in order, handed to who needs it. Nothing is found by name at run
// time and there are no singletons.
#include "api/device/authorizer.h"
#include "api/device/denials.h"
#include "api/device/jobs_topics.h"
#include "api/device/lifecycle_events.h"
#include "api/device/websocket_upgrade.h"
#include "api/services/admin/jobs_admin.h"
#include "api/services/data/iot_data.h"
#include "api/services/data/jobs_data.h"
#include "api/services/iam/iam.h"
#include "api/services/iot/jobs.h"
#include "api/services/iot/jobs_objects.h"
#include "api/services/iot/registry_services.h"
#include "api/services/s3/s3.h"
#include "api/wire/pipeline.h"
#include "api/wire/validate.h"
#include "base/json.h"
#include "base/log.h"
#include "domain/iam/identities.h"
#include "domain/jobs/engine.h"
#include "domain/jobs/membership.h"
#include "domain/jobs/notices.h"
#include "domain/registry/dynamic_group_builder.h"
#include "io/env.h"
#include "io/files.h"
#include "io/net.h"
#include "mqtt/broker/broker.h"
#include "mqtt/broker/broker_metrics.h"
#include "server/admin.h"
#include "server/broker_limits.h"
#include "server/device_port.h"
#include "server/draining.h"
#include "server/front_door.h"
#include "server/job_limits.h"
#include "server/message_port.h"
#include "server/meters.h"
#include "server/readiness.h"
#include "server/server.h"
#include "server/sys_topics.h"
#include "server/tls_identity.h"
#include "store/cluster_engine.h"
#include "store/embedded_engine.h"
#include "store/outbox.h"
#include "store/timers.h"

namespace muster::server {
namespace {

constexpr int kBlockingThreads = 4;
constexpr std::int64_t kBlobSweepEveryMs = 60'000;
constexpr std::int64_t kBlobGraceMs = 60'000;

}  // namespace

// In the order of construction; destroyed in reverse. Threads are stopped by stop() before anything is destroyed.
struct Server::Parts {
  Parts(const Config& c, const DataDir& d) : config(c), data(d) {}

  Config config;
  DataDir data;
  io::SystemClock clock;
  metrics::Registry metrics;
  std::unique_ptr<store::Store> store;
  iam::Account account;
  std::optional<TlsIdentity> identity;
  std::unique_ptr<objects::Blobs> blobs;
  Endpoints endpoints;

  // One loop for HTTP, the others for the devices: a burst of API calls does not delay MQTT, and the reverse.
  io::Loop api_loop{"api"};
  std::vector<std::unique_ptr<io::Loop>> device_loops;
  std::unique_ptr<io::BlockingPool> pool;
  std::unique_ptr<FrontDoor> door;

  registry::PolicyGenerations generations;
  std::unique_ptr<iam::StoreCredentials> credentials;
  api::device::Denials denials{clock};
  std::vector<std::unique_ptr<api::device::DeviceAuthorizer>> authorizers;  // by device loop
  std::unique_ptr<api::device::LifecycleEvents> lifecycle;
  std::unique_ptr<mqtt::Broker> broker;
  std::unique_ptr<SysTopics> sys_topics;
  std::unique_ptr<jobs::NoticeExpander> notices;
  std::unique_ptr<store::Outbox> outbox;
  std::unique_ptr<store::Timers> timers;
  std::optional<jobs::Context> jobs_context;
  jobs::Signals signals;
  std::unique_ptr<jobs::Engine> engine;
  jobs::Effects built;  // of the builder's transaction; on its thread
  std::unique_ptr<registry::DynamicGroupBuilder> group_builder;
  std::vector<std::unique_ptr<api::device::JobsTopics>> jobs_topics;  // by device loop
  api::Operations operations;
  std::unique_ptr<api::Pipeline> pipeline;
  std::unique_ptr<api::device::WebSocketUpgrade> upgrade;
  std::unique_ptr<Readiness> readiness;
  std::unique_ptr<Admin> admin;
  std::unique_ptr<io::Loop::TimerToken> sweep_timer;
  bool started = false;

  Status open_store();
  Status open_account();
  Status open_ports();
  Result<std::uint16_t> open_on_each_address(io::ListenOptions options);
  Status make_broker();
  void make_jobs();
  void make_group_builder();
  void make_operations();
  Status make_http();
  void sweep_blobs();
};

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

// One port on every configured address. A host without IPv6 has no "::"; there every IPv4 address is meant.
Result<std::uint16_t> Server::Parts::open_on_each_address(io::ListenOptions options) {
  for (const std::string& address : config.device_address) {
    options.address = address;
    auto port = door->open_device(options);
    if (!port && address == "::") {
      options.address = "0.0.0.0";
      port = door->open_device(options);
    }
    if (!port) return port.error();
    options.port = *port;
  }
  return options.port;
}

// Binds every port before anything is served, so that a taken port is an error of the start.
Status Server::Parts::open_ports() {
  const std::size_t loops = config.device_loops > 0 ? static_cast<std::size_t>(config.device_loops)
                                                    : std::min<std::size_t>(io::available_processors(), 64);
  std::vector<io::Loop*> loop_list;
  for (std::size_t i = 0; i < loops; ++i) {
    device_loops.push_back(std::make_unique<io::Loop>("device"));
    loop_list.push_back(device_loops.back().get());
  }
  door = std::make_unique<FrontDoor>(api_loop, loop_list, metrics);
  TRY(auto api_tls, io::TlsContext::create({.certificate_chain_pem = identity->chain_pem,
                                            .private_key_pem = identity->key_pem,
                                            .client_ca_pem = {},
                                            .alpn = {"http/1.1"}}));
  bool loopback = config.http_address.starts_with("127.") || config.http_address == "::1";
  io::ListenOptions api{.address = config.http_address, .port = static_cast<std::uint16_t>(config.http_port)};
  api.tls = loopback || config.http_plain ? io::ListenOptions::Tls::kByFirstByte : io::ListenOptions::Tls::kAlways;
  api.context = api_tls;
  api.max_connections = static_cast<std::size_t>(config.http_max_connections);
  TRY(auto api_port, door->open_api(api));

  // Asked for, not required: a signed WebSocket has none, and who has nothing else is refused by the authorizer.
  TRY(auto device_tls, io::TlsContext::create({.certificate_chain_pem = identity->chain_pem,
                                               .private_key_pem = identity->key_pem,
                                               .client_certificate = io::ClientCertificate::kOptional,
                                               .client_ca_pem = {},
                                               .alpn = {"x-amzn-mqtt-ca", "mqtt", "x-amzn-http-ca", "http/1.1"}}));
  io::ListenOptions device{.port = static_cast<std::uint16_t>(config.device_port)};
  device.tls = io::ListenOptions::Tls::kAlways;
  device.context = device_tls;
  device.max_connections = static_cast<std::size_t>(config.device_max_connections);
  TRY(endpoints.device_port, open_on_each_address(device));
  if (config.device_https_port >= 0) {
    device.port = static_cast<std::uint16_t>(config.device_https_port);
    TRY(endpoints.device_https_port, open_on_each_address(device));
  }
  if (config.plain_mqtt_port >= 0) {
    io::ListenOptions plain{.address = "127.0.0.1", .port = static_cast<std::uint16_t>(config.plain_mqtt_port)};
    plain.max_connections = static_cast<std::size_t>(config.device_max_connections);
    TRY(endpoints.plain_mqtt_port, door->open_plain_mqtt(plain));
  }
  bool any = config.http_address == "0.0.0.0" || config.http_address == "::";
  std::string host = any ? config.tls_names.front() : config.http_address;
  if (host.find(':') != std::string::npos) host = "[" + host + "]";
  bool plain_api = api.tls == io::ListenOptions::Tls::kByFirstByte;
  endpoints.api_origin = (plain_api ? "http://" : "https://") + host + ":" + std::to_string(api_port);
  endpoints.device_host = config.device_host.empty() ? config.tls_names.front() : config.device_host;
  endpoints.region = account.realm.region;
  endpoints.account_id = account.realm.account_id;
  endpoints.ca_file = identity->ca_file;
  return {};
}

Status Server::Parts::make_broker() {
  pool = std::make_unique<io::BlockingPool>(kBlockingThreads);
  credentials = std::make_unique<iam::StoreCredentials>(*store, account.realm);
  api::device::AuthorizerOptions authorizer_options;
  authorizer_options.plain_policy = config.plain_mqtt_policy;
  authorizer_options.sys_topics = config.mqtt_sys_interval_s > 0;
  authorizer_options.denials = &denials;
  std::vector<mqtt::BrokerLoop> loops;
  for (const auto& loop : device_loops) {
    authorizers.push_back(
        std::make_unique<api::device::DeviceAuthorizer>(*loop, *store, account.realm, generations, authorizer_options));
    loops.push_back({loop.get(), authorizers.back().get()});
  }
  mqtt::BrokerOptions options = broker_limits(config);
  options.message_log_directory = data.file("mqtt");
  TRY(broker, mqtt::Broker::create(loops, clock, *store, options));
  const auto tell = [this](std::string topic, std::string payload) {
    mqtt::ServerMessage message{.topic = std::move(topic), .payload = std::move(payload), .qos = 1};
    broker->publish(std::move(message), nullptr);
  };
  lifecycle = std::make_unique<api::device::LifecycleEvents>(tell, !account.created, clock.now_ms());
  lifecycle->ask_first([this](std::string_view topic) { return broker->wanted(topic); });
  broker->set_lifecycle(*lifecycle);
  if (config.mqtt_sys_interval_s > 0) {
    sys_topics = std::make_unique<SysTopics>(*device_loops.front(), clock, *broker, config.mqtt_sys_interval_s);
  }
  // After a change of a principal or its policies, once the authorizer has read it again.
  for (std::size_t shard = 0; shard < authorizers.size(); ++shard) {
    authorizers[shard]->on_reloaded(
        [this, shard](std::string principal_id) { broker->recheck(shard, std::move(principal_id)); });
  }
  return {};
}

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
  group_builder = std::make_unique<registry::DynamicGroupBuilder>(*store, changed, committed);
}

void Server::Parts::make_operations() {
  api::iot::RegistryServices registry;
  registry.store = store.get();
  registry.realm = account.realm;
  registry.generations = &generations;
  registry.endpoints.host = endpoints.device_host;
  registry.endpoints.https_port =
      endpoints.device_https_port != 0 ? endpoints.device_https_port : endpoints.device_port;
  registry.authority = &identity->authority;
  registry.pool = pool.get();
  registry.jobs = *jobs_context;
  registry.signals = signals;
  registry.build_groups = [this] { group_builder->poke(); };
  api::iot::register_registry(operations, registry);

  api::iam_service::IamServices iam_services{
      .store = store.get(), .realm = account.realm, .credentials = credentials.get()};
  api::iam_service::register_iam(operations, iam_services);
  api::iam_service::register_sts(operations, iam_services);

  api::iot::JobsServices jobs_services{.store = store.get(),
                                       .context = *jobs_context,
                                       .signals = signals,
                                       .read_document = api::iot::job_document_reader(account.realm, *blobs),
                                       .count_offline = offline_counter(*broker)};
  api::iot::register_jobs(operations, jobs_services);
  api::data::register_jobs_data(operations, jobs_services);
  api::data::register_iot_data(operations, message_port(*broker));
  api::admin::register_mqtt_clients(operations, clients_port(*broker));
  api::admin::register_jobs_admin(operations, jobs_services);
  const DevicePortParts device_parts{
      .realm = account.realm, .broker = *broker, .denials = denials, .sys_topics = config.mqtt_sys_interval_s > 0};
  api::admin::register_why(operations, {.store = store.get(),
                                        .jobs = *jobs_context,
                                        .clients = clients_port(*broker),
                                        .devices = device_port(device_parts)});
  api::register_s3(operations, {.store = *store,
                                .blobs = *blobs,
                                .pool = *pool,
                                .realm = account.realm,
                                .max_object_bytes = config.objects_max_bytes});
}

Status Server::Parts::make_http() {
  TRY_VOID(api::compile_patterns());  // now, not in the first request
  api::PipelineOptions options;
  options.max_object_bytes = config.objects_max_bytes;
  options.cors_origins = config.http_allowed_origins;
  options.base_domains = config.http_base_domains;
  api::PipelineParts parts{.operations = operations,
                           .store = *store,
                           .realm = account.realm,
                           .credentials = *credentials,
                           .clock = clock,
                           .metrics = metrics,
                           .certificates = authorizers.front().get()};
  pipeline = std::make_unique<api::Pipeline>(parts, options);
  api::device::UpgradeOptions upgrades;
  upgrades.origins = config.http_allowed_origins;
  if (!config.http_public_origin.empty()) upgrades.origins.push_back(config.http_public_origin);
  upgrade = std::make_unique<api::device::WebSocketUpgrade>(account.realm, *credentials, clock, std::move(upgrades));
  readiness = std::make_unique<Readiness>(*store, clock);
  observe_store(metrics, *store);
  mqtt::register_metrics(metrics, *broker);
  admin = std::make_unique<Admin>(Admin::Sources{.not_ready = [this] { return readiness->not_ready(); },
                                                 .metrics = [this] { return metrics.exposition(); }});
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
  TRY_VOID(parts->open_ports());
  TRY_VOID(parts->make_broker());
  parts->make_jobs();
  parts->make_group_builder();
  parts->make_operations();
  TRY_VOID(parts->make_http());
  return std::make_unique<Server>(std::move(parts));
}

void Server::start() {
  Parts& p = *parts_;
  p.door->start(*p.broker, *p.upgrade,
                [&p](io::HttpRequest& request, io::HttpBody& body) -> boost::asio::awaitable<io::HttpResponse> {
                  if (auto answer = p.admin->answer(request)) co_return std::move(*answer);
                  co_return co_await p.pipeline->handle(request, body);
                });
  mqtt::register_listener_metrics(p.metrics, *p.broker);
  p.broker->start();
  if (p.sys_topics) p.sys_topics->start();
  p.timers->start_thread();
  p.engine->start_thread();
  p.group_builder->start_thread();
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
  p.group_builder->stop();
  p.engine->stop();
  for (const auto& loop : p.device_loops) loop->stop();
  p.api_loop.stop();
  p.pool.reset();
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
