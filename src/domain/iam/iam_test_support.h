// SPDX-License-Identifier: Apache-2.0
// An account in a memory store on virtual time, for the tests of this folder.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "domain/iam/authorize.h"
#include "domain/iam/credentials.h"
#include "domain/iam/identities.h"
#include "domain/iam/sessions.h"
#include "store/memory_engine.h"

namespace muster::iam {

inline constexpr std::string_view kAllowAll =
    R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]})";
inline constexpr std::string_view kTrustIot = R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow",
    "Principal":{"Service":"iot.amazonaws.com"},"Action":"sts:AssumeRole"}]})";

inline std::string allow(std::string_view action, std::string_view resource, std::string_view effect = "Allow") {
  return R"({"Version":"2012-10-17","Statement":[{"Effect":")" + std::string(effect) + R"(","Action":")" +
         std::string(action) + R"(","Resource":")" + std::string(resource) + "\"}]}";
}

class IamTest : public testing::Test {
 protected:
  template <class F>
  auto result(F&& body) {
    return store::run_blocking_for(*store_, body);
  }
  template <class F>
  auto run(F&& body) {
    auto outcome = result(body);
    EXPECT_TRUE(outcome) << outcome.error().message;
    return outcome ? *outcome : std::remove_reference_t<decltype(*outcome)>{};
  }
  template <class F>
  Status status(F&& body) {
    return store::run_blocking(*store_, body);
  }

  void SetUp() override {
    account_ = run([](store::Tx& tx) { return ensure_account(tx, "eu-central-1"); });
    realm_ = account_.realm;
  }

  User user(std::string name) {
    return run([&](store::Tx& tx) { return create_user(tx, User{.name = name}); });
  }
  Role role(std::string name, std::string_view trust) {
    return run([&](store::Tx& tx) { return create_role(tx, Role{.name = name, .trust_policy = std::string(trust)}); });
  }
  AccessKey key(std::string_view name) {
    return run([&](store::Tx& tx) { return create_access_key(tx, name); });
  }
  Result<KnownCredentials> known(std::string_view id, std::string_view token = "") {
    return result([&](store::Tx& tx) { return find_credentials(tx, realm_, id, token, tx.now_ms()); });
  }
  Principal principal(std::string_view id, std::string_view token = "") {
    auto found = known(id, token);
    EXPECT_TRUE(found) << found.error().message;
    return found ? found->principal : Principal{};
  }
  Status allowed(const Principal& who, std::string action, std::string resource, std::string bucket_policy = "") {
    AuthorizationRequest request;
    request.action = std::move(action);
    request.resources = {std::move(resource)};
    request.resource_policy = std::move(bucket_policy);
    return status([&](store::Tx& tx) { return authorize(tx, realm_, who, request, &cache_); });
  }
  Result<RoleSession> assume(const Principal& who, const AssumeRole& wanted) {
    return result([&](store::Tx& tx) { return assume_role(tx, realm_, who, wanted); });
  }

  io::VirtualClock clock_;
  std::unique_ptr<store::MemoryStore> store_ = store::make_memory_store(clock_);
  PolicyCache cache_;
  Account account_;
  Realm realm_;
};

}  // namespace muster::iam
