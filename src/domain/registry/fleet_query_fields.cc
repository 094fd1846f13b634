// SPDX-License-Identifier: Apache-2.0
#include "domain/registry/fleet_query_fields.h"

#include <algorithm>
#include <array>

namespace muster::registry {

namespace {

bool one_of(std::string_view field, std::initializer_list<std::string_view> names) {
  return std::ranges::find(names, field) != names.end();
}

bool is_below(std::string_view field, std::string_view prefix) {
  return field.starts_with(prefix) && field.size() > prefix.size();
}

// Behind "shadow." or "shadow.name.SHADOW.".
std::optional<FieldClass> classify_shadow(std::string_view rest, FieldClass found) {
  if (rest == "version") {
    found.searchable = false;
    return found;
  }
  if (rest == "hasDelta") return found;
  for (std::string_view section : {"desired.", "reported.", "delta.", "metadata."})
    if (is_below(rest, section)) return found;
  return std::nullopt;
}

std::optional<FieldClass> classify_any_shadow(std::string_view rest) {
  constexpr std::string_view kNamed = "name.";
  if (!rest.starts_with(kNamed)) return classify_shadow(rest, {.source = FieldSource::kShadow});
  rest.remove_prefix(kNamed.size());
  const std::size_t dot = rest.find('.');
  if (dot == std::string_view::npos || dot == 0) return std::nullopt;
  return classify_shadow(rest.substr(dot + 1), {.source = FieldSource::kNamedShadow, .shadow = rest.substr(0, dot)});
}

bool is_jobs_field(std::string_view rest) {
  constexpr std::string_view kStatus = ".status";
  if (rest == "status") return true;
  return rest.ends_with(kStatus) && rest.size() > kStatus.size() && rest.find('.') == rest.size() - kStatus.size();
}

}  // namespace

std::optional<FieldClass> classify_field(std::string_view field, QuerySubject subject) {
  if (is_below(field, "attributes.")) return FieldClass();
  if (subject == QuerySubject::kThingGroups) {
    if (one_of(field, {"thingGroupName", "thingGroupId", "description", "parentGroupNames"})) return FieldClass();
    if (field == "version") return FieldClass{.searchable = false};
    return std::nullopt;
  }
  if (one_of(field, {"thingName", "thingId", "thingTypeName", "thingGroupNames", "billingGroupName"}))
    return FieldClass();
  if (field == "registry.version") return FieldClass{.searchable = false};
  if (one_of(field, {"connectivity.connected", "connectivity.timestamp", "connectivity.disconnectReason"}))
    return FieldClass{.source = FieldSource::kConnectivity};
  if (field.starts_with("shadow.")) return classify_any_shadow(field.substr(7));
  if (field.starts_with("jobs.") && is_jobs_field(field.substr(5))) return FieldClass{.source = FieldSource::kJobs};
  return std::nullopt;
}

std::optional<std::string> query_field_refusal(std::string_view field, QuerySubject subject) {
  const auto found = classify_field(field, subject);
  const std::string the_field = "the field " + std::string(field);
  if (found && found->searchable) return std::nullopt;
  if (found) return the_field + " cannot be searched, only aggregated";
  if (field.starts_with("deviceDefender.")) return the_field + " is not indexed: Device Defender is not served";
  if (subject == QuerySubject::kThingGroups)
    return the_field +
           " is not indexed: thingGroupName, thingGroupId, description, parentGroupNames and "
           "attributes.NAME are";
  return the_field +
         " is not indexed: thingName, thingId, thingTypeName, thingGroupNames, billingGroupName, "
         "attributes.NAME and those below shadow., connectivity. and jobs. are";
}

}  // namespace muster::registry
