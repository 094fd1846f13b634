// SPDX-License-Identifier: Apache-2.0
#include "api/wire/authorization.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "base/text.h"

namespace muster::api {
namespace {

using testing::ElementsAre;

const Realm kRealm{"123456789012", "eu-west-1"};

std::vector<iam::AuthorizationRequest> ask(std::string_view service, std::string_view operation, std::string_view input,
                                           const iam::Principal& caller = {}) {
  const model::Service& model = *model::find_service(service);
  json::object members = parse_json(input)->get_object();
  io::HttpRequest request;
  request.peer.address = "10.0.0.1";
  return authorization_requests(
      {model, *model::find_operation(model, operation), kRealm, caller, members, request, 1'700'000'000'000});
}
std::vector<std::string> resources(std::string_view service, std::string_view operation, std::string_view input) {
  return ask(service, operation, input).at(0).resources;
}

TEST(Resources, AreFilledFromTheInput) {
  EXPECT_THAT(resources("iot", "DescribeThing", R"({"thingName":"t:1"})"),
              ElementsAre("arn:aws:iot:eu-west-1:123456789012:thing/t:1"));
  EXPECT_THAT(resources("s3", "GetObject", R"({"Bucket":"b","Key":"a/k"})"), ElementsAre("arn:aws:s3:::b/a/k"));
  EXPECT_THAT(resources("s3", "ListObjectsV2", R"({"Bucket":"b"})"), ElementsAre("arn:aws:s3:::b"));
  EXPECT_THAT(resources("iam", "GetUser", R"({"UserName":"u"})"), ElementsAre("arn:aws:iam::123456789012:user/u"));
  EXPECT_THAT(resources("iot", "TagResource", R"({"resourceArn":"arn:aws:iot:r:a:job/j"})"),
              ElementsAre("arn:aws:iot:r:a:job/j"));
  EXPECT_THAT(resources("iot-data", "Publish", R"({"topic":"a/b"})"),
              ElementsAre("arn:aws:iot:eu-west-1:123456789012:topic/a/b"));
  EXPECT_THAT(resources("iot", "ListThings", "{}"), ElementsAre("*"));
}

TEST(Resources, NamedShadowsHaveAResourceOfTheirOwn) {
  EXPECT_THAT(resources("iot-data", "GetThingShadow", R"({"thingName":"t"})"),
              ElementsAre("arn:aws:iot:eu-west-1:123456789012:thing/t"));
  EXPECT_THAT(resources("iot-data", "UpdateThingShadow", R"({"thingName":"t","shadowName":"n"})"),
              ElementsAre("arn:aws:iot:eu-west-1:123456789012:thing/t/n"));
}

TEST(Resources, JobTargetsAreAskedToo) {
  EXPECT_THAT(resources("iot", "CreateJob", R"({"jobId":"j","targets":["arn:a","arn:b"]})"),
              testing::IsSupersetOf({"arn:aws:iot:eu-west-1:123456789012:job/j", "arn:a", "arn:b"}));
}

TEST(Resources, JobTemplateIsAskedToo) {
  EXPECT_THAT(resources("iot", "CreateJob", R"({"jobId":"j","targets":["arn:a"],"jobTemplateArn":"arn:t"})"),
              ElementsAre("arn:aws:iot:eu-west-1:123456789012:job/j", "arn:a", "arn:t"));
}

TEST(Resources, TagsOfANewJobNeedTheirOwnPermission) {
  const auto asked =
      ask("iot", "CreateJob", R"({"jobId":"j","targets":["arn:a"],"tags":[{"Key":"k","Value":"v"},{"Key":"bare"}]})");
  ASSERT_EQ(asked.size(), 2u);
  EXPECT_EQ(asked[1].action, "iot:TagResource");
  EXPECT_THAT(asked[1].resources, ElementsAre("arn:aws:iot:eu-west-1:123456789012:job/j"));
  for (const auto& one : asked) {
    EXPECT_THAT(one.context.at("aws:TagKeys"), ElementsAre("k", "bare"));
    EXPECT_THAT(one.context.at("aws:RequestTag/k"), ElementsAre("v"));
    EXPECT_THAT(one.context.at("aws:RequestTag/bare"), ElementsAre(""));
  }
  EXPECT_EQ(ask("iot", "CreateJob", R"({"jobId":"j","targets":["arn:a"],"tags":[]})").size(), 1u);
  const auto untag = ask("iot", "UntagResource", R"({"resourceArn":"arn:j","tagKeys":["muster:pause"]})").at(0);
  EXPECT_THAT(untag.context.at("aws:TagKeys"), ElementsAre("muster:pause"));
  EXPECT_FALSE(untag.context.contains("aws:RequestTag/muster:pause"));
  const auto user = ask("iam", "CreateUser", R"({"UserName":"u","Tags":[{"Key":"Team","Value":"a"}]})").at(0);
  EXPECT_THAT(user.context.at("aws:RequestTag/team"), ElementsAre("a"));
}

TEST(Resources, AbsentNamesNeverMeanNothing) {
  EXPECT_THAT(resources("iot", "AddThingToThingGroup", R"({"thingGroupArn":"arn:group","thingName":"t"})"),
              ElementsAre("arn:group", "arn:aws:iot:eu-west-1:123456789012:thing/t"));
  EXPECT_THAT(
      resources("iot", "AddThingToThingGroup", R"({"thingGroupArn":"arn:g","thingGroupName":"h","thingArn":"arn:t"})"),
      ElementsAre("arn:g", "arn:aws:iot:eu-west-1:123456789012:thinggroup/h", "arn:t"));
  EXPECT_THAT(
      resources("iot", "AddThingToThingGroup", "{}"),
      ElementsAre("arn:aws:iot:eu-west-1:123456789012:thinggroup/*", "arn:aws:iot:eu-west-1:123456789012:thing/*"));
}

TEST(Resources, UsersAskAboutThemselvesByDefault) {
  iam::Principal user;
  user.kind = iam::PrincipalKind::kUser;
  user.name = "me";
  EXPECT_THAT(ask("iam", "GetUser", "{}", user).at(0).resources, ElementsAre("arn:aws:iam::123456789012:user/me"));
}

TEST(Resources, EachDeletedObjectAndTheCopySourceAreAsked) {
  EXPECT_THAT(resources("s3", "DeleteObjects", R"({"Bucket":"b","Delete":{"Objects":[{"Key":"x"},{"Key":"y/z"}]}})"),
              ElementsAre("arn:aws:s3:::b/x", "arn:aws:s3:::b/y/z"));
  auto copy = ask("s3", "CopyObject", R"({"Bucket":"b","Key":"k","CopySource":"/from/a%20b?versionId=1"})");
  ASSERT_EQ(copy.size(), 2u);
  EXPECT_EQ(copy[0].action, "s3:PutObject");
  EXPECT_THAT(copy[0].resources, ElementsAre("arn:aws:s3:::b/k"));
  EXPECT_EQ(copy[1].action, "s3:GetObject");
  EXPECT_THAT(copy[1].resources, ElementsAre("arn:aws:s3:::from/a b"));
}

TEST(Resources, TheRoleThatAJobIsGivenMustBeTheCallersToPass) {
  for (const char* operation : {"CreateJob", "UpdateJob", "CreateJobTemplate"}) {
    auto job = ask("iot", operation, R"({"jobId":"j","presignedUrlConfig":{"roleArn":"arn:aws:iam::1:role/r"}})");
    ASSERT_EQ(job.size(), 2u) << operation;
    EXPECT_EQ(job[1].action, "iam:PassRole");
    EXPECT_THAT(job[1].resources, ElementsAre("arn:aws:iam::1:role/r"));
    EXPECT_THAT(job[1].context["iam:PassedToService"], ElementsAre("iot.amazonaws.com"));
    EXPECT_EQ(ask("iot", operation, R"({"jobId":"j"})").size(), 1u);
  }
}

TEST(Resources, AParentIsAskedWhereThereIsOne) {
  EXPECT_THAT(resources("iot", "CreateThingGroup", R"({"thingGroupName":"g"})"),
              ElementsAre("arn:aws:iot:eu-west-1:123456789012:thinggroup/g"));
  EXPECT_THAT(resources("iot", "CreateThingGroup", R"({"thingGroupName":"g","parentGroupName":"p"})"),
              ElementsAre("arn:aws:iot:eu-west-1:123456789012:thinggroup/g",
                          "arn:aws:iot:eu-west-1:123456789012:thinggroup/p"));
  const auto tagged = ask("iot", "CreateThingGroup",
                          R"({"thingGroupName":"g","parentGroupName":"p","tags":[{"Key":"k","Value":"v"}]})");
  ASSERT_EQ(tagged.size(), 2u);
  EXPECT_THAT(tagged[1].resources, ElementsAre("arn:aws:iot:eu-west-1:123456789012:thinggroup/g"));
}

TEST(Resources, FunctionsThatAreNamedMustBeTheCallersToInvoke) {
  const std::string function = "arn:aws:lambda:eu-west-1:123456789012:function:f";
  for (const char* operation : {"CreateAuthorizer", "UpdateAuthorizer"}) {
    const auto asked = ask("iot", operation, R"({"authorizerName":"a","authorizerFunctionArn":")" + function + "\"}");
    ASSERT_EQ(asked.size(), 2u) << operation;
    EXPECT_EQ(asked[1].action, "lambda:InvokeFunction");
    EXPECT_THAT(asked[1].resources, ElementsAre(function));
    EXPECT_EQ(asked[1].context.at("aws:SourceIp"), asked[0].context.at("aws:SourceIp"));
    EXPECT_EQ(ask("iot", operation, R"({"authorizerName":"a"})").size(), 1u);
  }
  for (const char* operation : {"CreateProvisioningTemplate", "UpdateProvisioningTemplate"}) {
    const auto asked =
        ask("iot", operation, R"({"templateName":"t","preProvisioningHook":{"targetArn":")" + function + "\"}}");
    ASSERT_EQ(asked.size(), 2u) << operation;
    EXPECT_EQ(asked[1].action, "lambda:InvokeFunction");
    EXPECT_THAT(asked[1].resources, ElementsAre(function));
  }
}

