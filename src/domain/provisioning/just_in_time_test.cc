// SPDX-License-Identifier: Apache-2.0
#include "domain/provisioning/just_in_time.h"

#include "domain/provisioning/provisioning_test_support.h"
#include "store/outbox.h"

namespace muster::provisioning {
namespace {

using testing::HasSubstr;
using What = FirstSight::What;

class JustInTime : public ProvisioningTest {
 protected:
  JustInTime()
      : maker_(*x509::CertificateAuthority::create("maker", {clock_.now_ms() - 1000, kCertificateNotAfterMs})) {}

  std::string ca(const security::RegistrationConfig& config, bool active = true, bool automatic = true) {
    security::CaRegistration wanted{.pem = maker_.certificate_pem(), .sni_only = true, .active = active};
    wanted.auto_registration = automatic;
    wanted.registration = config;
    return run([&](store::Tx& tx) { return security::register_ca_certificate(tx, realm_, wanted); }).id;
  }
  x509::Certificate device() {
    return maker_.issue_device(x509::KeyKind::kP256, {clock_.now_ms() - 1000, clock_.now_ms() + 1'000'000})
        ->certificate;
  }
  FirstSight see(const x509::Certificate& certificate) {
    Effects effects;
    auto sight = result([&](store::Tx& tx) {
      effects = {};
      return first_sight(context_, tx, certificate, effects);
    });
    EXPECT_TRUE(sight) << sight.error().message;
    if (effects.messages) ++messages_;
    context_.tell(effects);
    return sight ? *sight : FirstSight{};
  }
  std::vector<store::OutboxMessage> sent() {
    std::vector<store::OutboxMessage> all;
    store::Outbox outbox(*store_, [&](std::vector<store::OutboxMessage> batch, std::function<void()> handled) {
      all.insert(all.end(), batch.begin(), batch.end());
      handled();
    });
    outbox.drain();
    return all;
  }
  static std::string jit_body(const std::string& thing_name = R"({"Ref":"AWS::IoT::Certificate::Id"})") {
    return R"({"Resources":{"thing":{"Type":"AWS::IoT::Thing","Properties":{"ThingName":)" + thing_name +
           R"(}},"certificate":{"Type":"AWS::IoT::Certificate","Properties":{"CertificateId":{)"
           R"("Ref":"AWS::IoT::Certificate::Id"}}}}})";
  }
  bool known(const x509::Certificate& certificate) {
    return run(
        [&](store::Tx& tx) -> Result<bool> { return security::find_certificate(tx, certificate.id).has_value(); });
  }

  x509::CertificateAuthority maker_;
  int messages_ = 0;
};

TEST_F(JustInTime, RegistrationIsAnnounced) {
  const std::string id = ca({});
  const auto certificate = device();
  EXPECT_EQ(see(certificate).what, What::kAnnounced);
  EXPECT_EQ(certificate_of(certificate.id).status, security::CertificateStatus::kPendingActivation);
  EXPECT_EQ(certificate_of(certificate.id).ca_certificate_id, id);
  EXPECT_EQ(messages_, 1);
  const auto messages = sent();
  ASSERT_EQ(messages.size(), 1U);
  EXPECT_EQ(messages[0].topic, "$aws/events/certificates/registered/" + id);
  const std::string now = std::to_string(clock_.now_ms());
  EXPECT_EQ(messages[0].payload, R"({"certificateId":")" + certificate.id + R"(","caCertificateId":")" + id +
                                     R"(","timestamp":)" + now +
                                     R"(,"certificateStatus":"PENDING_ACTIVATION","awsAccountId":"123456789012",)"
                                     R"("certificateRegistrationTimestamp":")" +
                                     now + "\"}");
}

