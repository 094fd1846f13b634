// SPDX-License-Identifier: Apache-2.0
#include "domain/security/authorizer_exchange.h"

#include <gtest/gtest.h>

#include "base/json.h"
#include "base/jwt_test_support.h"

namespace muster::security {
namespace {

using jwt::TestSigner;

const TestSigner& first() {
  static const TestSigner signer;
  return signer;
}
const TestSigner& second() {
  static const TestSigner signer;
  return signer;
}

CustomAuthorizer authorizer(const TestSigner& signer) {
  CustomAuthorizer out;
  out.name = "a";
  out.token_key_name = "token";
  out.public_keys = {{"k", signer.public_pem()}};
  out.active = true;
  return out;
}

AuthorizerQuestion question(const std::string& token, const std::string& raw_signature) {
  AuthorizerQuestion out;
  out.token = token;
  out.signature = to_base64(raw_signature);
  return out;
}

std::string why(const CustomAuthorizer& who, const AuthorizerQuestion& asked) {
  auto check = check_token(who, asked);
  if (!check) return check.error().message;
  return check->verified ? "verified" : "unchecked";
}

std::string policy(const std::string& pad = {}) {
  return R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iot:Connect","Resource":"*)" + pad +
         R"("}]})";
}

std::string answer(const std::string& change = {}, const std::string& documents = "[" + policy() + "]") {
  return R"({"isAuthenticated":true,"principalId":"abc1","policyDocuments":)" + documents + change + "}";
}

std::string said(const std::string& text) {
  auto read = read_authorizer_answer(text);
  return read ? "ok" : read.error().message;
}

TEST(TokenSignature, AnyOfTheAuthorisersKeysVerifies) {
  CustomAuthorizer who = authorizer(first());
  EXPECT_EQ(why(who, question("t", first().sign("t"))), "verified");
  who.public_keys["other"] = second().public_pem();
  EXPECT_EQ(why(who, question("t", second().sign("t"))), "verified");
}

TEST(TokenSignature, AReplayToAnotherAuthoriserIsRefused) {
  const AuthorizerQuestion stolen = question("t", first().sign("t"));
  EXPECT_EQ(why(authorizer(first()), stolen), "verified");
  EXPECT_EQ(why(authorizer(second()), stolen), "the token's signature is wrong");
}

TEST(TokenSignature, WrongAlgorithmsFormsAndTokensAreRefused) {
  const CustomAuthorizer who = authorizer(first());
  EXPECT_EQ(why(who, question("u", first().sign("t"))), "the token's signature is wrong");
  EXPECT_EQ(why(who, question("t", first().sign("t", EVP_sha1()))), "the token's signature is wrong");
  EXPECT_EQ(why(who, question("t", first().sign("t", EVP_sha512()))), "the token's signature is wrong");
  EXPECT_EQ(why(who, question("t", first().sign("t", EVP_sha256(), true))), "the token's signature is wrong");
  EXPECT_EQ(why(who, question("t", "")), "the token is not signed");
  EXPECT_EQ(why(who, question("", first().sign(""))), "there is no token");
  AuthorizerQuestion bad = question("t", first().sign("t"));
  bad.signature = "%%%";
  EXPECT_EQ(why(who, bad), "the token's signature is not base64");
  bad.signature = std::string(2561, 'A');
  EXPECT_EQ(why(who, bad), "the token's signature is too long");
  bad.token.reset();
  EXPECT_EQ(why(who, bad), "there is no token");
  EXPECT_EQ(why(who, question(std::string(6145, 't'), "x")), "the token is too long");
  CustomAuthorizer keyless = who;
  keyless.public_keys.clear();
  EXPECT_EQ(why(keyless, question("t", first().sign("t"))), "the token's signature is wrong");
}

TEST(TokenSignature, WithoutSigningNothingIsVerified) {
  CustomAuthorizer who = authorizer(first());
  who.signing_disabled = true;
  EXPECT_EQ(why(who, {}), "unchecked");
  EXPECT_EQ(why(who, question("t", first().sign("t"))), "unchecked");
}

