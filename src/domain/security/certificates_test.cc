// SPDX-License-Identifier: Apache-2.0
#include "domain/security/certificates.h"

#include <map>

#include "domain/registry/dynamic_groups.h"
#include "domain/security/security_test_support.h"

namespace muster::security {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class Certificates : public SecurityTest {
 protected:
  Status remove(const std::string& id, bool force = false) {
    return status([&](store::Tx& tx) { return delete_certificate(tx, realm_, id, force); });
  }
  void set(const std::string& id, CertificateStatus state) {
    run([&](store::Tx& tx) { return update_certificate(tx, id, state); });
  }
  Status attach(const std::string& name, const std::string& target) {
    return status([&](store::Tx& tx) { return attach_policy(tx, realm_, name, target); });
  }
  Status detach(const std::string& name, const std::string& target) {
    return status([&](store::Tx& tx) { return detach_policy(tx, realm_, name, target); });
  }
  std::vector<std::string> effective(const std::string& id, const std::string& of_thing = "") {
    auto policies = run([&](store::Tx& tx) -> Result<std::vector<EffectivePolicy>> {
      return effective_policies(tx, realm_, id, of_thing);
    });
    std::vector<std::string> names;
    for (const EffectivePolicy& each : policies) names.push_back(each.name);
    return names;
  }
};

TEST_F(Certificates, RegisteringTwiceIsAConflictThatNamesTheCertificate) {
  std::string id = certificate("c");
  Certificate again;
  again.id = id;
  auto refused = result([&](store::Tx& tx) { return register_certificate(tx, realm_, again); });
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message, "The certificate is already provisioned or registered");
  EXPECT_EQ(get_string(refused.error().fields, "resourceArn"), arn(id));
}

TEST_F(Certificates, StatusChanges) {
  std::string id = certificate("c", CertificateStatus::kInactive);
  set(id, CertificateStatus::kActive);
  Certificate read = run([&](store::Tx& tx) { return get_certificate(tx, id); });
  EXPECT_EQ(read.status, CertificateStatus::kActive);
  EXPECT_EQ(read.customer_version, 2);
  EXPECT_THAT(said([&](store::Tx& tx) { return update_certificate(tx, id, CertificateStatus::kPendingTransfer); }),
              HasSubstr("PENDING_TRANSFER"));
  EXPECT_EQ(said([&](store::Tx& tx) { return update_certificate(tx, "0", CertificateStatus::kActive); }),
            "The certificate given in the request does not exist (certificateId=0)");
}

TEST_F(Certificates, DeletionRules) {
  std::string id = certificate("c");
  thing("t");
  policy("p");
  EXPECT_TRUE(attach("p", arn(id)));
  EXPECT_TRUE(status([&](store::Tx& tx) { return attach_thing_principal(tx, realm_, "t", arn(id)); }));
  EXPECT_EQ(remove(id, true).error().reason, "CertificateStateException") << "force does not delete an active one";
  set(id, CertificateStatus::kRevoked);
  EXPECT_EQ(remove(id).error().reason, "DeleteConflictException");
  EXPECT_TRUE(status([&](store::Tx& tx) { return detach_thing_principal(tx, realm_, "t", arn(id)); }));
  EXPECT_THAT(remove(id).error().message, HasSubstr("Certificate policies must be detached"));
  EXPECT_TRUE(remove(id, true));
  EXPECT_TRUE(status([](store::Tx& tx) { return delete_policy(tx, "p"); })) << "nothing attached any more";
}

TEST_F(Certificates, ListsByTimeBothWays) {
  std::vector<std::string> ids;
  for (int i = 0; i < 5; ++i) {
    ids.push_back(certificate("c" + std::to_string(i)));
    clock_.advance_ms(10);
  }
  for (bool ascending : {true, false}) {
    for (std::size_t limit : {1u, 2u, 5u}) {
      std::vector<std::string> seen;
      registry::PageRequest request{{}, limit};
      do {
        auto page = run([&](store::Tx& tx) { return list_certificates(tx, request, ascending); });
        for (const Certificate& each : page.items) seen.push_back(each.id);
        request.token = page.next_token;
      } while (!request.token.empty());
      std::vector<std::string> expected = ids;
      if (!ascending) std::ranges::reverse(expected);
      EXPECT_EQ(seen, expected) << ascending << limit;
    }
  }
}

