// SPDX-License-Identifier: Apache-2.0
#include "base/sigv4.h"

#include <algorithm>

#include "base/crypto.h"
#include "base/text.h"

namespace muster::sigv4 {
namespace {

// Headers sorted by name; those of one name joined with commas in order of arrival.
Pairs canonical_headers(const Pairs& headers) {
  std::vector<const Pairs::value_type*> sorted;
  for (const auto& header : headers) sorted.push_back(&header);
  std::sort(sorted.begin(), sorted.end(),
            [](const auto* a, const auto* b) { return a->first != b->first ? a->first < b->first : a < b; });
  Pairs joined;
  for (const auto* header : sorted) {
    const auto& [name, value] = *header;
    std::string folded;
    for (char c : trim(value)) {
      if ((c == ' ' || c == '\t') && !folded.empty() && folded.back() == ' ') continue;
      folded += c == '\t' ? ' ' : c;
    }
    if (!joined.empty() && joined.back().first == name)
      joined.back().second += ',' + folded;
    else
      joined.emplace_back(name, std::move(folded));
  }
  return joined;
}

std::string names_of(const Pairs& canonical) {
  std::string out;
  for (const auto& [name, value] : canonical) {
    if (!out.empty()) out += ';';
    out += name;
  }
  return out;
}

}  // namespace

std::string Scope::text() const {
  return date + '/' + region + '/' + service + "/aws4_request";
}

std::string canonical_query(const Pairs& query) {
  Pairs encoded;
  encoded.reserve(query.size());
  for (const auto& [name, value] : query) encoded.emplace_back(percent_encode(name), percent_encode(value));
  std::sort(encoded.begin(), encoded.end());
  std::string out;
  for (const auto& [name, value] : encoded) {
    if (!out.empty()) out += '&';
    out += name;
    out += '=';
    out += value;
  }
  return out;
}

std::string canonical_request(const CanonicalInput& input) {
  Pairs headers = canonical_headers(input.headers);
  std::string out = input.method + '\n' + (input.path.empty() ? "/" : input.path) + '\n';
  out += canonical_query(input.query);
  out += '\n';
  for (const auto& [name, value] : headers) {
    out += name;
    out += ':';
    out += value;
    out += '\n';
  }
  out += '\n';
  out += names_of(headers);
  out += '\n';
  out += input.payload_hash;
  return out;
}

std::string signed_headers(const Pairs& headers) {
  return names_of(canonical_headers(headers));
}

std::string string_to_sign(std::string_view amz_date, const Scope& scope, std::string_view canonical_request_text) {
  std::string out = "AWS4-HMAC-SHA256\n";
  out += amz_date;
  out += '\n';
  out += scope.text();
  out += '\n';
  out += sha256_hex(canonical_request_text);
  return out;
}

std::string signing_key(std::string_view secret, const Scope& scope) {
  std::string first = "AWS4";
  first += secret;
  std::string date_key = hmac_sha256(first, scope.date);
  std::string region_key = hmac_sha256(date_key, scope.region);
  std::string service_key = hmac_sha256(region_key, scope.service);
  return hmac_sha256(service_key, "aws4_request");
}

std::string sign(std::string_view key, std::string_view text) {
  return to_hex(hmac_sha256(key, text));
}

std::string presign(const Credentials& credentials, const PresignInput& input) {
  std::string amz_date = to_amz_date(input.now_ms);
  Scope scope{amz_date.substr(0, 8), input.region, input.service};
  std::size_t scheme_end = input.origin.find("://");
  std::string host = scheme_end == std::string::npos ? input.origin : input.origin.substr(scheme_end + 3);

  CanonicalInput canonical;
  canonical.method = input.method;
  canonical.path = percent_encode(input.path, true);
  canonical.query = input.query;
  canonical.query.emplace_back("X-Amz-Algorithm", "AWS4-HMAC-SHA256");
  canonical.query.emplace_back("X-Amz-Credential", credentials.access_key_id + '/' + scope.text());
  canonical.query.emplace_back("X-Amz-Date", amz_date);
  canonical.query.emplace_back("X-Amz-Expires", std::to_string(input.expires_seconds));
  canonical.query.emplace_back("X-Amz-SignedHeaders", "host");
  if (!credentials.session_token.empty()) {
    canonical.query.emplace_back("X-Amz-Security-Token", credentials.session_token);
  }
  canonical.headers.emplace_back("host", host);
  canonical.payload_hash = "UNSIGNED-PAYLOAD";

  std::string text = string_to_sign(amz_date, scope, canonical_request(canonical));
  std::string signature = sign(signing_key(credentials.secret_access_key, scope), text);
  return input.origin + canonical.path + '?' + canonical_query(canonical.query) + "&X-Amz-Signature=" + signature;
}

}  // namespace muster::sigv4
