// SPDX-License-Identifier: Apache-2.0
// The managed policies of AWS that Muster knows: a selection, by the names and with the actions that AWS documents.
// Source: AWS managed policy reference guide; AWS IoT developer guide, "AWS managed policies for AWS IoT".
#include <string>
#include <vector>

#include "domain/iam/managed_policies.h"

namespace muster::iam {

namespace {

constexpr std::int64_t kCreatedMs = 1'423'161'584'000;  // 2015-02-06, when AWS introduced managed policies

constexpr std::string_view kIotRead[] = {
    "DescribeAuthorizer",
    "DescribeCACertificate",
    "DescribeCertificate",
    "DescribeDefaultAuthorizer",
    "DescribeEndpoint",
    "DescribeEventConfigurations",
    "DescribeIndex",
    "DescribeJob",
    "DescribeJobExecution",
    "DescribeRoleAlias",
    "DescribeStream",
    "DescribeThing",
    "DescribeThingGroup",
    "DescribeThingRegistrationTask",
    "DescribeThingType",
    "GetEffectivePolicies",
    "GetIndexingConfiguration",
    "GetJobDocument",
    "GetLoggingOptions",
    "GetOTAUpdate",
    "GetPolicy",
    "GetPolicyVersion",
    "GetRegistrationCode",
    "GetTopicRule",
    "GetV2LoggingOptions",
    "ListAttachedPolicies",
    "ListAuthorizers",
    "ListCACertificates",
    "ListCertificates",
    "ListCertificatesByCA",
    "ListIndices",
    "ListJobExecutionsForJob",
    "ListJobExecutionsForThing",
    "ListJobs",
    "ListOTAUpdates",
    "ListOutgoingCertificates",
    "ListPolicies",
    "ListPolicyPrincipals",
    "ListPolicyVersions",
    "ListPrincipalPolicies",
    "ListPrincipalThings",
    "ListRoleAliases",
    "ListStreams",
    "ListTargetsForPolicy",
    "ListThingGroups",
    "ListThingGroupsForThing",
    "ListThingPrincipals",
    "ListThingRegistrationTaskReports",
    "ListThingRegistrationTasks",
    "ListThings",
    "ListThingsInThingGroup",
    "ListThingTypes",
    "ListTopicRules",
    "ListV2LoggingLevels",
    "SearchIndex",
    "TestAuthorization",
    "TestInvokeAuthorizer",
};
constexpr std::string_view kIotWrite[] = {
    "AcceptCertificateTransfer",
    "AddThingToThingGroup",
    "AssociateTargetsWithJob",
    "AttachPolicy",
    "AttachPrincipalPolicy",
    "AttachThingPrincipal",
    "CancelCertificateTransfer",
    "CancelJob",
    "CancelJobExecution",
    "ClearDefaultAuthorizer",
    "CreateAuthorizer",
    "CreateCertificateFromCsr",
    "CreateJob",
    "CreateKeysAndCertificate",
    "CreateOTAUpdate",
    "CreatePolicy",
    "CreatePolicyVersion",
    "CreateRoleAlias",
    "CreateStream",
    "CreateThing",
    "CreateThingGroup",
    "CreateThingType",
    "CreateTopicRule",
    "DeleteAuthorizer",
    "DeleteCACertificate",
    "DeleteCertificate",
    "DeleteJob",
    "DeleteJobExecution",
    "DeleteOTAUpdate",
    "DeletePolicy",
    "DeletePolicyVersion",
    "DeleteRegistrationCode",
    "DeleteRoleAlias",
    "DeleteStream",
    "DeleteThing",
    "DeleteThingGroup",
    "DeleteThingType",
    "DeleteTopicRule",
    "DeleteV2LoggingLevel",
    "DeprecateThingType",
    "DetachPolicy",
    "DetachPrincipalPolicy",
    "DetachThingPrincipal",
    "DisableTopicRule",
    "EnableTopicRule",
    "RegisterCACertificate",
    "RegisterCertificate",
    "RegisterThing",
    "RejectCertificateTransfer",
    "RemoveThingFromThingGroup",
    "ReplaceTopicRule",
    "SetDefaultAuthorizer",
    "SetDefaultPolicyVersion",
    "SetLoggingOptions",
    "SetV2LoggingLevel",
    "SetV2LoggingOptions",
    "StartThingRegistrationTask",
    "StopThingRegistrationTask",
    "TransferCertificate",
    "UpdateAuthorizer",
    "UpdateCACertificate",
    "UpdateCertificate",
    "UpdateEventConfigurations",
    "UpdateIndexingConfiguration",
    "UpdateRoleAlias",
    "UpdateStream",
    "UpdateThing",
    "UpdateThingGroup",
    "UpdateThingGroupsForThing",
};

std::string statement(std::string_view actions) {
  return R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":[)" + std::string(actions) +
         R"(],"Resource":"*"}]})";
}

template <class List>
void append_actions(std::string& text, const List& names) {
  for (std::string_view name : names) {
    if (!text.empty()) text += ',';
    text += "\"iot:" + std::string(name) + '"';
  }
}

std::string iot_document(bool writing) {
  std::string actions;
  append_actions(actions, kIotRead);
  if (writing) append_actions(actions, kIotWrite);
  return statement(actions);
}

ManagedPolicy aws_policy(std::string_view name, std::string_view id, std::string_view description,
                         std::string document) {
  ManagedPolicy policy;
  policy.name = name;
  policy.id = id;
  policy.arn = "arn:aws:iam::aws:policy/" + std::string(name);
  policy.description = description;
  policy.created_ms = policy.updated_ms = kCreatedMs;
  policy.default_version = "v1";
  policy.versions.push_back({"v1", std::move(document), kCreatedMs});
  policy.by_aws = true;
  return policy;
}

std::vector<ManagedPolicy> make_policies() {
  std::vector<ManagedPolicy> out;
  out.push_back(aws_policy("AWSIoTConfigAccess", "ANPAIWWGD4LM4EMXNRL7I",
                           "This policy gives full access to the AWS IoT configuration actions", iot_document(true)));
  out.push_back(aws_policy("AWSIoTConfigReadOnlyAccess", "ANPAJHENEMXGX4XMFOIOI",
                           "This policy gives read only access to the AWS IoT configuration actions",
                           iot_document(false)));
  out.push_back(aws_policy(
      "AWSIoTDataAccess", "ANPAJM2KI2UJDR24XPS2K", "This policy gives full access to the AWS IoT messaging actions",
      statement(R"("iot:Connect","iot:Publish","iot:Subscribe","iot:Receive","iot:GetThingShadow",)"
                R"("iot:UpdateThingShadow","iot:DeleteThingShadow","iot:ListNamedShadowsForThing")")));
  out.push_back(aws_policy("AWSIoTFullAccess", "ANPAJU2FPGG6PQWN72V2G",
                           "This policy gives full access to the AWS IoT configuration and messaging actions",
                           statement(R"("iot:*","iotjobsdata:*")")));
  out.push_back(aws_policy("AdministratorAccess", "ANPAIWMBCKSKIEE64ZLYK",
                           "Provides full access to AWS services and resources.", statement(R"("*")")));
  out.push_back(aws_policy("AmazonS3FullAccess", "ANPAIFIR6V6BVTRAHWINE", "Provides full access to all buckets.",
                           statement(R"("s3:*","s3-object-lambda:*")")));
  out.push_back(aws_policy("AmazonS3ReadOnlyAccess", "ANPAIZTJ4DXE7G6AGAE6M",
                           "Provides read only access to all buckets.",
                           statement(R"("s3:Get*","s3:List*","s3:Describe*","s3-object-lambda:Get*",)"
                                     R"("s3-object-lambda:List*")")));
  out.push_back(
      aws_policy("IAMFullAccess", "ANPAI7XKCFMBPM3QQRRVQ", "Provides full access to IAM.", statement(R"("iam:*")")));
  return out;
}

}  // namespace

const std::vector<ManagedPolicy>& aws_managed_policies() {
  static const std::vector<ManagedPolicy> kPolicies = make_policies();
  return kPolicies;
}

}  // namespace muster::iam
