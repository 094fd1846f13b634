// SPDX-License-Identifier: Apache-2.0
#include "domain/audit/denials.h"

#include <arpa/inet.h>

#include <limits>

#include "base/crypto.h"
#include "base/text.h"

namespace muster::audit {
namespace {

constexpr std::string_view kMany = "ManyDeniedCalls";

// Ids and times differ from one to the next; the rest makes them the same. Digest: of what clients chose, at any
// length.
std::string kind_of(const Event& event) {
  std::string text;
  for (const std::string* part : {&event.source, &event.name, &event.who.type, &event.who.arn, &event.who.access_key_id,
                                  &event.who.principal_id, &event.address, &event.error_code}) {
    text += *part;
    text += '\0';
  }
  for (const Resource& resource : event.resources) {
    text += resource.arn;
    text += '\0';
  }
  return sha256(text);
}

// One for all that a source tries beyond its bound. `whole`: nor are the sources told apart.
Event many(const Event& event, bool whole) {
  Event out;
  out.time_ms = event.time_ms;
  out.id = event.id;
  out.request_id = event.request_id;
  out.source = "muster.amazonaws.com";
  out.name = kMany;
  out.region = event.region;
  out.account_id = event.account_id;
  out.known = event.known;
  if (!whole && event.known) {
    out.who = event.who;
    out.who.access_key_id.clear();
  }
  if (!whole && !event.known) out.address = source_of(event.address);
  out.error_code = "AccessDenied";
  out.error_message = "Too many different calls were denied within a minute: from here on they are counted.";
  return out;
}

// All keys of one principal are one source.
std::string source_name(const Event& event) {
  if (!event.known) return source_of(event.address);
  return event.who.arn.empty() ? event.who.type + ' ' + event.who.principal_id : event.who.arn;
}

}  // namespace

std::string source_of(const std::string& address) {
  in6_addr bytes{};
  if (::inet_pton(AF_INET6, address.c_str(), &bytes) != 1 || IN6_IS_ADDR_V4MAPPED(&bytes)) return address;
  for (std::size_t i = 8; i < 16; ++i) bytes.s6_addr[i] = 0;
  char text[INET6_ADDRSTRLEN] = {};
  ::inet_ntop(AF_INET6, &bytes, text, sizeof text);
  return std::string(text) + "/64";
}

// Counts the kind against its source.
bool Denials::may_be_kind(Callers& callers, const Event& event) {
  const std::string name = source_name(event);
  auto found = callers.sources.find(name);
  if (found == callers.sources.end()) {
    if (callers.sources.size() >= kSources) return false;
    found = callers.sources.emplace(name, Source{event.time_ms, 0}).first;
  }
  Source& source = found->second;
  if (event.time_ms - source.since_ms >= kWindowMs) source = {event.time_ms, 0};
  if (source.kinds >= kOfSource || callers.kinds.size() >= kKinds) return false;
  ++source.kinds;
  return true;
}

bool Denials::is_new(Event& event) {
  Callers& callers = event.known ? known_ : strangers_;
  std::string key = kind_of(event);
  auto same = callers.kinds.find(key);
  const bool always = event.known && !event.data;
  if (same == callers.kinds.end() && always && callers.kinds.size() >= kKinds) return true;
  if (same == callers.kinds.end() && !always && !may_be_kind(callers, event)) {
    const bool apart = callers.sources.contains(source_name(event)) && callers.kinds.size() < 2 * kKinds;
    event = many(event, !apart);
    key = kind_of(event);
    same = callers.kinds.find(key);
  }
  if (same != callers.kinds.end()) {
    ++same->second.again;
    same->second.last_ms = event.time_ms;
    return false;
  }
  Kind kept{event, event.time_ms, 0};
  kept.first.parameters.clear();  // the first one's record has them
  callers.kinds.emplace(std::move(key), std::move(kept));
  return true;
}

void Denials::summarise(Callers& callers, std::int64_t began_before_ms, std::vector<Event>& out) {
  for (auto kind = callers.kinds.begin(); kind != callers.kinds.end();) {
    if (kind->second.first.time_ms > began_before_ms) {
      ++kind;
      continue;
    }
    if (kind->second.again > 0) {
      Event summary = std::move(kind->second.first);
      summary.additional["repetitions"] = kind->second.again;
      summary.additional["firstTime"] = to_iso8601(summary.time_ms);
      summary.additional["firstEventID"] = summary.id;
      summary.time_ms = kind->second.last_ms;
      summary.id = random_uuid();
      out.push_back(std::move(summary));
    }
    kind = callers.kinds.erase(kind);
  }
  std::erase_if(callers.sources, [&](const auto& source) { return source.second.since_ms <= began_before_ms; });
}

std::vector<Event> Denials::summaries(std::int64_t began_before_ms) {
  std::vector<Event> out;
  summarise(strangers_, began_before_ms, out);
  summarise(known_, began_before_ms, out);
  return out;
}

std::vector<Event> Denials::over(std::int64_t now_ms) {
  return summaries(now_ms - kWindowMs);
}
std::vector<Event> Denials::all() {
  return summaries(std::numeric_limits<std::int64_t>::max());
}

}  // namespace muster::audit
