// SPDX-License-Identifier: Apache-2.0
// The policy variables of a certificate.
#include <map>
#include <ranges>

#include "base/text.h"
#include "base/x509.h"
#include "domain/security/certificates.h"

namespace muster::security {

namespace {

std::string_view attribute_name(std::string_view type) {
  static constexpr std::pair<std::string_view, std::string_view> kNames[] = {
      {"CN", "CommonName"},
      {"O", "Organization"},
      {"OU", "OrganizationalUnit"},
      {"C", "Country"},
      {"ST", "State"},
      {"L", "LocalityName"},
      {"SN", "Surname"},
      {"GN", "GivenName"},
      {"DC", "DomainComponent"},
      {"title", "Title"},
      {"initials", "Initials"},
      {"pseudonym", "Pseudonym"},
      {"generationQualifier", "GenerationQualifier"},
      {"dnQualifier", "DistinguishedNameQualifier"},
      {"serialNumber", "SerialNumber"}};
  for (const auto& [short_name, name] : kNames)
    if (short_name == type) return name;
  return {};
}

// TYPE=value pairs of an RFC 2253 name, escapes undone. Hexadecimal values (#...) and multi-valued parts are left out.
std::vector<std::pair<std::string, std::string>> name_parts(std::string_view text) {
  std::vector<std::pair<std::string, std::string>> parts;
  std::size_t i = 0;
  while (i < text.size()) {
    std::size_t equals = text.find('=', i);
    if (equals == std::string_view::npos) break;
    std::string type(trim(text.substr(i, equals - i)));
    std::string value;
    bool usable = equals + 1 >= text.size() || text[equals + 1] != '#';
    for (i = equals + 1; i < text.size() && text[i] != ','; ++i) {
      if (text[i] == '+') usable = false;
      if (text[i] != '\\') {
        value += text[i];
        continue;
      }
      auto byte = from_hex(text.substr(i + 1, 2));
      if (byte && byte->size() == 1) {
        value += *byte;
        i += 2;
      } else if (i + 1 < text.size()) {
        value += text[++i];
      }
    }
    ++i;
    if (usable) parts.emplace_back(std::move(type), std::move(value));
  }
  return parts;
}

// AWS IoT developer guide, "X.509 certificate policy variable limitations": longer values and values with wildcards are
// not replaced; five items of a list count.
constexpr std::size_t kMaxValueBytes = 1024;
constexpr std::size_t kMaxItems = 5;

bool is_usable(std::string_view value) {
  return !value.empty() && value.size() <= kMaxValueBytes && value.find_first_of("*?") == std::string_view::npos;
}

using Attributes = std::map<std::string, std::vector<std::string>>;

void add_name(Attributes& attributes, std::string_view prefix, std::string_view text) {
  auto parts = name_parts(text);
  for (auto& [type, value] : parts | std::views::reverse) {  // RFC 2253 writes the last one first
    std::string_view name = attribute_name(type);
    if (!name.empty()) attributes[std::string(prefix) + std::string(name)].push_back(std::move(value));
  }
}

void add_alternative_names(Attributes& attributes, std::string_view pem) {
  static constexpr std::string_view kKinds[] = {"RFC822Name", "DNSName", "DirectoryName", "UniformResourceIdentifier",
                                                "IPAddress"};
  const auto names = x509::alternative_names(pem);
  if (!names) return;
  for (const x509::AlternativeName& name : *names) {
    std::string key = name.of_issuer ? "iot:Certificate.Issuer." : "iot:Certificate.Subject.";
    key.append("AlternativeName.").append(kKinds[static_cast<std::size_t>(name.kind)]);
    attributes[key].push_back(name.value);
  }
}

}  // namespace

// The first value under the plain name, the others under NAME.1, NAME.2 ..., all of them under NAME.List.
CertificateVariables certificate_variables(const Certificate& certificate) {
  CertificateVariables variables;
  std::vector<std::string> available;
  const auto add = [&](std::string name, const std::string& value) {
    if (!is_usable(value)) return;
    available.push_back(name);
    variables.emplace_back(std::move(name), std::vector<std::string>{value});
  };
  add("iot:CertificateId", certificate.id);
  add("iot:Certificate.SerialNumber", certificate.serial_number);
  Attributes attributes;
  add_name(attributes, "iot:Certificate.Subject.", certificate.subject);
  add_name(attributes, "iot:Certificate.Issuer.", certificate.issuer);
  add_alternative_names(attributes, certificate.pem);
  for (auto& [name, values] : attributes) {
    if (values.size() > kMaxItems) values.resize(kMaxItems);
    for (std::size_t i = 0; i < values.size(); ++i) {
      add(i == 0 ? name : name + "." + std::to_string(i), values[i]);
    }
    std::erase_if(values, [](const std::string& value) { return !is_usable(value); });
    if (!values.empty()) variables.emplace_back(name + ".List", std::move(values));
  }
  variables.emplace_back("iot:Certificate.AvailableKeys", std::move(available));
  return variables;
}

}  // namespace muster::security
