// SPDX-License-Identifier: Apache-2.0
#include "domain/provisioning/provision.h"

#include "domain/provisioning/provisioning_test_support.h"
#include "domain/provisioning/savepoint.h"
#include "domain/registry/billing_groups.h"
#include "domain/registry/dynamic_groups.h"
#include "domain/registry/thing_types.h"
#include "store/keys.h"
#include "store/schema.h"

namespace muster::provisioning {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

class Provision : public ProvisioningTest {
 protected:
  const std::string with_attributes_ = R"(,"AttributePayload":{"colour":"red","size":"1"})";
  std::string error(const std::string& source, const Parameters& given, const std::string& as = "provisioner") {
    auto done = provisioned(source, given, as);
    return done ? "done" : done.error().message;
  }
};

TEST_F(Provision, MakesAThingWithAttributesAndGroups) {
  group("g");
  group("h");
  auto done = provisioned(body(with_attributes_ + R"(,"ThingGroups":[{"Ref":"Group"},"h"])"), {{"Name", "t1"}});
  ASSERT_TRUE(done) << done.error().message;
  EXPECT_EQ(done->thing_name, "t1");
  EXPECT_THAT(done->resource_arns, ElementsAre(Pair("thing", registry::thing_arn(realm_, "t1"))));
  EXPECT_THAT(thing_named("t1").attributes, ElementsAre(Pair("colour", "red"), Pair("size", "1")));
  EXPECT_THAT(groups_of("t1"), ElementsAre("g", "h"));
  ASSERT_EQ(moved_.size(), 1U);
  EXPECT_THAT(moved_[0].before, ElementsAre());
  EXPECT_THAT(moved_[0].after, ElementsAre("g", "h"));
}

TEST_F(Provision, ChangesAnExistingThingAsTheSettingsSay) {
  group("g");
  group("old");
  thing("t", {{"colour", "blue"}, {"kept", "yes"}});
  join("old", "t");
  const std::string properties = with_attributes_ + R"(,"ThingGroups":["g"])";
  const Parameters name{{"Name", "t"}};

  ASSERT_TRUE(provisioned(body(properties), name));
  EXPECT_EQ(thing_named("t").version, 1) << "left as it is";
  EXPECT_THAT(groups_of("t"), ElementsAre("old"));

  EXPECT_THAT(error(body(properties, R"("AttributePayload":"FAIL")"), name), HasSubstr("exists with other attributes"));
  EXPECT_THAT(error(body(properties, R"("ThingGroups":"FAIL")"), name), HasSubstr("exists in other thing groups"));
  EXPECT_EQ(provisioned(body(properties, R"("ThingGroups":"FAIL")"), name).error().reason,
            "ResourceRegistrationFailureException");

  ASSERT_TRUE(provisioned(body(properties, R"("AttributePayload":"MERGE","ThingGroups":"MERGE")"), name));
  EXPECT_THAT(thing_named("t").attributes, ElementsAre(Pair("colour", "red"), Pair("kept", "yes"), Pair("size", "1")));
  EXPECT_THAT(groups_of("t"), ElementsAre("g", "old"));

  ASSERT_TRUE(provisioned(body(properties, R"("AttributePayload":"REPLACE","ThingGroups":"REPLACE")"), name));
  EXPECT_THAT(thing_named("t").attributes, ElementsAre(Pair("colour", "red"), Pair("size", "1")));
  EXPECT_THAT(groups_of("t"), ElementsAre("g"));

  ASSERT_TRUE(provisioned(body(properties, R"("AttributePayload":"FAIL","ThingGroups":"FAIL")"), name))
      << "it is as it should be";
}

TEST_F(Provision, TypeAndBillingGroup) {
  for (const char* name : {"lamp", "plug"}) {
    run([&](store::Tx& tx) { return registry::create_thing_type(tx, realm_, {.name = name}); });
    run([&](store::Tx& tx) { return registry::create_billing_group(tx, realm_, name, ""); });
  }
  const auto source = [](const std::string& name, const std::string& settings = "") {
    return body(R"(,"ThingTypeName":")" + name + R"(","BillingGroup":")" + name + "\"", settings);
  };
  const Parameters name{{"Name", "t"}};
  ASSERT_TRUE(provisioned(source("lamp"), name));
  EXPECT_EQ(thing_named("t").type, "lamp");
  EXPECT_EQ(thing_named("t").billing_group, "lamp");
  ASSERT_TRUE(provisioned(source("plug"), name));
  EXPECT_EQ(thing_named("t").type, "lamp") << "left as it is";
  EXPECT_THAT(error(source("plug", R"("ThingTypeName":"FAIL")"), name), HasSubstr("another thing type"));
  ASSERT_TRUE(provisioned(source("plug", R"("ThingTypeName":"REPLACE")"), name));
  EXPECT_EQ(thing_named("t").type, "plug");
  EXPECT_EQ(thing_named("t").billing_group, "lamp");
  thing("u");
  ASSERT_TRUE(provisioned(source("plug"), {{"Name", "u"}}));
  EXPECT_EQ(thing_named("u").billing_group, "plug");
  EXPECT_THAT(error(source("none"), {{"Name", "v"}}), HasSubstr("none"));
  role("things", allow(R"("iot:*")", R"("arn:aws:iot:eu-central-1:123456789012:thing/*")"));
  EXPECT_THAT(error(source("lamp"), {{"Name", "w"}}, "things"), HasSubstr("billinggroup/lamp"));
}

TEST_F(Provision, CertificatePolicyAndThingAreTiedTogether) {
  policy("devices");
  const std::string id = certificate("c", security::CertificateStatus::kInactive);
  const std::string source = body("", "",
                                  R"(,"cert":{"Type":"AWS::IoT::Certificate","Properties":{"CertificateId":")" + id +
                                      R"("}},"pol":{"Type":"AWS::IoT::Policy","Properties":{"PolicyName":"devices"}})");
  auto done = provisioned(source, {{"Name", "t"}});
  ASSERT_TRUE(done) << done.error().message;
  EXPECT_THAT(done->resource_arns,
              ElementsAre(Pair("cert", arn(id)), Pair("pol", security::policy_arn(realm_, "devices")),
                          Pair("thing", registry::thing_arn(realm_, "t"))));
  EXPECT_EQ(done->certificate_pem, "pem of c");
  EXPECT_EQ(certificate_of(id).status, security::CertificateStatus::kActive);
  run([&](store::Tx& tx) -> Result<int> {
    EXPECT_TRUE(security::is_attached(tx, realm_, "t", id));
    EXPECT_EQ(security::effective_policies(tx, realm_, id).size(), 1U);
    return 0;
  });
  EXPECT_TRUE(provisioned(source, {{"Name", "t"}})) << "again is a success";
}

TEST_F(Provision, StatusOfACertificateThatExists) {
  const auto source = [&](const std::string& id, const std::string& settings) {
    return body(
        "", "",
        R"(,"cert":{"Type":"AWS::IoT::Certificate","Properties":{"CertificateId":")" + id + R"("})" + settings + "}");
  };
  const std::string inactive = certificate("a", security::CertificateStatus::kInactive);
  EXPECT_TRUE(provisioned(source(inactive, R"(,"OverrideSettings":{"Status":"DO_NOTHING"})"), {{"Name", "t"}}));
  EXPECT_EQ(certificate_of(inactive).status, security::CertificateStatus::kInactive);
  EXPECT_THAT(error(source(inactive, R"(,"OverrideSettings":{"Status":"FAIL"})"), {{"Name", "t"}}),
              HasSubstr("exists with status INACTIVE"));
  const std::string waiting = certificate("b", security::CertificateStatus::kPendingActivation);
  EXPECT_TRUE(provisioned(source(waiting, R"(,"OverrideSettings":{"Status":"FAIL"})"), {{"Name", "t"}}));
  EXPECT_EQ(certificate_of(waiting).status, security::CertificateStatus::kActive);
  const std::string revoked = certificate("r", security::CertificateStatus::kRevoked);
  EXPECT_THAT(error(source(revoked, R"(,"OverrideSettings":{"Status":"REPLACE"})"), {{"Name", "t"}}),
              HasSubstr("The certificate is REVOKED"));
}

TEST_F(Provision, PolicyDocumentBecomesAPolicyOfItsOwn) {
  const std::string id = certificate("c");
  const std::string source =
      body("", "",
           R"(,"cert":{"Type":"AWS::IoT::Certificate","Properties":{"CertificateId":")" + id +
               R"("}},"pol":{"Type":"AWS::IoT::Policy","Properties":{"PolicyDocument":)" + document("x") + "}}");
  auto first = provisioned(source, {{"Name", "t1"}});
  ASSERT_TRUE(first) << first.error().message;
  auto second = provisioned(source, {{"Name", "t2"}});
  ASSERT_TRUE(second) << second.error().message;
  EXPECT_EQ(first->resource_arns["pol"], second->resource_arns["pol"]) << "one document is one policy";
  // Somebody gave that name another document: it is not what the template says.
  const std::string name = first->resource_arns["pol"].substr(first->resource_arns["pol"].rfind('/') + 1);
  run([&](store::Tx& tx) { return security::create_policy_version(tx, name, document("other"), true); });
  EXPECT_THAT(error(source, {{"Name", "t3"}}), HasSubstr("exists with another document"));
}

TEST_F(Provision, AllOrNothing) {
  const std::string source = body(R"(,"ThingGroups":["nowhere"])");
  EXPECT_THAT(error(source, {{"Name", "t"}}), HasSubstr("nowhere"));
  run([&](store::Tx& tx) -> Result<int> {
    EXPECT_FALSE(registry::thing_exists(tx, "t"));
    return 0;
  });
}

TEST_F(Provision, TheRoleBoundsEachCall) {
  group("g");
  policy("devices");
  const std::string id = certificate("c", security::CertificateStatus::kInactive);
  const std::string source = body(R"(,"ThingGroups":["g"])", "",
                                  R"(,"cert":{"Type":"AWS::IoT::Certificate","Properties":{"CertificateId":")" + id +
                                      R"("}},"pol":{"Type":"AWS::IoT::Policy","Properties":{"PolicyName":"devices"}})");
  const std::vector<std::string> actions{"iot:CreateThing", "iot:AddThingToThingGroup", "iot:UpdateCertificate",
                                         "iot:AttachPolicy", "iot:AttachThingPrincipal"};
  for (const std::string& missing : actions) {
    std::string list;
    for (const std::string& action : actions) {
      if (action != missing) list += (list.empty() ? "\"" : ",\"") + action + "\"";
    }
    const std::string name = "without-" + missing.substr(4);
    role(name, allow(list));
    auto done = provisioned(source, {{"Name", "t"}}, name);
    ASSERT_FALSE(done) << missing;
    EXPECT_EQ(done.error().kind, ErrorKind::kAccessDenied);
    EXPECT_THAT(done.error().message, HasSubstr(missing));
  }
  // Of that thing alone.
  role("narrow", allow(R"("iot:*")", R"(["arn:aws:iot:eu-central-1:123456789012:thing/mine",)"
                                     R"("arn:aws:iot:eu-central-1:123456789012:thinggroup/g"])"));
  EXPECT_TRUE(provisioned(body(R"(,"ThingGroups":["g"])"), {{"Name", "mine"}}, "narrow"));
  EXPECT_THAT(error(body(""), {{"Name", "yours"}}, "narrow"), HasSubstr("thing/yours"));
}

TEST_F(Provision, ACertificateIsAttachedByWhoMayAttachIt) {
  const std::string id = certificate("c");
  const std::string with_certificate =
      body("", "", R"(,"cert":{"Type":"AWS::IoT::Certificate","Properties":{"CertificateId":")" + id + R"("}})");
  role("things", allow(R"("iot:*")", R"("arn:aws:iot:eu-central-1:123456789012:thing/*")"));
  EXPECT_THAT(error(with_certificate, {{"Name", "t"}}, "things"), HasSubstr("cert/" + id));
  role("certificates", allow(R"("iot:*")", R"(["arn:aws:iot:eu-central-1:123456789012:thing/*",)"
                                           R"("arn:aws:iot:eu-central-1:123456789012:cert/)" +
                                               id + "\"]"));
  EXPECT_TRUE(provisioned(with_certificate, {{"Name", "t"}}, "certificates"));
}

TEST_F(Provision, RoleThatDoesNotTrustIot) {
  role("lambda", allow(R"("iot:*")"), "lambda.amazonaws.com");
  auto done = provisioned(body(""), {{"Name", "t"}}, "lambda");
  EXPECT_EQ(done.error().kind, ErrorKind::kAccessDenied);
  EXPECT_THAT(done.error().message, HasSubstr("does not allow iot.amazonaws.com"));
  EXPECT_EQ(provisioned(body(""), {{"Name", "t"}}, "nobody").error().kind, ErrorKind::kAccessDenied);
}

TEST_F(Provision, WhatIsNoSigningRequestIsRefused) {
  const std::string source =
      R"({"Parameters":{"CSR":{"Type":"String"}},"Resources":{"c":{"Type":"AWS::IoT::Certificate",)"
      R"("Properties":{"CertificateSigningRequest":{"Ref":"CSR"}}}}})";
  EXPECT_EQ(provisioned(source, {{"CSR", "no request"}}).error().kind, ErrorKind::kInvalid);
  EXPECT_EQ(provisioned(source, {{"CSR", ""}}).error().message, "The certificate of the template has no value");
}

TEST_F(Provision, NamesOfAnotherAccountAreNotFound) {
  EXPECT_THAT(error(body(R"(,"ThingGroups":["arn:aws:iot:eu-central-1:999999999999:thinggroup/g"])"), {{"Name", "t"}}),
              HasSubstr("not found"));
  EXPECT_THAT(error(body(""), {{"Name", "arn:aws:iot:eu-central-1:999999999999:thing/t"}}),
              HasSubstr("Invalid thing name"));
}

TEST_F(Provision, SavepointKeepsItsWritesToItself) {
  run([&](store::Tx& tx) -> Result<int> {
    const std::string a = store::Key(store::table::kThing).text("a").str(),
                      b = store::Key(store::table::kThing).text("b").str();
    const std::string count = store::Key(store::table::kGroupMemberCount).text("g").str();
    tx.put(a, "outer");
    tx.add(count, 1);
    {
      Savepoint dropped(tx);
      dropped.put(b, "x");
      dropped.erase(a);
      dropped.add(count, 5);
      EXPECT_FALSE(dropped.get(a));
      EXPECT_EQ(dropped.range({.begin = a, .end = store::after_key(b)}).size(), 1U);
      EXPECT_EQ(dropped.counter(count), 6);
    }
    EXPECT_EQ(tx.get(a), "outer");
    EXPECT_FALSE(tx.get(b));
    EXPECT_EQ(tx.counter(count), 1);
    Savepoint kept(tx);
    kept.put(b, "y");
    kept.add(count, 2);
    EXPECT_TRUE(kept.release());
    EXPECT_EQ(tx.get(b), "y");
    EXPECT_EQ(tx.counter(count), 3);
    return 0;
  });
}

}  // namespace
}  // namespace muster::provisioning
