// SPDX-License-Identifier: Apache-2.0
// X.509: reads certificates and requests, and is the certificate authority that issues device and server certificates.
// Values and pure functions over OpenSSL; callable from any thread. Bounds: PEM 64 KiB, DER 16 KiB, one certificate a
// text where one is asked for. Errors: kInvalid for whatever a client sent; kInternal when OpenSSL itself fails.
// Source: RFC 5280; the form of device certificates is what AWS IoT CreateKeysAndCertificate returns (RSA 2048,
// CN=AWS IoT Certificate, valid to 2049-12-31T23:59:59Z).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace muster::x509 {

struct Certificate {
  std::string der;
  std::string pem;            // normal form: one block, 64 columns, ends with a newline
  std::string id;             // hex SHA-256 of the DER, as AWS IoT names certificates
  std::string subject;        // RFC 2253
  std::string issuer;         // RFC 2253
  std::string serial;         // hex, lower case, no leading zeros
  std::string common_name;    // UTF-8, or empty
  std::string key_algorithm;  // "RSA", "EC", ...
  std::string key_curve;      // of an EC key: "P-256", "P-384", "P-521", else OpenSSL's name
  int key_bits = 0;
  bool key_is_sound = true;      // false: RSA whose exponent gives every signature away (even, or below 3)
  std::string signature_digest;  // "SHA256", ...; empty: of an unknown algorithm
  bool is_ca = false;
  std::int64_t not_before_ms = 0;
  std::int64_t not_after_ms = 0;
};

// A text with exactly one CERTIFICATE block (text around it is ignored) or, from_der, exactly one certificate.
Result<Certificate> parse_pem(std::string_view pem);
Result<Certificate> parse_der(std::string_view der);

// Subject and issuer alternative names (RFC 5280 sections 4.2.1.6 and 4.2.1.7), in their order; other kinds are left
// out. Text that is not UTF-8 is left out, too.
struct AlternativeName {
  enum class Kind : std::uint8_t { kRfc822, kDns, kDirectory, kUri, kIpAddress };
  bool of_issuer = false;
  Kind kind = Kind::kDns;
  std::string value;  // a directory name as in RFC 2253, an address in its usual form
};
Result<std::vector<AlternativeName>> alternative_names(std::string_view pem);

enum class KeyKind : std::uint8_t { kRsa2048, kP256 };

struct KeyPair {
  std::string private_pem;  // RSA: PKCS #1 ("RSA PRIVATE KEY"), EC: SEC 1 ("EC PRIVATE KEY"): as AWS writes them
  std::string public_pem;   // SubjectPublicKeyInfo ("PUBLIC KEY")
};
Result<KeyPair> generate_key(KeyKind kind);

struct Issued {
  Certificate certificate;
  KeyPair key;  // empty when it was made from a request
};

struct Validity {
  std::int64_t not_before_ms = 0;
  std::int64_t not_after_ms = 0;  // no later than 9999-12-31
};

// Its key and certificate as text: kept by the server in files of mode 0600.
class CertificateAuthority {
 public:
  // A new self-signed CA (P-256, random serial, pathlen 0).
  static Result<CertificateAuthority> create(std::string_view common_name, const Validity& validity);
  // kInvalid when the key does not belong to the certificate or it is no CA.
  static Result<CertificateAuthority> load(std::string_view certificate_pem, std::string_view key_pem);

  const std::string& certificate_pem() const { return certificate_pem_; }
  const std::string& key_pem() const { return key_pem_; }

  // P-256, extended key usage serverAuth. `names` are DNS names or IP addresses; the first is the common name.
  Result<Issued> issue_server(const std::vector<std::string>& names, const Validity& validity) const;
  Result<Issued> issue_device(KeyKind kind, const Validity& validity) const;
  // The request's subject and public key (RSA of 2048 to 4096 bits, P-256, P-384); its extensions are not taken over.
  // Its signature must be right.
  Result<Issued> sign_request(std::string_view csr_pem, const Validity& validity) const;

 private:
  std::string certificate_pem_;
  std::string key_pem_;
};

// Whether `certificate` is signed by this CA and both are valid at `now_ms`. kInvalid says what is wrong.
Status verify_issued_by(const Certificate& certificate, std::string_view ca_pem, std::int64_t now_ms);
// Whether the CA's key made the certificate's signature, the names are in line, and the CA may sign certificates; dates
// do not count.
bool is_signed_by(const Certificate& certificate, const Certificate& ca);
// Whether the private key belongs to the certificate.
bool key_matches(std::string_view certificate_pem, std::string_view private_key_pem);

}  // namespace muster::x509
