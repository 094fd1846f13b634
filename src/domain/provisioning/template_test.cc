// SPDX-License-Identifier: Apache-2.0
#include "domain/provisioning/template.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/text.h"

namespace muster::provisioning {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

constexpr std::string_view kPolicyDocument =
    R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iot:Publish","Resource":"*"}]})";
constexpr std::string_view kCertificate =
    R"("certificate":{"Type":"AWS::IoT::Certificate","Properties":{"CertificateId":{)"
    R"("Ref":"AWS::IoT::Certificate::Id"}}})";

std::string id() {
  return std::string(64, 'a');
}

// A fleet template: the certificate and what is given, over parameters Serial and Place.
std::string fleet(const std::string& resources, const std::string& more = "") {
  return R"({"Parameters":{"Serial":{"Type":"String"},"Place":{"Type":"String","Default":"attic"}},"Resources":{)" +
         std::string(kCertificate) + (resources.empty() ? "" : ",") + resources + "}" + more + "}";
}
std::string thing(const std::string& properties, const std::string& more = "") {
  return R"("thing":{"Type":"AWS::IoT::Thing","Properties":{)" + properties + "}" + more + "}";
}
std::string thing_named(const std::string& name) {
  return fleet(thing(R"("ThingName":)" + name));
}
std::string policy(const std::string& properties) {
  return R"("policy":{"Type":"AWS::IoT::Policy","Properties":{)" + properties + "}}";
}

std::string refusal(const std::string& body, TemplateUse use = TemplateUse::kFleet) {
  auto parsed = parse_template(body, use);
  return parsed ? "accepted" : parsed.error().message;
}
Result<Plan> plan_of(const std::string& body, Parameters given, TemplateUse use = TemplateUse::kFleet) {
  auto parsed = parse_template(body, use);
  if (!parsed) return parsed.error();
  if (use == TemplateUse::kFleet) given.emplace(kCertificateIdParameter, id());
  return resolve(*parsed, given);
}
// The thing's name, or the error.
std::string name_of(const std::string& expression, const Parameters& given = {{"Serial", "s-1"}}) {
  auto plan = plan_of(thing_named(expression), given);
  return plan ? plan->thing->thing.name : plan.error().message;
}

TEST(ProvisioningTemplate, WholeFleetTemplate) {
  const std::string body = fleet(thing(R"("ThingName":{"Fn::Join":["",["dev_",{"Ref":"Serial"}]]},
               "AttributePayload":{"version":"v1","serial":{"Ref":"Serial"}},
               "ThingGroups":["lamps",{"Ref":"Place"}])",
                                       R"(,"OverrideSettings":{"AttributePayload":"MERGE","ThingGroups":"REPLACE"})") +
                                     "," + policy(R"("PolicyName":"devices")"),
                                 R"(,"Mappings":{"Urls":{"attic":{"url":"https://a.example"}}},
          "DeviceConfiguration":{"fixed":[1,true,"x"],"url":{"Fn::FindInMap":["Urls",{"Ref":"Place"},"url"]}})");
  auto plan = plan_of(body, {{"Serial", "7"}});
  ASSERT_TRUE(plan) << plan.error().message;
  EXPECT_EQ(plan->thing->thing.name, "dev_7");
  EXPECT_THAT(plan->thing->thing.attributes, ElementsAre(Pair("serial", "7"), Pair("version", "v1")));
  EXPECT_THAT(plan->thing->groups, ElementsAre("lamps", "attic"));
  EXPECT_EQ(plan->thing->attributes, Override::kMerge);
  EXPECT_EQ(plan->thing->memberships, Override::kReplace);
  EXPECT_EQ(plan->certificate->id, id());
  EXPECT_EQ(plan->certificate->status, security::CertificateStatus::kActive);
  EXPECT_EQ(plan->policies.at(0).name, "devices");
  EXPECT_EQ(to_text(plan->device_configuration), R"({"fixed":[1,true,"x"],"url":"https://a.example"})");
}

TEST(ProvisioningTemplate, FunctionsSayWhatTheyDo) {
  EXPECT_EQ(name_of(R"("plain")"), "plain");
  EXPECT_EQ(name_of(R"({"Fn::Join":["-",["a",{"Ref":"Serial"},"b"]]})"), "a-s-1-b");
  EXPECT_EQ(name_of(R"({"Fn::Join":["-",[]]})"), "Invalid thing name: it must match [a-zA-Z0-9:_-]{1,128}");
  EXPECT_EQ(name_of(R"({"Fn::Select":[1,["a","b"]]})"), "b");
  EXPECT_EQ(name_of(R"({"Fn::Select":["0",{"Fn::Split":["-",{"Ref":"Serial"}]}]})"), "s");
  EXPECT_EQ(name_of(R"({"Fn::Join":["_",{"Fn::Split":["-",{"Ref":"Serial"}]}]})"), "s_1");
  EXPECT_EQ(name_of(R"({"Fn::Sub":"x-${Serial}-${Place}"})"), "x-s-1-attic");
  EXPECT_EQ(name_of(R"({"Fn::Sub":["${a}:${Serial}",{"a":{"Ref":"Place"}}]})"), "attic:s-1");
}

TEST(ProvisioningTemplate, WhatDependsOnValuesIsFoundWhenItIsUsed) {
  EXPECT_EQ(name_of(R"({"Fn::Select":[2,["a","b"]]})"), "Fn::Select: the index is not one of the list's");
  EXPECT_EQ(name_of(R"({"Fn::Select":["-1",["a","b"]]})"), "Fn::Select: the index is not one of the list's");
  EXPECT_EQ(name_of(R"({"Ref":"Serial"})", {}), "Parameter Serial is required and has no value");
  EXPECT_EQ(name_of(R"({"Fn::Select":[0,{"Fn::Split":["",{"Ref":"Serial"}]}]})"), "Fn::Split: the delimiter is empty");
  auto plan = plan_of(fleet(thing(R"("ThingName":{"Fn::FindInMap":["M",{"Ref":"Serial"},"n"]})"),
                            R"(,"Mappings":{"M":{"k":{"n":"x"}}})"),
                      {{"Serial", "nowhere"}});
  EXPECT_EQ(plan.error().message, "Fn::FindInMap: there is no M.nowhere.n");
}

// ---- hostile templates

TEST(HostileTemplate, DeepOnesAreRefused) {
  std::string deep = R"("x")";
  for (int i = 0; i < 8; ++i) deep = R"({"Fn::Join":["",[)" + deep + "]]}";
  EXPECT_THAT(refusal(thing_named(deep)), HasSubstr("nested too deeply"));
  EXPECT_THAT(refusal(std::string(5000, '[')), HasSubstr("Invalid template body"));
  std::string objects;
  for (int i = 0; i < 500; ++i) objects += R"({"a":)";
  EXPECT_THAT(refusal(objects), HasSubstr("Invalid template body"));
}

TEST(HostileTemplate, RecursiveRefsGoNowhere) {
  // A default or a value is text and stays text.
  auto plan = plan_of(R"({"Parameters":{"A":{"Type":"String","Default":"${A}"},"B":{"Type":"String"}},"Resources":{)" +
                          std::string(kCertificate) + "," +
                          thing(R"("ThingName":"t","AttributePayload":{"a":{"Fn::Sub":"x"},"b":{"Ref":"B"}})") + "}}",
                      {{"B", "Ref-B"}});
  ASSERT_TRUE(plan) << plan.error().message;
  EXPECT_EQ(plan->thing->thing.attributes.at("b"), "Ref-B");
  EXPECT_THAT(refusal(R"({"Parameters":{"A":{"Type":"String","Default":{"Ref":"A"}}},"Resources":{)" +
                      std::string(kCertificate) + "}}"),
              HasSubstr("Parameters.A.Default must be a string"));
  EXPECT_THAT(refusal(thing_named(R"({"Ref":"thing"})")), HasSubstr("refers to the parameter thing"));
  EXPECT_THAT(refusal(thing_named(R"({"Ref":{"Ref":"Serial"}})")), HasSubstr("Ref takes a name"));
}

TEST(HostileTemplate, UnknownThingsAreRefusedByName) {
  EXPECT_THAT(refusal(thing_named(R"({"Fn::GetAtt":["a","b"]})")), HasSubstr("unknown function Fn::GetAtt"));
  EXPECT_THAT(refusal(thing_named(R"({"Fn::Join":["",["a"]],"Ref":"Serial"})")), HasSubstr("mixes a function"));
  EXPECT_THAT(refusal(thing_named(R"({"Fn::Join":["",["a"],"more"]})")), HasSubstr("takes 2 arguments"));
  EXPECT_THAT(refusal(thing_named(R"({"Fn::FindInMap":["None","a","b"]})")), HasSubstr("the mapping None"));
  EXPECT_THAT(refusal(thing_named(R"({"Fn::Split":["-","a"]})")), HasSubstr("must be a string"));
  EXPECT_THAT(refusal(thing_named(R"({"Fn::Sub":"${Other}"})")), HasSubstr("the parameter Other"));
  EXPECT_THAT(refusal(thing_named(R"({"Fn::Sub":"${Serial"})")), HasSubstr("not closed"));
  EXPECT_THAT(refusal(thing_named("7")), HasSubstr("must be a string"));
  EXPECT_THAT(refusal(fleet(thing(R"("ThingName":"t","PackageVersions":["p"])"))), HasSubstr("PackageVersions"));
  EXPECT_THAT(refusal(fleet("", R"(,"Outputs":{})")), HasSubstr("Outputs is not supported"));
  EXPECT_THAT(refusal(fleet(R"("x":{"Type":"AWS::S3::Bucket","Properties":{}})")), HasSubstr("Resources.x.Type"));
  EXPECT_THAT(refusal(fleet(R"("x":{"Type":"AWS::IoT::Thing","Properties":{},"DependsOn":"y"})")),
              HasSubstr("DependsOn"));
  EXPECT_THAT(refusal(fleet(thing(R"("ThingName":"t")", R"(,"OverrideSettings":{"ThingName":"REPLACE"})"))),
              HasSubstr("OverrideSettings.ThingName"));
  EXPECT_THAT(refusal(fleet(thing(R"("ThingName":"t")", R"(,"OverrideSettings":{"ThingGroups":"MAYBE"})"))),
              HasSubstr("must be DO_NOTHING"));
  EXPECT_THAT(refusal(R"({"Parameters":{"A":{"Type":"Number"}},"Resources":{)" + std::string(kCertificate) + "}}"),
              HasSubstr("Parameters.A.Type must be String"));
}

TEST(HostileTemplate, FormsThatAreNoTemplate) {
  for (const char* body :
       {"", "null", "[]", "{}", "\"x\"", R"({"Resources":[]})", R"({"Resources":{}})", R"({"Resources":{"a":1}})",
        R"({"Resources":{"a":{"Type":"AWS::IoT::Thing"}}})", "{", "\xff"}) {
    EXPECT_THAT(refusal(body), HasSubstr("Invalid template body")) << body;
  }
  EXPECT_THAT(refusal(fleet("") + std::string(kMaxTemplateBytes, ' ')), HasSubstr("exceeds 10240"));
}

TEST(HostileTemplate, CertificateOfAnotherIsNotTheTemplatesToName) {
  const auto with = [](const std::string& properties) {
    return R"({"Parameters":{"C":{"Type":"String"}},"Resources":{"c":{"Type":"AWS::IoT::Certificate","Properties":{)" +
           properties + "}}}}";
  };
  for (const std::string& body :
       {with(R"("CertificateId":")" + id() + "\""), with(R"("CertificateId":{"Ref":"C"})"),
        with(R"("CertificateSigningRequest":{"Ref":"C"})"), with(R"("CertificatePem":{"Ref":"C"})")}) {
    EXPECT_THAT(refusal(body, TemplateUse::kFleet), HasSubstr("must have CertificateId")) << body;
    EXPECT_THAT(refusal(body, TemplateUse::kJustInTime), HasSubstr("must have CertificateId")) << body;
    EXPECT_EQ(refusal(body, TemplateUse::kRegister), "accepted") << body;
  }
  EXPECT_THAT(refusal(with(""), TemplateUse::kRegister), HasSubstr("must have one of"));
  EXPECT_THAT(refusal(with(R"("CertificateId":{"Ref":"C"},"CertificatePem":{"Ref":"C"})"), TemplateUse::kRegister),
              HasSubstr("must have one of"));
}

TEST(HostileTemplate, ValuesCannotExplode) {
  // 40 times the longest value, joined by it.
  std::string items;
  for (int i = 0; i < 40; ++i) items += std::string(i > 0 ? "," : "") + R"({"Ref":"Serial"})";
  EXPECT_THAT(name_of(R"({"Fn::Join":[{"Ref":"Serial"},[)" + items + "]]}", {{"Serial", std::string(4096, 'x')}}),
              HasSubstr("makes more than"));
  EXPECT_THAT(name_of(R"({"Fn::Join":[{"Ref":"Serial"},{"Fn::Split":["x",{"Ref":"Serial"}]}]})",
                      {{"Serial", std::string(4000, 'x')}}),
              HasSubstr("too many items"));
}

TEST(HostileTemplate, ParametersWithWildcardsDoNotNameThings) {
  for (const char* value : {"*", "a/b", "a#", "+", "", "a b", "\xc3\xbc", "${iot:ClientId}"}) {
    EXPECT_EQ(name_of(R"({"Ref":"Serial"})", {{"Serial", value}}),
              "Invalid thing name: it must match [a-zA-Z0-9:_-]{1,128}")
        << value;
  }
  EXPECT_EQ(name_of(R"({"Ref":"Serial"})", {{"Serial", std::string(129, 'x')}}),
            "Invalid thing name: it must match [a-zA-Z0-9:_-]{1,128}");
}

TEST(HostileTemplate, ParametersDoNotWidenPolicies) {
  const std::string as_text = fleet(
      policy(R"("PolicyDocument":{"Fn::Sub":"{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",)"
             R"(\"Action\":\"iot:Publish\",\"Resource\":\"arn:aws:iot:us-east-1:123456789012:topic/${Serial}/x\"}]})"
             R"("})"));
  const std::string as_object = fleet(
      policy(R"("PolicyDocument":{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iot:Publish",)"
             R"("Resource":{"Fn::Join":["",["arn:aws:iot:us-east-1:123456789012:topic/",{"Ref":"Serial"}]]}}]})"));
  const std::string split =
      fleet(policy(R"("PolicyDocument":{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iot:Publish",)"
                   R"("Resource":{"Fn::Select":["0",{"Fn::Split":["|",{"Ref":"Serial"}]}]}}]})"));
  for (const std::string& body : {as_text, as_object, split}) {
    for (const char* value : {"*", "a/b", "a?", "${iot:ClientId}", "a\",\"Action\":\"iot:*", "a\\", "#", "+", "a\nb"}) {
      auto plan = plan_of(body, {{"Serial", value}});
      ASSERT_FALSE(plan) << value;
      EXPECT_THAT(plan.error().message, HasSubstr("policy documents")) << value;
    }
    EXPECT_TRUE(plan_of(body, {{"Serial", "s-1"}}));
  }
  EXPECT_EQ(parse_json(plan_of(as_object, {{"Serial", "s-1"}})->policies.at(0).document)
                ->at("Statement")
                .at(0)
                .at("Resource")
                .as_string(),
            "arn:aws:iot:us-east-1:123456789012:topic/s-1");
}

