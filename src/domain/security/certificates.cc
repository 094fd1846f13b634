// SPDX-License-Identifier: Apache-2.0
// kCertificate: id -> {pem, status, ca, sni_only, not_before_ms, not_after_ms, created_ms, modified_ms, generation,
// customer_version, subject, issuer, serial}. kCertificateByTime: (created_ms, id) -> "".
#include "domain/security/certificates.h"

#include <algorithm>
#include <map>
#include <ranges>

#include "base/crypto.h"
#include "base/json.h"
#include "base/text.h"
#include "base/x509.h"
#include "domain/registry/policy_links.h"
#include "domain/security/policies.h"
#include "domain/security/principals.h"
#include "store/keys.h"
#include "store/schema.h"

namespace muster::security {

namespace {

constexpr std::string_view kStatusNames[] = {"ACTIVE",           "INACTIVE",          "REVOKED",
                                             "PENDING_TRANSFER", "REGISTER_INACTIVE", "PENDING_ACTIVATION"};

std::string certificate_key(std::string_view id) {
  return store::Key(store::table::kCertificate).text(id).str();
}
std::string time_key(const Certificate& certificate) {
  return store::Key(store::table::kCertificateByTime).integer(certificate.created_ms).text(certificate.id).str();
}

std::optional<Certificate> read_certificate(std::string_view id, std::string_view text) {
  auto record = parse_record(text);
  if (!record) return std::nullopt;
  Certificate certificate;
  certificate.id = id;
  certificate.pem = get_string(*record, "pem");
  // A record that names no known status counts as inactive.
  certificate.status = certificate_status(get_string(*record, "status")).value_or(CertificateStatus::kInactive);
  certificate.ca_certificate_id = get_string(*record, "ca");
  certificate.sni_only = get_bool(*record, "sni_only");
  certificate.not_before_ms = get_int(*record, "not_before_ms");
  certificate.not_after_ms = get_int(*record, "not_after_ms");
  certificate.created_ms = get_int(*record, "created_ms");
  certificate.modified_ms = get_int(*record, "modified_ms");
  certificate.generation_id = get_string(*record, "generation");
  certificate.customer_version = get_int(*record, "customer_version", 1);
  certificate.subject = get_string(*record, "subject");
  certificate.issuer = get_string(*record, "issuer");
  certificate.serial_number = get_string(*record, "serial");
  return certificate;
}

void put_certificate(store::Tx& tx, const Certificate& certificate) {
  json::object record{{"pem", certificate.pem},
                      {"status", to_string(certificate.status)},
                      {"sni_only", certificate.sni_only},
                      {"not_before_ms", certificate.not_before_ms},
                      {"not_after_ms", certificate.not_after_ms},
                      {"created_ms", certificate.created_ms},
                      {"modified_ms", certificate.modified_ms},
                      {"generation", certificate.generation_id},
                      {"customer_version", certificate.customer_version},
                      {"subject", certificate.subject},
                      {"issuer", certificate.issuer},
                      {"serial", certificate.serial_number}};
  if (!certificate.ca_certificate_id.empty()) record["ca"] = certificate.ca_certificate_id;
  tx.put(certificate_key(certificate.id), to_text(record));
}

}  // namespace

std::string_view to_string(CertificateStatus status) {
  return kStatusNames[static_cast<std::size_t>(status)];
}

std::optional<CertificateStatus> certificate_status(std::string_view text) {
  auto found = std::ranges::find(kStatusNames, text);
  if (found == std::end(kStatusNames)) return std::nullopt;
  return static_cast<CertificateStatus>(found - std::begin(kStatusNames));
}

std::string certificate_arn(const Realm& realm, std::string_view id) {
  return iot_arn(realm, "cert", id);
}

std::optional<std::string> certificate_in_arn(const Realm& realm, std::string_view arn) {
  auto id = name_in_iot_arn(realm, "cert", arn);
  bool good = id && id->size() == 64 &&
              std::ranges::all_of(*id, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
  if (!good) return std::nullopt;
  return id;
}

Result<Certificate> register_certificate(store::Tx& tx, const Realm& realm, const Certificate& wanted) {
  if (tx.get(certificate_key(wanted.id))) {
    Error error = make_error(ErrorKind::kAlreadyExists, "The certificate is already provisioned or registered");
    error.fields["resourceId"] = wanted.id;
    error.fields["resourceArn"] = certificate_arn(realm, wanted.id);
    return error;
  }
  Certificate certificate = wanted;
  certificate.created_ms = certificate.modified_ms = tx.now_ms();
  certificate.generation_id = random_uuid();
  certificate.customer_version = 1;
  put_certificate(tx, certificate);
  tx.put(time_key(certificate), "");
  return certificate;
}

std::optional<Certificate> find_certificate(store::Tx& tx, std::string_view id) {
  auto text = tx.get(certificate_key(id));
  return text ? read_certificate(id, *text) : std::nullopt;
}

Result<Certificate> get_certificate(store::Tx& tx, std::string_view id) {
  auto certificate = find_certificate(tx, id);
  if (!certificate)
    return not_found("The certificate given in the request does not exist (certificateId=" + std::string(id) + ")");
  return *std::move(certificate);
}

Result<Certificate> update_certificate(store::Tx& tx, std::string_view id, CertificateStatus status) {
  TRY(Certificate certificate, get_certificate(tx, id));
  bool settable = status == CertificateStatus::kActive || status == CertificateStatus::kInactive ||
                  status == CertificateStatus::kRevoked;
  if (!settable) return invalid("The status " + std::string(to_string(status)) + " cannot be set by UpdateCertificate");
  certificate.status = status;
  certificate.modified_ms = tx.now_ms();
  ++certificate.customer_version;
  put_certificate(tx, certificate);
  return certificate;
}

Status delete_certificate(store::Tx& tx, const Realm& realm, std::string_view id, bool force) {
  TRY(Certificate certificate, get_certificate(tx, id));
  if (certificate.status == CertificateStatus::kActive)
    return make_error(ErrorKind::kConflict, "Certificate must be deactivated (not ACTIVE) before deletion.",
                      "CertificateStateException");
  std::string arn = certificate_arn(realm, id);
  auto conflict = [&](std::string_view what) {
    return make_error(ErrorKind::kConflict, std::string(what) + " must be detached before deletion (arn: " + arn + ")",
                      "DeleteConflictException");
  };
  constexpr std::size_t kThingsAtOnce = 1000;
  std::vector<std::string> things = things_of_certificate(tx, realm, id, kThingsAtOnce);
  TRY(auto policies, list_attached_policies(tx, realm, arn, false, registry::PageRequest{.token = {}, .limit = 1}));
  if (!force && !things.empty()) return conflict("Things");
  if (!force && !policies.items.empty()) return conflict("Certificate policies");
  if (things.size() == kThingsAtOnce) return conflict("Things");
  for (const std::string& thing : things) TRY_VOID(detach_thing_principal(tx, realm, thing, arn));
  registry::detach_all_policies(tx, arn);
  tx.erase(certificate_key(id));
  tx.erase(time_key(certificate));
  return {};
}

Result<registry::Page<Certificate>> list_certificates(store::Tx& tx, const registry::PageRequest& request,
                                                      bool ascending) {
  std::string_view listing = ascending ? "certificates" : "certificates-descending";
  TRY(std::string position, registry::page_position(listing, request.token));
  store::RangeOptions options;
  options.begin = std::string(1, store::table::kCertificateByTime);
  options.end = store::after_prefix(options.begin);
  if (!position.empty()) {
    std::string at = std::string(1, store::table::kCertificateByTime) + position;
    if (ascending)
      options.begin = store::after_key(at);
    else
      options.end = std::min(options.end, at);
  }
  options.limit = request.limit + 1;
  options.reverse = !ascending;
  options.snapshot = true;
  registry::Page<Certificate> page;
  if (options.begin >= options.end) return page;
  auto found = tx.range(options);
  for (std::size_t i = 0; i < found.size(); ++i) {
    if (i == request.limit) {
      page.next_token = registry::page_token(listing, std::string_view(found[i - 1].key).substr(1));
      return page;
    }
    store::KeyReader reader(found[i].key);
    reader.integer();
    auto id = reader.text();
    auto text = id ? tx.get_snapshot(certificate_key(*id)) : std::nullopt;
    auto certificate = text ? read_certificate(*id, *text) : std::nullopt;
    if (certificate) page.items.push_back(*std::move(certificate));
  }
  return page;
}

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