TEST_F(Certificates, ArnsOfOthersAreNotOurs) {
  std::string id = sha256_hex("x");
  EXPECT_EQ(certificate_in_arn(realm_, arn(id)), id);
  EXPECT_FALSE(certificate_in_arn(realm_, "arn:aws:iot:eu-central-1:999999999999:cert/" + id));
  EXPECT_FALSE(certificate_in_arn(realm_, "arn:aws:iot:us-east-1:123456789012:cert/" + id));
  EXPECT_FALSE(certificate_in_arn(realm_, "arn:aws:iot:eu-central-1:123456789012:cert/xyz"));
  EXPECT_FALSE(certificate_in_arn(realm_, "junk"));
}

TEST_F(Certificates, VariablesComeFromSubjectAndIssuer) {
  Certificate made;
  made.id = "1";
  made.serial_number = "0A";
  made.subject = "CN=dev\\,1,O=A\\2BB,OU=y,OU=x,2.5.4.99=#0401";  // the last one first, as RFC 2253 writes
  made.issuer = "CN=Muster \\C3\\A9";
  std::map<std::string, std::string> variables;
  std::map<std::string, std::vector<std::string>> all;
  for (auto& [name, values] : certificate_variables(made)) {
    variables[name] = values.at(0);
    all[name] = values;
  }
  EXPECT_EQ(variables["iot:Certificate.Subject.CommonName"], "dev,1");
  EXPECT_EQ(variables["iot:Certificate.Subject.Organization"], "A+B");
  EXPECT_EQ(variables["iot:Certificate.Subject.OrganizationalUnit"], "x");
  EXPECT_EQ(variables["iot:Certificate.Subject.OrganizationalUnit.1"], "y");
  EXPECT_FALSE(variables.contains("iot:Certificate.Subject.OrganizationalUnit.2"));
  EXPECT_EQ(all["iot:Certificate.Subject.OrganizationalUnit.List"], (std::vector<std::string>{"x", "y"}));
  EXPECT_EQ(variables["iot:Certificate.Issuer.CommonName"], "Muster \xC3\xA9");
  EXPECT_EQ(variables["iot:Certificate.SerialNumber"], "0A");
  for (const char* hostile : {"", "=", ",,,", "CN", "CN=\\", "CN=\\zz", "CN=a\\", "=x,CN=+"}) {
    made.subject = hostile;
    EXPECT_LE(certificate_variables(made).size(), 7u);
  }
}

// ---- policies

TEST_F(Certificates, PoliciesHaveVersionsAndOneDefault) {
  policy("p");
  auto add = [&](std::string topic, bool as_default) {
    return result([&](store::Tx& tx) { return create_policy_version(tx, "p", document(topic), as_default); });
  };
  EXPECT_EQ(add("v2", true)->number, 2);
  EXPECT_EQ(add("v3", false)->number, 3);
  Policy read = run([](store::Tx& tx) { return get_policy(tx, "p"); });
  EXPECT_EQ(read.default_version, 2);
  EXPECT_EQ(read.current().document, document("v2"));
  EXPECT_EQ(status([](store::Tx& tx) { return delete_policy_version(tx, "p", "2"); }).error().reason,
            "DeleteConflictException");
  EXPECT_TRUE(status([](store::Tx& tx) { return set_default_policy_version(tx, "p", "3"); }));
  EXPECT_TRUE(status([](store::Tx& tx) { return delete_policy_version(tx, "p", "2"); }));
  EXPECT_EQ(add("v4", false)->number, 4) << "numbers are not used again";
  EXPECT_EQ(status([](store::Tx& tx) { return set_default_policy_version(tx, "p", "2"); }).error().kind,
            ErrorKind::kNotFound);
  EXPECT_EQ(status([](store::Tx& tx) { return set_default_policy_version(tx, "p", "junk"); }).error().kind,
            ErrorKind::kNotFound);
  EXPECT_TRUE(add("v5", false));
  EXPECT_TRUE(add("v6", false));
  EXPECT_EQ(add("v7", false).error().reason, "VersionsLimitExceededException");
  EXPECT_THAT(said([](store::Tx& tx) -> Result<int> {
                TRY_VOID(delete_policy(tx, "p"));
                return 1;
              }),
              HasSubstr("one or more policy versions"));
}

