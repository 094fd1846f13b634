// SPDX-License-Identifier: Apache-2.0
#include "api/device/certificate_topics.h"

#include "api/device/provisioning_payload.h"
#include "base/log.h"
#include "domain/provisioning/ownership.h"
#include "domain/provisioning/provision.h"

namespace muster::api::device {

namespace {

constexpr std::string_view kPrefix = "$aws/certificates/";
constexpr int kAtOnce = 8;

struct Asked {
  bool from_request = false;
  PayloadFormat format = PayloadFormat::kJson;
};

std::optional<Asked> parse_topic(std::string_view topic) {
  if (!topic.starts_with(kPrefix)) return std::nullopt;
  topic.remove_prefix(kPrefix.size());
  const std::size_t slash = topic.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const std::string_view verb = topic.substr(0, slash);
  const auto format = payload_format(topic.substr(slash + 1));
  if (!format || (verb != "create" && verb != "create-from-csr")) return std::nullopt;
  return Asked{verb == "create-from-csr", *format};
}

// The request's CSR; empty: the keys are made here.
Result<std::string> request_of(const Asked& asked, const json::object& body) {
  constexpr std::string_view kMember = "certificateSigningRequest";
  for (const auto& member : body) {
    if (asked.from_request && member.key() == kMember) continue;
    return make_error(ErrorKind::kInvalid, "Unknown member " + std::string(member.key()) + ".", "InvalidPayload");
  }
  if (!asked.from_request) return std::string();
  TRY(std::string request, text_member(body, kMember));
  if (request.empty()) return make_error(ErrorKind::kInvalid, "The CSR is empty.", "InvalidCertificateSigningRequest");
  return request;
}

}  // namespace

struct CertificateTopics::State : std::enable_shared_from_this<CertificateTopics::State> {
  State(io::Loop& l, const io::Clock& t, store::Store& s, io::BlockingPool& p, const provisioning::Context& c,
        const DeviceCalls& r)
      : loop(l), clock(t), store(s), pool(p), context(c), calls(r) {}

  struct Request {
    std::string topic;
    PayloadFormat format = PayloadFormat::kJson;
    std::string csr;
    std::function<void(std::string, std::string)> reply;
    std::function<void(bool)> handled;
    // Made on the pool.
    Result<x509::Issued> issued;
    std::string token;
    DeviceCall call;  // as it is recorded
  };

  io::Loop& loop;
  const io::Clock& clock;
  store::Store& store;
  io::BlockingPool& pool;
  const provisioning::Context& context;
  const DeviceCalls& calls;
  bool stopped = false;  // the loop's thread
  int running = 0;       // the loop's thread

  Result<x509::Issued> issue(const std::string& csr, std::int64_t now_ms) const {
    if (context.authority == nullptr) return make_error(ErrorKind::kUnavailable, "There is no device CA.");
    const x509::Validity validity{now_ms - provisioning::kCertificateBackdatedMs, provisioning::kCertificateNotAfterMs};
    if (csr.empty()) return context.authority->issue_device(x509::KeyKind::kRsa2048, validity);
    auto issued = context.authority->sign_request(csr, validity);
    if (issued || issued.error().kind != ErrorKind::kInvalid) return issued;
    return make_error(ErrorKind::kInvalid, issued.error().message, "InvalidCertificateSigningRequest");
  }

  void start(std::shared_ptr<Request> request, std::int64_t now_ms) {
    ++running;
    pool.submit([self = shared_from_this(), request, now_ms] {
      request->issued = self->issue(request->csr, now_ms);
      if (!request->issued) return self->back(request, std::move(request->issued).error());
      request->token = provisioning::new_ownership_token();
      self->store.run(
          [self, request](store::Tx& tx) {
            return provisioning::own_certificate(self->context, tx, request->issued->certificate, request->token);
          },
          [self, request](Status status) { self->back(request, std::move(status)); });
    });
  }

  void back(const std::shared_ptr<Request>& request, Status status) {
    loop.post([self = shared_from_this(), request, status = std::move(status)] { self->done(request, status); });
  }

  void done(const std::shared_ptr<Request>& request, const Status& status) {
    if (stopped) return;
    if (status) {
      request->call.certificate_id = request->issued->certificate.id;
    } else {
      request->call.error = status.error();
    }
    DeviceCall call = std::move(request->call);
    calls.record(std::move(call), [self = shared_from_this(), request, status](const Status& recorded) {
      self->loop.post([self, request, outcome = status && !recorded ? recorded : status] {
        if (self->stopped) return;
        --self->running;
        self->answer(*request, outcome);
      });
    });
  }

  // Nothing was begun.
  void refuse(const std::shared_ptr<Request>& request, const Error& error) {
    ++running;
    request->call.begun = false;
    done(request, error);
  }

  static void answer(Request& request, const Status& status) {
    if (!status) return reject(request, status.error());
    json::object answer{{"certificateId", request.issued->certificate.id},
                        {"certificatePem", request.issued->certificate.pem},
                        {"certificateOwnershipToken", request.token}};
    if (request.csr.empty()) answer["privateKey"] = request.issued->key.private_pem;
    request.reply(request.topic + "/accepted", write_payload(request.format, answer));
    request.handled(true);
  }

  static void reject(Request& request, const Error& error) {
    if (error.kind == ErrorKind::kInternal) {
      log::error("certificate request failed", {{"topic", request.topic}, {"error", error.message}});
    }
    request.reply(request.topic + "/rejected", write_payload(request.format, rejection(error)));
    request.handled(true);
  }
};

CertificateTopics::CertificateTopics(io::Loop& loop, const io::Clock& clock, store::Store& store,
                                     io::BlockingPool& pool, const provisioning::Context& context,
                                     const DeviceCalls& calls)
    : state_(std::make_shared<State>(loop, clock, store, pool, context, calls)) {}

CertificateTopics::~CertificateTopics() {
  state_->stopped = true;
}

bool CertificateTopics::handle(const mqtt::Ingress& message, std::function<void(bool accepted)> handled) {
  const auto asked = parse_topic(message.topic);
  if (!asked) return false;
  auto request = std::make_shared<State::Request>();
  request->topic = message.topic;
  request->format = asked->format;
  request->reply = message.reply;
  request->handled = std::move(handled);
  request->call = device_call(asked->from_request ? "CreateCertificateFromCsr" : "CreateKeysAndCertificate", message);
  if (const Status may = state_->calls.may_change(); !may) {
    State::reject(*request, may.error());
    return true;
  }
  const auto body = read_payload(asked->format, message.payload);
  auto csr = body ? request_of(*asked, *body) : Result<std::string>(body.error());
  if (!csr) {
    state_->refuse(request, csr.error());
    return true;
  }
  if (asked->from_request) request->call.input["certificateSigningRequest"] = *csr;
  if (state_->running >= kAtOnce) {
    state_->refuse(request,
                   make_error(ErrorKind::kThrottled, "Too many certificates are being made, try again later."));
    return true;
  }
  request->csr = *std::move(csr);
  state_->start(std::move(request), state_->clock.now_ms());
  return true;
}

}  // namespace muster::api::device
