// SPDX-License-Identifier: Apache-2.0
// The operations of every service, and the HTTP pipeline in front of them.
#include "server/parts.h"

#include "api/services/admin/jobs_admin.h"
#include "api/services/audit/lookup_events.h"
#include "api/services/data/iot_data.h"
#include "api/services/data/jobs_data.h"
#include "api/services/data/shadows.h"
#include "api/services/fleet/fleet.h"
#include "api/services/iam/iam.h"
#include "api/services/iam/web_identity.h"
#include "api/services/iot/jobs.h"
#include "api/services/iot/jobs_objects.h"
#include "api/services/iot/registry_services.h"
#include "api/services/s3/s3.h"
#include "api/services/security/authorizers.h"
#include "api/wire/validate.h"
#include "mqtt/broker/broker_metrics.h"
#include "server/audit/audit_port.h"
#include "server/device_port.h"
#include "server/message_port.h"
#include "server/meters.h"

namespace muster::server {

void Server::Parts::make_operations() {
  api::iot::RegistryServices registry;
  registry.store = store.get();
  registry.realm = account.realm;
  registry.endpoints.host = endpoints.device_host;
  registry.endpoints.https_port =
      endpoints.device_https_port != 0 ? endpoints.device_https_port : endpoints.device_port;
  registry.authority = &identity->authority;
  registry.pool = pool.get();
  registry.jobs = *jobs_context;
  registry.signals = signals;
  registry.build_groups = [this] { group_builder->poke(); };
  api::iot::register_registry(operations, registry);

  api::fleet_service::register_fleet(
      operations, {.store = store.get(), .indexer = indexer.get(), .queries = queries.get(), .clock = &clock});
  make_provisioning_operations();

  api::iam_service::IamServices iam_services{
      .store = store.get(), .realm = account.realm, .credentials = credentials.get()};
  api::iam_service::register_iam(operations, iam_services);
  api::iam_service::register_sts(operations, iam_services);
  const api::iam_service::WebIdentityServices web_identity{
      .store = store.get(), .realm = account.realm, .keys = web_identity_keys.get()};
  api::iam_service::register_oidc_providers(operations, web_identity);
  api::iam_service::register_web_identity(operations, web_identity);
  const api::iot::AuthorizerServices authorizer_services{
      .store = store.get(), .realm = account.realm, .invoker = invoker.get()};
  api::iot::register_authorizers(operations, authorizer_services);
  api::iot::register_role_aliases(operations, authorizer_services);

  api::iot::JobsServices jobs_services{.store = store.get(),
                                       .context = *jobs_context,
                                       .signals = signals,
                                       .read_document = api::iot::job_document_reader(account.realm, *blobs),
                                       .count_offline = offline_counter(*broker)};
  api::iot::register_jobs(operations, jobs_services);
  api::data::register_jobs_data(operations, jobs_services);
  api::data::register_iot_data(operations, message_port(*broker));
  api::data::register_shadows(operations, {.store = store.get(),
                                           .wanted = [this](std::string_view topic) { return broker->wanted(topic); },
                                           .wake_outbox = [this] { outbox->wake(); }});
  api::admin::register_mqtt_clients(operations, clients_port(*broker));
  api::admin::register_jobs_admin(operations, jobs_services);
  const DevicePortParts device_parts{
      .realm = account.realm, .broker = *broker, .denials = denials, .sys_topics = config.mqtt_sys_interval_s > 0};
  api::admin::register_why(operations, {.store = store.get(),
                                        .jobs = *jobs_context,
                                        .clients = clients_port(*broker),
                                        .devices = device_port(device_parts)});
  api::audit_service::register_audit(operations, {.directory = trail->directory(), .queries = queries.get()});
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
                           .certificates = authorizers.front().get(),
                           .tokens = custom_authorizers.get(),
                           .trail = trail.get()};
  pipeline = std::make_unique<api::Pipeline>(parts, options);
  api::device::UpgradeOptions upgrades;
  upgrades.origins = config.http_allowed_origins;
  upgrades.tokens = custom_authorizers.get();
  credentials_provider =
      std::make_unique<api::iot::CredentialsProvider>(*store, account.realm, *authorizers.front(), trail.get());
  if (!config.http_public_origin.empty()) upgrades.origins.push_back(config.http_public_origin);
  upgrades.refused = [this](const io::HttpRequest& request, const Error& error) {
    record_refused_upgrade(*trail, request, error);
  };
  upgrade = std::make_unique<api::device::WebSocketUpgrade>(account.realm, *credentials, clock, std::move(upgrades));
  readiness = std::make_unique<Readiness>(*store, clock);
  observe_store(metrics, *store);
  mqtt::register_metrics(metrics, *broker);
  admin = std::make_unique<Admin>(Admin::Sources{.not_ready = [this] { return readiness->not_ready(); },
                                                 .metrics = [this] { return metrics.exposition(); }});
  return {};
}

}  // namespace muster::server