// Every member of every served operation that holds a role is one that the caller must be allowed to pass.
void find_members(const model::Service& service, std::uint16_t index, const std::string& path, std::string_view suffix,
                  std::vector<std::uint16_t>& open, std::vector<std::string>& out) {
  if (index == model::kNone || std::ranges::find(open, index) != open.end()) return;
  const model::Shape& shape = service.shapes[index];
  open.push_back(index);
  find_members(service, shape.element, shape.type == model::Type::kMap ? path + ".*" : path, suffix, open, out);
  for (const model::Member& member : service.members.subspan(shape.first_member, shape.member_count)) {
    const std::string name = path.empty() ? std::string(member.name) : path + "." + std::string(member.name);
    if (member.refused) continue;
    if (lower(name).ends_with(suffix)) out.push_back(name);
    find_members(service, member.shape, name, suffix, open, out);
  }
  open.pop_back();
}

TEST(Resources, NoOperationTakesAFunctionWithoutAskingForInvokeFunction) {
  for (const model::Service* service : model::services()) {
    for (const model::Operation& operation : service->operations) {
      std::vector<std::string> functions;
      for (const char* suffix : {"functionarn", "hook.targetarn"}) {
        std::vector<std::uint16_t> open;
        find_members(*service, operation.input, "", suffix, open, functions);
      }
      for (const std::string& function : functions) {
        const auto named = split(operation.invokes, ' ');
        EXPECT_TRUE(std::ranges::find(named, function) != named.end())
            << service->id << ' ' << operation.name << ": " << function << " will be called; see invokes";
      }
    }
  }
}