TEST_F(Certificates, PolicyDocumentsAreChecked) {
  auto create = [&](std::string text) {
    auto made = result([&](store::Tx& tx) { return create_policy(tx, realm_, "p", text); });
    return made ? std::string("ok") : made.error().reason;
  };
  EXPECT_EQ(create("{}"), "MalformedPolicyException");
  EXPECT_EQ(create(document(std::string(2048, 'x'))), "MalformedPolicyException");
  EXPECT_EQ(create(document("x") + std::string(3000, ' ')), "ok") << "white space does not count";
  EXPECT_EQ(said([&](store::Tx& tx) { return create_policy(tx, realm_, "p", document("x")); }),
            "Policy cannot be created - name already exists (name=p)");
}

TEST_F(Certificates, AttachmentsAreIdempotentBoundedAndGuardDeletion) {
  std::string id = certificate("c");
  for (int i = 0; i < 11; ++i) policy("p" + std::to_string(i));
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(attach("p" + std::to_string(i), arn(id)));
  EXPECT_TRUE(attach("p0", arn(id)));
  EXPECT_EQ(attach("p10", arn(id)).error().kind, ErrorKind::kLimit);
  EXPECT_EQ(attach("nosuch", arn(id)).error().kind, ErrorKind::kNotFound);
  EXPECT_EQ(attach("p0", arn(sha256_hex("other"))).error().kind, ErrorKind::kNotFound);
  EXPECT_EQ(attach("p0", "arn:aws:iam::123456789012:user/x").error().kind, ErrorKind::kInvalid);
  EXPECT_THAT(said([](store::Tx& tx) -> Result<int> {
                TRY_VOID(delete_policy(tx, "p0"));
                return 1;
              }),
              HasSubstr("attached to one or more principals"));
  EXPECT_TRUE(detach("p0", arn(id)));
  EXPECT_TRUE(detach("p0", arn(id)));
  EXPECT_TRUE(status([](store::Tx& tx) { return delete_policy(tx, "p0"); }));
  auto targets = run([](store::Tx& tx) { return list_policy_targets(tx, "p1", {}); });
  EXPECT_THAT(targets.items, ElementsAre(arn(id)));
}

TEST_F(Certificates, EffectivePoliciesComeFromCertificateAndGroupsOfItsThings) {
  std::string id = certificate("c");
  for (const char* name : {"own", "root", "leaf", "stranger"}) policy(name);
  group("r");
  group("l", "r");
  group("s");
  thing("t1");
  thing("t2");
  join("l", "t1");
  join("s", "t2");
  EXPECT_TRUE(attach("own", arn(id)));
  EXPECT_TRUE(attach("root", registry::group_arn(realm_, "r")));
  EXPECT_TRUE(attach("leaf", registry::group_arn(realm_, "l")));
  EXPECT_TRUE(attach("stranger", registry::group_arn(realm_, "s")));
  EXPECT_THAT(effective(id), ElementsAre("own"));
  EXPECT_THAT(effective(id, "t1"), ElementsAre("own")) << "the thing is not attached";
  EXPECT_TRUE(status([&](store::Tx& tx) { return attach_thing_principal(tx, realm_, "t1", arn(id)); }));
  EXPECT_THAT(effective(id), ElementsAre("leaf", "own", "root"));
  EXPECT_THAT(effective(id, "t2"), ElementsAre("own"));
  EXPECT_TRUE(
      status([&](store::Tx& tx) { return detach_policy(tx, realm_, "leaf", registry::group_arn(realm_, "l")); }));
  EXPECT_THAT(effective(id, "t1"), ElementsAre("own", "root"));
}

