// SPDX-License-Identifier: Apache-2.0
// Every key range of the system, in one place. A key starts with its table's tag; engines map the tag's Kind to where
// it is kept (RocksDB column family). Values are compact JSON unless a line says otherwise. To add a table: a line here
// and a row in kTables. Tags are never reused.
#pragma once

#include <array>
#include <string_view>

namespace muster::store {

enum class Kind : char {
  kRecord,   // point reads and writes
  kIndex,    // ordered, read by range, small or empty values
  kQueue,    // appended in arrival order, deleted by range
  kTimer,    // ordered by due time
  kCounter,  // decimal text, changed by Tx::add
};

namespace table {
inline constexpr char kMeta = 'A';       // text name -> schema version, account, region, server secrets' ids
inline constexpr char kTimer = 'B';      // integer due_ms, text kind, text id -> payload
inline constexpr char kTimerById = 'C';  // text kind, text id -> due_ms
inline constexpr char kOutbox = 'D';     // stamp -> message (binary, see store/outbox)

inline constexpr char kUser = 'E';       // text user -> IAM user with inline policies
inline constexpr char kAccessKey = 'F';  // text access key id -> {user, secret, status}
inline constexpr char kRole = 'G';       // text role -> role with trust and inline policies

inline constexpr char kIamGroup = '0';          // text group -> IAM group with inline policies
inline constexpr char kIamGroupUser = '1';      // text group, text user
inline constexpr char kIamUserGroup = '2';      // text user, text group
inline constexpr char kManagedPolicy = '3';     // text policy -> managed policy with versions
inline constexpr char kPolicyAttachment = '4';  // text policy ARN, text kind (user, group, role), text name
inline constexpr char kOidcProvider = '5';      // text issuer host and path -> OpenID Connect provider
inline constexpr char kIamCount = 'z';          // counter: text what[, text policy ARN] (domain/iam/counts.h)

inline constexpr char kThing = 'H';            // text thing -> thing
inline constexpr char kThingGroup = 'I';       // text group -> group
inline constexpr char kGroupMember = 'J';      // text group, text thing
inline constexpr char kThingMembership = 'K';  // text thing, text group
inline constexpr char kGroupChild = 'L';       // text parent, text child
inline constexpr char kCertificate = 'M';      // text certificate id (hex SHA-256 of DER) -> certificate
inline constexpr char kPolicy = 'N';           // text policy -> IoT policy with versions
inline constexpr char kPolicyTarget = 'O';     // text policy, text principal
inline constexpr char kPrincipalPolicy = 'P';  // text principal, text policy
inline constexpr char kThingPrincipal = 'Q';   // text thing, text principal
inline constexpr char kPrincipalThing = 'R';   // text principal, text thing
inline constexpr char kThingType = 'S';        // text type -> thing type
inline constexpr char kThingAttribute = 'T';   // text name, text value, text thing
inline constexpr char kTag = 'U';              // text resource ARN -> {key: value}

inline constexpr char kThingByType = '6';            // text type, text thing
inline constexpr char kBillingGroup = '7';           // text billing group -> billing group
inline constexpr char kBillingGroupThing = '8';      // text billing group, text thing
inline constexpr char kIndexingConfiguration = '9';  // text "account" -> what the fleet index covers
inline constexpr char kConnectivity = 'Z';           // text thing -> last connection (see domain/fleet)
inline constexpr char kShadow = 'y';  // text thing, text shadow ("" is the classic one) -> shadow document

inline constexpr char kCaCertificate = '!';     // text CA certificate id -> registered CA
inline constexpr char kCertificateOfCa = '#';   // text CA id, integer created_ms, text certificate id; CAs' indexes
inline constexpr char kRegistrationCode = '%';  // text "account" -> code that proves possession of a CA's key
inline constexpr char kRoleAlias = '&';         // text alias -> role alias
inline constexpr char kAuthorizer = '(';        // text authoriser -> custom authoriser; text "" -> the default's name

inline constexpr char kProvisioningTemplate = ')';    // text template -> provisioning template
inline constexpr char kProvisioningVersion = '*';     // text template, integer version -> its body
inline constexpr char kOwnershipToken = '+';          // text token digest -> certificate that waits for RegisterThing
inline constexpr char kProvisioningClaim = ',';       // text certificate id -> template and expiry of a claim
inline constexpr char kRegistrationTask = '-';        // text task id -> bulk registration
inline constexpr char kRegistrationTaskByTime = '.';  // descending created_ms, text task id -> status (text)
inline constexpr char kRegistrationReport = '/';  // text task id, text kind (ERRORS, RESULTS), integer line -> entry

inline constexpr char kBucket = 'V';       // text bucket -> bucket
inline constexpr char kObject = 'W';       // text bucket, text key -> object record, names its blob
inline constexpr char kBlobGarbage = 'X';  // text blob id -> since_ms: blobs to delete

inline constexpr char kDynamicGroup = 'u';      // integer created_ms, text group -> query (text); bare: there are some
inline constexpr char kGroupBuild = 'v';        // text group -> build or deletion under way; text "" -> last thing
inline constexpr char kGroupMemberCount = 'w';  // counter: text group: its direct members

inline constexpr char kCertificateByTime = 'Y';  // integer created_ms, text certificate id

inline constexpr char kJob = 'a';           // text job -> job
inline constexpr char kJobDocument = 'b';   // text job -> document text
inline constexpr char kJobByTime = 'c';     // descending created_ms, text job -> "STATUS SELECTION" (text)
inline constexpr char kJobActive = 'd';     // text job: the engine looks after it
inline constexpr char kJobTarget = 'e';     // text job, integer index[, text thing] -> {target, cursor}; until done
inline constexpr char kJobCount = 'f';      // counter: text job, text status; text "", text what: all jobs
inline constexpr char kExecution = 'g';     // text thing, text job, descending number -> execution
inline constexpr char kPending = 'h';       // text thing, text class (I, Q), integer queued_ms, text job, integer
                                            // number -> entry (text): what kPendingHead has no room for
inline constexpr char kJobExecution = 'i';  // not used any more: kJobStatusExecution lists them all
inline constexpr char kJobStatusExecution = 'j';  // text job, text status, text thing, descending number
inline constexpr char kPendingHead = 'l';  // text thing -> first pending executions (text, see domain/jobs/pending)

inline constexpr char kThingExecution =
    'k';                                   // text thing, descending queued_ms, text job, descending number: ended ones
inline constexpr char kJobTemplate = 'm';  // text template -> job template with its document
inline constexpr char kJobTemplateByTime = 'n';    // descending created_ms, text template -> description (text)
inline constexpr char kEventConfigurations = 'o';  // text "account" -> which kinds of events are on
inline constexpr char kJobRollout = 'p';           // text job -> how far its rollout and slow sweeps are
inline constexpr char kGroupJob = 'x';  // text group, text job: continuous jobs that whoever joins the group gets

inline constexpr char kSession = 'q';       // text client id -> MQTT session
inline constexpr char kSubscription = 'r';  // text client id, text filter -> options
inline constexpr char kSessionQueue = 's';  // not used any more: queues are in the message log
inline constexpr char kRetained = 't';      // text topic -> message
}  // namespace table

struct TableRow {
  char tag;
  Kind kind;
  std::string_view name;
};

inline constexpr std::array kTables{
    TableRow{table::kMeta, Kind::kRecord, "meta"},
    TableRow{table::kTimer, Kind::kTimer, "timer"},
    TableRow{table::kTimerById, Kind::kTimer, "timer_by_id"},
    TableRow{table::kOutbox, Kind::kQueue, "outbox"},
    TableRow{table::kUser, Kind::kRecord, "user"},
    TableRow{table::kAccessKey, Kind::kRecord, "access_key"},
    TableRow{table::kRole, Kind::kRecord, "role"},
    TableRow{table::kThing, Kind::kRecord, "thing"},
    TableRow{table::kThingGroup, Kind::kRecord, "thing_group"},
    TableRow{table::kGroupMember, Kind::kIndex, "group_member"},
    TableRow{table::kThingMembership, Kind::kIndex, "thing_membership"},
    TableRow{table::kGroupChild, Kind::kIndex, "group_child"},
    TableRow{table::kDynamicGroup, Kind::kRecord, "dynamic_group"},
    TableRow{table::kGroupBuild, Kind::kRecord, "group_build"},
    TableRow{table::kGroupMemberCount, Kind::kCounter, "group_member_count"},
    TableRow{table::kCertificate, Kind::kRecord, "certificate"},
    TableRow{table::kCertificateByTime, Kind::kIndex, "certificate_by_time"},
    TableRow{table::kPolicy, Kind::kRecord, "policy"},
    TableRow{table::kPolicyTarget, Kind::kIndex, "policy_target"},
    TableRow{table::kPrincipalPolicy, Kind::kIndex, "principal_policy"},
    TableRow{table::kThingPrincipal, Kind::kIndex, "thing_principal"},
    TableRow{table::kPrincipalThing, Kind::kIndex, "principal_thing"},
    TableRow{table::kThingType, Kind::kRecord, "thing_type"},
    TableRow{table::kThingAttribute, Kind::kIndex, "thing_attribute"},
    TableRow{table::kTag, Kind::kRecord, "tag"},
    TableRow{table::kIamGroup, Kind::kRecord, "iam_group"},
    TableRow{table::kIamGroupUser, Kind::kIndex, "iam_group_user"},
    TableRow{table::kIamUserGroup, Kind::kIndex, "iam_user_group"},
    TableRow{table::kManagedPolicy, Kind::kRecord, "managed_policy"},
    TableRow{table::kPolicyAttachment, Kind::kIndex, "policy_attachment"},
    TableRow{table::kOidcProvider, Kind::kRecord, "oidc_provider"},
    TableRow{table::kIamCount, Kind::kCounter, "iam_count"},
    TableRow{table::kThingByType, Kind::kIndex, "thing_by_type"},
    TableRow{table::kBillingGroup, Kind::kRecord, "billing_group"},
    TableRow{table::kBillingGroupThing, Kind::kIndex, "billing_group_thing"},
    TableRow{table::kIndexingConfiguration, Kind::kRecord, "indexing_configuration"},
    TableRow{table::kConnectivity, Kind::kRecord, "connectivity"},
    TableRow{table::kShadow, Kind::kRecord, "shadow"},
    TableRow{table::kCaCertificate, Kind::kRecord, "ca_certificate"},
    TableRow{table::kCertificateOfCa, Kind::kIndex, "certificate_of_ca"},
    TableRow{table::kRegistrationCode, Kind::kRecord, "registration_code"},
    TableRow{table::kRoleAlias, Kind::kRecord, "role_alias"},
    TableRow{table::kAuthorizer, Kind::kRecord, "authorizer"},
    TableRow{table::kProvisioningTemplate, Kind::kRecord, "provisioning_template"},
    TableRow{table::kProvisioningVersion, Kind::kRecord, "provisioning_version"},
    TableRow{table::kOwnershipToken, Kind::kRecord, "ownership_token"},
    TableRow{table::kProvisioningClaim, Kind::kRecord, "provisioning_claim"},
    TableRow{table::kRegistrationTask, Kind::kRecord, "registration_task"},
    TableRow{table::kRegistrationTaskByTime, Kind::kIndex, "registration_task_by_time"},
    TableRow{table::kRegistrationReport, Kind::kRecord, "registration_report"},
    TableRow{table::kBucket, Kind::kRecord, "bucket"},
    TableRow{table::kObject, Kind::kRecord, "object"},
    TableRow{table::kBlobGarbage, Kind::kIndex, "blob_garbage"},
    TableRow{table::kJob, Kind::kRecord, "job"},
    TableRow{table::kJobDocument, Kind::kRecord, "job_document"},
    TableRow{table::kJobByTime, Kind::kIndex, "job_by_time"},
    TableRow{table::kJobActive, Kind::kIndex, "job_active"},
    TableRow{table::kJobTarget, Kind::kRecord, "job_target"},
    TableRow{table::kJobCount, Kind::kCounter, "job_count"},
    TableRow{table::kExecution, Kind::kRecord, "execution"},
    TableRow{table::kPending, Kind::kIndex, "pending"},
    TableRow{table::kJobExecution, Kind::kIndex, "job_execution"},
    TableRow{table::kJobStatusExecution, Kind::kIndex, "job_status_execution"},
    TableRow{table::kThingExecution, Kind::kIndex, "thing_execution"},
    TableRow{table::kPendingHead, Kind::kRecord, "pending_head"},
    TableRow{table::kJobTemplate, Kind::kRecord, "job_template"},
    TableRow{table::kJobTemplateByTime, Kind::kIndex, "job_template_by_time"},
    TableRow{table::kEventConfigurations, Kind::kRecord, "event_configurations"},
    TableRow{table::kJobRollout, Kind::kRecord, "job_rollout"},
    TableRow{table::kGroupJob, Kind::kIndex, "group_job"},
    TableRow{table::kSession, Kind::kRecord, "session"},
    TableRow{table::kSubscription, Kind::kIndex, "subscription"},
    TableRow{table::kSessionQueue, Kind::kQueue, "session_queue"},
    TableRow{table::kRetained, Kind::kRecord, "retained"},
};

}  // namespace muster::store
