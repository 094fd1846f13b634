// SPDX-License-Identifier: Apache-2.0
#include "base/ed25519.h"

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "base/assert.h"

namespace muster {
namespace {

struct FreeKey {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};
using Key = std::unique_ptr<EVP_PKEY, FreeKey>;
struct FreeBio {
  void operator()(BIO* bio) const { BIO_free_all(bio); }
};
using Bio = std::unique_ptr<BIO, FreeBio>;
struct FreeContext {
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};
using Context = std::unique_ptr<EVP_MD_CTX, FreeContext>;

constexpr std::size_t kMaxPem = 4096;

Bio memory(std::string_view text) {
  return Bio(BIO_new_mem_buf(text.data(), static_cast<int>(std::min(text.size(), kMaxPem))));
}

std::string text_of(BIO* bio) {
  char* bytes = nullptr;
  const auto size = BIO_get_mem_data(bio, &bytes);
  return {bytes, static_cast<std::size_t>(size)};
}

// An empty passphrase, so that an encrypted key is an error and not a question on the terminal.
int no_passphrase(char*, int, int, void*) {
  return 0;
}

}  // namespace

struct Ed25519PublicKey::State {
  Key key;
};
struct Ed25519PrivateKey::State {
  Key key;
};

Result<Ed25519PublicKey> Ed25519PublicKey::from_pem(std::string_view pem) {
  const Bio bio = memory(pem);
  Key key(PEM_read_bio_PUBKEY(bio.get(), nullptr, no_passphrase, nullptr));
  if (!key || EVP_PKEY_id(key.get()) != EVP_PKEY_ED25519) return invalid("not an Ed25519 public key in PEM");
  Ed25519PublicKey out;
  out.state_ = std::make_shared<State>(State{std::move(key)});
  return out;
}

bool Ed25519PublicKey::verify(std::string_view message, std::string_view signature) const {
  const Context context(EVP_MD_CTX_new());
  if (EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, state_->key.get()) != 1) return false;
  return EVP_DigestVerify(context.get(), reinterpret_cast<const unsigned char*>(signature.data()), signature.size(),
                          reinterpret_cast<const unsigned char*>(message.data()), message.size()) == 1;
}

std::string Ed25519PublicKey::pem() const {
  const Bio bio(BIO_new(BIO_s_mem()));
  CHECK(PEM_write_bio_PUBKEY(bio.get(), state_->key.get()) == 1);
  return text_of(bio.get());
}

std::string Ed25519PublicKey::raw() const {
  std::string out(32, '\0');
  std::size_t size = out.size();
  CHECK(EVP_PKEY_get_raw_public_key(state_->key.get(), reinterpret_cast<unsigned char*>(out.data()), &size) == 1);
  return out;
}

Ed25519PrivateKey Ed25519PrivateKey::generate() {
  Key key(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"));
  CHECK(key != nullptr);
  Ed25519PrivateKey out;
  out.state_ = std::make_shared<State>(State{std::move(key)});
  return out;
}

Result<Ed25519PrivateKey> Ed25519PrivateKey::from_pem(std::string_view pem) {
  const Bio bio = memory(pem);
  Key key(PEM_read_bio_PrivateKey(bio.get(), nullptr, no_passphrase, nullptr));
  if (!key || EVP_PKEY_id(key.get()) != EVP_PKEY_ED25519) return invalid("not an Ed25519 private key in PEM");
  Ed25519PrivateKey out;
  out.state_ = std::make_shared<State>(State{std::move(key)});
  return out;
}

std::string Ed25519PrivateKey::sign(std::string_view message) const {
  const Context context(EVP_MD_CTX_new());
  CHECK(EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, state_->key.get()) == 1);
  std::string out(64, '\0');
  std::size_t size = out.size();
  CHECK(EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(out.data()), &size,
                       reinterpret_cast<const unsigned char*>(message.data()), message.size()) == 1);
  out.resize(size);
  return out;
}

std::string Ed25519PrivateKey::pem() const {
  const Bio bio(BIO_new(BIO_s_mem()));
  CHECK(PEM_write_bio_PrivateKey(bio.get(), state_->key.get(), nullptr, nullptr, 0, nullptr, nullptr) == 1);
  return text_of(bio.get());
}

Ed25519PublicKey Ed25519PrivateKey::public_key() const {
  Key copy(state_->key.get());
  CHECK(EVP_PKEY_up_ref(copy.get()) == 1);
  Ed25519PublicKey out;
  out.state_ = std::make_shared<Ed25519PublicKey::State>(Ed25519PublicKey::State{std::move(copy)});
  return out;
}

}  // namespace muster
