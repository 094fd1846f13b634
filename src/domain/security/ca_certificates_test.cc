// SPDX-License-Identifier: Apache-2.0
#include "domain/security/ca_certificates.h"

#include "domain/security/registration.h"
#include "domain/security/security_test_support.h"

namespace muster::security {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using x509::CertificateAuthority;

constexpr std::int64_t kHour = 3'600'000;
constexpr std::int64_t kYear = 365 * 24 * kHour;

class CaCertificates : public SecurityTest {
 protected:
  CaCertificates() { clock_.advance_ms(kYear); }

  x509::Validity validity() { return {clock_.now_ms() - kHour, clock_.now_ms() + kYear}; }
  CertificateAuthority authority(const std::string& name = "Acme CA") {
    return *CertificateAuthority::create(name, validity());
  }
  std::string code() {
    return run([](store::Tx& tx) -> Result<std::string> { return registration_code(tx); });
  }
  // A certificate of that CA with that common name.
  x509::Certificate leaf(const CertificateAuthority& ca, const std::string& common_name = "device") {
    return ca.issue_server({common_name}, validity())->certificate;
  }
  CaRegistration proven(const CertificateAuthority& ca, bool active = true) {
    CaRegistration wanted;
    wanted.pem = ca.certificate_pem();
    wanted.verification_pem = leaf(ca, code()).pem;
    wanted.active = active;
    return wanted;
  }
  CaRegistration unproven(const CertificateAuthority& ca, bool active = true) {
    return {
        .pem = ca.certificate_pem(), .verification_pem = {}, .sni_only = true, .active = active, .registration = {}};
  }
  Result<CaCertificate> add(const CaRegistration& wanted) {
    return result([&](store::Tx& tx) { return register_ca_certificate(tx, realm_, wanted); });
  }
  Result<CaCertificate> update(const std::string& id, const CaUpdate& change) {
    return result([&](store::Tx& tx) { return update_ca_certificate(tx, id, change); });
  }
  Status remove(const std::string& id) {
    return status([&](store::Tx& tx) { return delete_ca_certificate(tx, id); });
  }
  std::string issuer(const x509::Certificate& certificate) {
    auto found = run([&](store::Tx& tx) { return issuer_of(tx, certificate.der); });
    return found ? found->id : "none";
  }
  Result<Certificate> with_ca(const std::string& pem, const std::string& ca_pem = {},
                              CertificateStatus state = CertificateStatus::kActive) {
    return result([&](store::Tx& tx) { return register_with_ca(tx, realm_, pem, ca_pem, state); });
  }
};

TEST_F(CaCertificates, TheRegistrationCodeStaysUntilItIsDeleted) {
  EXPECT_EQ(status(delete_registration_code).error().kind, ErrorKind::kNotFound);
  const std::string first = code();
  EXPECT_EQ(first.size(), 64u);
  EXPECT_EQ(code(), first);
  EXPECT_TRUE(status(delete_registration_code));
  EXPECT_NE(code(), first);
}

TEST_F(CaCertificates, IsRegisteredByProofOfItsKey) {
  const CertificateAuthority ca = authority();
  CaRegistration wanted = proven(ca);
  wanted.auto_registration = true;
  wanted.registration = {"{}", "arn:aws:iam::123456789012:role/r", ""};
  auto made = add(wanted);
  ASSERT_TRUE(made) << made.error().message;
  const CaCertificate read = run([&](store::Tx& tx) { return get_ca_certificate(tx, made->id); });
  EXPECT_EQ(read.id, x509::parse_pem(ca.certificate_pem())->id);
  EXPECT_EQ(read.pem, ca.certificate_pem());
  EXPECT_TRUE(read.active && read.auto_registration && !read.sni_only);
  EXPECT_EQ(read.registration.template_body, "{}");
  EXPECT_EQ(read.subject, "CN=Acme CA");
  EXPECT_EQ(read.created_ms, clock_.now_ms());
  EXPECT_LT(read.not_before_ms, read.not_after_ms);
  EXPECT_EQ(read.customer_version, 1);
  auto again = add(wanted);
  EXPECT_EQ(again.error().kind, ErrorKind::kAlreadyExists);
  EXPECT_EQ(get_string(again.error().fields, "resourceArn"), ca_certificate_arn(realm_, read.id));
}

TEST_F(CaCertificates, ProofsThatProveNothingAreRefused) {
  const CertificateAuthority ca = authority(), other = authority();
  auto reason = [&](const CaRegistration& wanted) {
    auto made = add(wanted);
    return made ? "ok" : made.error().reason.empty() ? made.error().message : made.error().reason;
  };
  CaRegistration wanted = unproven(ca);
  wanted.sni_only = false;
  EXPECT_THAT(reason(wanted), HasSubstr("must not be empty"));
  wanted.verification_pem = leaf(ca, "anything").pem;
  EXPECT_EQ(reason(wanted), "RegistrationCodeValidationException") << "nobody asked for a code";
  const std::string asked = code();
  EXPECT_EQ(reason(wanted), "RegistrationCodeValidationException");
  wanted.verification_pem = leaf(other, asked).pem;
  EXPECT_EQ(reason(wanted), "CertificateValidationException") << "same name, other key";
  wanted.verification_pem = "junk";
  EXPECT_EQ(reason(wanted), "CertificateValidationException");
  wanted = proven(ca);
  wanted.sni_only = true;
  EXPECT_THAT(reason(wanted), HasSubstr("must be empty"));
  wanted = proven(ca);
  EXPECT_TRUE(status(delete_registration_code));
  EXPECT_EQ(reason(wanted), "RegistrationCodeValidationException") << "a code that is gone";
  wanted = proven(ca);
  clock_.advance_ms(kYear + kHour);
  EXPECT_EQ(reason(wanted), "CertificateValidationException") << "expired";
}

TEST_F(CaCertificates, WhatIsNoCaIsRefused) {
  const CertificateAuthority ca = authority();
  CaRegistration wanted = unproven(ca);
  wanted.pem = leaf(ca).pem;
  EXPECT_THAT(add(wanted).error().message, HasSubstr("not one of a certificate authority"));
  wanted.pem = ca.certificate_pem() + ca.certificate_pem();
  EXPECT_EQ(add(wanted).error().reason, "CertificateValidationException");
  wanted.pem = std::string(70'000, 'x');
  EXPECT_EQ(add(wanted).error().kind, ErrorKind::kTooLarge);
}

TEST_F(CaCertificates, TenMayHaveTheSameSubject) {
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(add(unproven(authority("Same")))) << i;
  EXPECT_EQ(add(unproven(authority("Same"))).error().kind, ErrorKind::kLimit);
  EXPECT_TRUE(add(unproven(authority("Other"))));
}

TEST_F(CaCertificates, RegistrationConfigsAreOneOrTheOther) {
  const std::string role = "arn:aws:iam::123456789012:role/r";
  for (const RegistrationConfig& wrong : {RegistrationConfig{"{}", "", ""}, RegistrationConfig{"", role, ""},
                                          RegistrationConfig{"{}", role, "t"}, RegistrationConfig{"", role, "t"}}) {
    CaRegistration wanted = unproven(authority());
    wanted.registration = wrong;
    EXPECT_EQ(add(wanted).error().kind, ErrorKind::kInvalid);
  }
  CaRegistration wanted = unproven(authority());
  wanted.registration.template_name = "t";
  EXPECT_TRUE(add(wanted));
}

TEST_F(CaCertificates, UpdatesChangeWhatTheyName) {
  CaRegistration wanted = unproven(authority());
  wanted.registration.template_name = "t";
  wanted.auto_registration = true;
  const std::string id = add(wanted)->id;
  auto changed = update(id, {.active = false, .auto_registration = {}, .registration = {}});
  EXPECT_FALSE(changed->active);
  EXPECT_TRUE(changed->auto_registration);
  EXPECT_EQ(changed->registration.template_name, "t");
  EXPECT_EQ(changed->customer_version, 2);
  CaUpdate drop;
  drop.remove_registration = true;
  changed = update(id, drop);
  EXPECT_TRUE(changed->registration.empty());
  EXPECT_FALSE(changed->auto_registration);
  drop.registration = RegistrationConfig{"", "", "u"};
  EXPECT_EQ(update(id, drop).error().kind, ErrorKind::kInvalid);
  EXPECT_EQ(update(std::string(64, '0'), {}).error().kind, ErrorKind::kNotFound);
}

TEST_F(CaCertificates, OnlyInactiveOnesAreDeletedAndLeaveNothing) {
  const std::size_t before = store_->size();
  const std::string id = add(unproven(authority()))->id;
  EXPECT_EQ(remove(id).error().reason, "CertificateStateException");
  EXPECT_TRUE(update(id, {.active = false, .auto_registration = {}, .registration = {}}));
  EXPECT_TRUE(remove(id));
  EXPECT_EQ(remove(id).error().kind, ErrorKind::kNotFound);
  EXPECT_EQ(store_->size(), before);
}

TEST_F(CaCertificates, ListsByTimeAndTemplate) {
  std::vector<std::string> ids, of_template;
  for (int i = 0; i < 7; ++i) {
    CaRegistration wanted = unproven(authority("CA " + std::to_string(i)));
    if (i % 2 == 1) wanted.registration.template_name = "t";
    ids.push_back(add(wanted)->id);
    if (i % 2 == 1) of_template.push_back(ids.back());
    clock_.advance_ms(10);
  }
  auto list = [&](bool ascending, std::size_t limit, const std::string& template_name) {
    std::vector<std::string> seen;
    registry::PageRequest request{{}, limit};
    do {
      auto page = run([&](store::Tx& tx) { return list_ca_certificates(tx, request, ascending, template_name); });
      EXPECT_LE(page.items.size(), limit);
      for (const CaCertificate& each : page.items) seen.push_back(each.id);
      request.token = page.next_token;
    } while (!request.token.empty());
    if (!ascending) std::ranges::reverse(seen);
    return seen;
  };
  for (bool ascending : {true, false})
    for (std::size_t limit : {1u, 3u, 7u, 100u}) {
      EXPECT_EQ(list(ascending, limit, ""), ids) << ascending << limit;
      EXPECT_EQ(list(ascending, limit, "t"), of_template) << ascending << limit;
      EXPECT_TRUE(list(ascending, limit, "nosuch").empty());
    }
}

TEST_F(CaCertificates, TheIssuerIsTheActiveCaWhoseKeySigned) {
  const CertificateAuthority ca = authority("Same"), twin = authority("Same");
  const x509::Certificate device = leaf(ca);
  EXPECT_EQ(issuer(device), "none");
  add(unproven(twin)).value();
  EXPECT_EQ(issuer(device), "none") << "a name proves nothing";
  const std::string id = add(unproven(ca))->id;
  EXPECT_EQ(issuer(device), id);
  update(id, {.active = false, .auto_registration = {}, .registration = {}}).value();
  EXPECT_EQ(issuer(device), "none");
  EXPECT_EQ(result([](store::Tx& tx) { return issuer_of(tx, "junk"); }).error().kind, ErrorKind::kInvalid);
}

TEST_F(CaCertificates, DeviceCertificatesAreRegisteredInTheModeOfTheirCa) {
  const CertificateAuthority ca = authority();
  const std::string id = add(proven(ca))->id;
  auto made = with_ca(leaf(ca).pem, ca.certificate_pem());
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_EQ(made->ca_certificate_id, id);
  EXPECT_FALSE(made->sni_only);
  EXPECT_TRUE(with_ca(leaf(ca).pem)) << "the CA is found";
  const CertificateAuthority quick = authority("Quick");
  add(unproven(quick)).value();
  EXPECT_TRUE(with_ca(leaf(quick).pem)->sni_only);
  auto page = run([&](store::Tx& tx) { return list_certificates_of_ca(tx, id, {}); });
  EXPECT_EQ(page.items.size(), 2u);
}

TEST_F(CaCertificates, RegistrationIsRefusedWithoutAGoodCa) {
  const CertificateAuthority ca = authority("Same"), twin = authority("Same"), stranger = authority("Stranger");
  EXPECT_EQ(with_ca(leaf(ca).pem).error().reason, "CertificateValidationException");
  EXPECT_THAT(with_ca(leaf(ca).pem, ca.certificate_pem()).error().message, HasSubstr("not registered"));
  add(unproven(ca)).value();
  add(unproven(twin, false)).value();
  EXPECT_THAT(with_ca(leaf(ca).pem, twin.certificate_pem()).error().message, HasSubstr("not signed by"));
  EXPECT_EQ(with_ca(leaf(stranger).pem, ca.certificate_pem()).error().reason, "CertificateValidationException");
  EXPECT_EQ(with_ca(leaf(twin).pem).error().reason, "CertificateStateException");
  const x509::Certificate device = leaf(ca);
  EXPECT_TRUE(with_ca(device.pem));
  EXPECT_EQ(with_ca(device.pem).error().kind, ErrorKind::kAlreadyExists);
}

TEST_F(CaCertificates, CertificatesOfACaPageByTimeAndGoWithTheirDeletion) {
  const CertificateAuthority ca = authority();
  const std::string id = add(unproven(ca))->id;
  std::vector<std::string> ids;
  for (int i = 0; i < 5; ++i) {
    ids.push_back(with_ca(leaf(ca).pem, {}, CertificateStatus::kInactive)->id);
    clock_.advance_ms(10);
  }
  auto list = [&](bool ascending, std::size_t limit) {
    std::vector<std::string> seen;
    registry::PageRequest request{{}, limit};
    do {
      auto page = run([&](store::Tx& tx) { return list_certificates_of_ca(tx, id, request, ascending); });
      for (const Certificate& each : page.items) seen.push_back(each.id);
      request.token = page.next_token;
    } while (!request.token.empty());
    if (!ascending) std::ranges::reverse(seen);
    return seen;
  };
  for (bool ascending : {true, false})
    for (std::size_t limit : {1u, 2u, 5u}) EXPECT_EQ(list(ascending, limit), ids);
  EXPECT_TRUE(status([&](store::Tx& tx) { return delete_certificate(tx, realm_, ids[2], false); }));
  ids.erase(ids.begin() + 2);
  EXPECT_EQ(list(true, 2), ids);
}

TEST_F(CaCertificates, ArnsOfOthersAreNotOurs) {
  const std::string id = sha256_hex("x");
  EXPECT_EQ(ca_certificate_in_arn(realm_, ca_certificate_arn(realm_, id)), id);
  EXPECT_FALSE(ca_certificate_in_arn(realm_, "arn:aws:iot:eu-central-1:999999999999:cacert/" + id));
  EXPECT_FALSE(ca_certificate_in_arn(realm_, certificate_arn(realm_, id)));
  EXPECT_FALSE(ca_certificate_in_arn(realm_, "arn:aws:iot:eu-central-1:123456789012:cacert/../x"));
}

}  // namespace
}  // namespace muster::security
