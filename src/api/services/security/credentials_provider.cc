// SPDX-License-Identifier: Apache-2.0
#include "api/services/security/credentials_provider.h"

#include "api/wire/audit/audit_event.h"
#include "api/wire/authorization.h"
#include "api/wire/await_callback.h"
#include "base/crypto.h"
#include "base/json.h"
#include "base/log.h"
#include "base/text.h"
#include "domain/iam/vouched_sessions.h"
#include "domain/registry/things.h"
#include "domain/security/principals.h"
#include "domain/security/role_aliases.h"
#include "store/transact.h"

namespace muster::api::iot {
namespace {

using store::Tx;

constexpr std::string_view kBegin = "/role-aliases/", kEnd = "/credentials";
constexpr std::string_view kThingHeader = "x-amzn-iot-thingname";
constexpr std::string_view kAction = "iot:AssumeRoleWithCertificate", kOperation = "AssumeRoleWithCertificate";
constexpr std::size_t kMaxName = 256;  // of what a client names, in the audit log

// The alias as it stands in the path, encoded; empty when the path is another one.
std::string_view alias_in(std::string_view path) {
  if (!path.starts_with(kBegin) || !path.ends_with(kEnd) || path.size() <= kBegin.size() + kEnd.size()) return {};
  const std::string_view alias = path.substr(kBegin.size(), path.size() - kBegin.size() - kEnd.size());
  return alias.find('/') == std::string_view::npos ? alias : std::string_view();
}

bool is_alias(std::string_view name) {
  return !name.empty() && name.size() <= 128 && std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("_=,@-").find(c) != std::string_view::npos;
  });
}

Error denied(std::string message) {
  return make_error(ErrorKind::kAccessDenied, std::move(message));
}

struct StatusRow {
  int status;
  std::string_view type;
};

StatusRow status_of(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::kAccessDenied:
    case ErrorKind::kUnauthenticated:
      return {403, "AccessDeniedException"};
    case ErrorKind::kNotFound:
      return {404, "ResourceNotFoundException"};
    case ErrorKind::kInvalid:
      return {400, "InvalidRequestException"};
    case ErrorKind::kUnavailable:
      return {503, "ServiceUnavailableException"};
    default:
      return {500, "InternalFailureException"};
  }
}

// Of what failed here nothing is shown.
std::string shown_message(const Error& error) {
  const int status = status_of(error.kind).status;
  if (status == 500) return "Internal Failure";
  return status == 503 ? "Service Unavailable" : error.message;
}

io::HttpResponse response_of(int status, std::string body, const std::string& request_id) {
  io::HttpResponse response;
  response.status = status;
  response.headers.add("Content-Type", "application/json");
  response.headers.add("x-amzn-RequestId", request_id);
  response.body = std::move(body);
  return response;
}

// What the certificate says to the role's policies. kAccessDenied when the thing is not attached to it.
Result<iam::SessionKeys> session_keys(Tx& tx, const Realm& realm, const std::string& certificate_id,
                                      const std::string& thing_name) {
  iam::SessionKeys keys{{"credentials-iot:AwsCertificateId", certificate_id}};
  if (thing_name.empty()) return keys;
  const auto thing = is_thing_name(thing_name) && security::is_attached(tx, realm, thing_name, certificate_id)
                         ? registry::find_thing(tx, thing_name)
                         : std::nullopt;
  if (!thing) return denied("Invalid thing name passed");
  keys["credentials-iot:ThingName"] = thing->name;
  if (!thing->type.empty()) keys["credentials-iot:ThingTypeName"] = thing->type;
  return keys;
}

std::string credentials_text(const iam::RoleSession& session) {
  return to_text(json::object{{"credentials", json::object{{"accessKeyId", session.credentials.access_key_id},
                                                           {"secretAccessKey", session.credentials.secret_access_key},
                                                           {"sessionToken", session.credentials.session_token},
                                                           {"expiration", to_iso8601(session.expires_ms, false)}}}});
}

}  // namespace

struct CredentialsProvider::Call {
  std::string request_id;
  std::optional<iam::Principal> caller;  // once the certificate is known and active
  std::string thing;                     // that is attached to it
  std::string role_arn;
};

CredentialsProvider::CredentialsProvider(store::Store& store, Realm realm, CertificateAuthorizer& certificates,
                                         audit::Trail* trail)
    : store_(store), realm_(std::move(realm)), certificates_(certificates), trail_(trail) {}

bool CredentialsProvider::wants(const io::HttpRequest& request) const {
  return !request.peer.client_certificate_der.empty() && !alias_in(request.raw_path()).empty();
}

