// SPDX-License-Identifier: Apache-2.0
#include "api/services/registry/named_by_either.h"

namespace muster::api::iot {

Result<std::string> name_or_arn(const Realm& realm, const json::object& input, const NamedByEither& members) {
  std::string name(get_string(input, members.name_member));
  std::string_view arn = get_string(input, members.arn_member);
  if (arn.empty()) {
    if (name.empty())
      return invalid("Either " + std::string(members.name_member) + " or " + std::string(members.arn_member) +
                     " must be given");
    return name;
  }
  auto named = name_in_iot_arn(realm, members.kind, arn);
  if (!named) return invalid("Invalid " + std::string(members.arn_member) + ": " + std::string(arn));
  if (!name.empty() && name != *named)
    return invalid(std::string(members.name_member) + " and " + std::string(members.arn_member) + " do not match");
  return *std::move(named);
}

json::array names_and_arns(const Realm& realm, std::string_view kind, const std::vector<std::string>& names) {
  json::array groups;
  for (const std::string& name : names)
    groups.push_back(json::object{{"groupName", name}, {"groupArn", iot_arn(realm, kind, name)}});
  return groups;
}

}  // namespace muster::api::iot