TEST(Resources, NoOperationTakesARoleWithoutAskingForPassRole) {
  for (const model::Service* service : model::services()) {
    if (service->id == "sts") continue;  // the role's trust policy decides who assumes it
    for (const model::Operation& operation : service->operations) {
      std::vector<std::string> roles;
      std::vector<std::uint16_t> open;
      find_members(*service, operation.input, "", "rolearn", open, roles);
      for (const std::string& role : roles) {
        const auto named = split(operation.pass_role, ' ');
        EXPECT_TRUE(std::ranges::find(named, role) != named.end())
            << service->id << ' ' << operation.name << ": " << role << " is handed over; see pass_role";
      }
    }
  }
}

TEST(Resources, TagsAreAskedForWhereverTheyComeWithSomethingNew) {
  const auto group = ask("iot", "CreateThingGroup", R"({"thingGroupName":"g","tags":[{"Key":"k","Value":"v"}]})");
  ASSERT_EQ(group.size(), 2u);
  EXPECT_EQ(group[1].action, "iot:TagResource");
  EXPECT_THAT(group[1].resources, ElementsAre("arn:aws:iot:eu-west-1:123456789012:thinggroup/g"));
  EXPECT_EQ(ask("iot", "TagResource", R"({"resourceArn":"arn:j","tags":[{"Key":"k","Value":"v"}]})").size(), 1u);
}

TEST(Resources, TemplateMadeFromAJobAsksForBothAndForItsTags) {
  const std::string one = "arn:aws:iot:eu-west-1:123456789012:jobtemplate/t";
  EXPECT_THAT(resources("iot", "CreateJobTemplate", R"({"jobTemplateId":"t"})"), ElementsAre(one));
  const auto asked =
      ask("iot", "CreateJobTemplate", R"({"jobTemplateId":"t","jobArn":"arn:j","tags":[{"Key":"k","Value":"v"}]})");
  ASSERT_EQ(asked.size(), 2u);
  EXPECT_THAT(asked[0].resources, ElementsAre(one, "arn:j"));
  EXPECT_EQ(asked[1].action, "iot:TagResource");
  EXPECT_THAT(asked[1].resources, ElementsAre(one));
}

TEST(Resources, RetainingIsAskedBesidesPublishing) {
  auto retained = ask("iot-data", "Publish", R"({"topic":"a/b","retain":true})");
  ASSERT_EQ(retained.size(), 2u);
  EXPECT_EQ(retained[0].action, "iot:Publish");
  EXPECT_EQ(retained[1].action, "iot:RetainPublish");
  EXPECT_EQ(retained[1].resources, retained[0].resources);
  EXPECT_EQ(ask("iot-data", "Publish", R"({"topic":"a/b","retain":false})").size(), 1u);
}

TEST(Context, CarriesConditionKeys) {
  auto context = ask("s3", "ListObjectsV2", R"({"Bucket":"b","Prefix":"p/","MaxKeys":5})").at(0).context;
  EXPECT_THAT(context["aws:SourceIp"], ElementsAre("10.0.0.1"));
  EXPECT_THAT(context["aws:CurrentTime"], ElementsAre("2023-11-14T22:13:20Z"));
  EXPECT_THAT(context["aws:SecureTransport"], ElementsAre("false"));
  EXPECT_THAT(context["s3:prefix"], ElementsAre("p/"));
  EXPECT_THAT(context["s3:max-keys"], ElementsAre("5"));
}

}  // namespace
}  // namespace muster::api
