// SPDX-License-Identifier: Apache-2.0
#include "base/ids.h"

#include "base/text.h"

namespace muster {
namespace {

bool is_name(std::string_view name, std::size_t longest, std::string_view punctuation) {
  if (name.empty() || name.size() > longest) return false;
  for (char c : name) {
    bool alphanumeric = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
    if (!alphanumeric && punctuation.find(c) == std::string_view::npos) return false;
  }
  return true;
}

}  // namespace

std::optional<Arn> parse_arn(std::string_view text) {
  if (!text.starts_with("arn:")) return std::nullopt;
  text.remove_prefix(4);
  std::string_view parts[4];
  for (auto& part : parts) {
    std::size_t colon = text.find(':');
    if (colon == std::string_view::npos) return std::nullopt;
    part = text.substr(0, colon);
    text.remove_prefix(colon + 1);
  }
  if (parts[0].empty() || parts[1].empty() || text.empty()) return std::nullopt;
  return Arn{std::string(parts[0]), std::string(parts[1]), std::string(parts[2]), std::string(parts[3]),
             std::string(text)};
}

std::string iot_arn(const Realm& realm, std::string_view kind, std::string_view name) {
  std::string arn = "arn:aws:iot:" + realm.region + ':' + realm.account_id + ':';
  arn += kind;
  arn += '/';
  arn += name;
  return arn;
}

std::optional<std::string> name_in_iot_arn(const Realm& realm, std::string_view kind, std::string_view arn) {
  std::string prefix = iot_arn(realm, kind, "");
  if (!arn.starts_with(prefix) || arn.size() == prefix.size()) return std::nullopt;
  return std::string(arn.substr(prefix.size()));
}

std::string iam_arn(const Realm& realm, std::string_view kind, std::string_view name) {
  std::string arn = "arn:aws:iam::" + realm.account_id + ':';
  arn += kind;
  arn += '/';
  arn += name;
  return arn;
}

bool is_thing_name(std::string_view name) {
  return is_name(name, 128, ":_-");
}
bool is_job_id(std::string_view name) {
  return is_name(name, 64, "_-");
}

}  // namespace muster
