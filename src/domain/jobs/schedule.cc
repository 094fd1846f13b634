// SPDX-License-Identifier: Apache-2.0
#include "domain/jobs/schedule.h"

#include <algorithm>
#include <chrono>

#include "base/text.h"
#include "domain/jobs/config.h"

namespace muster::jobs {

namespace {

constexpr std::int64_t kMinuteMs = 60'000;
constexpr std::int64_t kLeadMs = 30 * kMinuteMs;  // before a start or an end, and between the two
constexpr std::int64_t kMaxWindowMinutes = 1430;
constexpr std::size_t kMaxTimeBytes = 64;
constexpr int kMaxChain = 256;
constexpr std::array<std::string_view, 3> kEndNames{"STOP_ROLLOUT", "CANCEL", "FORCE_CANCEL"};
constexpr std::string_view kConfig = "schedulingConfig";

std::string path_of(std::string_view member) {
  return std::string(kConfig) + "." + std::string(member);
}

// The same day and time so many years later; from February 29th it is March 1st.
std::int64_t add_years(std::int64_t time_ms, int years) {
  using namespace std::chrono;
  const sys_time<milliseconds> time{milliseconds(time_ms)};
  const sys_days date = floor<days>(time);
  const sys_days later = sys_days(year_month_day(date) + std::chrono::years(years));
  return (later + (time - date)).time_since_epoch().count();
}

Result<std::optional<std::string>> read_text(const json::object& value, std::string_view member) {
  if (!has(value, member)) return std::optional<std::string>();
  const auto& text = value.at(member);
  if (!text.is_string()) return broken_constraint(path_of(member), &text, "be a string");
  return std::optional(std::string(text.get_string()));
}

Status check_start(const Schedule& schedule, std::int64_t now_ms) {
  if (schedule.start_text.empty()) return {};
  if (schedule.start_ms < now_ms + kLeadMs) {
    return invalid("The startTime " + schedule.start_text + " must be at least 30 minutes from now.");
  }
  if (schedule.start_ms > add_years(now_ms, 1)) {
    return invalid("The startTime " + schedule.start_text + " must be at most one year from now.");
  }
  return {};
}

Status check_end(const Schedule& schedule, std::int64_t now_ms) {
  if (schedule.end_text.empty()) return {};
  if (schedule.end_ms < now_ms + kLeadMs) {
    return invalid("The endTime " + schedule.end_text + " must be at least 30 minutes from now.");
  }
  if (schedule.end_ms > add_years(now_ms, 2)) {
    return invalid("The endTime " + schedule.end_text + " must be at most two years from now.");
  }
  if (!schedule.start_text.empty() && schedule.end_ms < schedule.start_ms + kLeadMs) {
    return invalid("The endTime " + schedule.end_text + " must be at least 30 minutes after the startTime " +
                   schedule.start_text + ".");
  }
  return {};
}

}  // namespace

Status check_windows(const Schedule& schedule, std::int64_t now_ms) {
  for (const auto& window : schedule.windows) {
    const auto opening = window.start.next_ms(std::max(now_ms, schedule.start_ms));
    if (opening && (schedule.end_ms == 0 || *opening < schedule.end_ms)) continue;
    return invalid("The maintenance window " + window.start.text() + " never opens within the time of the job.");
  }
  return {};
}

namespace {

Result<EndBehavior> read_end_behavior(const json::object& value, bool has_end) {
  TRY(const auto text, read_text(value, "endBehavior"));
  if (!text) return EndBehavior::kStopRollout;
  const auto it = std::ranges::find(kEndNames, std::string_view(*text));
  if (it == kEndNames.end()) {
    return broken_constraint(path_of("endBehavior"), value.if_contains("endBehavior"),
                             "satisfy enum value set: [STOP_ROLLOUT, CANCEL, FORCE_CANCEL]");
  }
  if (!has_end) return invalid("The endBehavior of schedulingConfig needs an endTime.");
  return static_cast<EndBehavior>(it - kEndNames.begin());
}

Result<MaintenanceWindow> read_window(const json::value& item, std::size_t position) {
  const std::string path = path_of("maintenanceWindows") + "." + std::to_string(position) + ".member";
  const auto* object = item.if_object();
  if (object == nullptr) return broken_constraint(path, &item, "be a structure");
  const auto* start = object->if_contains("startTime");
  if (start == nullptr || !start->is_string())
    return broken_constraint(path + ".startTime", start, "be a cron expression");
  const auto* minutes = object->if_contains("durationInMinutes");
  const std::string minutes_path = path + ".durationInMinutes";
  if (minutes == nullptr || minutes->is_null()) return broken_constraint(minutes_path, minutes, "not be null");
  if (!minutes->is_int64()) return broken_constraint(minutes_path, minutes, "be an integer");
  MaintenanceWindow window;
  window.minutes = minutes->get_int64();
  if (window.minutes < 1) return broken_constraint(minutes_path, minutes, "have value greater than or equal to 1");
  if (window.minutes > kMaxWindowMinutes) {
    return broken_constraint(minutes_path, minutes, "have value less than or equal to 1430");
  }
  TRY(window.start, Cron::parse(std::string_view(start->get_string())));
  return window;
}

// The latest opening of a window that is open at `at_ms`.
std::optional<std::int64_t> opened_at(const MaintenanceWindow& window, std::int64_t at_ms) {
  return window.start.last_ms(at_ms - window.minutes * kMinuteMs + 1, at_ms);
}

// When the windows that are open at `at_ms` close; `at_ms` itself when none is open.
std::int64_t closing_ms(const Schedule& schedule, std::int64_t at_ms) {
  std::int64_t closing = at_ms;
  for (const auto& window : schedule.windows) {
    if (const auto opened = opened_at(window, at_ms)) closing = std::max(closing, *opened + window.minutes * kMinuteMs);
  }
  return closing;
}

std::optional<std::int64_t> next_opening(const Schedule& schedule, std::int64_t from_ms) {
  std::optional<std::int64_t> first;
  for (const auto& window : schedule.windows) {
    const auto opening = window.start.next_ms(from_ms);
    if (opening && (!first || *opening < *first)) first = opening;
  }
  return first;
}

// Where the chain of windows that touch or overlap, of which one closes at `closing_ms`, comes to an end.
std::int64_t chain_end(const Schedule& schedule, std::int64_t closing) {
  for (int i = 0; i < kMaxChain && (schedule.end_ms == 0 || closing < schedule.end_ms); ++i) {
    const std::int64_t next = closing_ms(schedule, closing);
    if (next == closing) break;
    closing = next;
  }
  return closing;
}

bool before_end(const Schedule& schedule, std::int64_t time_ms) {
  return schedule.end_ms == 0 || time_ms < schedule.end_ms;
}

}  // namespace

Result<Schedule> read_schedule(const json::object& value, std::int64_t now_ms) {
  Schedule schedule;
  TRY(const auto start, read_text(value, "startTime"));
  if (start) {
    TRY(schedule.start_ms, parse_schedule_time("startTime", *start));
    schedule.start_text = *start;
  }
  TRY(const auto end, read_text(value, "endTime"));
  if (end) {
    TRY(schedule.end_ms, parse_schedule_time("endTime", *end));
    schedule.end_text = *end;
  }
  TRY(schedule.end_behavior, read_end_behavior(value, end.has_value()));
  if (has(value, "maintenanceWindows")) {
    const auto& windows = value.at("maintenanceWindows");
    if (!windows.is_array()) return broken_constraint(path_of("maintenanceWindows"), &windows, "be a list");
    TRY(schedule.windows, read_windows(windows.get_array()));
  }
  if (now_ms == 0) return schedule;
  TRY_VOID(check_start(schedule, now_ms));
  TRY_VOID(check_end(schedule, now_ms));
  TRY_VOID(check_windows(schedule, now_ms));
  return schedule;
}

Result<std::vector<MaintenanceWindow>> read_windows(const json::array& value) {
  if (value.size() > kMaxWindows) {
    return invalid("A job can have at most " + std::to_string(kMaxWindows) + " maintenance windows.");
  }
  std::vector<MaintenanceWindow> windows;
  for (const auto& item : value) {
    TRY(auto window, read_window(item, windows.size() + 1));
    windows.push_back(std::move(window));
  }
  return windows;
}

json::object to_json(const Schedule& schedule) {
  json::object value;
  if (!schedule.start_text.empty()) value["startTime"] = schedule.start_text;
  if (!schedule.end_text.empty()) {
    value["endTime"] = schedule.end_text;
    value["endBehavior"] = kEndNames[static_cast<std::size_t>(schedule.end_behavior)];
  }
  if (!schedule.windows.empty()) value["maintenanceWindows"] = to_json(schedule.windows);
  return value;
}

json::array to_json(const std::vector<MaintenanceWindow>& windows) {
  json::array list;
  for (const auto& window : windows) {
    json::object one;
    one["startTime"] = window.start.text();
    one["durationInMinutes"] = window.minutes;
    list.push_back(std::move(one));
  }
  return list;
}

ScheduleState schedule_at(const Schedule& schedule, std::int64_t now_ms) {
  ScheduleState state;
  state.started = schedule.start_ms == 0 || now_ms >= schedule.start_ms;
  state.ended = !before_end(schedule, now_ms);
  if (state.ended) return state;
  if (!state.started) {
    state.next_change_ms = schedule.start_ms;
    return state;
  }
  state.next_change_ms = schedule.end_ms;
  if (schedule.windows.empty()) {
    state.open = true;
    return state;
  }
  const std::int64_t closing = closing_ms(schedule, now_ms);
  state.open = closing > now_ms;
  const auto edge = state.open ? chain_end(schedule, closing) : next_opening(schedule, now_ms);
  if (edge && before_end(schedule, *edge)) state.next_change_ms = *edge;
  return state;
}

std::vector<std::int64_t> next_rollouts(const Schedule& schedule, std::int64_t now_ms, std::size_t count) {
  std::vector<std::int64_t> openings;
  const std::int64_t from = std::max(now_ms, schedule.start_ms);
  if (!before_end(schedule, from) || count == 0) return openings;
  for (const auto& window : schedule.windows) {
    const auto opened = opened_at(window, from);
    if (opened && *opened < from) openings.push_back(std::max(*opened, schedule.start_ms));
  }
  std::ranges::sort(openings);
  const auto repeated = std::ranges::unique(openings);
  openings.erase(repeated.begin(), repeated.end());
  auto opening = next_opening(schedule, from);
  while (opening && before_end(schedule, *opening) && openings.size() < count) {
    if (openings.empty() || openings.back() != *opening) openings.push_back(*opening);
    opening = next_opening(schedule, *opening + 1);
  }
  openings.resize(std::min(openings.size(), count));
  return openings;
}

Result<std::int64_t> parse_schedule_time(std::string_view member, std::string_view text) {
  constexpr std::size_t kDateBytes = 10;  // YYYY-MM-DD
  const auto time = text.size() > kDateBytes && text.size() <= kMaxTimeBytes ? parse_iso8601(text) : std::nullopt;
  if (time) return *time;
  const json::value shown(text);
  return broken_constraint(path_of(member), &shown,
                           "be a date and a time, as in 2026-11-25T14:30 (UTC) or 2026-11-25T14:30+01:00");
}

}  // namespace muster::jobs
