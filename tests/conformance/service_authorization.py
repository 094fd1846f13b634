# SPDX-License-Identifier: Apache-2.0
"""The resource types that AWS asks each action on: the Service Authorization Reference, a line an action. "?" marks
types that are asked only where the call names one; "-" is no resource, "*". An operation that is served must agree."""

IOT = """
AcceptCertificateTransfer cert
AddThingToBillingGroup billinggroup thing
AddThingToThingGroup thing thinggroup
AssociateTargetsWithJob job thing thinggroup
AttachPolicy cert? thinggroup?
AttachPrincipalPolicy cert?
AttachThingPrincipal cert?
CancelCertificateTransfer cert
CancelJob job
CancelJobExecution job thing
ClearDefaultAuthorizer -
Connect client
CreateAuthorizer authorizer
CreateBillingGroup billinggroup
CreateCertificateFromCsr -
CreateDomainConfiguration domainconfiguration
CreateDynamicThingGroup thinggroup
CreateFleetMetric fleetmetric index
CreateJob job thing thinggroup jobtemplate? package? packageversion?
CreateJobTemplate jobtemplate job? package? packageversion?
CreateKeysAndCertificate -
CreatePolicy policy
CreatePolicyVersion policy
CreateProvisioningClaim provisioningtemplate
CreateProvisioningTemplate provisioningtemplate
CreateProvisioningTemplateVersion provisioningtemplate
CreateRoleAlias rolealias
CreateStream stream
CreateThing thing billinggroup?
CreateThingGroup thinggroup
CreateThingType thingtype
CreateTopicRule rule
CreateTopicRuleDestination -
DeleteAuthorizer authorizer
DeleteBillingGroup billinggroup
DeleteCACertificate cacert
DeleteCertificate cert
DeleteConnection client
DeleteDomainConfiguration domainconfiguration
DeleteDynamicThingGroup thinggroup
DeleteFleetMetric fleetmetric
DeleteJob job
DeleteJobExecution job thing
DeleteJobTemplate jobtemplate
DeletePolicy policy
DeletePolicyVersion policy
DeleteProvisioningTemplate provisioningtemplate
DeleteProvisioningTemplateVersion provisioningtemplate
DeleteRegistrationCode -
DeleteRoleAlias rolealias
DeleteStream stream
DeleteThing thing
DeleteThingGroup thinggroup
DeleteThingShadow thing
DeleteThingType thingtype
DeleteTopicRule rule
DeleteTopicRuleDestination destination
DeleteV2LoggingLevel -
DeprecateThingType thingtype
DescribeAuthorizer authorizer
DescribeBillingGroup billinggroup
DescribeCACertificate cacert
DescribeCertificate cert
DescribeDefaultAuthorizer -
DescribeDomainConfiguration domainconfiguration
DescribeEndpoint -
DescribeEventConfigurations -
DescribeFleetMetric fleetmetric
DescribeIndex index
DescribeJob job
DescribeJobExecution job? thing?
DescribeJobTemplate jobtemplate
DescribeManagedJobTemplate jobtemplate
DescribeProvisioningTemplate provisioningtemplate
DescribeProvisioningTemplateVersion provisioningtemplate
DescribeRoleAlias rolealias
DescribeStream stream
DescribeThing thing
DescribeThingGroup thinggroup
DescribeThingRegistrationTask -
DescribeThingType thingtype
DetachPolicy cert? thinggroup?
DetachPrincipalPolicy cert?
DetachThingPrincipal cert?
DisableTopicRule rule
EnableTopicRule rule
GetBucketsAggregation index
GetCardinality index
GetEffectivePolicies cert?
GetIndexingConfiguration -
GetJobDocument job
GetLoggingOptions -
GetPercentiles index
GetPolicy policy
GetPolicyVersion policy
GetRegistrationCode -
GetRetainedMessage topic
GetStatistics index
GetThingConnectivityData thing
GetThingShadow thing
GetTopicRule rule
GetTopicRuleDestination destination
GetV2LoggingOptions -
ListAttachedPolicies -
ListAuthorizers -
ListBillingGroups -
ListCACertificates -
ListCertificates -
ListCertificatesByCA -
ListDomainConfigurations -
ListFleetMetrics -
ListIndices -
ListJobExecutionsForJob job
ListJobExecutionsForThing thing
ListJobTemplates -
ListJobs -
ListManagedJobTemplates -
ListNamedShadowsForThing thing
ListOutgoingCertificates -
ListPolicies -
ListPolicyPrincipals -
ListPolicyVersions policy
ListPrincipalPolicies -
ListPrincipalThings cert?
ListPrincipalThingsV2 cert?
ListProvisioningTemplateVersions provisioningtemplate
ListProvisioningTemplates -
ListRetainedMessages -
ListRoleAliases -
ListStreams -
ListTagsForResource any?
ListTargetsForPolicy policy
ListThingGroups -
ListThingGroupsForThing thing
ListThingPrincipals thing
ListThingPrincipalsV2 thing
ListThingRegistrationTaskReports -
ListThingRegistrationTasks -
ListThingTypes -
ListThings -
ListThingsInBillingGroup billinggroup
ListThingsInThingGroup thinggroup
ListTopicRuleDestinations -
ListTopicRules -
ListV2LoggingLevels -
Publish topic
RegisterCACertificate -
RegisterCertificate -
RegisterCertificateWithoutCA -
RegisterThing -
RejectCertificateTransfer cert
RemoveThingFromBillingGroup billinggroup thing
RemoveThingFromThingGroup thing thinggroup
ReplaceTopicRule rule
SearchIndex index
SetDefaultAuthorizer authorizer
SetDefaultPolicyVersion policy
SetLoggingOptions -
SetV2LoggingLevel -
SetV2LoggingOptions -
StartThingRegistrationTask -
StopThingRegistrationTask -
TagResource any?
TestAuthorization cert?
TestInvokeAuthorizer authorizer
TransferCertificate cert
UntagResource any?
UpdateAuthorizer authorizer
UpdateBillingGroup billinggroup
UpdateCACertificate cacert
UpdateCertificate cert
UpdateDomainConfiguration domainconfiguration
UpdateDynamicThingGroup thinggroup
UpdateEventConfigurations -
UpdateFleetMetric fleetmetric index
UpdateIndexingConfiguration -
UpdateJob job
UpdateProvisioningTemplate provisioningtemplate
UpdateRoleAlias rolealias
UpdateStream stream
UpdateThing thing
UpdateThingGroup thinggroup
UpdateThingGroupsForThing thing thinggroup?
UpdateThingShadow thing
UpdateThingType thingtype
UpdateTopicRuleDestination destination
"""

