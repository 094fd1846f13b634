// SPDX-License-Identifier: Apache-2.0
#include "io/tls.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509_vfy.h>

namespace muster::io {
namespace {

// A device presents its certificate and perhaps its issuer; more is somebody wasting our memory.
constexpr long kMaxCertificateListBytes = 32 * 1024;
constexpr int kMaxCertificatesInChain = 8;
constexpr const char* kTls12Ciphers = "ECDHE+AESGCM:ECDHE+CHACHA20:ECDHE+AES256:ECDHE+AES128:!aNULL";

template <class T, void (*Free)(T*)>
struct Freer {
  void operator()(T* object) const { Free(object); }
};
using X509Ptr = std::unique_ptr<X509, Freer<X509, X509_free>>;
using KeyPtr = std::unique_ptr<EVP_PKEY, Freer<EVP_PKEY, EVP_PKEY_free>>;
struct BioFreer {
  void operator()(BIO* bio) const { BIO_free(bio); }
};
using BioPtr = std::unique_ptr<BIO, BioFreer>;

Error tls_error(std::string message) {
  const unsigned long code = ERR_peek_error();
  if (code != 0) {
    if (const char* reason = ERR_reason_error_string(code)) message.append(": ").append(reason);
  }
  ERR_clear_error();
  return invalid(std::move(message));
}

BioPtr memory_bio(const std::string& text) {
  return BioPtr(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

Result<std::vector<X509Ptr>> read_certificates(const std::string& pem, const char* what) {
  std::vector<X509Ptr> certificates;
  BioPtr bio = memory_bio(pem);
  while (X509* certificate = PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)) {
    certificates.emplace_back(certificate);
  }
  const unsigned long code = ERR_peek_last_error();
  const bool ended = ERR_GET_LIB(code) == ERR_LIB_PEM && ERR_GET_REASON(code) == PEM_R_NO_START_LINE;
  if (!ended || certificates.empty()) return tls_error(std::string("cannot read ") + what);
  ERR_clear_error();
  return certificates;
}

Status use_identity(SSL_CTX* context, const std::string& chain_pem, const std::string& key_pem) {
  TRY(auto chain, read_certificates(chain_pem, "certificate chain"));
  if (SSL_CTX_use_certificate(context, chain.front().get()) != 1) return tls_error("cannot use certificate");
  for (std::size_t i = 1; i < chain.size(); ++i) {
    if (SSL_CTX_add1_chain_cert(context, chain[i].get()) != 1) return tls_error("cannot use certificate chain");
  }
  BioPtr bio = memory_bio(key_pem);
  KeyPtr key(PEM_read_bio_PrivateKey(bio.get(), nullptr, nullptr, nullptr));
  if (!key) return tls_error("cannot read private key");
  if (SSL_CTX_use_PrivateKey(context, key.get()) != 1 || SSL_CTX_check_private_key(context) != 1) {
    return tls_error("private key does not match the certificate");
  }
  return {};
}

// Trust is the registry's decision, made by the application from the certificate itself: here every chain passes that
// is not absurd. Possession of the key is proved by the handshake whatever this returns.
int accept_any_chain(X509_STORE_CTX* store, void*) {
  const STACK_OF(X509)* sent = X509_STORE_CTX_get0_untrusted(store);
  if (sent != nullptr && sk_X509_num(sent) > kMaxCertificatesInChain) {
    X509_STORE_CTX_set_error(store, X509_V_ERR_CERT_CHAIN_TOO_LONG);
    return 0;
  }
  X509_STORE_CTX_set_error(store, X509_V_OK);
  return 1;
}

int select_alpn(SSL*, const unsigned char** out, unsigned char* out_length, const unsigned char* offered,
                unsigned int offered_length, void* argument) {
  const auto& ours = static_cast<TlsContext::State*>(argument)->alpn_wire;
  unsigned char* chosen = nullptr;
  const int outcome = SSL_select_next_proto(&chosen, out_length, reinterpret_cast<const unsigned char*>(ours.data()),
                                            static_cast<unsigned int>(ours.size()), offered, offered_length);
  *out = chosen;
  // RFC 7301 section 3.2: no protocol in common is the fatal alert no_application_protocol.
  return outcome == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

Result<std::string> alpn_wire(const std::vector<std::string>& names) {
  std::string wire;
  for (const std::string& name : names) {
    if (name.empty() || name.size() > 255) return invalid("ALPN name must have 1 to 255 bytes");
    wire.push_back(static_cast<char>(name.size()));
    wire.append(name);
  }
  return wire;
}

Status configure(SSL_CTX* context) {
  if (context == nullptr) return tls_error("cannot create TLS context");
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  SSL_CTX_set_options(
      context, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET | SSL_OP_CIPHER_SERVER_PREFERENCE);
  SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                SSL_MODE_RELEASE_BUFFERS | SSL_MODE_NO_AUTO_CHAIN);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_max_cert_list(context, kMaxCertificateListBytes);
  if (SSL_CTX_set_cipher_list(context, kTls12Ciphers) != 1) return tls_error("cannot set ciphers");
  return {};
}

}  // namespace

TlsContext::TlsContext(std::unique_ptr<State> state) : state_(std::move(state)) {}
TlsContext::~TlsContext() = default;

Result<std::shared_ptr<TlsContext>> TlsContext::create(const TlsOptions& options) {
  ERR_clear_error();
  auto state = std::make_unique<State>();
  state->context = SSL_CTX_new(TLS_server_method());
  TRY_VOID(configure(state->context));
  SSL_CTX_set_num_tickets(state->context, 0);
  TRY_VOID(use_identity(state->context, options.certificate_chain_pem, options.private_key_pem));
  if (options.client_certificate != ClientCertificate::kNone) {
    int mode = SSL_VERIFY_PEER | SSL_VERIFY_CLIENT_ONCE;
    if (options.client_certificate == ClientCertificate::kRequired) mode |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
    SSL_CTX_set_verify(state->context, mode, nullptr);
    SSL_CTX_set_cert_verify_callback(state->context, accept_any_chain, nullptr);
    if (!options.client_ca_pem.empty()) {
      TRY(auto issuers, read_certificates(options.client_ca_pem, "client CA"));
      for (const auto& issuer : issuers) {
        if (SSL_CTX_add_client_CA(state->context, issuer.get()) != 1) return tls_error("cannot use client CA");
      }
    }
  }
  TRY(state->alpn_wire, alpn_wire(options.alpn));
  if (!state->alpn_wire.empty()) SSL_CTX_set_alpn_select_cb(state->context, select_alpn, state.get());
  return std::make_shared<TlsContext>(std::move(state));
}

Result<std::shared_ptr<TlsContext>> TlsContext::create_client(const TlsClientOptions& options) {
  ERR_clear_error();
  auto state = std::make_unique<State>();
  state->context = SSL_CTX_new(TLS_client_method());
  TRY_VOID(configure(state->context));
  if (!options.certificate_chain_pem.empty()) {
    TRY_VOID(use_identity(state->context, options.certificate_chain_pem, options.private_key_pem));
  }
  if (!options.ca_pem.empty()) {
    TRY(auto issuers, read_certificates(options.ca_pem, "trusted issuers"));
    X509_STORE* trusted = SSL_CTX_get_cert_store(state->context);
    for (const auto& issuer : issuers) {
      if (X509_STORE_add_cert(trusted, issuer.get()) != 1) return tls_error("cannot use trusted issuer");
    }
    SSL_CTX_set_verify(state->context, SSL_VERIFY_PEER, nullptr);
    state->verify_server = true;
  }
  TRY(state->alpn_wire, alpn_wire(options.alpn));
  if (!state->alpn_wire.empty() &&
      SSL_CTX_set_alpn_protos(state->context, reinterpret_cast<const unsigned char*>(state->alpn_wire.data()),
                              static_cast<unsigned int>(state->alpn_wire.size())) != 0) {
    return tls_error("cannot set ALPN");
  }
  return std::make_shared<TlsContext>(std::move(state));
}

}  // namespace muster::io
