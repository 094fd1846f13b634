// SPDX-License-Identifier: Apache-2.0
#include "api/device/websocket_upgrade.h"

#include "api/device/token_grant.h"
#include "api/wire/authorization.h"
#include "api/wire/await_callback.h"
#include "api/wire/signature/sigv4_verify.h"
#include "base/crypto.h"
#include "base/json.h"
#include "base/log.h"
#include "io/websocket_handshake.h"

namespace muster::api::device {
namespace {

constexpr std::string_view kPath = "/mqtt";
constexpr std::string_view kSigningName = "iotdevicegateway";

using Identity = std::shared_ptr<const mqtt::TransportIdentity>;

Error forbidden(std::string message) {
  return make_error(ErrorKind::kUnauthenticated, std::move(message));
}

io::HttpResponse refusal(const Error& error) {
  io::HttpResponse response;
  const bool unavailable = error.kind == ErrorKind::kUnavailable || error.kind == ErrorKind::kInternal;
  response.status = unavailable ? 503 : 403;
  response.headers.add("Content-Type", "application/json");
  const std::string request_id = random_uuid();
  response.headers.add("x-amzn-RequestId", request_id);
  response.body =
      to_text(json::object{{"message", unavailable ? "Service Unavailable" : error.message}, {"traceId", request_id}});
  response.close = true;
  return response;
}

}  // namespace

WebSocketUpgrade::WebSocketUpgrade(Realm realm, iam::CredentialSource& credentials, const io::Clock& clock,
                                   UpgradeOptions options)
    : realm_(std::move(realm)), credentials_(credentials), clock_(clock), options_(std::move(options)) {}

bool WebSocketUpgrade::wants(const io::HttpRequest& request) const {
  return io::wants_websocket(request, kPath);
}

io::Task<Identity> WebSocketUpgrade::admit(std::shared_ptr<TokenClaim> claim, const io::HttpRequest& request) const {
  if (options_.tokens == nullptr) co_return forbidden("There is no custom authorizer to ask.");
  // The function of the authoriser is told the whole request.
  claim->http = true;
  claim->headers = request.headers.items();
  claim->raw_query = request.raw_query();
  TokenAuthorizer& tokens = *options_.tokens;
  std::function<void(std::function<void(Result<bool>)>)> start = [&tokens, &claim](auto done) {
    tokens.admit(*claim, [done](bool admitted) { done(admitted); });
  };
  CO_TRY(const bool admitted, co_await await_callback<bool>(start));
  if (!admitted) co_return forbidden("Missing Authentication Token");
  co_return Identity(std::move(claim));
}

io::Task<Identity> WebSocketUpgrade::identify(const io::HttpRequest& request) const {
  CO_TRY(const Pairs query, parse_form(request.raw_query(), 64 * 1024));
  Pairs parameters = query;
  for (const auto& header : request.headers.items()) parameters.push_back(header);
  std::shared_ptr<TokenClaim> claim = token_claim(parameters);
  if (claim) {
    co_return co_await admit(std::move(claim), request);
  }
  CO_TRY(const RequestSignature signature, read_signature(request, query));
  if (signature.kind == SignatureKind::kNone) {
    if (!request.peer.client_certificate_der.empty()) co_return Identity();
    claim = std::make_shared<TokenClaim>();
    claim->parameters = std::move(parameters);
    co_return co_await admit(std::move(claim), request);
  }
  if (signature.scope.service != kSigningName) {
    co_return forbidden("Credential should be scoped to correct service: 'iotdevicegateway'.");
  }
  const model::Service* service = model::find_service("iot-data");
  if (service == nullptr) co_return make_error(ErrorKind::kInternal, "no model of iot-data");
  const std::int64_t now_ms = clock_.now_ms();
  const VerifyInput verify{request, query, signature, *service, realm_, {}, now_ms};
  CO_TRY_VOID(check_scope(verify));
  iam::CredentialSource& source = credentials_;
  std::function<void(iam::CredentialSource::Done)> start = [&source, &signature, now_ms](auto done) {
    source.lookup(signature.access_key_id, signature.session_token, now_ms, std::move(done));
  };
  CO_TRY(iam::KnownCredentials known, co_await await_callback<iam::KnownCredentials>(start));
  if (known.expires_ms != 0 && known.expires_ms <= now_ms) co_return forbidden("The provided token has expired.");
  const std::string empty_hash = sha256_hex("");
  CO_TRY_VOID(verify_signature(verify, known.secret_access_key, empty_hash));
  auto identity = std::make_shared<IamIdentity>();
  identity->principal = std::move(known.principal);
  identity->expires_ms = known.expires_ms;
  identity->context = request_context(request, realm_, now_ms);
  for (const char* key : {"aws:CurrentTime", "aws:EpochTime"}) identity->context.erase(key);
  co_return Identity(std::move(identity));
}

boost::asio::awaitable<io::HttpResponse> WebSocketUpgrade::answer(const io::HttpRequest& request,
                                                                  OnSocket on_socket) const {
  io::HttpResponse response = io::answer_websocket(request, options_.origins);
  if (response.status != 101) co_return response;
  Result<Identity> identity = co_await identify(request);
  if (!identity) {
    log::info("WebSocket refused", {{"peer", request.peer.address}, {"why", identity.error().message}});
    if (options_.refused) options_.refused(request, identity.error());
    co_return refusal(identity.error());
  }
  response.upgrade = [on_socket = std::move(on_socket), identity = *std::move(identity)](
                         std::unique_ptr<io::Stream> stream, std::string rest) {
    on_socket(std::move(stream), std::move(rest), identity);
  };
  co_return response;
}

}  // namespace muster::api::device
