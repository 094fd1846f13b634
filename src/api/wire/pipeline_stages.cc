// SPDX-License-Identifier: Apache-2.0
#include "api/wire/pipeline_stages.h"

#include <algorithm>

#include "api/wire/authorization.h"
#include "api/wire/await_callback.h"
#include "api/wire/cors.h"
#include "api/wire/message.h"
#include "base/crypto.h"
#include "base/text.h"
#include "domain/iam/authorize.h"
#include "store/transact.h"

namespace muster::api {
namespace {

constexpr std::int64_t kMaxForm = 1 << 20;

Error refuse(std::string_view reason, std::string message) {
  return make_error(ErrorKind::kUnauthenticated, std::move(message), std::string(reason));
}

const model::Shape* input_payload(const Exchange& exchange) {
  const model::Operation* operation = exchange.operation;
  if (operation == nullptr || operation->input == model::kNone) return nullptr;
  const model::Shape& input = exchange.service->shapes[operation->input];
  if (input.payload == model::kNone) return nullptr;
  return &exchange.service->shapes[exchange.service->members[input.payload].shape];
}

bool takes_stream(const Exchange& exchange) {
  const model::Shape* payload = input_payload(exchange);
  return payload != nullptr && payload->streaming;
}

bool gives_blob(const model::Service& service, const model::Operation& operation) {
  if (operation.output == model::kNone) return false;
  const model::Shape& output = service.shapes[operation.output];
  if (output.payload == model::kNone) return false;
  const model::Shape& payload = service.shapes[service.members[output.payload].shape];
  return payload.type == model::Type::kBlob && payload.streaming;
}

// What the certificate of a connection may stand for. Checked apart from the router: a wrong route must not turn a
// device's policy into a user's.
bool serves_devices(const model::Service& service) {
  return service.id == "iot-data" || service.id == "iot-jobs-data";
}

// The same for a custom authoriser's token: AWS knows it for the message plane alone.
bool serves_tokens(const model::Service& service) {
  return service.id == "iot-data";
}

// The query protocol names its operation in the body: find_action() judges it, once that was read. It is read from
// strangers only where there is something that they may call.
bool may_come_unsigned(const Exchange& exchange) {
  if (exchange.operation != nullptr) return exchange.operation->anonymous;
  return exchange.is_query() && std::ranges::any_of(exchange.service->operations, &model::Operation::anonymous);
}

// What the handler sees of an aws-chunked upload: the object's length and encodings, not the transfer's.
io::HttpHeaders decoded_headers(const io::HttpHeaders& headers, std::int64_t length) {
  io::HttpHeaders out;
  for (const auto& [name, value] : headers.items()) {
    if (equals_ignore_case(name, "content-length")) continue;
    if (!equals_ignore_case(name, "content-encoding")) {
      out.add(name, value);
      continue;
    }
    std::string kept;
    for (std::string_view coding : split(value, ',')) {
      coding = trim(coding);
      if (coding.empty() || equals_ignore_case(coding, "aws-chunked")) continue;
      if (!kept.empty()) kept += ',';
      kept += coding;
    }
    if (!kept.empty()) out.add(name, kept);
  }
  out.add("Content-Length", std::to_string(length));
  return out;
}

// All resources of one request are in one bucket.
std::string bucket_of(const iam::AuthorizationRequest& request) {
  static constexpr std::string_view kPrefix = "arn:aws:s3:::";
  if (request.resources.empty() || !request.resources.front().starts_with(kPrefix)) return {};
  const std::string_view path = std::string_view(request.resources.front()).substr(kPrefix.size());
  return std::string(path.substr(0, path.find('/')));
}

// Where the client reached us, for URLs in answers. The parser has checked the host's characters.
std::string origin_of(const io::HttpRequest& request) {
  std::string host(request.headers.get("host"));
  if (host.empty()) host = "127.0.0.1:" + std::to_string(request.peer.local_port);
  return (request.peer.tls ? "https://" : "http://") + host;
}

}  // namespace

Status PipelineStages::answer_cors(Exchange& exchange) const {
  if (!is_preflight(exchange.request)) return {};
  exchange.response = answer_preflight(exchange.request, options_.cors_origins);
  exchange.answered = true;
  return {};
}

Status PipelineStages::read_query(Exchange& exchange) const {
  std::string_view target = exchange.request.target;
  if (!target.starts_with('/')) {
    return make_error(ErrorKind::kInvalid, "Couldn't parse the specified URI.", "InvalidURI");
  }
  TRY(exchange.query, parse_form(exchange.request.raw_query(), 64 * 1024));
  return {};
}

Status PipelineStages::find_signature(Exchange& exchange) const {
  TRY(exchange.signature, read_signature(exchange.request, exchange.query));
  exchange.token = parts_.tokens != nullptr && exchange.signature.kind == SignatureKind::kNone &&
                   exchange.request.peer.client_certificate_der.empty() &&
                   parts_.tokens->claims(exchange.request, exchange.query);
  return {};
}

Status PipelineStages::find_service(Exchange& exchange) const {
  TRY(exchange.service, router_.find_service(exchange.route_input()));
  if (exchange.front == Front::kDevice && !serves_devices(*exchange.service)) {
    return make_error(ErrorKind::kAccessDenied, "Forbidden: this port serves the data planes alone");
  }
  return {};
}

Status PipelineStages::find_operation(Exchange& exchange) const {
  exchange.route = router_.find_operation(*exchange.service, exchange.route_input());
  if (exchange.route) exchange.operation = exchange.route->operation;
  return {};
}

io::Task<void> PipelineStages::authenticate(Exchange& exchange) const {
  if (exchange.signature.kind != SignatureKind::kNone) co_return co_await authenticate_signature(exchange);
  const std::string& certificate = exchange.request.peer.client_certificate_der;
  if (!certificate.empty() && parts_.certificates != nullptr) {
    if (!serves_devices(*exchange.service)) co_return refuse("MissingAuthenticationToken", "Access Denied");
    CO_TRY(exchange.caller, co_await parts_.certificates->identify(certificate));
  } else if (exchange.token) {
    if (!serves_tokens(*exchange.service)) co_return refuse("MissingAuthenticationToken", "Access Denied");
    CO_TRY(exchange.token_caller, co_await parts_.tokens->identify(exchange.request, exchange.query));
    exchange.caller = exchange.token_caller->principal();
  } else if (!may_come_unsigned(exchange)) {
    co_return refuse("MissingAuthenticationToken", exchange.is_s3() ? "Access Denied" : "Missing Authentication Token");
  }
  CO_TRY(exchange.payload, read_payload_rule(exchange.request, exchange.query, exchange.signature, exchange.is_s3()));
  co_return Status();
}

io::Task<void> PipelineStages::authenticate_signature(Exchange& exchange) const {
  std::string_view bucket = exchange.route ? std::string_view(exchange.route->virtual_bucket) : std::string_view();
  VerifyInput verify{exchange.request, exchange.query, exchange.signature, *exchange.service,
                     parts_.realm,     bucket,         exchange.now_ms};
  // Cheap and without I/O first: a stranger's request costs neither a lookup nor a body.
  CO_TRY_VOID(check_scope(verify));
  CO_TRY(exchange.payload, read_payload_rule(exchange.request, exchange.query, exchange.signature, exchange.is_s3()));
  iam::CredentialSource& source = parts_.credentials;
  const RequestSignature& signature = exchange.signature;
  std::function<void(iam::CredentialSource::Done)> start = [&source, &signature, &exchange](auto done) {
    source.lookup(signature.access_key_id, signature.session_token, exchange.now_ms, std::move(done));
  };
  CO_TRY(iam::KnownCredentials known, co_await await_callback<iam::KnownCredentials>(start));
  if (known.expires_ms != 0 && known.expires_ms <= exchange.now_ms) {
    co_return refuse("ExpiredToken", "The provided token has expired.");
  }
  std::string payload_hash = exchange.payload.declared;
  if (exchange.payload.mode == PayloadMode::kWholeHash) {
    CO_TRY_VOID(co_await read_whole(exchange));
    payload_hash = sha256_hex(*exchange.body_text);
  }
  CO_TRY(exchange.signing, verify_signature(verify, known.secret_access_key, payload_hash));
  exchange.caller = std::move(known.principal);
  source.used(signature.access_key_id, signature.scope.service, exchange.now_ms);
  co_return Status();
}

io::Task<void> PipelineStages::read_whole(Exchange& exchange) const {
  if (exchange.body_text) co_return Status();
  std::int64_t limit = exchange.is_query() ? std::min(kMaxForm, options_.max_body_bytes) : options_.max_body_bytes;
  io::HttpBody& body = exchange.verified_body ? *exchange.verified_body : exchange.body;
  CO_TRY(exchange.body_text, co_await io::read_all(body, static_cast<std::size_t>(limit)));
  co_return Status();
}

Status PipelineStages::require_operation(Exchange& exchange) const {
  if (!exchange.route) return exchange.route.error();
  return exchange.operation == nullptr ? Status() : check_supported(exchange);
}

Status PipelineStages::check_supported(const Exchange& exchange) const {
  const model::Operation& operation = *exchange.operation;
  bool served = operation.support != model::Support::kRefused &&
                parts_.operations.find(exchange.service->id, operation.name) != nullptr;
  if (served) return {};
  std::string message = "The operation " + std::string(operation.name) + " is not supported by this server";
  if (!operation.note.empty()) message += ": " + std::string(operation.note);
  return make_error(ErrorKind::kNotSupported, message + ".");
}

io::Task<void> PipelineStages::read_body(Exchange& exchange) const {
  bool stream = takes_stream(exchange);
  std::int64_t limit = stream ? options_.max_object_bytes : options_.max_body_bytes;
  if (!exchange.body_text) {
    exchange.verified_body = make_verified_body(exchange.body, exchange.payload, exchange.signing, limit);
    if (!stream) CO_TRY_VOID(co_await read_whole(exchange));
  }
  bool chunked = exchange.payload.mode >= PayloadMode::kSignedChunks;
  exchange.headers =
      chunked ? decoded_headers(exchange.request.headers, exchange.payload.decoded_length) : exchange.request.headers;
  co_return Status();
}

Status PipelineStages::find_action(Exchange& exchange) const {
  if (!exchange.is_query()) return {};
  TRY(Pairs form, parse_form(*exchange.body_text, kMaxForm));
  auto action = router_.find_action(*exchange.service, exchange.query, form);
  // Strangers may call what is for everybody, and do not learn what else exists.
  const bool stranger = exchange.caller.kind == iam::PrincipalKind::kAnonymous;
  if (stranger && (!action || !(*action)->anonymous)) {
    return refuse("MissingAuthenticationToken", "Missing Authentication Token");
  }
  if (!action) return action.error();
  exchange.operation = *action;
  return check_supported(exchange);
}

Status PipelineStages::parse(Exchange& exchange) const {
  std::string_view body = exchange.body_text ? std::string_view(*exchange.body_text) : std::string_view();
  TRY(exchange.input, parse_input(WireInput{*exchange.service, *exchange.operation, exchange.route->labels,
                                            exchange.query, exchange.headers, body}));
  return {};
}

Status PipelineStages::note_input(Exchange& exchange) const {
  if (parts_.trail == nullptr) return {};
  // The data planes' inputs are noted when they are recorded, and else when they are refused (authorize()).
  if (is_data_plane(*exchange.service, exchange.operation) && !parts_.trail->records_data()) return {};
  exchange.audited = audited_input(exchange, parts_.realm);
  return {};
}

Status PipelineStages::may_change(Exchange& exchange) const {
  if (parts_.trail == nullptr || is_read_only(*exchange.operation)) return {};
  if (is_data_plane(*exchange.service, exchange.operation) && !parts_.trail->records_data()) return {};
  return parts_.trail->may_change();
}

io::Task<void> PipelineStages::authorize(Exchange& exchange) const {
  AuthorizationInput asked{*exchange.service, *exchange.operation, parts_.realm,   exchange.caller,
                           exchange.input,    exchange.request,    exchange.now_ms};
  if (exchange.caller.kind == iam::PrincipalKind::kCertificate) {
    for (iam::AuthorizationRequest& asked_for : authorization_requests(asked)) {
      CertificateCall call{exchange.request.peer.client_certificate_der,
                           std::move(asked_for.action),
                           std::move(asked_for.resources),
                           exchange.request.peer.address,
                           exchange.request_id,
                           exchange.request.peer.server_name};
      CO_TRY_VOID(co_await parts_.certificates->authorize(std::move(call)));
    }
    co_return Status();
  }
  if (exchange.token_caller) {
    for (const iam::AuthorizationRequest& asked_for : authorization_requests(asked)) {
      bool allowed = !asked_for.resources.empty();
      for (const std::string& resource : asked_for.resources) {
        allowed = allowed && exchange.token_caller->allows(asked_for.action, resource);
      }
      if (!allowed) co_return make_error(ErrorKind::kAccessDenied, "Forbidden", "ForbiddenException");
    }
    co_return Status();
  }
  // Source: IAM user guide, "Compare AWS STS credentials": GetSessionToken.
  const bool user_session =
      exchange.caller.token_issued_ms != 0 &&
      (exchange.caller.kind == iam::PrincipalKind::kUser || exchange.caller.kind == iam::PrincipalKind::kRoot);
  if (user_session && exchange.service->id == "iam") {
    co_return refuse("InvalidToken", "The security token included in the request is invalid");
  }
  // GetCallerIdentity needs no permission; AssumeRole asks the role's trust policy itself.
  if (exchange.operation->action.empty()) co_return Status();
  // Root needs no policies, and most servers know no other caller: saves a transaction.
  if (exchange.caller.kind == iam::PrincipalKind::kRoot) co_return Status();
  std::vector<iam::AuthorizationRequest> requests = authorization_requests(asked);
  auto decide = [this, &requests, &exchange, &asked](store::Tx& tx) -> Status {
    std::vector<iam::AuthorizationRequest> completed = requests;  // the body may run again
    complete_iam_requests(tx, asked, completed);
    for (iam::AuthorizationRequest& request : completed) {
      // CopyObject asks about two buckets, each of which has a policy of its own.
      const std::string bucket = exchange.is_s3() ? bucket_of(request) : std::string();
      if (options_.bucket_policy && !bucket.empty()) request.resource_policy = options_.bucket_policy(tx, bucket);
      TRY_VOID(iam::authorize(tx, parts_.realm, exchange.caller, request, policies_.get()));
    }
    return {};
  };
  co_return co_await store::transact(parts_.store, decide);
}

io::Task<void> PipelineStages::call(Exchange& exchange) const {
  const Handler* handler = parts_.operations.find(exchange.service->id, exchange.operation->name);
  Call call;
  call.service = exchange.service;
  call.operation = exchange.operation;
  call.caller = exchange.caller;
  call.request_id = exchange.request_id;
  call.source_ip = exchange.request.peer.address;
  call.origin = origin_of(exchange.request);
  call.client_certificate_der = exchange.request.peer.client_certificate_der;
  call.now_ms = exchange.now_ms;
  call.input = std::move(exchange.input);
  call.body = takes_stream(exchange) ? exchange.verified_body.get() : nullptr;
  call.request = &exchange.request;
  CO_TRY(exchange.reply, co_await (*handler)(call));
  if (call.body == nullptr) co_return Status();
  // Only the end of the payload says that it was what the caller signed: a handler that did not read so far must not
  // have its success reported.
  CO_TRY(std::string_view rest, co_await call.body->read());
  if (!rest.empty()) co_return internal("the handler left payload unread");
  co_return Status();
}

Status PipelineStages::serialise(Exchange& exchange) const {
  Reply& reply = exchange.reply;
  bool apart = reply.source != nullptr || !reply.payload.empty() || gives_blob(*exchange.service, *exchange.operation);
  TRY(WireOutput output,
      write_output(*exchange.service, *exchange.operation, reply.output, exchange.request_id, apart));
  io::HttpResponse& response = exchange.response;
  response.status = reply.status.value_or(output.status);
  response.headers = std::move(output.headers);
  for (const auto& [name, value] : reply.headers.items()) response.headers.set(name, value);
  response.body = apart ? std::move(reply.payload) : std::move(output.body);
  if (reply.source) {
    response.source = std::move(reply.source);
    response.source_length = reply.source_length >= 0 ? reply.source_length : output.content_length;
  } else if (exchange.request.method == "HEAD" && output.content_length >= 0) {
    response.headers.set("Content-Length", std::to_string(output.content_length));
  }
  return {};
}

}  // namespace muster::api
