// SPDX-License-Identifier: Apache-2.0
#include "api/services/security/authorizers.h"

#include "api/services/iot/tags.h"
#include "api/services/iot/things_handler.h"
#include "api/wire/await_callback.h"
#include "base/crypto.h"
#include "domain/functions/function_name.h"
#include "domain/security/authorizer_exchange.h"
#include "domain/security/custom_authorizers.h"
#include "store/transact.h"

namespace muster::api::iot {
namespace {

using store::Tx;

json::object names(const Realm& realm, std::string_view name) {
  return {{"authorizerName", name}, {"authorizerArn", security::authorizer_arn(realm, name)}};
}

// A function of this account, and one that somebody here can be asked for.
Status check_function(const AuthorizerServices& services, std::string_view arn) {
  auto function = functions::own_function(services.realm, arn);
  if (!function) return function.error();
  if (services.invoker->knows(arn)) return {};
  return invalid("Function " + function->name + " does not exist: no endpoint is configured for it");
}

std::map<std::string, std::string> keys_of(const json::object& input) {
  std::map<std::string, std::string> keys;
  if (const json::object* given = find_object(input, "tokenSigningPublicKeys")) {
    for (const auto& key : *given) {
      if (key.value().is_string()) keys.emplace(key.key(), key.value().get_string());
    }
  }
  return keys;
}

Result<json::object> create(const AuthorizerServices& services, Tx& tx, const json::object& input) {
  security::CustomAuthorizer wanted;
  wanted.name = get_string(input, "authorizerName");
  wanted.function_arn = get_string(input, "authorizerFunctionArn");
  wanted.token_key_name = get_string(input, "tokenKeyName");
  wanted.public_keys = keys_of(input);
  wanted.active = get_string(input, "status") == "ACTIVE";
  wanted.signing_disabled = get_bool(input, "signingDisabled");
  wanted.cache_for_http = get_bool(input, "enableCachingForHttp");
  TRY_VOID(check_function(services, wanted.function_arn));
  TRY(const auto made, security::create_authorizer(tx, services.realm, wanted));
  TRY(const registry::Tags tags, read_tags(input));
  TRY_VOID(refuse_reserved_tags(tags));
  const std::string arn = security::authorizer_arn(services.realm, made.name);
  if (!tags.empty()) TRY_VOID(registry::tag_resource(tx, arn, tags));
  return names(services.realm, made.name);
}

json::object description(const Realm& realm, const security::CustomAuthorizer& authorizer) {
  json::object out = names(realm, authorizer.name);
  out["authorizerFunctionArn"] = authorizer.function_arn;
  if (!authorizer.token_key_name.empty()) out["tokenKeyName"] = authorizer.token_key_name;
  json::object keys;
  for (const auto& [name, pem] : authorizer.public_keys) keys[name] = pem;
  out["tokenSigningPublicKeys"] = std::move(keys);
  out["status"] = authorizer.active ? "ACTIVE" : "INACTIVE";
  out["creationDate"] = authorizer.created_ms;
  out["lastModifiedDate"] = authorizer.modified_ms;
  out["signingDisabled"] = authorizer.signing_disabled;
  out["enableCachingForHttp"] = authorizer.cache_for_http;
  return json::object{{"authorizerDescription", std::move(out)}};
}

Result<json::object> describe(const AuthorizerServices& services, Tx& tx, const json::object& input) {
  TRY(const auto authorizer, security::get_authorizer(tx, get_string(input, "authorizerName")));
  return description(services.realm, authorizer);
}

Result<json::object> describe_default(const AuthorizerServices& services, Tx& tx, const json::object&) {
  const auto name = security::default_authorizer(tx);
  if (!name) return not_found("There is no default authorizer");
  TRY(const auto authorizer, security::get_authorizer(tx, *name));
  return description(services.realm, authorizer);
}

Result<json::object> update(const AuthorizerServices& services, Tx& tx, const json::object& input) {
  security::AuthorizerChange change;
  if (has(input, "authorizerFunctionArn")) {
    change.function_arn = std::string(get_string(input, "authorizerFunctionArn"));
    TRY_VOID(check_function(services, *change.function_arn));
  }
  if (has(input, "tokenKeyName")) change.token_key_name = std::string(get_string(input, "tokenKeyName"));
  if (has(input, "tokenSigningPublicKeys")) change.public_keys = keys_of(input);
  if (has(input, "status")) change.active = get_string(input, "status") == "ACTIVE";
  if (has(input, "enableCachingForHttp")) change.cache_for_http = get_bool(input, "enableCachingForHttp");
  TRY(const auto authorizer, security::update_authorizer(tx, get_string(input, "authorizerName"), change));
  return names(services.realm, authorizer.name);
}

Result<json::object> erase(const AuthorizerServices& services, Tx& tx, const json::object& input) {
  TRY_VOID(security::delete_authorizer(tx, services.realm, get_string(input, "authorizerName")));
  return json::object();
}

Result<json::object> list(const AuthorizerServices& services, Tx& tx, const json::object& input) {
  std::optional<bool> active;
  if (has(input, "status")) active = get_string(input, "status") == "ACTIVE";
  const bool ascending = get_bool(input, "ascendingOrder", true);
  TRY(const auto page, security::list_authorizers(tx, marker_page_of_input(input), ascending, active));
  json::array authorizers;
  for (const std::string& name : page.items) authorizers.push_back(names(services.realm, name));
  json::object output{{"authorizers", std::move(authorizers)}};
  if (!page.next_token.empty()) output["nextMarker"] = page.next_token;
  return output;
}

Result<json::object> set_default(const AuthorizerServices& services, Tx& tx, const json::object& input) {
  TRY(const auto authorizer, security::set_default_authorizer(tx, services.realm, get_string(input, "authorizerName")));
  return names(services.realm, authorizer.name);
}

Result<json::object> clear_default(const AuthorizerServices&, Tx& tx, const json::object&) {
  TRY_VOID(security::clear_default_authorizer(tx));
  return json::object();
}

// ---- TestInvokeAuthorizer

std::optional<std::string> text_of(const json::object& input, std::string_view member) {
  if (!has(input, member)) return std::nullopt;
  return std::string(get_string(input, member));
}

security::AuthorizerQuestion question_of(const json::object& input) {
  security::AuthorizerQuestion question;
  question.token = text_of(input, "token");
  question.signature = get_string(input, "tokenSignature");
  if (const json::object* tls = find_object(input, "tlsContext")) {
    question.tls = true;
    question.server_name = text_of(*tls, "serverName");
  }
  if (const json::object* http = find_object(input, "httpContext")) {
    question.http.emplace();
    if (const json::object* headers = find_object(*http, "headers")) {
      for (const auto& header : *headers) {
        if (header.value().is_string()) question.http->headers.emplace_back(header.key(), header.value().get_string());
      }
    }
    question.http->query = get_string(*http, "queryString");
  }
  if (const json::object* mqtt = find_object(input, "mqttContext")) {
    question.mqtt = {text_of(*mqtt, "username"), text_of(*mqtt, "password"), text_of(*mqtt, "clientId")};
  }
  question.connection_id = random_uuid();
  return question;
}

Error bad_response(std::string message) {
  return make_error(ErrorKind::kInvalid, std::move(message), "InvalidResponseException");
}

json::object shape_of(const security::AuthorizerAnswer& answer) {
  json::object output{{"isAuthenticated", answer.authenticated}};
  if (!answer.authenticated) return output;
  output["principalId"] = answer.principal_id;
  output["policyDocuments"] = string_list(answer.policy_documents);
  if (answer.refresh_after_s > 0) output["refreshAfterInSeconds"] = answer.refresh_after_s;
  output["disconnectAfterInSeconds"] = answer.disconnect_after_s;
  return output;
}

io::Task<Reply> test_invoke(const AuthorizerServices& services, Call& call) {
  auto read = [&](Tx& tx) { return security::get_authorizer(tx, get_string(call.input, "authorizerName")); };
  CO_TRY(const security::CustomAuthorizer authorizer, co_await store::transact(*services.store, read));
  const security::AuthorizerQuestion question = question_of(call.input);
  const auto check = security::check_token(authorizer, question);
  if (!check) co_return invalid("The token was not accepted: " + check.error().message);
  functions::Invocation invocation;
  invocation.function_arn = authorizer.function_arn;
  invocation.payload = security::authorizer_event(question, check->verified);
  invocation.timeout_ms = security::kAuthorizerTimeoutMs;
  std::function<void(std::function<void(Result<std::string>)>)> start = [&](auto done) {
    services.invoker->invoke(invocation, std::move(done));
  };
  const Result<std::string> text = co_await await_callback<std::string>(start);
  if (!text) co_return bad_response("The function could not be asked: " + text.error().message);
  const auto answer = security::read_authorizer_answer(*text);
  if (!answer) co_return bad_response("The function's answer is not valid: " + answer.error().message);
  Reply reply;
  reply.output = shape_of(*answer);
  co_return reply;
}

}  // namespace

Handler authorizer_handler(const std::shared_ptr<const AuthorizerServices>& services, AuthorizerBody body) {
  return [services, body](Call& call) -> io::Task<Reply> {
    auto run = [&](Tx& tx) { return body(*services, tx, call.input); };
    Reply reply;
    CO_TRY(reply.output, co_await store::transact(*services->store, run));
    co_return reply;
  };
}

void register_authorizers(Operations& operations, const AuthorizerServices& given) {
  const auto services = std::make_shared<const AuthorizerServices>(given);
  const auto add = [&](std::string_view operation, AuthorizerBody body) {
    operations.add("iot", operation, authorizer_handler(services, body));
  };
  add("CreateAuthorizer", create);
  add("DescribeAuthorizer", describe);
  add("DescribeDefaultAuthorizer", describe_default);
  add("UpdateAuthorizer", update);
  add("DeleteAuthorizer", erase);
  add("ListAuthorizers", list);
  add("SetDefaultAuthorizer", set_default);
  add("ClearDefaultAuthorizer", clear_default);
  operations.add("iot", "TestInvokeAuthorizer", [services](Call& call) { return test_invoke(*services, call); });
}

}  // namespace muster::api::iot
