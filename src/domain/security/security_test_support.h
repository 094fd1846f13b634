// SPDX-License-Identifier: Apache-2.0
// The fixture of the security tests: the registry's, and short forms for certificates and policies.
#pragma once

#include <string>

#include "base/crypto.h"
#include "domain/registry/registry_test_support.h"
#include "domain/security/certificates.h"
#include "domain/security/policies.h"
#include "domain/security/principals.h"

namespace muster::security {

class SecurityTest : public registry::RegistryTest {
 protected:
  // Registered, active; the id is derived from `name`.
  std::string certificate(const std::string& name, CertificateStatus state = CertificateStatus::kActive) {
    Certificate wanted;
    wanted.id = sha256_hex(name);
    wanted.pem = "pem of " + name;
    wanted.status = state;
    run([&](store::Tx& tx) { return register_certificate(tx, realm_, wanted); });
    return wanted.id;
  }
  std::string arn(const std::string& certificate_id) { return certificate_arn(realm_, certificate_id); }
  void policy(const std::string& name) {
    run([&](store::Tx& tx) { return create_policy(tx, realm_, name, document(name)); });
  }
  static std::string document(const std::string& topic) {
    return R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iot:Publish",)"
           R"("Resource":"arn:aws:iot:eu-central-1:123456789012:topic/)" +
           topic + R"("}]})";
  }
};

}  // namespace muster::security