TEST(ProvisioningTemplate, PoliciesHaveANameOrADocument) {
  EXPECT_THAT(refusal(fleet(policy(""))), HasSubstr("either PolicyName or PolicyDocument"));
  EXPECT_THAT(refusal(fleet(policy(R"("PolicyName":"p","PolicyDocument":"{}")"))), HasSubstr("PolicyDocument"));
  EXPECT_THAT(refusal(fleet(policy(R"("PolicyDocument":"{}")"))), HasSubstr("Resources.policy.Properties"));
  EXPECT_THAT(refusal(fleet(policy(R"("PolicyName":"a/b")"))), HasSubstr("Invalid policy name"));
  EXPECT_EQ(refusal(fleet(policy(R"("PolicyDocument":)" + std::string(kPolicyDocument)))), "accepted");
  auto plan = plan_of(fleet(policy(R"("PolicyDocument":)" + std::string(kPolicyDocument))), {});
  EXPECT_EQ(plan->policies.at(0).document, kPolicyDocument);
  EXPECT_EQ(plan->policies.at(0).name.size(), 64U);
}

TEST(ProvisioningTemplate, WhichParametersMayBeGiven) {
  const std::string body =
      R"({"Parameters":{"Name":{"Type":"String"}},"Resources":{)" + thing(R"("ThingName":{"Ref":"Name"})") + "}}";
  EXPECT_TRUE(plan_of(body, {{"Name", "n"}}, TemplateUse::kRegister));
  EXPECT_EQ(plan_of(body, {{"Name", "n"}, {"Other", "x"}}, TemplateUse::kRegister).error().message,
            "Parameter Other is not declared by the template");
  EXPECT_EQ(plan_of(body, {{"Name", "\xff"}}, TemplateUse::kRegister).error().message,
            "The value of parameter Name is not UTF-8");
  EXPECT_THAT(refusal(body, TemplateUse::kFleet), HasSubstr("must have an AWS::IoT::Certificate"));
  EXPECT_THAT(refusal(R"({"Resources":{)" + std::string(kCertificate) + R"(},"DeviceConfiguration":{}})",
                      TemplateUse::kJustInTime),
              HasSubstr("DeviceConfiguration is not supported"));
}

