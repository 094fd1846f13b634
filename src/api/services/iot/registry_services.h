// SPDX-License-Identifier: Apache-2.0
// The registry operations of service "iot": things, groups, certificates, policies, endpoint, tags. Each register
// function adds its handlers; server/wiring calls register_registry() once. The handlers capture a copy of
// RegistryServices, whose references outlive the Operations.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "api/wire/operation.h"
#include "base/ids.h"
#include "domain/registry/generations.h"
#include "store/store.h"

namespace muster::api::iot {

// What DescribeEndpoint answers. AWS answers a host name alone and clients add the well-known port (8883 or 443). Muster
// answers the host alone too when the port is the one that clients assume, else host:port for the HTTPS types; MQTT
// clients take host and port apart, so iot:Data and iot:Data-ATS are always the host alone.
struct Endpoints {
  std::string host = "localhost";
  int https_port = 4566;  // jobs data plane, credential provider
};

struct IssuedCertificate {
  std::string certificate_pem;
  std::string public_key_pem, private_key_pem;  // empty when made from a CSR
};

// The device CA as the services need it; server/wiring adapts base/x509. Called on a worker or I/O thread, pure CPU.
struct CertificateAuthority {
  std::function<Result<IssuedCertificate>(std::int64_t now_ms)> issue_key_and_certificate;
  std::function<Result<IssuedCertificate>(std::string_view csr_pem, std::int64_t now_ms)> issue_from_csr;
};

struct RegistryServices {
  store::Store* store = nullptr;
  Realm realm;
  registry::PolicyGenerations* generations = nullptr;
  Endpoints endpoints;
  std::shared_ptr<const CertificateAuthority> authority;
};

void register_things(Operations& operations, const RegistryServices& services);
void register_groups(Operations& operations, const RegistryServices& services);
void register_certificates(Operations& operations, const RegistryServices& services);
void register_policies(Operations& operations, const RegistryServices& services);
void register_endpoint(Operations& operations, const RegistryServices& services);
void register_tags(Operations& operations, const RegistryServices& services);
void register_registry(Operations& operations, const RegistryServices& services);  // all of the above

}  // namespace muster::api::iot
