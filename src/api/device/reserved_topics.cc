// SPDX-License-Identifier: Apache-2.0
#include "api/device/reserved_topics.h"

#include <algorithm>
#include <array>

namespace muster::api::device {
namespace {

using namespace std::string_view_literals;

// Client ids may hold slashes.
constexpr std::array kServed{
    "$aws/events/presence/connected/#"sv,         "$aws/events/presence/disconnected/#"sv,
    "$aws/events/presence/connect_failed/#"sv,    "$aws/events/subscriptions/subscribed/#"sv,
    "$aws/events/subscriptions/unsubscribed/#"sv, "$aws/things/+/jobs/get/accepted"sv,
    "$aws/things/+/jobs/get/rejected"sv,          "$aws/things/+/jobs/start-next/accepted"sv,
    "$aws/things/+/jobs/start-next/rejected"sv,   "$aws/things/+/jobs/+/get/accepted"sv,
    "$aws/things/+/jobs/+/get/rejected"sv,        "$aws/things/+/jobs/+/update/accepted"sv,
    "$aws/things/+/jobs/+/update/rejected"sv,     "$aws/things/+/jobs/notify"sv,
    "$aws/things/+/jobs/notify-next"sv,
};
constexpr std::string_view kSys = "$SYS/broker/#";
constexpr std::string_view kShare = "$share/";

std::string_view take_level(std::string_view& rest, bool& more) {
  const auto slash = rest.find('/');
  const std::string_view level = rest.substr(0, slash);
  more = slash != std::string_view::npos;
  rest.remove_prefix(more ? slash + 1 : rest.size());
  return level;
}

// Whether any topic matches both filters.
bool overlap(std::string_view a, std::string_view b) {
  bool more_a = true, more_b = true;
  while (more_a && more_b) {
    const std::string_view left = take_level(a, more_a), right = take_level(b, more_b);
    if (left == "#" || right == "#") return true;
    if (left != right && left != "+" && right != "+") return false;
  }
  // "a/#" matches "a" as well.
  return more_a == more_b || (more_a ? a : b) == "#";
}

}  // namespace

bool is_served_filter(std::string_view filter, bool sys) {
  if (filter.starts_with(kShare)) {
    const auto slash = filter.find('/', kShare.size());
    filter = slash == std::string_view::npos ? std::string_view() : filter.substr(slash + 1);
  }
  if (!filter.starts_with('$')) return true;
  if (sys && overlap(filter, kSys)) return true;
  return std::ranges::any_of(kServed, [&](std::string_view served) { return overlap(filter, served); });
}

bool is_jobs_answer_topic(std::string_view topic) {
  return topic.ends_with("/accepted") || topic.ends_with("/rejected") || topic.ends_with("/jobs/notify") ||
         topic.ends_with("/jobs/notify-next");
}

}  // namespace muster::api::device
