// SPDX-License-Identifier: Apache-2.0
// The provisioning operations of service "iot": templates and claims, RegisterThing, bulk registration tasks. Each
// register function adds its handlers; server/wiring calls register_provisioning() once. Handlers share a copy of
// ProvisioningServices, whose pointers outlive the Operations.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "api/wire/operation.h"
#include "domain/provisioning/context.h"
#include "domain/provisioning/rights.h"
#include "io/files.h"
#include "store/store.h"

namespace muster::api::iot {

struct ProvisioningServices {
  store::Store* store = nullptr;
  const provisioning::Context* context = nullptr;
  io::BlockingPool* pool = nullptr;   // makes keys; null: on the calling loop
  std::function<void()> wake_worker;  // a bulk registration task was started or stopped; any thread, cheap
  // A pre-signed URL for one object, good for an hour.
  std::function<std::string(std::string_view bucket, std::string_view key, std::int64_t now_ms)> sign_report;
};

void register_provisioning(Operations& operations, const ProvisioningServices& services);

// Parts of the above.
using SharedProvisioning = std::shared_ptr<const ProvisioningServices>;
void register_provisioning_templates(Operations& operations, const SharedProvisioning& services);
void register_provisioning_claims(Operations& operations, const SharedProvisioning& services);
void register_thing_registration(Operations& operations, const SharedProvisioning& services);
void register_registration_tasks(Operations& operations, const SharedProvisioning& services);

// One transaction, nothing to tell.
using ProvisioningBody =
    std::function<Result<json::object>(const ProvisioningServices& services, store::Tx& tx, const Call& call)>;
Handler provisioning_handler(const SharedProvisioning& services, ProvisioningBody body);

// Runs what is slow off the loop.
template <class F, class R = std::invoke_result_t<F&>>
boost::asio::awaitable<R> off_loop(const ProvisioningServices& services, F work) {
  if (services.pool == nullptr) co_return work();
  co_return co_await services.pool->run(std::move(work));
}

provisioning::PrincipalRights caller_rights(const ProvisioningServices& services, const Call& call);
}  // namespace muster::api::iot