io::Task<std::string> CredentialsProvider::credentials(const io::HttpRequest& request, Call& asked) const {
  if (request.method != "GET") co_return invalid("Only GET is supported");
  const auto alias = percent_decode(alias_in(request.raw_path()));
  if (!alias || !is_alias(*alias)) co_return invalid("Invalid role alias");
  const std::string& der = request.peer.client_certificate_der;
  auto principal = co_await certificates_.identify(der);
  if (!principal) {
    const bool unknown = principal.error().kind == ErrorKind::kUnauthenticated;
    co_return unknown ? denied("Certificate is invalid on this endpoint") : principal.error();
  }
  asked.caller = *principal;
  if (trail_ != nullptr) CO_TRY_VOID(trail_->may_change());
  const std::string thing(request.headers.get(kThingHeader));
  const std::string certificate_id = principal->name;
  auto attached = [&](Tx& tx) { return session_keys(tx, realm_, certificate_id, thing); };
  CO_TRY(const iam::SessionKeys keys, co_await store::transact(store_, attached));
  asked.thing = thing;
  CertificateCall call;
  call.certificate_der = der;
  call.action = kAction;
  call.resources = {security::role_alias_arn(realm_, *alias)};
  call.source_ip = request.peer.address;
  call.server_name = request.peer.server_name;
  call.request_id = asked.request_id;
  call.thing = thing;
  const Status allowed = co_await certificates_.authorize(std::move(call));
  if (!allowed) co_return allowed.error().kind == ErrorKind::kAccessDenied ? denied("Access Denied") : allowed.error();
  auto begin = [&](Tx& tx) -> Result<iam::RoleSession> {
    auto context = request_context(request, realm_, tx.now_ms());
    const auto found = security::find_role_alias(tx, *alias);
    if (!found) return not_found("Role alias does not exist");
    asked.role_arn = found->role_arn;
    return iam::session_for_device(tx, realm_,
                                   {.role_arn = found->role_arn,
                                    .session_name = certificate_id,
                                    .duration_s = found->credential_duration_s,
                                    .keys = keys,
                                    .context = std::move(context)});
  };
  CO_TRY(const iam::RoleSession session, co_await store::transact(store_, begin));
  co_return credentials_text(session);
}

audit::Event CredentialsProvider::event(const io::HttpRequest& request, const Call& call, const Error* error) const {
  audit::Event event;
  event.request_id = call.request_id;
  event.source = "sts.amazonaws.com";
  event.name = kOperation;
  event.known = call.caller.has_value();
  if (call.caller) {
    event.who = identity_of(*call.caller, realm_);
  } else {
    event.who.principal_id = sha256_hex(request.peer.client_certificate_der);  // who it would be; it may be anybody's
  }
  event.address = request.peer.address;
  event.user_agent = request.headers.get("user-agent");
  event.tls = request.peer.tls;
  event.host = request.headers.get("host");
  if (error != nullptr) {
    event.error_code = status_of(error->kind).type;
    event.error_message = shown_message(*error);
  }
  const auto alias = percent_decode(alias_in(request.raw_path()));
  json::object parameters{{"roleAlias", audit::clean(alias ? *alias : "", kMaxName)}};
  const std::string_view thing = request.headers.get(kThingHeader);
  if (!thing.empty()) parameters["thingName"] = audit::clean(thing, kMaxName);
  event.parameters = to_text(parameters);
  const auto name = [&](std::string arn) {
    std::string type = audit::resource_type(arn);
    event.resources.push_back({std::move(type), std::move(arn)});
  };
  if (alias && is_alias(*alias)) name(security::role_alias_arn(realm_, *alias));
  if (!call.role_arn.empty()) name(call.role_arn);
  if (!call.thing.empty()) name(iot_arn(realm_, "thing", call.thing));
  event.read_only = true;  // as AssumeRole
  return event;
}

// A refusal, and whatever a stranger tried, is collapsed with its like.
io::Task<void> CredentialsProvider::record(const io::HttpRequest& request, const Call& call, const Error* error) const {
  if (trail_ == nullptr) co_return Status();
  audit::Event recorded = event(request, call, error);
  const bool denial = error != nullptr && (!call.caller || status_of(error->kind).status == 403);
  std::function<void(std::function<void(Result<bool>)>)> start = [&](auto done) {
    auto told = [done = std::move(done)](Status status) {
      done(status ? Result<bool>(true) : Result<bool>(std::move(status).error()));
    };
    if (denial) return trail_->record_denial(std::move(recorded), std::move(told));
    trail_->record(std::move(recorded), std::move(told));
  };
  CO_TRY_VOID(co_await await_callback<bool>(start));
  co_return Status();
}

boost::asio::awaitable<io::HttpResponse> CredentialsProvider::answer(const io::HttpRequest& request) const {
  Call call{.request_id = random_uuid()};
  Result<std::string> text = co_await credentials(request, call);
  const Status recorded = co_await record(request, call, text ? nullptr : &text.error());
  if (!recorded) text = make_error(ErrorKind::kUnavailable, recorded.error().message);
  const int status = text ? 200 : status_of(text.error().kind).status;
  log::info("request", {{"service", "credentials-provider"},
                        {"operation", kOperation},
                        {"status", status},
                        {"certificate", sha256_hex(request.peer.client_certificate_der)},
                        {"source", request.peer.address},
                        {"request_id", call.request_id}});
  if (text) co_return response_of(200, *std::move(text), call.request_id);
  if (status >= 500) log::error("credentials provider", {{"reason", text.error().message}});
  const std::string message = shown_message(text.error());
  io::HttpResponse response = response_of(status, to_text(json::object{{"message", message}}), call.request_id);
  response.headers.add("x-amzn-ErrorType", std::string(status_of(text.error().kind).type));
  co_return response;
}

}  // namespace muster::api::iot
