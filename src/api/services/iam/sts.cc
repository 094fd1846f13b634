// SPDX-License-Identifier: Apache-2.0
#include "api/services/iam/iam.h"
#include "domain/iam/sessions.h"

namespace muster::api::iam_service {

namespace {

using store::Tx;

Result<json::object> get_caller_identity(const IamServices&, Tx&, const Call& call) {
  if (call.caller.kind == iam::PrincipalKind::kAnonymous)
    return make_error(ErrorKind::kUnauthenticated, "Request is missing Authentication Token",
                      "MissingAuthenticationToken");
  return json::object{{"UserId", call.caller.user_id}, {"Account", call.caller.account_id}, {"Arn", call.caller.arn}};
}

Result<json::object> assume_role(const IamServices& services, Tx& tx, const Call& call) {
  iam::AssumeRole wanted;
  wanted.role_arn = get_string(call.input, "RoleArn");
  wanted.session_name = get_string(call.input, "RoleSessionName");
  wanted.duration_s = get_int(call.input, "DurationSeconds", 3600);
  wanted.session_policy = get_string(call.input, "Policy");
  wanted.external_id = get_string(call.input, "ExternalId");
  TRY(iam::RoleSession session, iam::assume_role(tx, services.realm, call.caller, wanted));
  json::object output;
  output["Credentials"] = json::object{{"AccessKeyId", session.credentials.access_key_id},
                                       {"SecretAccessKey", session.credentials.secret_access_key},
                                       {"SessionToken", session.credentials.session_token},
                                       {"Expiration", session.expires_ms}};
  output["AssumedRoleUser"] =
      json::object{{"AssumedRoleId", session.assumed_role_id}, {"Arn", session.assumed_role_arn}};
  if (!wanted.session_policy.empty())
    output["PackedPolicySize"] = static_cast<std::int64_t>(wanted.session_policy.size() * 100 / 2048);
  return output;
}

}  // namespace

void register_sts(Operations& operations, const IamServices& given) {
  auto services = std::make_shared<const IamServices>(given);
  operations.add("sts", "GetCallerIdentity", iam_handler(services, get_caller_identity));
  operations.add("sts", "AssumeRole", iam_handler(services, assume_role));
}

}  // namespace muster::api::iam_service