TEST(ProvisioningTemplate, JustInTimeTemplatesKnowTheCertificatesNames) {
  const std::string body = R"({"Parameters":{"AWS::IoT::Certificate::Country":{"Type":"String","Default":"none"}},)"
                           R"("Resources":{)" +
                           std::string(kCertificate) + "," +
                           thing(R"("ThingName":{"Ref":"AWS::IoT::Certificate::CommonName"},)"
                                 R"("AttributePayload":{"c":{"Ref":"AWS::IoT::Certificate::Country"}})") +
                           "}}";
  auto plan = plan_of(body, {{"AWS::IoT::Certificate::CommonName", "cn"}, {"AWS::IoT::Certificate::Id", id()}},
                      TemplateUse::kJustInTime);
  ASSERT_TRUE(plan) << plan.error().message;
  EXPECT_EQ(plan->thing->thing.name, "cn");
  EXPECT_EQ(plan->thing->thing.attributes.at("c"), "none");
  EXPECT_THAT(refusal(body, TemplateUse::kFleet), HasSubstr("AWS::IoT::Certificate::Country is not a parameter"));
}

TEST(ProvisioningTemplate, StatusInAnyLetterCase) {
  const auto with = [](const std::string& status) {
    return R"({"Resources":{"c":{"Type":"AWS::IoT::Certificate","Properties":{"CertificateId":{)"
           R"("Ref":"AWS::IoT::Certificate::Id"},"Status":)" +
           status + "}}}}";
  };
  EXPECT_EQ(plan_of(with(R"("Active")"), {})->certificate->status, security::CertificateStatus::kActive);
  EXPECT_EQ(plan_of(with(R"("INACTIVE")"), {})->certificate->status, security::CertificateStatus::kInactive);
  EXPECT_THAT(refusal(with(R"("REVOKED")")), HasSubstr("must be ACTIVE or INACTIVE"));
}

}  // namespace
}  // namespace muster::provisioning
