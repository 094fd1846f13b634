// SPDX-License-Identifier: Apache-2.0
// What the handlers of certificates and CA certificates share. Ids are taken to the letter: another spelling, in upper
// case or with 0x, is not found, as the call was authorised and recorded on the ARN with the id as it was written.
#pragma once

#include <string>
#include <vector>

#include "api/services/iot/registry_services.h"
#include "base/json.h"
#include "domain/security/certificates.h"

namespace muster::api::iot {

json::object certificate_reference(const RegistryServices& services, const security::Certificate& certificate);
json::array certificate_list(const RegistryServices& services, const std::vector<security::Certificate>& certificates);

// Parts of register_certificates().
void register_ca_certificates(Operations& operations, const SharedRegistry& services);
void register_transfers(Operations& operations, const SharedRegistry& services);
void register_principals(Operations& operations, const SharedRegistry& services);
void register_policy_questions(Operations& operations, const SharedRegistry& services);

}  // namespace muster::api::iot
