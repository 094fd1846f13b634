// SPDX-License-Identifier: Apache-2.0
#include "api/services/provisioning/provisioning.h"

#include "api/wire/authorization.h"
#include "store/transact.h"

namespace muster::api::iot {

namespace {

provisioning::RequestContext context_of(const ProvisioningServices& services, const Call& call) {
  if (call.request == nullptr) return {};
  return request_context(*call.request, services.context->realm, call.now_ms);
}

}  // namespace

Handler provisioning_handler(const SharedProvisioning& services, ProvisioningBody body) {
  return [services, body = std::move(body)](Call& call) -> io::Task<Reply> {
    auto run = [&](store::Tx& tx) { return body(*services, tx, call); };
    Reply reply;
    CO_TRY(reply.output, co_await store::transact(*services->store, run));
    co_return reply;
  };
}

provisioning::PrincipalRights caller_rights(const ProvisioningServices& services, const Call& call) {
  return {services.context->realm, call.caller, context_of(services, call), services.context->policies};
}

void register_provisioning(Operations& operations, const ProvisioningServices& given) {
  auto services = std::make_shared<const ProvisioningServices>(given);
  register_provisioning_templates(operations, services);
  register_provisioning_claims(operations, services);
  register_thing_registration(operations, services);
  register_registration_tasks(operations, services);
}

}  // namespace muster::api::iot
