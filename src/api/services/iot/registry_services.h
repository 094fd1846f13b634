// SPDX-License-Identifier: Apache-2.0
// The registry operations of service "iot": things, groups, certificates, policies, endpoint, tags. Each register
// function adds its handlers; server/wiring calls register_registry() once. The handlers share a copy of
// RegistryServices, whose pointers outlive the Operations.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "api/wire/operation.h"
#include "base/ids.h"
#include "base/x509.h"
#include "domain/jobs/context.h"
#include "io/files.h"
#include "store/store.h"

namespace muster::api::iot {

// What DescribeEndpoint answers. AWS answers a host name alone and clients add the port they know: 8883 for MQTT, 443
// for HTTPS. So iot:Data and iot:Data-ATS are always the host alone (device SDKs take host and port apart), and the
// HTTPS types (iot:Jobs, iot:CredentialProvider), which clients put behind "https://", carry the port when it is not
// 443.
struct Endpoints {
  std::string host = "localhost";
  int https_port = 4566;
};

struct RegistryServices {
  store::Store* store = nullptr;
  Realm realm;
  Endpoints endpoints;
  const x509::CertificateAuthority* authority = nullptr;  // the device CA
  io::BlockingPool* pool = nullptr;                       // makes RSA keys; null: on the calling loop
  jobs::Context jobs;                                     // told of deleted things, and of joins and leaves
  jobs::Signals signals;
  std::function<void()> build_groups;  // wakes who builds dynamic thing groups; any thread, cheap
};

void register_registry(Operations& operations, const RegistryServices& services);

// Parts of the above.
using SharedRegistry = std::shared_ptr<const RegistryServices>;
void register_things(Operations& operations, const SharedRegistry& services);
void register_groups(Operations& operations, const SharedRegistry& services);
void register_certificates(Operations& operations, const SharedRegistry& services);
void register_policies(Operations& operations, const SharedRegistry& services);
void register_endpoint(Operations& operations, const SharedRegistry& services);
void register_tags(Operations& operations, const SharedRegistry& services);

}  // namespace muster::api::iot
