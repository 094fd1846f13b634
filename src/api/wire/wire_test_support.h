// SPDX-License-Identifier: Apache-2.0
// For tests: a pipeline over the real models with handlers that record what they were given, and credentials for it.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "api/wire/pipeline.h"
#include "api/wire/signature/test_signer.h"
#include "domain/iam/identities.h"
#include "io/loop_test_support.h"
#include "store/memory_engine.h"

namespace muster::api {

inline const Realm kTestRealm{"123456789012", "eu-west-1"};

// A body that arrives in pieces of the given sizes, round and round.
class PieceBody final : public io::HttpBody {
 public:
  explicit PieceBody(std::string bytes, std::vector<std::size_t> sizes = {100'000})
      : bytes_(std::move(bytes)), sizes_(std::move(sizes)) {}
  io::Task<std::string_view> read() override {
    std::size_t take = std::min(sizes_[reads_++ % sizes_.size()], bytes_.size() - at_);
    std::string_view piece = std::string_view(bytes_).substr(at_, take);
    at_ += take;
    co_return piece;
  }
  std::int64_t content_length() const override { return static_cast<std::int64_t>(bytes_.size()); }
  std::size_t consumed() const { return at_; }

 private:
  std::string bytes_;
  std::vector<std::size_t> sizes_;
  std::size_t at_ = 0, reads_ = 0;
};

class TestCredentials final : public iam::CredentialSource {
 public:
  void lookup(std::string key, std::string token, std::int64_t now_ms, Done done) override {
    ++lookups;
    auto refuse = [](const char* reason) {
      return make_error(ErrorKind::kUnauthenticated, "The security token included in the request is invalid.", reason);
    };
    iam::KnownCredentials known{kTestSecret, {}, 0};
    known.principal.account_id = kTestRealm.account_id;
    known.principal.access_key_id = key;
    if (key == kTestKey && token.empty()) {
      known.principal.kind = iam::PrincipalKind::kRoot;
      known.principal.arn = iam_arn(kTestRealm, "root", "");
      done(known);
    } else if (key == "AKIAUSERUSERUSERUSER" && token.empty()) {
      known.secret_access_key = kUserSecret;
      known.principal.kind = iam::PrincipalKind::kUser;
      known.principal.name = "mallory";
      known.principal.user_id = user_id;
      known.principal.arn = iam_arn(kTestRealm, "user", "mallory");
      done(known);
    } else if (key == "ASIAIOSFODNN7EXAMPLE" && token == "good-token") {
      known.principal.kind = iam::PrincipalKind::kRoot;
      known.expires_ms = now_ms + 1000;
      // From another thread, as the store may answer.
      other_.post([done, known] { done(known); });
    } else {
      done(key.starts_with("ASIA") ? refuse("InvalidToken") : refuse("InvalidAccessKeyId"));
    }
  }
  TestCredentials() { other_.start(); }
  int lookups = 0;
  std::string user_id;  // of mallory, who need not exist

 private:
  io::Loop other_{"lookup"};
};

// The pipeline over the real models; every operation named in serve() has a handler that records.
class TestServer {
 public:
  struct Seen {
    std::string operation;
    json::object input;
    std::string body;
    iam::Principal caller;
    std::string origin;
  };

  explicit TestServer(PipelineOptions options = {}, CertificateAuthorizer* certificates = nullptr,
                      audit::Trail* trail = nullptr)
      : store_(store::make_memory_store(clock)), trail_(trail) {
    options.log_requests = false;
    options_ = std::move(options);
    certificates_ = certificates;
  }
  void serve(std::string_view service, std::string_view operation, Handler answer = {}) {
    operations_.add(service, operation, [this, answer](Call& call) -> io::Task<Reply> {
      Seen entry{std::string(call.operation->name), call.input, "", call.caller, call.origin};
      if (call.body != nullptr) {
        CO_TRY(entry.body, co_await io::read_all(*call.body, 64 << 20));
      }
      seen.push_back(std::move(entry));  // kept only now: an error while reading means nothing may be
      if (answer) co_return co_await answer(call);
      co_return Reply{};
    });
  }
  void serve_raw(std::string_view service, std::string_view operation, Handler handler) {
    operations_.add(service, operation, std::move(handler));
  }
  // Makes the user of AKIAUSERUSERUSERUSER, without a policy.
  void add_user() {
    const auto made = store::run_blocking_for(*store_, [](store::Tx& tx) {
      iam::User user;
      user.name = "mallory";
      return iam::create_user(tx, user);
    });
    if (made) credentials.user_id = made->id;
  }
  io::HttpResponse send(const SignedRequest& in, std::vector<std::size_t> pieces = {100'000}) {
    if (!pipeline_) {
      PipelineParts parts{operations_, *store_,       kTestRealm, credentials, clock,
                          metrics,     certificates_, nullptr,    trail_};
      pipeline_ = std::make_unique<Pipeline>(parts, options_);
    }
    seen.clear();
    io::HttpRequest request = in.request;
    PieceBody body(in.body, std::move(pieces));
    io::HttpResponse response = loop_.run(pipeline_->handle(request, body));
    consumed = body.consumed();
    return response;
  }

  io::VirtualClock clock{1'700'000'000'000};
  TestCredentials credentials;
  metrics::Registry metrics;
  std::vector<Seen> seen;
  std::size_t consumed = 0;

 private:
  io::TestLoop loop_;
  std::unique_ptr<store::MemoryStore> store_;
  Operations operations_;
  PipelineOptions options_;
  CertificateAuthorizer* certificates_ = nullptr;
  audit::Trail* trail_ = nullptr;
  std::unique_ptr<Pipeline> pipeline_;
};

}  // namespace muster::api
