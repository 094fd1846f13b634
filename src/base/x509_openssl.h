// SPDX-License-Identifier: Apache-2.0
// Owning pointers and readers over OpenSSL's certificate types, shared by x509.cc and x509_authority.cc and included by
// nothing else. Errors as x509.h says.
#pragma once

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include <memory>
#include <string>
#include <string_view>

#include "base/x509.h"

namespace muster::x509::openssl {

struct Free {
  void operator()(BIO* bio) const { BIO_free(bio); }
  void operator()(X509* certificate) const { X509_free(certificate); }
  void operator()(X509_REQ* request) const { X509_REQ_free(request); }
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};
using Bio = std::unique_ptr<BIO, Free>;
using X509Ptr = std::unique_ptr<X509, Free>;
using RequestPtr = std::unique_ptr<X509_REQ, Free>;
using KeyPtr = std::unique_ptr<EVP_PKEY, Free>;

Bio make_bio(std::string_view text = {});
std::string bio_text(BIO* bio);
int no_password(char*, int, int, void*);
Error failed(const char* what);  // kInternal with OpenSSL's reason; clears its queue

Result<X509Ptr> read_pem(std::string_view pem);
Result<KeyPtr> read_private_key(std::string_view pem);
Result<Certificate> describe(X509* certificate);
bool is_sound(EVP_PKEY* key);

}  // namespace muster::x509::openssl
