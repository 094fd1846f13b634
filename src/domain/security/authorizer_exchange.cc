// SPDX-License-Identifier: Apache-2.0
#include "domain/security/authorizer_exchange.h"

#include <algorithm>

#include "base/json.h"
#include "base/public_key.h"
#include "base/text.h"
#include "domain/iam/policy/document.h"

namespace muster::security {
namespace {

constexpr std::size_t kMaxTokenBytes = 6144;
constexpr std::size_t kMaxSignatureBytes = 2560;
constexpr std::size_t kMaxPolicies = 10;
constexpr std::size_t kMaxPolicyBytes = 2048;
constexpr std::int64_t kShortestS = 300, kLongestS = 86'400;
constexpr JsonLimits kAnswerLimits{.max_bytes = 256 * 1024, .max_depth = 32};

Error refused(std::string message) {
  return make_error(ErrorKind::kUnauthenticated, std::move(message));
}

bool is_principal_id(std::string_view text) {
  return !text.empty() && text.size() <= 128 && std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  });
}

Result<std::int64_t> read_seconds(const json::object& answer, std::string_view member, std::int64_t absent) {
  const json::value* value = answer.if_contains(member);
  if (value == nullptr || value->is_null()) return absent;
  const std::int64_t seconds = value->is_int64() ? value->get_int64() : -1;
  if (seconds < kShortestS || seconds > kLongestS) {
    return invalid(std::string(member) + " is not a whole number between 300 and 86400");
  }
  return seconds;
}

// Each is an object or, as older functions write it, the JSON text of one.
Result<std::vector<std::string>> read_policies(const json::object& answer) {
  const json::array* list = find_array(answer, "policyDocuments");
  if (list == nullptr || list->empty()) return invalid("there are no policyDocuments");
  if (list->size() > kMaxPolicies) return invalid("there are more than 10 policyDocuments");
  std::vector<std::string> documents;
  for (const json::value& item : *list) {
    if (!item.is_object() && !item.is_string()) return invalid("a policy document is neither an object nor text");
    std::string text = item.is_string() ? std::string(item.get_string()) : to_text(item);
    if (text.size() > kMaxPolicyBytes) return invalid("a policy document is longer than 2048 characters");
    auto compiled = iam::compile_policy(text, iam::PolicyUse::kIot);
    if (!compiled) return invalid("a policy document is malformed: " + compiled.error().message);
    documents.push_back(std::move(text));
  }
  return documents;
}

}  // namespace

Result<TokenCheck> check_token(const CustomAuthorizer& authorizer, const AuthorizerQuestion& question) {
  if (question.token && question.token->size() > kMaxTokenBytes) return refused("the token is too long");
  if (authorizer.signing_disabled) return TokenCheck{};
  if (!question.token || question.token->empty()) return refused("there is no token");
  if (question.signature.empty()) return refused("the token is not signed");
  if (question.signature.size() > kMaxSignatureBytes) return refused("the token's signature is too long");
  const auto signature = from_base64(question.signature);
  if (!signature) return refused("the token's signature is not base64");
  for (const auto& [name, pem] : authorizer.public_keys) {
    const auto key = PublicKey::from_pem(pem);
    if (key && key->verify(PublicKey::Scheme::kRsaSha256, *question.token, *signature)) return TokenCheck{true};
  }
  return refused("the token's signature is wrong");
}

std::string authorizer_event(const AuthorizerQuestion& question, bool signature_verified) {
  json::object event, data;
  json::array protocols;
  if (question.token) event["token"] = *question.token;
  event["signatureVerified"] = signature_verified;
  if (question.tls) {
    protocols.emplace_back("tls");
    if (question.server_name) data["tls"] = json::object{{"serverName", *question.server_name}};
  }
  if (question.http) {
    protocols.emplace_back("http");
    json::object headers;
    for (const auto& [name, value] : question.http->headers) headers[name] = value;
    json::object http{{"headers", std::move(headers)}};
    if (!question.http->query.empty()) http["queryString"] = question.http->query;
    data["http"] = std::move(http);
  }
  if (question.mqtt) {
    protocols.emplace_back("mqtt");
    json::object mqtt;
    if (question.mqtt->username) mqtt["username"] = *question.mqtt->username;
    if (question.mqtt->password) mqtt["password"] = to_base64(*question.mqtt->password);
    if (question.mqtt->client_id) mqtt["clientId"] = *question.mqtt->client_id;
    data["mqtt"] = std::move(mqtt);
  }
  event["protocols"] = std::move(protocols);
  event["protocolData"] = std::move(data);
  event["connectionMetadata"] = json::object{{"id", question.connection_id}};
  return to_text(event);
}

Result<AuthorizerAnswer> read_authorizer_answer(std::string_view text) {
  auto value = parse_json(text, kAnswerLimits);
  const json::object* object = value ? value->if_object() : nullptr;
  if (object == nullptr) return invalid("the answer is not a JSON object");
  const json::value* authenticated = object->if_contains("isAuthenticated");
  if (authenticated == nullptr || !authenticated->is_bool()) return invalid("isAuthenticated is not a boolean");
  AuthorizerAnswer answer;
  answer.authenticated = authenticated->get_bool();
  if (!answer.authenticated) return answer;
  answer.principal_id = get_string(*object, "principalId");
  if (!is_principal_id(answer.principal_id)) return invalid("principalId is not 1 to 128 letters and digits");
  TRY(answer.policy_documents, read_policies(*object));
  TRY(answer.disconnect_after_s, read_seconds(*object, "disconnectAfterInSeconds", kLongestS));
  TRY(answer.refresh_after_s, read_seconds(*object, "refreshAfterInSeconds", 0));
  return answer;
}

}  // namespace muster::security