TEST(AuthorizerEvent, HoldsWhatTheClientSentAndNoMore) {
  AuthorizerQuestion asked;
  asked.connection_id = "c";
  EXPECT_EQ(authorizer_event(asked, false),
            R"({"signatureVerified":false,"protocols":[],"protocolData":{},"connectionMetadata":{"id":"c"}})");
  asked.token = "t";
  asked.tls = true;
  asked.server_name = "host";
  asked.http = {{{"X-A", "b"}}, "?q=1"};
  asked.mqtt = {"u", std::string("\0p", 2), "d"};
  EXPECT_EQ(authorizer_event(asked, true),
            R"({"token":"t","signatureVerified":true,"protocols":["tls","http","mqtt"],)"
            R"("protocolData":{"tls":{"serverName":"host"},"http":{"headers":{"X-A":"b"},"queryString":"?q=1"},)"
            R"("mqtt":{"username":"u","password":"AHA=","clientId":"d"}},"connectionMetadata":{"id":"c"}})");
}

TEST(AuthorizerAnswer, IsReadWithItsDefaults) {
  auto read = read_authorizer_answer(answer());
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_TRUE(read->authenticated);
  EXPECT_EQ(read->principal_id, "abc1");
  EXPECT_EQ(read->policy_documents, std::vector<std::string>{policy()});
  EXPECT_EQ(read->disconnect_after_s, 86'400);
  EXPECT_EQ(read->refresh_after_s, 0);
  read =
      read_authorizer_answer(answer(R"(,"disconnectAfterInSeconds":300,"refreshAfterInSeconds":86400,"context":{})"));
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->disconnect_after_s, 300);
  EXPECT_EQ(read->refresh_after_s, 86'400);
  EXPECT_EQ(said(answer("", "[" + to_text(json::value(policy())) + "]")), "ok");  // as text
  read = read_authorizer_answer(R"({"isAuthenticated":false})");
  ASSERT_TRUE(read);
  EXPECT_FALSE(read->authenticated);
}

TEST(AuthorizerAnswer, WhateverIsNotToTheLetterIsRefused) {
  for (const std::string& bad : {std::string(),
                                 std::string("null"),
                                 std::string("[]"),
                                 std::string("{}"),
                                 std::string("true"),
                                 std::string(R"({"isAuthenticated":"true"})"),
                                 std::string(R"({"isAuthenticated":1})"),
                                 std::string(R"({"isAuthenticated":true})"),
                                 answer(R"(,"principalId":"")"),
                                 answer(R"(,"principalId":"a-b")"),
                                 answer(R"(,"principalId":"a b")"),
                                 answer(R"(,"principalId":7)"),
                                 answer(R"(,"principalId":")" + std::string(129, 'a') + "\""),
                                 answer("", "[]"),
                                 answer("", "{}"),
                                 answer("", "null"),
                                 answer("", "[1]"),
                                 answer("", "[{}]"),
                                 answer("", R"(["{}"])"),
                                 answer("", R"(["not json"])"),
                                 answer("", "[" + policy(std::string(2100, 'x')) + "]"),
                                 answer(R"(,"disconnectAfterInSeconds":299)"),
                                 answer(R"(,"disconnectAfterInSeconds":86401)"),
                                 answer(R"(,"disconnectAfterInSeconds":"300")"),
                                 answer(R"(,"disconnectAfterInSeconds":300.5)"),
                                 answer(R"(,"refreshAfterInSeconds":0)"),
                                 answer(R"(,"refreshAfterInSeconds":-300)"),
                                 answer(R"(,"refreshAfterInSeconds":1e9)"),
                                 answer("x"),
                                 std::string(300 * 1024, ' ')}) {
    EXPECT_NE(said(bad), "ok") << bad.substr(0, 200);
  }
  std::string eleven = "[" + policy();
  for (int i = 0; i < 10; ++i) eleven += "," + policy();
  EXPECT_EQ(said(answer("", eleven + "]")), "there are more than 10 policyDocuments");
  // Only actions of IoT policies, and only keys that connections supply.
  EXPECT_NE(
      said(answer("", R"([{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}])")),
      "ok");
}

}  // namespace
}  // namespace muster::security