JOBS_DATA = """
DescribeJobExecution thing
GetPendingJobExecutions thing
StartCommandExecution command
StartNextPendingJobExecution thing
UpdateJobExecution thing
"""

IAM = """
AddUserToGroup group
AttachGroupPolicy group
AttachRolePolicy role
AttachUserPolicy user
CreateAccessKey user
CreateGroup group
CreateOpenIDConnectProvider oidc-provider
CreatePolicy policy
CreatePolicyVersion policy
CreateRole role
CreateUser user
AddClientIDToOpenIDConnectProvider oidc-provider
DeleteAccessKey user
DeleteGroup group
DeleteGroupPolicy group
DeleteOpenIDConnectProvider oidc-provider
DeletePolicy policy
DeletePolicyVersion policy
DeleteRole role
DeleteRolePermissionsBoundary role
DeleteRolePolicy role
DeleteUser user
DeleteUserPermissionsBoundary user
DeleteUserPolicy user
DetachGroupPolicy group
DetachRolePolicy role
DetachUserPolicy user
GetAccessKeyLastUsed user
GetAccountAuthorizationDetails -
GetAccountSummary -
GetContextKeysForCustomPolicy -
GetContextKeysForPrincipalPolicy group? role? user?
GetGroup group
GetGroupPolicy group
GetOpenIDConnectProvider oidc-provider
GetPolicy policy
GetPolicyVersion policy
GetRole role
GetRolePolicy role
GetUser user
GetUserPolicy user
ListAccessKeys user
ListAccountAliases -
ListAttachedGroupPolicies group
ListAttachedRolePolicies role
ListAttachedUserPolicies user
ListEntitiesForPolicy policy
ListGroupPolicies group
ListGroups -
ListGroupsForUser user
ListOpenIDConnectProviderTags oidc-provider
ListOpenIDConnectProviders -
ListPolicies -
ListPolicyTags policy
ListPolicyVersions policy
ListRolePolicies role
ListRoleTags role
ListRoles -
ListUserPolicies user
ListUserTags user
ListUsers -
PutGroupPolicy group
PutRolePermissionsBoundary role
PutRolePolicy role
PutUserPermissionsBoundary user
PutUserPolicy user
RemoveClientIDFromOpenIDConnectProvider oidc-provider
RemoveUserFromGroup group
SetDefaultPolicyVersion policy
SimulateCustomPolicy -
SimulatePrincipalPolicy group? role? user?
TagOpenIDConnectProvider oidc-provider
TagPolicy policy
TagRole role
TagUser user
UntagOpenIDConnectProvider oidc-provider
UntagPolicy policy
UntagRole role
UntagUser user
UpdateAccessKey user
UpdateAssumeRolePolicy role
UpdateGroup group
UpdateOpenIDConnectProviderThumbprint oidc-provider
UpdateRole role
UpdateRoleDescription role
UpdateUser user
"""

