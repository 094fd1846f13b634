// SPDX-License-Identifier: Apache-2.0
// What it costs to decide whether a device may publish, with ten statements that use variables and wildcards.
//   policy_eval [SECONDS]
// evaluate: the evaluator on compiled policies. grant, new topics: what a connection asks when it never asked before.
// grant, its topics: what it asks when it goes round a few. Prints a JSON line a measurement: nanoseconds of processor
// time a question.
#include <time.h>

#include <cstdio>
#include <cstdlib>
#include <functional>
#include <future>
#include <string>
#include <vector>

#include "api/device/authorizer.h"
#include "base/crypto.h"
#include "domain/iam/policy/eval.h"
#include "domain/registry/things.h"
#include "domain/security/certificates.h"
#include "domain/security/device_facts.h"
#include "domain/security/policies.h"
#include "domain/security/principals.h"
#include "io/env.h"
#include "store/memory_engine.h"

namespace muster {
namespace {

const Realm kRealm{"123456789012", "eu-central-1"};
const std::string kArn = "arn:aws:iot:eu-central-1:123456789012:";
const std::string kDer = "the bytes of a certificate";

// Ten statements; the last one allows the topics that are asked.
std::string document() {
  const auto statement = [](const std::string& effect, const std::string& action, const std::string& resource,
                            const std::string& more = {}) {
    return R"({"Effect":")" + effect + R"(","Action":")" + action + R"(","Resource":")" + resource + "\"" + more + "}";
  };
  std::vector<std::string> all = {
      statement("Allow", "iot:Connect", kArn + "client/${iot:Connection.Thing.ThingName}"),
      statement("Deny", "iot:Publish", kArn + "topic/*/admin/*"),
      statement("Deny", "iot:*", "*", R"(,"Condition":{"StringEquals":{"iot:ClientId":"banned"}})"),
      statement("Allow", "iot:Subscribe", kArn + "topicfilter/cmd/${iot:ClientId}/*"),
      statement("Allow", "iot:Receive", kArn + "topic/cmd/${iot:ClientId}/*"),
      statement("Allow", "iot:Publish", kArn + "topic/logs/${iot:Connection.Thing.ThingName}/*"),
      statement("Allow", "iot:Publish", kArn + "topic/$aws/things/${iot:Connection.Thing.ThingName}/shadow/*"),
      statement("Allow", "iot:Publish", kArn + "topic/site/${iot:Connection.Thing.Attributes[site]}/?/state"),
      statement("Allow", "iot:Publish", kArn + "topic/alarm/*/${iot:Certificate.Subject.CommonName}"),
      statement("Allow", "iot:Publish", kArn + "topic/dt/*/${iot:Connection.Thing.ThingName}/telemetry/*")};
  std::string text = R"({"Version":"2012-10-17","Statement":[)";
  for (std::size_t i = 0; i < all.size(); ++i) text += (i == 0 ? "" : ",") + all[i];
  return text + "]}";
}

void must(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "policy_eval: %s\n", what);
  std::exit(1);
}

void fill(store::Store& store, const std::string& id) {
  const Status done = store::run_blocking(store, [&](store::Tx& tx) -> Status {
    security::Certificate certificate;
    certificate.id = id;
    certificate.pem = "pem";
    certificate.status = security::CertificateStatus::kActive;
    certificate.subject = "CN=device-7,OU=plant,O=Acme,C=DE";
    certificate.issuer = "CN=Acme CA,O=Acme";
    TRY_VOID(security::register_certificate(tx, kRealm, certificate));
    TRY_VOID(registry::create_thing(tx, kRealm, {.name = "device-7", .attributes = {{"site", "north"}, {"hw", "3"}}}));
    TRY_VOID(security::create_policy(tx, kRealm, "p", document()));
    const std::string arn = security::certificate_arn(kRealm, id);
    TRY_VOID(security::attach_policy(tx, kRealm, "p", arn));
    return security::attach_thing_principal(tx, kRealm, "device-7", arn);
  });
  must(done.has_value(), done ? "" : done.error().message.c_str());
}

// This thread's processor time: others on the machine do not count.
double cpu_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

// Asks in rounds of a thousand until the time is over.
void measure(const char* name, double seconds, const std::function<bool(int)>& ask) {
  const double begin = cpu_seconds();
  std::int64_t asked = 0;
  double took = 0;
  while (took < seconds) {
    for (int i = 0; i < 1000; ++i) must(ask(i), name);
    asked += 1000;
    took = cpu_seconds() - begin;
  }
  std::printf("{\"bench\": \"policy_eval\", \"what\": \"%s\", \"cpu_ns\": %.0f}\n", name,
              took * 1e9 / static_cast<double>(asked));
}

std::unique_ptr<mqtt::ConnectionGrant> connect(io::Loop& loop, api::device::DeviceAuthorizer& authorizer) {
  std::promise<std::unique_ptr<mqtt::ConnectionGrant>> made;
  io::PeerInfo peer;
  peer.address = "10.1.2.3";
  peer.tls = true;
  peer.server_name = "iot.example.com";
  peer.client_certificate_der = kDer;
  mqtt::ConnectAttempt attempt;
  attempt.client_id = "device-7";
  attempt.peer = &peer;
  loop.post([&] {
    authorizer.connect(attempt,
                       [&](mqtt::Authorizer::Decision decision) { made.set_value(std::move(decision.grant)); });
  });
  return made.get_future().get();
}

void run(double seconds) {
  io::VirtualClock clock;
  const auto store = store::make_memory_store(clock);
  security::PolicyGenerations generations;
  generations.follow(*store, kRealm);
  const std::string id = sha256_hex(kDer);
  fill(*store, id);
  std::vector<std::string> topics;
  for (int i = 0; i < 1000; ++i) topics.push_back("dt/line-4/device-7/telemetry/sensor-" + std::to_string(i));

  iam::PolicyCache cache;
  const auto facts = store::run_blocking_for(*store, [&](store::Tx& tx) {
    security::FactsRequest request;
    request.certificate_id = id;
    request.client_id = request.thing = "device-7";
    return security::read_facts(tx, kRealm, request, cache);
  });
  must(facts && facts->valid, "facts");
  std::vector<std::string> resources;
  for (const std::string& topic : topics) resources.push_back(kArn + "topic/" + topic);
  measure("evaluate", seconds,
          [&](int i) { return security::allows(*facts, "iot:Publish", resources[static_cast<std::size_t>(i)]); });

  io::Loop loop{"device"};
  loop.start();
  {
    api::device::DeviceAuthorizer authorizer(loop, *store, kRealm, generations, {});
    auto grant = connect(loop, authorizer);
    must(grant != nullptr, "connect");
    std::promise<void> done;
    loop.post([&] {
      measure("grant, new topics", seconds,
              [&](int i) { return grant->may_publish(topics[static_cast<std::size_t>(i)], false); });
      measure("grant, its four topics", seconds,
              [&](int i) { return grant->may_publish(topics[static_cast<std::size_t>(i % 4)], false); });
      measure("grant, one topic", seconds, [&](int) { return grant->may_publish(topics[0], false); });
      grant.reset();
      done.set_value();
    });
    done.get_future().wait();
  }
  loop.stop();
}

}  // namespace
}  // namespace muster

int main(int argc, char** argv) {
  muster::run(argc > 1 ? std::atof(argv[1]) : 1.0);
}
