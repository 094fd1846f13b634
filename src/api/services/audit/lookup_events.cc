// SPDX-License-Identifier: Apache-2.0
#include "api/services/audit/lookup_events.h"

#include <algorithm>

#include "base/crypto.h"
#include "base/text.h"
#include "domain/audit/event.h"
#include "domain/audit/search.h"

namespace muster::api::audit_service {
namespace {

constexpr std::int64_t kMostResults = 50;
constexpr std::size_t kMaxToken = 512;

Error refuse(const char* code, std::string message) {
  return make_error(ErrorKind::kInvalid, std::move(message), code);
}

struct Asked {
  audit::Filter filter;
  std::size_t most = 0;
  std::uint64_t before = audit::kNewest;
  std::string digest;  // of what a token may go on with
};

Status read_attribute(const json::object& attribute, audit::Filter& filter) {
  const std::string_view key = get_string(attribute, "AttributeKey");
  std::string value(get_string(attribute, "AttributeValue"));
  if (value.empty()) return refuse("InvalidLookupAttributesException", "AttributeValue must not be empty.");
  static constexpr std::pair<std::string_view, std::string audit::Filter::*> kTexts[] = {
      {"EventId", &audit::Filter::event_id},           {"EventName", &audit::Filter::event_name},
      {"EventSource", &audit::Filter::event_source},   {"Username", &audit::Filter::user_name},
      {"ResourceName", &audit::Filter::resource_name}, {"ResourceType", &audit::Filter::resource_type},
      {"AccessKeyId", &audit::Filter::access_key_id}};
  if (key == "ReadOnly") {
    if (value != "true" && value != "false") {
      return refuse("InvalidLookupAttributesException", "ReadOnly is true or false.");
    }
    filter.read_only = value == "true";
    return {};
  }
  for (const auto& [name, member] : kTexts) {
    if (name != key) continue;
    filter.*member = std::move(value);
    return {};
  }
  return refuse("InvalidLookupAttributesException",
                "The attribute key " + audit::clean(key, 64) +
                    " is not one of EventId, EventName, ReadOnly, Username, ResourceType, ResourceName, EventSource, "
                    "AccessKeyId.");
}

Status read_token(std::string_view token, Asked& asked) {
  const Error wrong = refuse("InvalidNextTokenException", "The token is not valid for this request.");
  if (token.size() > kMaxToken) return wrong;
  const auto text = from_base64url(token);
  if (!text) return wrong;
  const std::size_t colon = text->find(':');
  const auto before = parse_int(std::string_view(*text).substr(0, colon));
  if (colon == std::string::npos || !before || *before < 1 || text->substr(colon + 1) != asked.digest) return wrong;
  asked.before = static_cast<std::uint64_t>(*before);
  return {};
}

Result<Asked> read_input(const json::object& input) {
  Asked asked;
  const json::array* attributes = find_array(input, "LookupAttributes");
  if (attributes != nullptr && attributes->size() > 1) {
    return refuse("InvalidLookupAttributesException", "LookupAttributes can contain only one item.");
  }
  if (attributes != nullptr && !attributes->empty()) {
    TRY_VOID(read_attribute((*attributes)[0].as_object(), asked.filter));
  }
  if (has(input, "StartTime")) asked.filter.start_ms = get_int(input, "StartTime");
  if (has(input, "EndTime")) asked.filter.end_ms = get_int(input, "EndTime");
  if (asked.filter.start_ms && asked.filter.end_ms && *asked.filter.start_ms > *asked.filter.end_ms) {
    return refuse("InvalidTimeRangeException", "The start time must not be after the end time.");
  }
  const std::int64_t most = get_int(input, "MaxResults", kMostResults);
  if (most < 1 || most > kMostResults) {
    return refuse("InvalidMaxResultsException", "MaxResults must be between 1 and 50.");
  }
  asked.most = static_cast<std::size_t>(most);
  json::object same = input;
  same.erase("NextToken");
  same.erase("MaxResults");
  asked.digest = sha256_hex(to_text(same)).substr(0, 32);
  if (has(input, "NextToken")) TRY_VOID(read_token(get_string(input, "NextToken"), asked));
  return asked;
}

json::object event_shape(audit::Found& found) {
  const json::object& event = found.event;
  json::object out;
  out["EventId"] = get_string(event, "eventID");
  out["EventName"] = get_string(event, "eventName");
  out["ReadOnly"] = get_bool(event, "readOnly") ? "true" : "false";
  const json::object* who = find_object(event, "userIdentity");
  if (who != nullptr && has(*who, "accessKeyId")) out["AccessKeyId"] = get_string(*who, "accessKeyId");
  if (const auto time_ms = parse_iso8601(get_string(event, "eventTime"))) out["EventTime"] = *time_ms;
  out["EventSource"] = get_string(event, "eventSource");
  if (const std::string_view name = audit::user_name(event); !name.empty()) out["Username"] = name;
  json::array resources;
  if (const json::array* named = find_array(event, "resources")) {
    for (const json::value& item : *named) {
      if (!item.is_object()) continue;
      json::object one;
      if (has(item.get_object(), "type")) one["ResourceType"] = get_string(item.get_object(), "type");
      one["ResourceName"] = audit::resource_name(get_string(item.get_object(), "ARN"));
      resources.push_back(std::move(one));
    }
  }
  out["Resources"] = std::move(resources);
  out["CloudTrailEvent"] = std::move(found.text);
  return out;
}

io::Task<Reply> lookup_events(const AuditServices& services, Call& call) {
  CO_TRY(Asked asked, read_input(call.input));
  auto read = [directory = services.directory, asked] {
    return audit::search(directory, asked.filter, asked.before, {.max_events = asked.most});
  };
  Result<audit::Page> page = co_await services.queries->run_or_refuse(read);
  if (!page) co_return std::move(page).error();
  Reply reply;
  json::array events;
  for (audit::Found& found : page->events) events.push_back(event_shape(found));
  reply.output["Events"] = std::move(events);
  if (page->next) reply.output["NextToken"] = to_base64url(std::to_string(*page->next) + ':' + asked.digest);
  co_return reply;
}

}  // namespace

void register_audit(Operations& operations, const AuditServices& services) {
  operations.add("cloudtrail", "LookupEvents", [services](Call& call) { return lookup_events(services, call); });
}

}  // namespace muster::api::audit_service
