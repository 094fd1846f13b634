// SPDX-License-Identifier: Apache-2.0
#include "api/services/iam/iam.h"
#include "api/wire/authorization.h"
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

json::object credentials_shape(const iam::RoleSession& session) {
  return {{"AccessKeyId", session.credentials.access_key_id},
          {"SecretAccessKey", session.credentials.secret_access_key},
          {"SessionToken", session.credentials.session_token},
          {"Expiration", session.expires_ms}};
}

Result<json::object> assume_role(const IamServices& services, Tx& tx, const Call& call) {
  iam::AssumeRole wanted;
  wanted.role_arn = get_string(call.input, "RoleArn");
  wanted.session_name = get_string(call.input, "RoleSessionName");
  wanted.duration_s = get_int(call.input, "DurationSeconds", 3600);
  wanted.session_policy = get_string(call.input, "Policy");
  wanted.external_id = get_string(call.input, "ExternalId");
  wanted.source_identity = get_string(call.input, "SourceIdentity");
  wanted.tags = tags_of_input(call.input);
  wanted.transitive_tags = texts_of_input(call.input, "TransitiveTagKeys");
  std::size_t packed = wanted.session_policy.size();
  if (const json::array* arns = find_array(call.input, "PolicyArns"))
    for (const json::value& item : *arns)
      if (const json::object* policy = item.if_object())
        packed += wanted.policy_arns.emplace_back(get_string(*policy, "arn")).size();
  wanted.context = request_context(*call.request, services.realm, call.now_ms);
  TRY(iam::RoleSession session, iam::assume_role(tx, services.realm, call.caller, wanted));
  json::object output;
  output["Credentials"] = credentials_shape(session);
  output["AssumedRoleUser"] =
      json::object{{"AssumedRoleId", session.assumed_role_id}, {"Arn", session.assumed_role_arn}};
  if (packed > 0) output["PackedPolicySize"] = static_cast<std::int64_t>(packed * 100 / 2048);
  if (!wanted.source_identity.empty()) output["SourceIdentity"] = wanted.source_identity;
  return output;
}

Result<json::object> get_session_token(const IamServices& services, Tx& tx, const Call& call) {
  TRY(iam::RoleSession session,
      iam::get_session_token(tx, services.realm, call.caller, get_int(call.input, "DurationSeconds", 43200)));
  return json::object{{"Credentials", credentials_shape(session)}};
}

Result<json::object> get_access_key_info(const IamServices& services, Tx& tx, const Call& call) {
  const std::string_view id = get_string(call.input, "AccessKeyId");
  if (!iam::find_access_key(tx, id) && !id.starts_with("ASIA"))
    return make_error(ErrorKind::kNotFound, "The Access Key with id " + std::string(id) + " cannot be found.",
                      "NoSuchEntity");
  return json::object{{"Account", services.realm.account_id}};
}

}  // namespace

void register_sts(Operations& operations, const IamServices& given) {
  auto services = std::make_shared<const IamServices>(given);
  operations.add("sts", "GetCallerIdentity", iam_handler(services, get_caller_identity));
  operations.add("sts", "AssumeRole", iam_handler(services, assume_role));
  operations.add("sts", "GetSessionToken", iam_handler(services, get_session_token));
  operations.add("sts", "GetAccessKeyInfo", iam_handler(services, get_access_key_info));
}

}  // namespace muster::api::iam_service
