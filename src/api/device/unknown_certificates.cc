// SPDX-License-Identifier: Apache-2.0
#include "api/device/unknown_certificates.h"

#include <mutex>
#include <unordered_map>

#include "base/crypto.h"
#include "base/log.h"
#include "domain/provisioning/just_in_time.h"
#include "domain/security/certificates.h"

namespace muster::api::device {

namespace {

constexpr std::int64_t kAgainMs = 10'000;
constexpr std::size_t kAtOnce = 64;
constexpr std::size_t kRemembered = 10'000;

constexpr std::string_view kRegisterThing = "RegisterThing";

using What = provisioning::FirstSight::What;

}  // namespace

struct FirstConnections::State {
  State(store::Store& s, io::BlockingPool& p, const io::Clock& c, const provisioning::Context& x, const DeviceCalls& r)
      : store(s), pool(p), clock(c), context(x), calls(r) {}

  store::Store& store;
  io::BlockingPool& pool;
  const io::Clock& clock;
  const provisioning::Context& context;
  const DeviceCalls& calls;
  std::mutex mutex;
  std::unordered_map<std::string, std::int64_t> seen;  // certificate id -> when
  std::size_t running = 0;

  // Whether it is its turn; then it counts as running.
  bool begin(const std::string& id) {
    const std::int64_t now_ms = clock.steady_ms();
    const std::lock_guard lock(mutex);
    if (running >= kAtOnce) return false;
    const auto at = seen.find(id);
    if (at != seen.end() && now_ms - at->second < kAgainMs) return false;
    if (seen.size() >= kRemembered)
      std::erase_if(seen, [&](const auto& one) { return now_ms - one.second >= kAgainMs; });
    if (seen.size() >= kRemembered) seen.clear();
    seen[id] = now_ms;
    ++running;
    return true;
  }
  void end() {
    const std::lock_guard lock(mutex);
    --running;
  }

  // By the certificate itself: the handshake proved its key, and its CA vouches for it. Nobody waits for an answer.
  void record(std::string_view name, const std::string& id, const std::string& source_ip,
              const provisioning::FirstSight& sight) const {
    DeviceCall call;
    call.name = name;
    call.source_ip = source_ip;
    call.tls = true;
    call.who.kind = iam::PrincipalKind::kCertificate;
    call.who.account_id = context.realm.account_id;
    call.who.arn = security::certificate_arn(context.realm, id);
    call.who.name = call.who.user_id = id;
    call.certificate_id = id;
    if (name == kRegisterThing) {
      call.thing_name = sight.thing_name;
      if (sight.what == What::kFailed) call.error = make_error(sight.error, sight.why);
    }
    calls.record(std::move(call), [](const Status&) {});
  }

  void look(const std::string& der, const std::string& source_ip) {
    const auto certificate = x509::parse_der(der);
    if (!certificate || !calls.may_change()) return;
    provisioning::Effects effects;
    auto sight = store::run_blocking_for(store, [&](store::Tx& tx) {
      effects = {};
      return provisioning::first_sight(context, tx, *certificate, effects);
    });
    if (!sight) {
      return log::warn("a new certificate could not be registered",
                       {{"certificate", certificate->id}, {"reason", sight.error().message}});
    }
    context.tell(effects);
    if (sight->what == What::kNothing) return;
    if (sight->registered) record("RegisterCertificate", certificate->id, source_ip, *sight);
    if (sight->what != What::kAnnounced) record(kRegisterThing, certificate->id, source_ip, *sight);
    if (sight->what == What::kFailed) {
      return log::warn("just-in-time provisioning failed", {{"certificate", certificate->id}, {"reason", sight->why}});
    }
    log::info(sight->what == What::kProvisioned ? "certificate provisioned just in time"
                                                : "certificate registered just in time",
              {{"certificate", certificate->id}});
  }
};

FirstConnections::FirstConnections(store::Store& store, io::BlockingPool& pool, const io::Clock& clock,
                                   const provisioning::Context& context, const DeviceCalls& calls)
    : state_(std::make_shared<State>(store, pool, clock, context, calls)) {}

FirstConnections::~FirstConnections() = default;

void FirstConnections::refused(const std::string& der, const std::string& source_ip) {
  if (der.empty() || !state_->begin(sha256_hex(der))) return;
  state_->pool.submit([state = state_, der, source_ip] {
    state->look(der, source_ip);
    state->end();
  });
}

}  // namespace muster::api::device
