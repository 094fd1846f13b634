// SPDX-License-Identifier: Apache-2.0
// Every object of the program, for server/wiring*.cc alone: constructed in order by Server::create, handed to who needs
// it. Nothing is found by name at run time and there are no singletons.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "api/device/authorizer.h"
#include "api/device/certificate_topics.h"
#include "api/device/connectivity_watch.h"
#include "api/device/custom_authorizers.h"
#include "api/device/denials.h"
#include "api/device/jobs_topics.h"
#include "api/device/lifecycle_events.h"
#include "api/device/provisioning_topics.h"
#include "api/device/shadow_topics.h"
#include "api/device/unknown_certificates.h"
#include "api/device/websocket_upgrade.h"
#include "api/services/iam/web_identity_keys.h"
#include "api/services/security/credentials_provider.h"
#include "api/wire/pipeline.h"
#include "domain/audit/trail.h"
#include "domain/fleet/indexer.h"
#include "domain/functions/invoker.h"
#include "domain/iam/identities.h"
#include "domain/jobs/engine.h"
#include "domain/jobs/notices.h"
#include "domain/objects/blobs.h"
#include "domain/provisioning/fleet.h"
#include "domain/provisioning/registration_worker.h"
#include "domain/registry/dynamic_group_builder.h"
#include "io/env.h"
#include "io/files.h"
#include "io/http_client.h"
#include "mqtt/broker/broker.h"
#include "server/admin.h"
#include "server/front_door.h"
#include "server/readiness.h"
#include "server/server.h"
#include "server/sys_topics.h"
#include "server/tls_identity.h"
#include "store/outbox.h"
#include "store/timers.h"

namespace muster::server {

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
  std::unique_ptr<audit::Trail> trail;
  std::unique_ptr<objects::Blobs> blobs;
  Endpoints endpoints;

  // One loop for HTTP, the others for the devices: a burst of API calls does not delay MQTT, and the reverse.
  io::Loop api_loop{"api"};
  std::vector<std::unique_ptr<io::Loop>> device_loops;
  std::unique_ptr<io::BlockingPool> pool;
  // Of what reads much for one caller: searches must not keep object bytes and certificates waiting.
  std::unique_ptr<io::BlockingPool> queries;
  std::unique_ptr<FrontDoor> door;

  std::unique_ptr<io::HttpClient> http_client;  // calls out, on a thread of its own
  std::unique_ptr<functions::FunctionInvoker> invoker;
  std::unique_ptr<api::device::CustomAuthorizers> custom_authorizers;
  std::unique_ptr<api::iam_service::WebIdentityKeys> web_identity_keys;

  security::PolicyGenerations generations;
  std::unique_ptr<iam::StoreCredentials> credentials;
  api::device::Denials denials{clock};
  api::device::DeviceCalls device_calls;
  iam::PolicyCache provisioning_policies;
  provisioning::Context provisioning_context;
  std::unique_ptr<api::device::FirstConnections> first_connections;
  std::vector<std::unique_ptr<api::device::DeviceAuthorizer>> authorizers;  // by device loop
  std::unique_ptr<api::device::LifecycleEvents> lifecycle;
  std::unique_ptr<fleet::ConnectivityRecorder> connectivity;
  std::unique_ptr<api::device::ConnectivityWatch> connectivity_watch;
  std::unique_ptr<mqtt::Broker> broker;
  std::unique_ptr<SysTopics> sys_topics;
  std::unique_ptr<jobs::NoticeExpander> notices;
  std::unique_ptr<store::Outbox> outbox;
  std::unique_ptr<store::Timers> timers;
  std::optional<jobs::Context> jobs_context;
  jobs::Signals signals;
  std::unique_ptr<jobs::Engine> engine;
  jobs::Effects indexed;  // of the indexer's transaction; on its thread
  std::unique_ptr<fleet::Indexer> indexer;
  jobs::Effects built;  // of the builder's transaction; on its thread
  std::unique_ptr<registry::DynamicGroupBuilder> group_builder;
  std::vector<std::unique_ptr<api::device::JobsTopics>> jobs_topics;  // by device loop
  std::vector<std::unique_ptr<api::device::ShadowTopics>> shadow_topics;
  std::unique_ptr<provisioning::FleetProvisioner> fleet_provisioner;
  std::unique_ptr<provisioning::RegistrationWorker> registration_worker;
  std::vector<std::unique_ptr<api::device::CertificateTopics>> certificate_topics;    // by device loop
  std::vector<std::unique_ptr<api::device::ProvisioningTopics>> provisioning_topics;  // by device loop
  api::Operations operations;
  std::unique_ptr<api::Pipeline> pipeline;
  std::unique_ptr<api::device::WebSocketUpgrade> upgrade;
  std::unique_ptr<api::iot::CredentialsProvider> credentials_provider;
  std::unique_ptr<Readiness> readiness;
  std::unique_ptr<Admin> admin;
  std::unique_ptr<io::Loop::TimerToken> sweep_timer;
  bool started = false;

  Status open_store();
  Status open_account();
  Status open_audit();
  Status open_ports();
  Result<std::uint16_t> open_on_each_address(io::ListenOptions options);
  Status make_callers();
  Status make_broker();
  void make_jobs();
  void make_fleet_index();
  void start_fleet_index();
  void make_shadows();
  void make_group_builder();
  void make_provisioning();
  void make_provisioning_operations();
  void make_operations();
  Status make_http();
  void sweep_blobs();
};

}  // namespace muster::server
