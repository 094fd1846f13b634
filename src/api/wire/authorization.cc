// SPDX-License-Identifier: Apache-2.0
#include "api/wire/authorization.h"

#include <algorithm>

#include "base/text.h"
#include "domain/iam/entities.h"

namespace muster::api {
namespace {

std::string arn_prefix(const model::Service& service, const Realm& realm) {
  if (service.id == "s3") return "arn:aws:s3:::";
  if (service.id == "iam" || service.id == "sts")
    return "arn:aws:" + std::string(service.id) + "::" + realm.account_id + ':';
  return "arn:aws:iot:" + realm.region + ':' + realm.account_id + ':';
}

void append_strings(std::vector<std::string>& out, const json::value* value) {
  if (value == nullptr) return;
  if (value->is_string()) out.emplace_back(value->get_string());
  if (!value->is_array()) return;
  for (const json::value& item : value->get_array()) {
    if (item.is_string()) out.emplace_back(item.get_string());
  }
}

// Fills one template ("thing/{thingName}", "{Bucket}/{Key}"). false when a member is absent.
bool fill(std::string_view text, const AuthorizationInput& in, std::string& out) {
  bool complete = true;
  while (!text.empty()) {
    std::size_t open = text.find('{');
    out += text.substr(0, open);
    if (open == std::string_view::npos) break;
    std::size_t close = text.find('}', open);
    std::string_view member = text.substr(open + 1, close - open - 1);
    const bool optional = member.starts_with('/');  // "{/shadowName}": with its slash, or nothing
    if (optional) member.remove_prefix(1);
    std::string_view value = get_string(in.input, member);
    // iam calls without a user name are about the caller.
    if (value.empty() && member == "UserName" && in.caller.kind == iam::PrincipalKind::kUser) value = in.caller.name;
    if (value.empty() && member == "Path") value = "/";
    if (value.empty() && member == "indexName") value = "AWS_Things";
    // An OpenID Connect provider is named by its address without the scheme.
    if (member == "Url" && value.starts_with("https://")) value.remove_prefix(8);
    if (optional) {
      if (!value.empty()) out.append("/").append(value);
    } else {
      if (value.empty()) complete = false;
      out += value.empty() ? std::string_view("*") : value;
    }
    text.remove_prefix(close + 1);
  }
  return complete;
}

// "thingArn" beside "{thingName}": clients may give either or both.
const json::value* arn_sibling(std::string_view text, const json::object& input) {
  std::size_t open = text.find('{'), close = text.find("Name}");
  if (open == std::string_view::npos || close == std::string_view::npos || close < open) return nullptr;
  return input.if_contains(std::string(text.substr(open + 1, close - open - 1)) + "Arn");
}

bool is_list(const AuthorizationInput& in, std::string_view name) {
  if (in.operation.input == model::kNone) return false;
  const model::Shape& shape = in.service.shapes[in.operation.input];
  for (const model::Member& member : in.service.members.subspan(shape.first_member, shape.member_count)) {
    if (member.name == name) return in.service.shapes[member.shape].type == model::Type::kList;
  }
  return false;
}

// "thinggroup/{thingGroupsToAdd}": one resource an item, none when the list is absent.
bool append_list(std::vector<std::string>& out, std::string_view text, const AuthorizationInput& in) {
  std::size_t open = text.find('{'), close = text.find('}');
  if (open == std::string_view::npos || close == std::string_view::npos || close < open) return false;
  std::string_view member = text.substr(open + 1, close - open - 1);
  if (!is_list(in, member)) return false;
  std::vector<std::string> items;
  append_strings(items, in.input.if_contains(member));
  for (const std::string& item : items) {
    std::string arn = arn_prefix(in.service, in.realm);
    arn += text.substr(0, open);
    arn += item;
    arn += text.substr(close + 1);
    out.push_back(std::move(arn));
  }
  return true;
}

// Whether resources stand in it that the input does not name.
enum class Unfilled : std::uint8_t { kKept, kLeftOut };

void append_template(std::vector<std::string>& out, std::string_view text, const AuthorizationInput& in,
                     Unfilled unfilled) {
  if (text == "*") {
    if (unfilled == Unfilled::kKept) out.emplace_back("*");
    return;
  }
  bool whole_member = text.starts_with('{') && text.find('}') == text.size() - 1;
  if (whole_member && in.service.id != "s3") {
    append_strings(out, in.input.if_contains(text.substr(1, text.size() - 2)));
    return;
  }
  if (append_list(out, text, in)) return;
  // "thinggroup/{parentGroupName?}": asked where the call names one.
  std::string required;
  if (const std::size_t mark = text.find("?}"); mark != std::string_view::npos) {
    const std::size_t open = text.rfind('{', mark);
    if (get_string(in.input, text.substr(open + 1, mark - open - 1)).empty()) return;
    required.append(text.substr(0, mark)).append(text.substr(mark + 1));
    text = required;
  }
  std::size_t before = out.size();
  append_strings(out, arn_sibling(text, in.input));
  std::string arn = arn_prefix(in.service, in.realm);
  bool complete = fill(text, in, arn);
  if (complete || (out.size() == before && unfilled == Unfilled::kKept)) out.push_back(std::move(arn));
}

std::vector<std::string> filled_templates(const AuthorizationInput& in, Unfilled unfilled) {
  std::vector<std::string> out;
  for (std::string_view text : split(in.operation.resources, ' ')) {
    if (!text.empty()) append_template(out, text, in, unfilled);
  }
  return out;
}

// DeleteObjects is asked object by object, as S3 does: a policy may deny one of them.
std::vector<std::string> deleted_objects(const AuthorizationInput& in) {
  std::vector<std::string> out;
  std::string bucket = "arn:aws:s3:::" + std::string(get_string(in.input, "Bucket")) + '/';
  const json::object* batch = find_object(in.input, "Delete");
  const json::array* objects = batch != nullptr ? find_array(*batch, "Objects") : nullptr;
  if (objects == nullptr) return out;
  for (const json::value& object : *objects) {
    if (object.is_object()) out.push_back(bucket + std::string(get_string(object.get_object(), "Key")));
  }
  return out;
}

// "/bucket/key?versionId=x", percent-encoded.
std::string copy_source_arn(std::string_view source) {
  source = source.substr(0, source.find("?versionId="));
  auto decoded = percent_decode(source);
  std::string path = decoded ? *decoded : std::string(source);
  if (path.starts_with('/')) path.erase(0, 1);
  return path.starts_with("arn:") ? path : "arn:aws:s3:::" + path;
}

// "aws:RequestTag/KEY" and "aws:TagKeys", by which a policy can leave some tags to some people (the approval of a job
// is one). "tags" and "tagKeys" of iot, "Tags" of iam. Source: IAM user guide, "Controlling access to AWS resources
// using tags".
void add_tag_keys(const json::object& input, std::map<std::string, std::vector<std::string>>& context) {
  std::vector<std::string> keys;
  for (const char* member : {"tags", "Tags"}) {
    const json::array* tags = find_array(input, member);
    if (tags == nullptr) continue;
    for (const json::value& tag : *tags) {
      if (!tag.is_object()) continue;
      keys.emplace_back(get_string(tag.get_object(), "Key"));
      context["aws:RequestTag/" + lower(keys.back())].emplace_back(get_string(tag.get_object(), "Value"));
    }
  }
  append_strings(keys, input.if_contains("tagKeys"));
  if (!keys.empty()) context["aws:TagKeys"] = std::move(keys);
}

std::map<std::string, std::vector<std::string>> context_of(const AuthorizationInput& in) {
  auto context = request_context(in.request, in.realm, in.now_ms);
  if (in.service.id == "iam") {
    const std::string_view policy = get_string(in.input, "PolicyArn"),
                           boundary = get_string(in.input, "PermissionsBoundary");
    if (!policy.empty()) context["iam:PolicyARN"] = {std::string(policy)};
    if (!boundary.empty()) context["iam:PermissionsBoundary"] = {std::string(boundary)};
  }
  if (in.service.id != "s3") {
    add_tag_keys(in.input, context);
    return context;
  }
  static constexpr std::pair<const char*, const char*> kS3Keys[] = {
      {"Prefix", "s3:prefix"}, {"Delimiter", "s3:delimiter"}, {"MaxKeys", "s3:max-keys"}};
  for (auto [member, key] : kS3Keys) {
    const json::value* value = in.input.if_contains(member);
    if (value == nullptr || value->is_null()) continue;
    context[key] = {value->is_string() ? std::string(value->get_string()) : to_text(*value)};
  }
  return context;
}

// What a dotted path of the support list reaches: lists item by item, "*" any member.
void collect_path(const json::value& at, std::string_view path, std::vector<std::string>& out) {
  if (const json::array* items = at.if_array()) {
    for (const json::value& item : *items) collect_path(item, path, out);
    return;
  }
  if (path.empty()) {
    if (at.is_string() && !at.get_string().empty()) out.emplace_back(at.get_string());
    return;
  }
  const json::object* object = at.if_object();
  if (object == nullptr) return;
  const std::size_t dot = path.find('.');
  const std::string_view name = path.substr(0, dot);
  const std::string_view rest = dot == std::string_view::npos ? std::string_view() : path.substr(dot + 1);
  for (const auto& member : *object) {
    if (name == "*" || name == member.key()) collect_path(member.value(), rest, out);
  }
}

// The ARNs that the paths reach, each once.
std::vector<std::string> named_by(std::string_view paths, const AuthorizationInput& in) {
  std::vector<std::string> arns;
  if (paths.empty()) return arns;
  const json::value input(in.input);
  for (std::string_view path : split(paths, ' ')) {
    if (!path.empty()) collect_path(input, path, arns);
  }
  std::ranges::sort(arns);
  arns.erase(std::ranges::unique(arns).begin(), arns.end());
  return arns;
}

bool brings_tags(const json::object& input) {
  for (const char* member : {"tags", "Tags"}) {
    const json::array* tags = find_array(input, member);
    if (tags != nullptr && !tags->empty()) return true;
  }
  return false;
}

// A change of name or path is asked for what the user or group will be as well. Source: IAM API reference,
// "UpdateUser".
std::optional<std::string> renamed(store::Tx& tx, const AuthorizationInput& in) {
  const bool user = in.operation.name == "UpdateUser";
  if (!user && in.operation.name != "UpdateGroup") return std::nullopt;
  const auto kind = user ? iam::EntityKind::kUser : iam::EntityKind::kGroup;
  auto entity = iam::find_entity(tx, kind, get_string(in.input, user ? "UserName" : "GroupName"));
  if (!entity) return std::nullopt;
  const std::string_view name = get_string(in.input, user ? "NewUserName" : "NewGroupName");
  if (!name.empty()) entity->name = name;
  if (has(in.input, "NewPath")) entity->path = get_string(in.input, "NewPath");
  return iam::entity_arn(in.realm, *entity);
}

void add_target_keys(store::Tx& tx, const AuthorizationInput& in, iam::AuthorizationRequest& request) {
  for (auto [member, kind] : {std::pair{"UserName", iam::EntityKind::kUser}, {"RoleName", iam::EntityKind::kRole}}) {
    if (!has(in.input, member)) continue;
    auto target = iam::find_entity(tx, kind, get_string(in.input, member));
    if (!target) continue;
    for (const auto& [key, value] : target->tags) request.context["iam:ResourceTag/" + key] = {value};
    if (!target->boundary.empty() && !request.context.contains("iam:PermissionsBoundary"))
      request.context["iam:PermissionsBoundary"] = {target->boundary};
  }
}

}  // namespace

void complete_iam_requests(store::Tx& tx, const AuthorizationInput& input,
                           std::vector<iam::AuthorizationRequest>& requests) {
  if (input.service.id != "iam") return;
  if (input.operation.name == "GetAccessKeyLastUsed") {
    auto key = iam::find_access_key(tx, get_string(input.input, "AccessKeyId"));
    auto owner = key && !key->user.empty() ? iam::find_user(tx, key->user) : std::nullopt;
    if (owner) requests[0].resources = {iam::user_arn(input.realm, *owner)};
  }
  for (iam::AuthorizationRequest& request : requests) {
    for (std::string& resource : request.resources) resource = iam::with_path(tx, input.realm, resource);
    add_target_keys(tx, input, request);
  }
  if (auto target = renamed(tx, input)) requests[0].resources.push_back(*std::move(target));
}

std::map<std::string, std::vector<std::string>> request_context(const io::HttpRequest& request, const Realm& realm,
                                                                std::int64_t now_ms) {
  std::map<std::string, std::vector<std::string>> context;
  context["aws:CurrentTime"] = {to_iso8601(now_ms, false)};
  context["aws:EpochTime"] = {std::to_string(now_ms / 1000)};
  context["aws:SourceIp"] = {request.peer.address};
  context["aws:SecureTransport"] = {request.peer.tls ? "true" : "false"};
  context["aws:RequestedRegion"] = {realm.region};
  const io::HttpHeaders& headers = request.headers;
  if (headers.has("user-agent")) context["aws:UserAgent"] = {std::string(headers.get("user-agent"))};
  if (headers.has("referer")) context["aws:Referer"] = {std::string(headers.get("referer"))};
  return context;
}

std::vector<std::string> resource_arns(const AuthorizationInput& input) {
  if (input.service.id == "s3" && input.operation.name == "DeleteObjects") return deleted_objects(input);
  std::vector<std::string> out = filled_templates(input, Unfilled::kKept);
  if (out.empty()) out.emplace_back("*");
  return out;
}

std::vector<std::string> named_resource_arns(const AuthorizationInput& input) {
  if (input.service.id == "s3" && input.operation.name == "DeleteObjects") return deleted_objects(input);
  return filled_templates(input, Unfilled::kLeftOut);
}

std::vector<iam::AuthorizationRequest> authorization_requests(const AuthorizationInput& input) {
  std::vector<iam::AuthorizationRequest> out(1);
  out[0].action = input.operation.action;
  out[0].resources = resource_arns(input);
  out[0].context = context_of(input);
  if (input.service.id == "s3" && input.operation.name == "CopyObject") {
    iam::AuthorizationRequest source;
    source.action = "s3:GetObject";
    source.resources = {copy_source_arn(get_string(input.input, "CopySource"))};
    source.context = out[0].context;
    out.push_back(std::move(source));
  }
  // AWS IoT developer guide, "Policy actions": iot:RetainPublish besides iot:Publish.
  if (input.service.id == "iot-data" && input.operation.name == "Publish" && get_bool(input.input, "retain")) {
    iam::AuthorizationRequest retain = out[0];
    retain.action = "iot:RetainPublish";
    out.push_back(std::move(retain));
  }
  // Whoever may create a job may not by that put tags on it. Source: Service authorization reference, "AWS IoT".
  if (!input.operation.tags_action.empty() && brings_tags(input.input)) {
    iam::AuthorizationRequest tag = out[0];
    tag.action = input.operation.tags_action;
    tag.resources.resize(1);  // the job or template; what it is made of is not tagged
    out.push_back(std::move(tag));
  }
  // A role handed to a service acts for whoever handed it over: without this anybody who may create jobs could read
  // with any role that trusts AWS IoT. Source: IAM user guide, "Granting a user permissions to pass a role".
  for (std::string& role : named_by(input.operation.pass_role, input)) {
    iam::AuthorizationRequest pass;
    pass.action = "iam:PassRole";
    pass.resources = {std::move(role)};
    pass.context = out[0].context;
    pass.context["iam:PassedToService"] = {std::string(input.operation.passed_to)};
    out.push_back(std::move(pass));
  }
  // Whoever names a function has it called. AWS asks the function's own policy, which there is none of here.
  for (std::string& function : named_by(input.operation.invokes, input)) {
    iam::AuthorizationRequest invoke;
    invoke.action = "lambda:InvokeFunction";
    invoke.resources = {std::move(function)};
    invoke.context = out[0].context;
    out.push_back(std::move(invoke));
  }
  return out;
}

}  // namespace muster::api