TEST_F(JustInTime, WhileItWaitsItIsAnnouncedAgainAndThenNoMore) {
  ca({});
  const auto certificate = device();
  see(certificate);
  clock_.advance_ms(60'000);
  EXPECT_EQ(see(certificate).what, What::kAnnounced);
  run([&](store::Tx& tx) {
    return security::update_certificate(tx, certificate.id, security::CertificateStatus::kInactive);
  });
  EXPECT_EQ(see(certificate).what, What::kNothing);
}

TEST_F(JustInTime, NobodyElsesCertificatesAreRegistered) {
  const auto certificate = device();
  EXPECT_EQ(see(certificate).what, What::kNothing) << "no CA";
  const std::string id = ca({}, false);
  EXPECT_EQ(see(certificate).what, What::kNothing) << "an inactive CA";
  run([&](store::Tx& tx) {
    return security::update_ca_certificate(tx, id, {.active = true, .auto_registration = false});
  });
  EXPECT_EQ(see(certificate).what, What::kNothing) << "no automatic registration";
  run([&](store::Tx& tx) { return security::update_ca_certificate(tx, id, {.auto_registration = true}); });
  auto stranger = x509::CertificateAuthority::create("maker", {clock_.now_ms() - 1000, kCertificateNotAfterMs});
  const auto forged = stranger->issue_device(x509::KeyKind::kP256, {clock_.now_ms() - 1000, kCertificateNotAfterMs});
  EXPECT_EQ(see(forged->certificate).what, What::kNothing) << "the CA's name with another key";
  const auto late = maker_.issue_device(x509::KeyKind::kP256, {clock_.now_ms() - 2000, clock_.now_ms() - 1000});
  EXPECT_EQ(see(late->certificate).what, What::kNothing) << "expired";
  EXPECT_FALSE(known(certificate));
  EXPECT_FALSE(known(forged->certificate));
  EXPECT_FALSE(known(late->certificate));
  EXPECT_EQ(see(certificate).what, What::kAnnounced);
}

TEST_F(JustInTime, ProvisioningByABody) {
  ca({.template_body = jit_body(), .role_arn = role_arn("provisioner")});
  const auto certificate = device();
  EXPECT_EQ(see(certificate).what, What::kProvisioned);
  EXPECT_EQ(certificate_of(certificate.id).status, security::CertificateStatus::kActive);
  EXPECT_TRUE(run([&](store::Tx& tx) -> Result<bool> {
    return security::is_attached(tx, realm_, certificate.id, certificate.id);
  }));
  EXPECT_EQ(messages_, 0);
  EXPECT_EQ(see(certificate).what, What::kNothing);
}

TEST_F(JustInTime, ProvisioningByATemplate) {
  ca({.template_name = "T"});
  const auto certificate = device();
  EXPECT_THAT(see(certificate).why, HasSubstr("not found"));
  EXPECT_EQ(certificate_of(certificate.id).status, security::CertificateStatus::kPendingActivation);
  ProvisioningTemplate wanted{.name = "T", .type = TemplateType::kJustInTime, .role_arn = role_arn("provisioner")};
  run([&](store::Tx& tx) { return create_template(tx, realm_, wanted, jit_body()); });
  EXPECT_THAT(see(certificate).why, HasSubstr("is not enabled"));
  run([&](store::Tx& tx) { return update_template(tx, realm_, {.name = "T", .enabled = true}); });
  EXPECT_EQ(see(certificate).what, What::kProvisioned) << "the next connection tries again";
}

TEST_F(JustInTime, ATemplateThatFailsLeavesNothingButThePendingCertificate) {
  role("poor", allow(R"("iot:CreateThing","iot:UpdateCertificate")"));
  ca({.template_body = jit_body(), .role_arn = role_arn("poor")});
  const auto certificate = device();
  const FirstSight sight = see(certificate);
  EXPECT_EQ(sight.what, What::kFailed);
  EXPECT_THAT(sight.why, HasSubstr("iot:AttachThingPrincipal"));
  EXPECT_EQ(certificate_of(certificate.id).status, security::CertificateStatus::kPendingActivation);
  EXPECT_FALSE(run([&](store::Tx& tx) -> Result<bool> { return registry::thing_exists(tx, certificate.id); }));
}

TEST_F(JustInTime, AFleetDevicesCertificateIsNotTheCas) {
  const auto own = issued();
  run([&](store::Tx& tx) {
    return security::register_certificate(
        tx, realm_, {.id = own.id, .pem = own.pem, .status = security::CertificateStatus::kPendingActivation});
  });
  ca({});
  EXPECT_EQ(see(own).what, What::kNothing);
}

TEST_F(JustInTime, ParametersComeFromTheSubject) {
  security::Certificate certificate;
  certificate.id = std::string(64, 'a');
  certificate.subject = "serialNumber=42,CN=lamp\\,1,ST=Hessen,OU=Lab,O=Acme,C=DE,dnQualifier=q";
  const Parameters parameters = certificate_parameters(certificate);
  EXPECT_EQ(parameters.at("AWS::IoT::Certificate::SerialNumber"), "42");
  EXPECT_EQ(parameters.at("AWS::IoT::Certificate::CommonName"), "lamp,1");
  EXPECT_EQ(parameters.at("AWS::IoT::Certificate::StateName"), "Hessen");
  EXPECT_EQ(parameters.at("AWS::IoT::Certificate::OrganizationalUnit"), "Lab");
  EXPECT_EQ(parameters.at("AWS::IoT::Certificate::Organization"), "Acme");
  EXPECT_EQ(parameters.at("AWS::IoT::Certificate::Country"), "DE");
  EXPECT_EQ(parameters.at("AWS::IoT::Certificate::DistinguishedNameQualifier"), "q");
  EXPECT_EQ(parameters.at("AWS::IoT::Certificate::Id"), certificate.id);
  certificate.subject = "CN=*";
  EXPECT_FALSE(certificate_parameters(certificate).contains("AWS::IoT::Certificate::CommonName"));
}

TEST_F(JustInTime, ConfigurationsThatCannotBeCarriedOut) {
  const auto refusal = [&](security::RegistrationConfig config) {
    return said([&](store::Tx& tx) { return check_registration_config(tx, realm_, config); });
  };
  EXPECT_EQ(refusal({}), "ok");
  EXPECT_EQ(refusal({.template_body = jit_body(), .role_arn = role_arn("provisioner")}), "ok");
  EXPECT_THAT(refusal({.template_body = jit_body()}), HasSubstr("both templateBody and roleArn"));
  EXPECT_THAT(refusal({.template_body = "{}", .role_arn = role_arn("provisioner")}),
              HasSubstr("Resources is required"));
  EXPECT_THAT(refusal({.template_body = jit_body(), .role_arn = role_arn("nobody")}), HasSubstr("does not exist"));
  EXPECT_THAT(refusal({.template_name = "none"}), HasSubstr("not found"));
  EXPECT_THAT(refusal({.template_body = jit_body(), .role_arn = role_arn("provisioner"), .template_name = "T"}),
              HasSubstr("either"));
}

}  // namespace
}  // namespace muster::provisioning
