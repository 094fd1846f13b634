// SPDX-License-Identifier: Apache-2.0
// The fixture of the provisioning tests: the security tests', a device CA, a role, and certificates of its own.
#pragma once

#include <string>
#include <vector>

#include "base/x509.h"
#include "domain/iam/identities.h"
#include "domain/provisioning/context.h"
#include "domain/provisioning/provision.h"
#include "domain/provisioning/templates.h"
#include "domain/security/security_test_support.h"

namespace muster::provisioning {

class ProvisioningTest : public security::SecurityTest {
 protected:
  ProvisioningTest() {
    context_.realm = realm_;
    context_.authority = &authority_;
    context_.follow = [this](store::Tx&, const registry::MembershipChange& change, Effects& effects) -> Status {
      effects.committed.push_back([this, change] { moved_.push_back(change); });
      return {};
    };
    context_.announce = [](const Effects& effects) {
      for (const auto& call : effects.committed) call();
    };
    role("provisioner",
         R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["iot:*","s3:*"],"Resource":"*"}]})");
  }

  std::string role_arn(const std::string& name) { return iam_arn(realm_, "role", name); }
  void role(const std::string& name, const std::string& policy, const std::string& service = "iot.amazonaws.com") {
    run([&](store::Tx& tx) -> Result<iam::Role> {
      iam::Role wanted{.name = name};
      wanted.trust_policy = R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":")" +
                            service + R"("},"Action":"sts:AssumeRole"}]})";
      TRY(iam::Role made, iam::create_role(tx, wanted));
      if (!policy.empty()) TRY_VOID(iam::put_role_policy(tx, name, "p", policy));
      return made;
    });
  }
  static std::string allow(const std::string& actions, const std::string& resource = R"("*")") {
    return R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":[)" + actions + R"(],"Resource":)" +
           resource + "}]}";
  }

  x509::Certificate issued() {
    auto made = authority_.issue_device(x509::KeyKind::kP256, {clock_.now_ms() - 1000, kCertificateNotAfterMs});
    EXPECT_TRUE(made);
    return made->certificate;
  }

  // A template of Resources over parameters Name and Group; `extra` goes behind the thing's properties.
  static std::string body(const std::string& properties, const std::string& settings = "",
                          const std::string& more_resources = "") {
    return R"({"Parameters":{"Name":{"Type":"String"},"Group":{"Type":"String","Default":"g"}},"Resources":{)"
           R"("thing":{"Type":"AWS::IoT::Thing","Properties":{"ThingName":{"Ref":"Name"})" +
           properties + "}" + (settings.empty() ? "" : R"(,"OverrideSettings":{)" + settings + "}") + "}" +
           more_resources + "}}";
  }
  static std::string fleet_body(const std::string& properties = "", const std::string& more = "") {
    return body(properties, "",
                R"(,"certificate":{"Type":"AWS::IoT::Certificate","Properties":{"CertificateId":)"
                R"({"Ref":"AWS::IoT::Certificate::Id"},"Status":"Active"}})" +
                    more);
  }

  Result<Provisioned> provisioned(const std::string& source, const Parameters& given,
                                  const std::string& as = "provisioner") {
    TRY(const Template parsed, parse_template(source, TemplateUse::kRegister));
    TRY(const Plan plan, resolve(parsed, given));
    TRY(const Material material, prepare(context_, plan, clock_.now_ms()));
    Effects effects;
    auto done = result([&](store::Tx& tx) -> Result<Provisioned> {
      effects = {};
      TRY(iam::Principal principal, role_principal(tx, realm_, role_arn(as), "test", {}));
      PrincipalRights rights(realm_, std::move(principal), {}, nullptr);
      return provision(context_, tx, plan, material, rights, effects);
    });
    if (done) context_.tell(effects);
    return done;
  }
  std::vector<std::string> groups_of(const std::string& name) {
    return run([&](store::Tx& tx) -> Result<std::vector<std::string>> { return registry::groups_of_thing(tx, name); });
  }
  registry::Thing thing_named(const std::string& name) {
    return run([&](store::Tx& tx) { return registry::get_thing(tx, name); });
  }
  security::Certificate certificate_of(const std::string& id) {
    return run([&](store::Tx& tx) { return security::get_certificate(tx, id); });
  }

  x509::CertificateAuthority authority_ =
      *x509::CertificateAuthority::create("device CA", {clock_.now_ms() - 1000, kCertificateNotAfterMs});
  Context context_;
  std::vector<registry::MembershipChange> moved_;
};

}  // namespace muster::provisioning
