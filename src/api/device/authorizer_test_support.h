// SPDX-License-Identifier: Apache-2.0
// The fixture of the authorizer's tests: a device with its certificate on a live registry in the memory store, and
// grants that are asked on the loop.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <boost/asio/awaitable.hpp>
#include <future>
#include <optional>
#include <set>

#include "api/device/authorizer.h"
#include "api/device/denials.h"
#include "base/crypto.h"
#include "domain/registry/groups.h"
#include "domain/registry/things.h"
#include "domain/security/certificates.h"
#include "domain/security/policies.h"
#include "domain/security/principals.h"
#include "io/env.h"
#include "store/memory_engine.h"

namespace muster::api::device {

inline const Realm kRealm{"123456789012", "us-east-1"};
inline const std::string kDer = "the bytes of a certificate";
inline const std::string kArn = "arn:aws:iot:us-east-1:123456789012:";

inline std::string statement(const std::string& effect, const std::string& action, const std::string& resource) {
  return R"({"Version":"2012-10-17","Statement":[{"Effect":")" + effect + R"(","Action":")" + action +
         R"(","Resource":")" + resource + R"("}]})";
}

class AuthorizerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    store_ = store::make_memory_store(clock_);
    generations_.follow(*store_, kRealm);
    loop_.start();
    make({});
    certificate_.id = id_;
    certificate_.pem = "pem";
    certificate_.status = security::CertificateStatus::kActive;
    certificate_.subject = "CN=device-7,O=Acme";
    certificate_.issuer = "CN=ca";
    certificate_.serial_number = "1f";
    peer_.address = "10.1.2.3";
    peer_.tls = true;
    peer_.server_name = "iot.example.com";
    peer_.client_certificate_der = kDer;
  }
  void TearDown() override {
    on_loop([&] {
      grants_.clear();
      authorizer_.reset();
    });
    loop_.stop();
  }
  void make(AuthorizerOptions options) {
    on_loop([&] {
      grants_.clear();
      authorizer_ = std::make_unique<DeviceAuthorizer>(loop_, *store_, kRealm, generations_, options);
      authorizer_->on_refused([this](const std::string& id) {
        if (refused_.empty())
          valid_when_told_ =
              std::ranges::count_if(grants_, [](const auto& grant) { return grant && grant->still_valid(); });
        refused_.push_back(id);
      });
    });
  }
  void on_loop(const std::function<void()>& fn) {
    std::promise<void> done;
    loop_.post([&] {
      fn();
      done.set_value();
    });
    done.get_future().wait();
  }
  void settle() {
    for (int i = 0; i < 10; ++i) on_loop([] {});
  }
  template <class F>
  void write(F&& body) {
    const Status status = store::run_blocking(*store_, [&](store::Tx& tx) -> Status { return body(tx); });
    ASSERT_TRUE(status.has_value()) << status.error().message;
  }
  void add_certificate() {
    write([&](store::Tx& tx) -> Status {
      TRY_VOID(security::register_certificate(tx, kRealm, certificate_));
      return {};
    });
  }
  void add_policy(const std::string& name, const std::string& document, bool attach = true) {
    write([&](store::Tx& tx) -> Status {
      TRY_VOID(security::create_policy(tx, kRealm, name, document));
      if (!attach) return {};
      return security::attach_policy(tx, kRealm, name, security::certificate_arn(kRealm, id_));
    });
  }
  // The grant's index in grants_, or nullopt with the reason in why_.
  std::optional<std::size_t> connect(const std::string& client_id) {
    auto decided = std::make_shared<std::promise<void>>();
    std::optional<std::size_t> index;
    mqtt::ConnectAttempt attempt;
    attempt.client_id = client_id;
    attempt.peer = &peer_;
    attempt.has_will = !will_topic_.empty();
    attempt.will_topic = will_topic_;
    on_loop([&] {
      authorizer_->connect(attempt, [&, decided](mqtt::Authorizer::Decision decision) {
        why_ = decision.reason;
        if (decision.grant) {
          index = grants_.size();
          grants_.push_back(std::move(decision.grant));
        }
        decided->set_value();
      });
    });
    decided->get_future().wait();
    return index;
  }
  bool ask(const std::function<bool()>& question) {
    bool answer = false;
    on_loop([&] { answer = question(); });
    return answer;
  }
  Status https(const CertificateCall& call) {
    std::promise<Status> done;
    auto run = [](DeviceAuthorizer* authorizer, CertificateCall asked,
                  std::promise<Status>* out) -> boost::asio::awaitable<void> {
      Status status = co_await authorizer->authorize(asked);
      out->set_value(std::move(status));
    };
    loop_.post([&] { loop_.spawn(run(authorizer_.get(), call, &done)); });
    return done.get_future().get();
  }

  io::VirtualClock clock_;
  io::Loop loop_{"authorizer"};
  std::unique_ptr<store::MemoryStore> store_;
  security::PolicyGenerations generations_;
  std::unique_ptr<DeviceAuthorizer> authorizer_;
  std::vector<std::unique_ptr<mqtt::ConnectionGrant>> grants_;
  std::vector<std::string> refused_;
  std::ptrdiff_t valid_when_told_ = 0;  // connections, at the first refusal
  const std::string id_ = sha256_hex(kDer);
  security::Certificate certificate_;
  io::PeerInfo peer_;
  std::string why_;
  std::string will_topic_;
};

}  // namespace muster::api::device
