// SPDX-License-Identifier: Apache-2.0
#include "base/jwt.h"

#include <algorithm>
#include <array>
#include <optional>
#include <set>

#include "base/text.h"

namespace muster::jwt {
namespace {

constexpr std::size_t kMaxTokenBytes = 20'000;
constexpr std::size_t kMaxKeySetBytes = 256 * 1024;
constexpr std::size_t kMaxKeys = 100;
constexpr std::size_t kMaxKeyIdBytes = 1024;
constexpr JsonLimits kJson{.max_bytes = kMaxTokenBytes, .max_depth = 16};

struct AlgorithmRow {
  std::string_view name;
  Algorithm algorithm;
  PublicKey::Scheme scheme;
};
constexpr std::array kAlgorithms{
    AlgorithmRow{"RS256", Algorithm::kRs256, PublicKey::Scheme::kRsaSha256},
    AlgorithmRow{"RS384", Algorithm::kRs384, PublicKey::Scheme::kRsaSha384},
    AlgorithmRow{"RS512", Algorithm::kRs512, PublicKey::Scheme::kRsaSha512},
    AlgorithmRow{"PS256", Algorithm::kPs256, PublicKey::Scheme::kPssSha256},
    AlgorithmRow{"ES256", Algorithm::kEs256, PublicKey::Scheme::kEcdsaP256Sha256},
    AlgorithmRow{"ES384", Algorithm::kEs384, PublicKey::Scheme::kEcdsaP384Sha384},
};

const AlgorithmRow& row_of(Algorithm algorithm) {
  return *std::ranges::find(kAlgorithms, algorithm, &AlgorithmRow::algorithm);
}

// Whether the outermost object of a text that is valid JSON has a member twice. Names are compared as they read, not
// as they are written ("\u0061lg" is "alg").
bool has_duplicate_members(std::string_view text) {
  std::set<std::string> names;
  int depth = 0;
  bool name_next = false;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const char c = text[at];
    if (c == '{' || c == '[') {
      ++depth;
      name_next = depth == 1 && c == '{';
    } else if (c == '}' || c == ']') {
      --depth;
    } else if (c == ',' && depth == 1) {
      name_next = true;
    } else if (c == '"') {
      std::size_t end = at + 1;
      while (end < text.size() && text[end] != '"') end += text[end] == '\\' ? 2 : 1;
      if (name_next) {
        auto name = parse_json(text.substr(at, end - at + 1));
        if (!name || !name->is_string() || !names.emplace(name->get_string()).second) return true;
        name_next = false;
      }
      at = end;
    }
  }
  return false;
}

Result<json::object> parse_part(std::string_view encoded, const char* what) {
  auto text = from_base64url(encoded);
  if (!text) return invalid(std::string("the ") + what + " is not base64url");
  auto value = parse_json(*text, kJson);
  if (!value || !value->is_object()) return invalid(std::string("the ") + what + " is not a JSON object");
  if (has_duplicate_members(*text)) return invalid(std::string("the ") + what + " has a member twice");
  return std::move(value->get_object());
}

Result<Algorithm> read_header(const json::object& header, Token& token) {
  // An extension that must be understood, and none is. RFC 7515 section 4.1.11.
  if (header.contains("crit")) return invalid("the header has critical extensions");
  // An unencoded payload would be signed as other bytes. RFC 7797.
  if (header.contains("b64")) return invalid("the header has an unencoded payload");
  if (header.contains("enc") || header.contains("zip")) return invalid("the token is encrypted or compressed");
  if (const json::value* id = header.if_contains("kid")) {
    if (!id->is_string() || id->get_string().size() > kMaxKeyIdBytes) return invalid("the key id is not a string");
    token.key_id = id->get_string();
  }
  // Keys and addresses of keys in the header ("jwk", "jku", "x5u", "x5c") are the sender's word: never read.
  const std::string_view name = get_string(header, "alg");
  const auto* row = std::ranges::find(kAlgorithms, name, &AlgorithmRow::name);
  if (row == kAlgorithms.end()) return invalid("the algorithm is not one of RS256, RS384, RS512, PS256, ES256, ES384");
  return row->algorithm;
}

std::optional<Key> read_key(const json::object& object) {
  const std::string_view use = get_string(object, "use");
  if (!use.empty() && use != "sig") return std::nullopt;
  const std::string_view kind = get_string(object, "kty");
  auto bytes = [&](std::string_view member) { return from_base64url(get_string(object, member)); };
  std::optional<Result<PublicKey>> key;
  if (kind == "RSA") {
    const auto modulus = bytes("n"), exponent = bytes("e");
    if (!modulus || !exponent) return std::nullopt;
    key = PublicKey::from_rsa(*modulus, *exponent);
  } else if (kind == "EC") {
    const std::string_view curve = get_string(object, "crv");
    const auto x = bytes("x"), y = bytes("y");
    if ((curve != "P-256" && curve != "P-384") || !x || !y) return std::nullopt;
    key = PublicKey::from_point(curve == "P-256" ? PublicKey::Kind::kP256 : PublicKey::Kind::kP384, *x, *y);
  }
  if (!key || !*key) return std::nullopt;
  const std::string_view id = get_string(object, "kid");
  if (id.size() > kMaxKeyIdBytes) return std::nullopt;
  return Key{std::string(id), std::string(get_string(object, "alg")), **std::move(key)};
}

}  // namespace

Result<Token> parse_token(std::string_view text) {
  if (text.size() > kMaxTokenBytes) return invalid("the token is longer than 20000 bytes");
  const std::vector<std::string_view> parts = split(text, '.');
  if (parts.size() != 3) return invalid("the token does not have three parts");
  Token token;
  TRY(const json::object header, parse_part(parts[0], "header"));
  TRY(token.algorithm, read_header(header, token));
  TRY(token.claims, parse_part(parts[1], "payload"));
  auto signature = from_base64url(parts[2]);
  if (!signature || signature->empty()) return invalid("the token has no signature");
  token.signature = *std::move(signature);
  token.signed_text = text.substr(0, parts[0].size() + 1 + parts[1].size());
  return token;
}

Result<std::vector<Key>> parse_key_set(std::string_view text) {
  auto value = parse_json(text, {.max_bytes = kMaxKeySetBytes, .max_depth = 16});
  const json::array* list = value && value->is_object() ? find_array(value->get_object(), "keys") : nullptr;
  if (list == nullptr) return invalid("not a JSON web key set");
  if (list->size() > kMaxKeys) return invalid("the key set has more than 100 keys");
  std::vector<Key> keys;
  for (const json::value& item : *list) {
    if (!item.is_object()) continue;
    if (auto key = read_key(item.get_object())) keys.push_back(*std::move(key));
  }
  if (keys.empty()) return invalid("the key set has no key that is supported");
  return keys;
}

Status verify(const Token& token, std::span<const Key> keys) {
  const AlgorithmRow& row = row_of(token.algorithm);
  bool named = false;
  for (const Key& key : keys) {
    if (!token.key_id.empty() && key.id != token.key_id) continue;
    named = true;
    if (!key.algorithm.empty() && key.algorithm != row.name) continue;
    if (key.key.verify(row.scheme, token.signed_text, token.signature)) return {};
  }
  if (!named) return not_found("the token's key is not among the issuer's");
  return invalid("the token's signature is wrong");
}

}  // namespace muster::jwt