TEST_F(Certificates, AttachedPoliciesOfAGroupMayIncludeItsAncestors) {
  for (const char* name : {"p1", "p2", "p3"}) policy(name);
  group("r");
  group("l", "r");
  EXPECT_TRUE(attach("p1", registry::group_arn(realm_, "r")));
  EXPECT_TRUE(attach("p2", registry::group_arn(realm_, "l")));
  EXPECT_TRUE(attach("p3", registry::group_arn(realm_, "l")));
  EXPECT_EQ(attach("p1", registry::group_arn(realm_, "l")).error().kind, ErrorKind::kLimit) << "two a group";
  auto list = [&](bool recursive, std::size_t limit) {
    std::vector<std::string> names;
    registry::PageRequest request{{}, limit};
    do {
      auto page = run([&](store::Tx& tx) {
        return list_attached_policies(tx, realm_, registry::group_arn(realm_, "l"), recursive, request);
      });
      names.insert(names.end(), page.items.begin(), page.items.end());
      request.token = page.next_token;
    } while (!request.token.empty());
    return names;
  };
  for (std::size_t limit : {1u, 2u, 10u}) {
    EXPECT_THAT(list(false, limit), ElementsAre("p2", "p3"));
    EXPECT_THAT(list(true, limit), ElementsAre("p1", "p2", "p3"));
  }
  EXPECT_TRUE(run([&](store::Tx& tx) { return registry::delete_group(tx, realm_, "l", std::nullopt); }).done);
  EXPECT_TRUE(status([](store::Tx& tx) { return delete_policy(tx, "p2"); })) << "the group took its attachments along";
}

TEST_F(Certificates, AnUnreadablePolicyDeniesInsteadOfVanishing) {
  std::string id = certificate("c");
  policy("p");
  EXPECT_TRUE(attach("p", arn(id)));
  EXPECT_TRUE(status([](store::Tx& tx) -> Status {
    tx.put(std::string("Np") + '\0', "{broken");
    return {};
  }));
  auto policies =
      run([&](store::Tx& tx) -> Result<std::vector<EffectivePolicy>> { return effective_policies(tx, realm_, id); });
  ASSERT_EQ(policies.size(), 1u);
  EXPECT_EQ(policies[0].document, "");
}

TEST_F(Certificates, PrincipalListsPage) {
  std::string id = certificate("c");
  for (int i = 0; i < 5; ++i) {
    std::string name = "t" + std::to_string(i);
    thing(name);
    EXPECT_TRUE(status([&](store::Tx& tx) { return attach_thing_principal(tx, realm_, name, arn(id)); }));
  }
  registry::PageRequest request{{}, 2};
  std::vector<std::string> things;
  do {
    auto page = run([&](store::Tx& tx) { return list_principal_things(tx, realm_, arn(id), request); });
    things.insert(things.end(), page.items.begin(), page.items.end());
    request.token = page.next_token;
  } while (!request.token.empty());
  EXPECT_THAT(things, ElementsAre("t0", "t1", "t2", "t3", "t4"));
  auto of_thing = run([](store::Tx& tx) { return list_thing_principals(tx, "t0", {}); });
  EXPECT_THAT(of_thing.items, ElementsAre(arn(id)));
  EXPECT_EQ(said([&](store::Tx& tx) { return list_principal_things(tx, realm_, "junk", {}); }),
            "Invalid principal: it must be the ARN of a certificate of this account, or an Amazon Cognito identity ID");
}

TEST_F(Certificates, AttachedToAThingItKeepsItAndDeletionLeavesNothingBehind) {
  std::size_t before = store_->size();
  thing("t1");
  std::string id = certificate("c");
  EXPECT_TRUE(status([&](store::Tx& tx) { return attach_thing_principal(tx, realm_, "t1", arn(id)); }));
  EXPECT_EQ(said([](store::Tx& tx) { return registry::delete_thing(tx, "t1", std::nullopt); }),
            "Cannot delete. Thing t1 is still attached to one or more principals");
  EXPECT_TRUE(status([&](store::Tx& tx) { return detach_thing_principal(tx, realm_, "t1", arn(id)); }));
  EXPECT_TRUE(run([](store::Tx& tx) { return registry::delete_thing(tx, "t1", std::nullopt); }));
  set(id, CertificateStatus::kInactive);
  EXPECT_TRUE(remove(id));
  EXPECT_EQ(store_->size(), before);
}

TEST_F(Certificates, PoliciesAreNotAttachedToDynamicGroups) {
  policy("p");
  run([&](store::Tx& tx) {
    return registry::create_dynamic_group(tx, realm_, {.name = "d", .query = "attributes.a:1"});
  });
  EXPECT_THAT(attach("p", registry::group_arn(realm_, "d")).error().message, HasSubstr("dynamic"));
}

}  // namespace
}  // namespace muster::security
