// SPDX-License-Identifier: Apache-2.0
// Requests that name a thing or a group by name, by ARN, or by both alike, and lists of groups by both.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/json.h"
#include "base/result.h"

namespace muster::api::iot {

struct NamedByEither {
  std::string_view name_member, arn_member, kind;
};
inline constexpr NamedByEither kThing{"thingName", "thingArn", "thing"};

// kInvalid when neither is given, when they differ, and for an ARN of another account, region or kind.
Result<std::string> name_or_arn(const Realm& realm, const json::object& input, const NamedByEither& members);

// [{groupName, groupArn}] of groups of a kind ("thinggroup", "billinggroup").
json::array names_and_arns(const Realm& realm, std::string_view kind, const std::vector<std::string>& names);

}  // namespace muster::api::iot
