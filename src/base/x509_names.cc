// SPDX-License-Identifier: Apache-2.0
// Alternative names of certificates.
#include <arpa/inet.h>
#include <openssl/x509v3.h>

#include <optional>

#include "base/text.h"
#include "base/x509_openssl.h"

namespace muster::x509 {
namespace {

using Kind = AlternativeName::Kind;

std::string text_of(const ASN1_STRING* value) {
  return {reinterpret_cast<const char*>(ASN1_STRING_get0_data(value)),
          static_cast<std::size_t>(ASN1_STRING_length(value))};
}

std::string address_of(const ASN1_OCTET_STRING* value) {
  const int length = ASN1_STRING_length(value);
  if (length != 4 && length != 16) return {};
  char text[INET6_ADDRSTRLEN] = {};
  inet_ntop(length == 4 ? AF_INET : AF_INET6, ASN1_STRING_get0_data(value), text, sizeof text);
  return text;
}

std::string directory_of(const X509_NAME* name) {
  const openssl::Bio bio = openssl::make_bio();
  if (!bio || X509_NAME_print_ex(bio.get(), name, 0, XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB) < 0) return {};
  return openssl::bio_text(bio.get());
}

std::optional<AlternativeName> read_name(const GENERAL_NAME& name) {
  switch (name.type) {
    case GEN_EMAIL:
      return AlternativeName{.kind = Kind::kRfc822, .value = text_of(name.d.rfc822Name)};
    case GEN_DNS:
      return AlternativeName{.kind = Kind::kDns, .value = text_of(name.d.dNSName)};
    case GEN_DIRNAME:
      return AlternativeName{.kind = Kind::kDirectory, .value = directory_of(name.d.directoryName)};
    case GEN_URI:
      return AlternativeName{.kind = Kind::kUri, .value = text_of(name.d.uniformResourceIdentifier)};
    case GEN_IPADD:
      return AlternativeName{.kind = Kind::kIpAddress, .value = address_of(name.d.iPAddress)};
    default:
      return std::nullopt;
  }
}

}  // namespace

Result<std::vector<AlternativeName>> alternative_names(std::string_view pem) {
  TRY(const openssl::X509Ptr certificate, openssl::read_pem(pem));
  std::vector<AlternativeName> names;
  for (const int extension : {NID_subject_alt_name, NID_issuer_alt_name}) {
    auto* list = static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate.get(), extension, nullptr, nullptr));
    for (int i = 0; i < sk_GENERAL_NAME_num(list); ++i) {
      auto name = read_name(*sk_GENERAL_NAME_value(list, i));
      if (!name || name->value.empty() || !is_utf8(name->value)) continue;
      name->of_issuer = extension == NID_issuer_alt_name;
      names.push_back(*std::move(name));
    }
    GENERAL_NAMES_free(list);
  }
  return names;
}

}  // namespace muster::x509
