// SPDX-License-Identifier: Apache-2.0
#include "base/ed25519.h"

#include <gtest/gtest.h>

#include "base/text.h"

namespace muster {
namespace {

// RFC 8032, section 7.1, test 2, its seed in PKCS #8.
TEST(Ed25519, SignsAsTheStandardSays) {
  const std::string seed = *from_hex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb");
  const std::string pkcs8 = *from_hex("302e020100300506032b657004220420") + seed;
  const std::string pem = "-----BEGIN PRIVATE KEY-----\n" + to_base64(pkcs8) + "\n-----END PRIVATE KEY-----\n";
  const auto key = Ed25519PrivateKey::from_pem(pem);
  ASSERT_TRUE(key) << key.error().message;
  EXPECT_EQ(to_hex(key->public_key().raw()), "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c");
  EXPECT_EQ(to_hex(key->sign("\x72")),
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
            "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00");
}

TEST(Ed25519, VerifiesOnlyWhatWasSignedWithThatKey) {
  const auto key = Ed25519PrivateKey::generate(), other = Ed25519PrivateKey::generate();
  std::string signature = key.sign("message");
  const auto read = Ed25519PublicKey::from_pem(key.public_key().pem());
  ASSERT_TRUE(read);
  EXPECT_TRUE(read->verify("message", signature));
  EXPECT_FALSE(read->verify("massage", signature));
  EXPECT_FALSE(read->verify("message", ""));
  EXPECT_FALSE(read->verify("message", signature + "x"));
  EXPECT_FALSE(other.public_key().verify("message", signature));
  signature[0] = static_cast<char>(signature[0] ^ 1);
  EXPECT_FALSE(read->verify("message", signature));
  const auto again = Ed25519PrivateKey::from_pem(key.pem());
  ASSERT_TRUE(again);
  EXPECT_EQ(again->public_key().raw(), key.public_key().raw());
}

TEST(Ed25519, OtherTextsAreNoKeys) {
  for (const char* text : {"", "x", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"}) {
    EXPECT_FALSE(Ed25519PublicKey::from_pem(text));
    EXPECT_FALSE(Ed25519PrivateKey::from_pem(text));
  }
  EXPECT_FALSE(Ed25519PublicKey::from_pem(Ed25519PrivateKey::generate().pem()));
}

}  // namespace
}  // namespace muster
