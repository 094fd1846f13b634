// SPDX-License-Identifier: Apache-2.0
#include "api/device/reserved_topics.h"

#include <algorithm>
#include <array>

namespace muster::api::device {
namespace {

using namespace std::string_view_literals;

// Client ids may hold slashes. A level that ends in '*' stands for all that begin with the rest of it.
constexpr std::array kServed{
    "$aws/events/presence/connected/#"sv,
    "$aws/events/presence/disconnected/#"sv,
    "$aws/events/presence/connect_failed/#"sv,
    "$aws/events/subscriptions/subscribed/#"sv,
    "$aws/events/subscriptions/unsubscribed/#"sv,
    "$aws/things/+/jobs/get/accepted"sv,
    "$aws/things/+/jobs/get/rejected"sv,
    "$aws/things/+/jobs/start-next/accepted"sv,
    "$aws/things/+/jobs/start-next/rejected"sv,
    "$aws/things/+/jobs/+/get/accepted"sv,
    "$aws/things/+/jobs/+/get/rejected"sv,
    "$aws/things/+/jobs/+/update/accepted"sv,
    "$aws/things/+/jobs/+/update/rejected"sv,
    "$aws/things/+/jobs/notify"sv,
    "$aws/things/+/jobs/notify-next"sv,
    "$aws/things/+/jobs/notify-namespace-*"sv,
    "$aws/things/+/jobs/notify-next-namespace-*"sv,
    "$aws/things/+/jobs/+/namespace-*/get/accepted"sv,
    "$aws/things/+/jobs/+/namespace-*/get/rejected"sv,
    "$aws/things/+/jobs/+/namespace-*/update/accepted"sv,
    "$aws/things/+/jobs/+/namespace-*/update/rejected"sv,
    "$aws/things/+/shadow/get/accepted"sv,
    "$aws/things/+/shadow/get/rejected"sv,
    "$aws/things/+/shadow/update/accepted"sv,
    "$aws/things/+/shadow/update/rejected"sv,
    "$aws/things/+/shadow/update/delta"sv,
    "$aws/things/+/shadow/update/documents"sv,
    "$aws/things/+/shadow/delete/accepted"sv,
    "$aws/things/+/shadow/delete/rejected"sv,
    "$aws/things/+/shadow/name/+/get/accepted"sv,
    "$aws/things/+/shadow/name/+/get/rejected"sv,
    "$aws/things/+/shadow/name/+/update/accepted"sv,
    "$aws/things/+/shadow/name/+/update/rejected"sv,
    "$aws/things/+/shadow/name/+/update/delta"sv,
    "$aws/things/+/shadow/name/+/update/documents"sv,
    "$aws/things/+/shadow/name/+/delete/accepted"sv,
    "$aws/things/+/shadow/name/+/delete/rejected"sv,
    "$aws/certificates/create/json/accepted"sv,
    "$aws/certificates/create/json/rejected"sv,
    "$aws/certificates/create/cbor/accepted"sv,
    "$aws/certificates/create/cbor/rejected"sv,
    "$aws/certificates/create-from-csr/json/accepted"sv,
    "$aws/certificates/create-from-csr/json/rejected"sv,
    "$aws/certificates/create-from-csr/cbor/accepted"sv,
    "$aws/certificates/create-from-csr/cbor/rejected"sv,
    "$aws/provisioning-templates/+/provision/json/accepted"sv,
    "$aws/provisioning-templates/+/provision/json/rejected"sv,
    "$aws/provisioning-templates/+/provision/cbor/accepted"sv,
    "$aws/provisioning-templates/+/provision/cbor/rejected"sv,
    "$aws/events/certificates/registered/+"sv,
    "$aws/events/job/+/completed"sv,
    "$aws/events/job/+/canceled"sv,
    "$aws/events/job/+/cancellation_in_progress"sv,
    "$aws/events/job/+/deleted"sv,
    "$aws/events/job/+/deletion_in_progress"sv,
    "$aws/events/jobExecution/+/succeeded"sv,
    "$aws/events/jobExecution/+/failed"sv,
    "$aws/events/jobExecution/+/rejected"sv,
    "$aws/events/jobExecution/+/canceled"sv,
    "$aws/events/jobExecution/+/timed_out"sv,
    "$aws/events/jobExecution/+/removed"sv,
    "$aws/events/jobExecution/+/deleted"sv,
};
constexpr std::string_view kSys = "$SYS/broker/#";
constexpr std::string_view kShare = "$share/";
constexpr std::string_view kJobs = "/jobs/";

std::string_view take_level(std::string_view& rest, bool& more) {
  const auto slash = rest.find('/');
  const std::string_view level = rest.substr(0, slash);
  more = slash != std::string_view::npos;
  rest.remove_prefix(more ? slash + 1 : rest.size());
  return level;
}

bool level_matches(std::string_view level, std::string_view served) {
  if (level == "+" || served == "+") return true;
  if (!served.ends_with('*')) return level == served;
  served.remove_suffix(1);
  return level.size() > served.size() && level.starts_with(served);
}

// Whether any topic matches both filters.
bool overlap(std::string_view filter, std::string_view served) {
  bool more_filter = true, more_served = true;
  while (more_filter && more_served) {
    const std::string_view left = take_level(filter, more_filter), right = take_level(served, more_served);
    if (left == "#" || right == "#") return true;
    if (!level_matches(left, right)) return false;
  }
  // "a/#" matches "a" as well.
  return more_filter == more_served || (more_filter ? filter : served) == "#";
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
  if (topic.ends_with("/accepted") || topic.ends_with("/rejected")) return true;
  const auto jobs = topic.find(kJobs);
  if (jobs == std::string_view::npos) return false;
  const std::string_view suffix = topic.substr(jobs + kJobs.size());
  return suffix == "notify" || suffix == "notify-next" ||
         (suffix.find('/') == std::string_view::npos &&
          (suffix.starts_with("notify-namespace-") || suffix.starts_with("notify-next-namespace-")));
}

}  // namespace muster::api::device