STS = """
GetAccessKeyInfo -
"""

CLOUDTRAIL = """
LookupEvents -
"""

S3 = """
AbortMultipartUpload object
CreateBucket bucket
DeleteBucket bucket
DeleteBucketPolicy bucket
DeleteObject object
GetBucketCORS bucket
GetBucketLocation bucket
GetBucketPolicy bucket
GetObject object
ListAllMyBuckets -
ListBucket bucket
ListBucketMultipartUploads bucket
ListMultipartUploadParts object
PutBucketCORS bucket
PutBucketPolicy bucket
PutObject object
"""

# Our own administration; kept here so that a new operation is looked at.
MUSTER = """
ApproveJob job
ContinueJob job
DisconnectMqttClient client
Explain -
GetJobProgress job
GetMqttClient client
ListMqttClients -
PauseJob job
PreviewJob job
PreviewNewJob -
ResumeJob job
"""

# Where the action is not the operation's own name. Source: S3 user guide, "Required permissions for Amazon S3 API
# operations".
ACTIONS = {
    "HeadBucket": "s3:ListBucket", "ListBuckets": "s3:ListAllMyBuckets", "HeadObject": "s3:GetObject",
    "DeleteObjects": "s3:DeleteObject", "ListObjects": "s3:ListBucket", "ListObjectsV2": "s3:ListBucket",
    "CopyObject": "s3:PutObject", "CreateMultipartUpload": "s3:PutObject", "UploadPart": "s3:PutObject",
    "CompleteMultipartUpload": "s3:PutObject", "UploadPartCopy": "s3:PutObject",
    "ListMultipartUploads": "s3:ListBucketMultipartUploads", "ListParts": "s3:ListMultipartUploadParts",
    "PutBucketCors": "s3:PutBucketCORS", "GetBucketCors": "s3:GetBucketCORS", "DeleteBucketCors": "s3:PutBucketCORS"}

# Operations that need no permission, each with the reason.
NO_PERMISSION = {
    ("sts", "GetCallerIdentity"): "as on AWS: everybody may ask who they are",
    ("sts", "AssumeRole"): "the role's trust policy decides, together with the caller's policies",
    ("sts", "GetSessionToken"): "as on AWS: the result may do what the caller may",
    ("sts", "AssumeRoleWithWebIdentity"): "unsigned: the token and the role's trust policy decide"}


def types_of_actions():
    """"iot:CreateThing" -> (required types, types asked where named)."""
    found = {}
    for prefix, table in (("iot", IOT), ("iotjobsdata", JOBS_DATA), ("iam", IAM), ("sts", STS), ("s3", S3),
                          ("cloudtrail", CLOUDTRAIL),
                          ("muster", MUSTER)):
        for line in table.split("\n"):
            name, *types = line.split() or [None]
            if name:
                found[f"{prefix}:{name}"] = ({t for t in types if t != "-" and not t.endswith("?")},
                                             {t[:-1] for t in types if t.endswith("?")})
    return found
