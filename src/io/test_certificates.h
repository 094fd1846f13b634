// SPDX-License-Identifier: Apache-2.0
// For tests: certificates made on the spot.
#pragma once

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <string>

namespace muster::io {

struct TestIdentity {
  EVP_PKEY* key = nullptr;
  X509* certificate = nullptr;
  std::string certificate_pem, key_pem;

  TestIdentity(const std::string& name, const TestIdentity* issuer = nullptr) {
    key = EVP_EC_gen("P-256");
    certificate = X509_new();
    X509_set_version(certificate, 2);
    static long serial = 1;
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), ++serial);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -60);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    X509_set_pubkey(certificate, key);
    X509_NAME* subject = X509_get_subject_name(certificate);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>(name.c_str()), -1,
                               -1, 0);
    X509_set_issuer_name(certificate, issuer ? X509_get_subject_name(issuer->certificate) : subject);
    extend(issuer, issuer ? "DNS:localhost,IP:127.0.0.1" : nullptr);
    X509_sign(certificate, issuer ? issuer->key : key, EVP_sha256());
    certificate_pem = pem([this](BIO* bio) { PEM_write_bio_X509(bio, certificate); });
    key_pem = pem([this](BIO* bio) { PEM_write_bio_PrivateKey(bio, key, nullptr, nullptr, 0, nullptr, nullptr); });
  }
  ~TestIdentity() {
    X509_free(certificate);
    EVP_PKEY_free(key);
  }
  TestIdentity(const TestIdentity&) = delete;
  TestIdentity& operator=(const TestIdentity&) = delete;

 private:
  void extend(const TestIdentity* issuer, const char* names) {
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer ? issuer->certificate : certificate, certificate, nullptr, nullptr, 0);
    auto add = [&](int nid, const char* value) {
      X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value);
      X509_add_ext(certificate, extension, -1);
      X509_EXTENSION_free(extension);
    };
    add(NID_basic_constraints, issuer ? "critical,CA:FALSE" : "critical,CA:TRUE");
    if (names != nullptr) add(NID_subject_alt_name, names);
  }
  template <class F>
  static std::string pem(F write) {
    BIO* bio = BIO_new(BIO_s_mem());
    write(bio);
    char* text = nullptr;
    const long size = BIO_get_mem_data(bio, &text);
    std::string out(text, static_cast<std::size_t>(size));
    BIO_free(bio);
    return out;
  }
};

}  // namespace muster::io
