// SPDX-License-Identifier: Apache-2.0
#include "base/jwt.h"

#include <gtest/gtest.h>

#include "base/crypto.h"
#include "base/jwt_test_support.h"

namespace muster::jwt {
namespace {

const TestSigner& rsa() {
  static const TestSigner signer;
  return signer;
}
const TestSigner& p256() {
  static const TestSigner signer("P-256");
  return signer;
}
const TestSigner& p384() {
  static const TestSigner signer("P-384");
  return signer;
}

std::string header(const std::string& algorithm, const std::string& extra = R"(,"kid":"k")") {
  return R"({"alg":")" + algorithm + "\"" + extra + "}";
}

std::vector<Key> keys_of(const std::vector<std::string>& jwks) {
  auto keys = parse_key_set(key_set(jwks));
  EXPECT_TRUE(keys) << keys.error().message;
  return keys ? *std::move(keys) : std::vector<Key>();
}

bool accepted(const std::string& text, const std::vector<Key>& keys) {
  auto token = parse_token(text);
  return token && verify(*token, keys).has_value();
}

std::string why(const std::string& text) {
  auto token = parse_token(text);
  return token ? "parsed" : token.error().message;
}

TEST(JwtTest, EachAlgorithmVerifiesWithItsKindOfKeyAndNoOther) {
  const struct {
    std::string algorithm;
    const TestSigner* signer;
  } cases[] = {{"RS256", &rsa()}, {"RS384", &rsa()},  {"RS512", &rsa()},
               {"PS256", &rsa()}, {"ES256", &p256()}, {"ES384", &p384()}};
  for (const auto& one : cases) {
    const std::string token = one.signer->token(header(one.algorithm), R"({"sub":"s"})", one.algorithm);
    EXPECT_TRUE(accepted(token, keys_of({one.signer->jwk("k")}))) << one.algorithm;
    EXPECT_TRUE(accepted(token, keys_of({one.signer->jwk("other"), one.signer->jwk("k")}))) << one.algorithm;
    for (const TestSigner* other : {&rsa(), &p256(), &p384()}) {
      if (other == one.signer) continue;
      EXPECT_FALSE(accepted(token, keys_of({other->jwk("k")}))) << one.algorithm;
    }
    std::string changed = token;
    changed[token.find('.') + 3] ^= 1;
    EXPECT_FALSE(accepted(changed, keys_of({one.signer->jwk("k")}))) << one.algorithm;
  }
}

TEST(JwtTest, ClaimsAndKeyIdAreRead) {
  auto token = parse_token(rsa().token(header("RS256"), R"({"iss":"https://i","n":5})"));
  ASSERT_TRUE(token) << token.error().message;
  EXPECT_EQ(token->key_id, "k");
  EXPECT_EQ(get_string(token->claims, "iss"), "https://i");
  EXPECT_EQ(get_int(token->claims, "n"), 5);
}

TEST(JwtTest, AlgorithmNoneInAnySpellingIsRefused) {
  for (const char* name : {"none", "None", "NONE", "nOnE", "", "RS256 ", "rs256"}) {
    const std::string unsigned_token = to_base64url(header(name)) + "." + to_base64url(R"({"sub":"s"})") + ".";
    EXPECT_NE(why(unsigned_token), "parsed") << name;
    EXPECT_NE(why(unsigned_token + "AAAA"), "parsed") << name;
  }
}

// The classic confusion: the verifier's public key, which everybody has, used as an HMAC secret.
TEST(JwtTest, HmacWithThePublicKeyIsRefused) {
  for (const char* name : {"HS256", "HS384", "HS512"}) {
    const std::string text = to_base64url(header(name)) + "." + to_base64url(R"({"sub":"s"})");
    EXPECT_NE(why(text + "." + to_base64url(hmac_sha256(rsa().public_pem(), text))), "parsed") << name;
  }
  // And the HMAC under the name of the algorithm that the key is for.
  const std::string text = to_base64url(header("RS256")) + "." + to_base64url(R"({"sub":"s"})");
  EXPECT_FALSE(accepted(text + "." + to_base64url(hmac_sha256(rsa().public_pem(), text)), keys_of({rsa().jwk("k")})));
}

TEST(JwtTest, EmptySignatureIsRefused) {
  const std::string text = to_base64url(header("RS256")) + "." + to_base64url(R"({"sub":"s"})");
  EXPECT_EQ(why(text + "."), "the token has no signature");
  EXPECT_NE(why(text), "parsed");
  EXPECT_FALSE(accepted(text + ".AA", keys_of({rsa().jwk("k")})));
  EXPECT_FALSE(accepted(text + "." + to_base64url(std::string(256, '\0')), keys_of({rsa().jwk("k")})));
}

TEST(JwtTest, ZeroEcdsaSignatureIsRefused) {
  const std::string text = to_base64url(header("ES256")) + "." + to_base64url(R"({"sub":"s"})");
  EXPECT_FALSE(accepted(text + "." + to_base64url(std::string(64, '\0')), keys_of({p256().jwk("k")})));
  const std::string der = p256().sign(text);  // right, but not in the form of JSON web signatures
  EXPECT_FALSE(accepted(text + "." + to_base64url(der), keys_of({p256().jwk("k")})));
  EXPECT_FALSE(accepted(text + "." + to_base64url('\0' + p256().jose("ES256", text)), keys_of({p256().jwk("k")})));
}

TEST(JwtTest, DuplicatedMembersAreRefused) {
  const std::string twice = R"({"alg":"RS256","kid":"k","alg":"RS256"})";
  EXPECT_EQ(why(rsa().token(twice, "{}")), "the header has a member twice");
  const std::string hidden = R"({"alg":"none","kid":"k","\u0061lg":"RS256"})";
  EXPECT_EQ(why(rsa().token(hidden, "{}")), "the header has a member twice");
  EXPECT_EQ(why(rsa().token(header("RS256"), R"({"sub":"a","x":{"y":[1,"sub"]},"sub":"b"})")),
            "the payload has a member twice");
  EXPECT_EQ(why(rsa().token(header("RS256"), R"({"sub":"sub","x":{"sub":1,"y":["sub","sub"]},"z":"a\",\"sub"})")),
            "parsed");
}

TEST(JwtTest, WrongCurveIsRefused) {
  // ES256 by a P-384 key, ES384 by a P-256 one, and a curve that is not served under a served one's name.
  EXPECT_FALSE(accepted(p384().token(header("ES256"), "{}", "ES256"), keys_of({p384().jwk("k")})));
  EXPECT_FALSE(accepted(p256().token(header("ES384"), "{}", "ES384"), keys_of({p256().jwk("k")})));
  const TestSigner koblitz("secp256k1");
  EXPECT_FALSE(parse_key_set(key_set({koblitz.jwk("k")})));
  std::string renamed = koblitz.jwk("k");
  renamed.replace(renamed.find("secp256k1"), 9, "P-256");
  EXPECT_FALSE(parse_key_set(key_set({renamed})));  // its point is not on P-256, nor of the right length
}

TEST(JwtTest, AKeyIsUsedForNoOtherAlgorithmThanItNames) {
  const std::string token = rsa().token(header("RS256"), "{}");
  EXPECT_TRUE(accepted(token, keys_of({rsa().jwk("k", R"(,"alg":"RS256")")})));
  EXPECT_FALSE(accepted(token, keys_of({rsa().jwk("k", R"(,"alg":"PS256")")})));
  EXPECT_FALSE(parse_key_set(key_set({rsa().jwk("k", R"(,"use":"enc")")})));
}

TEST(JwtTest, KeyIdIsOnlyComparedNeverAPath) {
  for (const char* id : {"../../etc/passwd", "/dev/null", "k' OR '1'='1", "https://evil/keys", "k\\u0000"}) {
    const std::string named = R"(,"kid":")" + std::string(id) + "\"";
    auto token = parse_token(rsa().token(header("RS256", named), "{}"));
    ASSERT_TRUE(token) << token.error().message;
    const Status status = verify(*token, keys_of({rsa().jwk("k")}));
    ASSERT_FALSE(status) << id;
    EXPECT_EQ(status.error().kind, ErrorKind::kNotFound);
  }
  EXPECT_NE(why(rsa().token(header("RS256", R"(,"kid":7)"), "{}")), "parsed");
  EXPECT_NE(why(rsa().token(header("RS256", R"(,"kid":")" + std::string(2000, 'k') + "\""), "{}")), "parsed");
}

TEST(JwtTest, KeysInTheHeaderAreNotUsed) {
  const TestSigner attacker;
  for (const std::string& extra : {R"(,"kid":"k","jwk":)" + attacker.jwk("k"),
                                   std::string(R"(,"kid":"k","jku":"https://evil/keys","x5u":"https://evil/cert")")}) {
    EXPECT_FALSE(accepted(attacker.token(header("RS256", extra), "{}"), keys_of({rsa().jwk("k")})));
  }
}

TEST(JwtTest, WithoutAKeyIdEveryKeyIsTried) {
  const std::string token = rsa().token(header("RS256", ""), "{}");
  EXPECT_TRUE(accepted(token, keys_of({p256().jwk("a"), rsa().jwk("b")})));
  EXPECT_FALSE(accepted(token, keys_of({p256().jwk("a")})));
}

TEST(JwtTest, HostileFormsAreRefused) {
  const std::string good = rsa().token(header("RS256"), "{}");
  for (const std::string& bad :
       {std::string(), std::string("."), std::string(".."), std::string("a.b.c"), good + ".x", "." + good, good + "=",
        " " + good, good + "\n", rsa().token("[]", "{}"), rsa().token("\"RS256\"", "{}"),
        rsa().token(header("RS256"), "[]"), rsa().token(R"({"alg":["RS256"]})", "{}"),
        rsa().token(header("RS256", R"(,"crit":["exp"])"), "{}"), rsa().token(header("RS256", R"(,"b64":false)"), "{}"),
        rsa().token(header("RS256", R"(,"zip":"DEF")"), "{}"),
        rsa().token(header("RS256"), "{\"a\":" + std::string(40, '[') + std::string(40, ']') + "}"),
        rsa().token(header("RS256"), "{\"a\":\"\xff\"}")}) {
    EXPECT_NE(why(bad), "parsed") << bad;
  }
}

TEST(JwtTest, HugeTokensAndKeySetsAreRefused) {
  EXPECT_EQ(why(std::string(20'001, 'a')), "the token is longer than 20000 bytes");
  EXPECT_EQ(why(rsa().token(header("RS256"), R"({"a":")" + std::string(15'000, 'x') + "\"}")),
            "the token is longer than 20000 bytes");
  EXPECT_EQ(why(std::string(19'000, '.')), "the token does not have three parts");
  EXPECT_FALSE(parse_key_set(std::string(300 * 1024, ' ')));
  EXPECT_FALSE(parse_key_set(key_set(std::vector<std::string>(101, p256().jwk("k")))));
  EXPECT_FALSE(parse_key_set(R"({"keys":[]})"));
  EXPECT_FALSE(parse_key_set(R"({"keys":{}})"));
  EXPECT_FALSE(parse_key_set("[]"));
}

TEST(JwtTest, KeysThatAreTooWeakOrBrokenAreLeftOut) {
  const TestSigner weak("RSA", 1024);
  EXPECT_FALSE(parse_key_set(key_set({weak.jwk("k")})));
  EXPECT_EQ(
      keys_of({weak.jwk("k"), R"({"kty":"oct","k":"AAAA","kid":"k"})", R"("x")", R"({"kty":"RSA","n":"!","e":"AQAB"})",
               R"({"kty":"EC","crv":"P-256","x":"AA","y":"AA"})", rsa().jwk("k")})
          .size(),
      1u);
  EXPECT_FALSE(PublicKey::from_rsa(std::string(256, '\xff'), ""));
  EXPECT_FALSE(PublicKey::from_rsa(std::string(4096, '\xff'), "\x01\x01"));
  EXPECT_FALSE(PublicKey::from_point(PublicKey::Kind::kP256, std::string(32, '\1'), std::string(32, '\1')));
}

TEST(PublicKeyTest, PemKeysVerifyPlainSignatures) {
  auto key = PublicKey::from_pem(rsa().public_pem());
  ASSERT_TRUE(key) << key.error().message;
  EXPECT_TRUE(key->verify(PublicKey::Scheme::kRsaSha256, "token", rsa().sign("token")));
  EXPECT_FALSE(key->verify(PublicKey::Scheme::kRsaSha256, "tokem", rsa().sign("token")));
  EXPECT_FALSE(key->verify(PublicKey::Scheme::kRsaSha256, "token", rsa().sign("token", EVP_sha1())));
  EXPECT_FALSE(key->verify(PublicKey::Scheme::kRsaSha256, "token", ""));
  EXPECT_FALSE(key->verify(PublicKey::Scheme::kEcdsaP256Sha256, "token", rsa().sign("token")));
  for (const std::string& bad : {std::string(), std::string("x"), TestSigner("RSA", 1024).public_pem(),
                                 rsa().public_pem().substr(0, 100), std::string(10'000, 'A')}) {
    EXPECT_FALSE(PublicKey::from_pem(bad));
  }
}

}  // namespace
}  // namespace muster::jwt
