// SPDX-License-Identifier: Apache-2.0
#include "domain/jobs/schedule.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "base/text.h"

namespace muster::jobs {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr std::int64_t kMinuteMs = 60'000;

std::int64_t at(std::string_view text) {
  const auto time = parse_iso8601(text);
  EXPECT_TRUE(time) << text;
  return time.value_or(0);
}
std::string text_of(std::int64_t time) {
  return time == 0 ? "never" : to_iso8601(time, false).substr(0, 16);
}
std::vector<std::string> texts_of(const std::vector<std::int64_t>& times) {
  std::vector<std::string> texts;
  for (const auto time : times) texts.push_back(text_of(time));
  return texts;
}
json::object object(std::string_view text) {
  const auto value = parse_json(text);
  EXPECT_TRUE(value) << text;
  return value && value->is_object() ? value->get_object() : json::object();
}

constexpr std::string_view kNow = "2026-11-25T12:00";

std::string refusal(std::string_view members, std::string_view now = kNow) {
  const auto schedule = read_schedule(object("{" + std::string(members) + "}"), at(now));
  if (schedule) return "accepted";
  EXPECT_EQ(schedule.error().kind, ErrorKind::kInvalid);
  return schedule.error().message;
}
Schedule stored(std::string_view members) {
  const auto schedule = read_schedule(object("{" + std::string(members) + "}"), 0);
  EXPECT_TRUE(schedule) << members << (schedule ? "" : schedule.error().message);
  return schedule ? *schedule : Schedule();
}
// One element of maintenanceWindows; the duration as it stands, and none for "".
std::string window_json(std::string_view fields, std::string_view minutes) {
  std::string text = "{\"startTime\":\"cron(" + std::string(fields) + ")\"";
  if (!minutes.empty()) text += ",\"durationInMinutes\":" + std::string(minutes);
  return text + "}";
}
// Windows given as "FIELDS MINUTES; FIELDS MINUTES".
Schedule windows(std::string_view list, std::string_view rest = "") {
  std::string elements;
  for (const auto one : split(list, ';')) {
    const auto space = one.rfind(' ');
    if (!elements.empty()) elements += ',';
    elements += window_json(trim(one.substr(0, space)), one.substr(space + 1));
  }
  return stored("\"maintenanceWindows\":[" + elements + "]" + std::string(rest));
}
// "started open ended next"
std::string state(const Schedule& schedule, std::string_view now) {
  const auto s = schedule_at(schedule, at(now));
  std::string text;
  if (s.started) text += "started ";
  if (s.open) text += "open ";
  if (s.ended) text += "ended ";
  return text + text_of(s.next_change_ms);
}

TEST(ScheduleTime, takes_date_and_time_in_iso_form) {
  const auto read = [](std::string_view text) {
    const auto time = parse_schedule_time("startTime", text);
    return time ? to_iso8601(*time) : time.error().message;
  };
  EXPECT_EQ(read("2026-11-25T14:30"), "2026-11-25T14:30:00.000Z");
  EXPECT_EQ(read("2026-11-25 14:30"), "2026-11-25T14:30:00.000Z");
  EXPECT_EQ(read("2026-11-25T14:30:15Z"), "2026-11-25T14:30:15.000Z");
  EXPECT_EQ(read("2026-11-25T14:30:15.25Z"), "2026-11-25T14:30:15.250Z");
  EXPECT_EQ(read("2026-11-25T14:30+05:30"), "2026-11-25T09:00:00.000Z");
  EXPECT_EQ(read("2026-11-25T14:30:00-08:00"), "2026-11-25T22:30:00.000Z");
  for (const auto text :
       {"", "2026-11-25", "14:30", "2026-11-25T14", "2026-11-25T24:00", "2026-02-30T10:00", "tomorrow", "1764081000",
        "2026-11-25T14:30X", "2026/11/25 14:30", "26-11-25T14:30", "2026-11-25T14:30:15.", "2026-11-25T14:30 UTC"}) {
    EXPECT_THAT(read(text), HasSubstr("at 'schedulingConfig.startTime' failed to satisfy")) << text;
  }
  EXPECT_THAT(read("2026-11-25T14:30:15.000000000000000000000000000000000000000000000000000"), HasSubstr("failed to"));
}

TEST(Schedule, nothing_given_is_none) {
  EXPECT_EQ(refusal(""), "accepted");
  EXPECT_TRUE(stored("").empty());
  EXPECT_EQ(refusal(R"("startTime":null,"endTime":null,"endBehavior":null,"maintenanceWindows":null)"), "accepted");
  EXPECT_EQ(to_text(to_json(stored(R"("maintenanceWindows":[])"))), "{}");
}

TEST(Schedule, start_is_half_an_hour_to_a_year_ahead) {
  const auto start = [](std::string_view text, std::string_view now = kNow) {
    return refusal(R"("startTime":")" + std::string(text) + "\"", now);
  };
  EXPECT_EQ(start("2026-11-25T12:30"), "accepted");
  EXPECT_THAT(start("2026-11-25T12:29:59"), HasSubstr("at least 30 minutes from now"));
  EXPECT_THAT(start("1970-01-01T00:00"), HasSubstr("at least 30 minutes from now"));
  EXPECT_EQ(start("2027-11-25T12:00"), "accepted");
  EXPECT_THAT(start("2027-11-25T12:00:01"), HasSubstr("at most one year from now"));
  EXPECT_EQ(start("2028-11-25T12:00", "2027-11-25T12:00"), "accepted");  // over a leap day
  EXPECT_EQ(start("2029-03-01T12:00", "2028-02-29T12:00"), "accepted");
  EXPECT_THAT(start("2029-03-01T12:01", "2028-02-29T12:00"), HasSubstr("at most one year"));
}

TEST(Schedule, end_is_half_an_hour_to_two_years_ahead_and_after_the_start) {
  const auto end = [](std::string_view text) { return refusal(R"("endTime":")" + std::string(text) + "\""); };
  EXPECT_EQ(end("2026-11-25T12:30"), "accepted");
  EXPECT_THAT(end("2026-11-25T12:29"), HasSubstr("endTime 2026-11-25T12:29 must be at least 30 minutes from now"));
  EXPECT_EQ(end("2028-11-25T12:00"), "accepted");
  EXPECT_THAT(end("2028-11-25T12:01"), HasSubstr("at most two years from now"));
  const auto between = [](std::string_view to) {
    return refusal(R"("startTime":"2026-11-26T10:00","endTime":")" + std::string(to) + "\"");
  };
  EXPECT_EQ(between("2026-11-26T10:30"), "accepted");
  EXPECT_THAT(between("2026-11-26T10:29"), HasSubstr("at least 30 minutes after the startTime 2026-11-26T10:00"));
  EXPECT_THAT(between("2026-11-26T09:00"), HasSubstr("after the startTime"));
}

TEST(Schedule, end_behavior_needs_an_end) {
  const auto with = [](std::string_view behavior, std::string_view rest = R"(,"endTime":"2026-11-26T10:30")") {
    return refusal(R"("endBehavior":")" + std::string(behavior) + "\"" + std::string(rest));
  };
  for (const auto behavior : {"STOP_ROLLOUT", "CANCEL", "FORCE_CANCEL"}) {
    EXPECT_EQ(with(behavior), "accepted");
    EXPECT_THAT(with(behavior, ""), HasSubstr("needs an endTime"));
  }
  EXPECT_THAT(with("STOP"), HasSubstr("enum value set: [STOP_ROLLOUT, CANCEL, FORCE_CANCEL]"));
  EXPECT_EQ(stored(R"("endTime":"2026-11-26T10:30")").end_behavior, EndBehavior::kStopRollout);
  EXPECT_EQ(stored(R"("endTime":"2026-11-26T10:30","endBehavior":"FORCE_CANCEL")").end_behavior,
            EndBehavior::kForceCancel);
}

TEST(Schedule, windows_are_checked_one_by_one) {
  const auto second = [](std::string_view element) {
    return refusal("\"maintenanceWindows\":[" + window_json("0 2 ? * MON *", "60") + "," + std::string(element) + "]");
  };
  const auto lasting = [&](std::string_view minutes) { return second(window_json("0 3 ? * TUE *", minutes)); };
  EXPECT_EQ(lasting("1430"), "accepted");
  EXPECT_EQ(lasting("1"), "accepted");
  EXPECT_THAT(
      lasting("1431"),
      HasSubstr("'schedulingConfig.maintenanceWindows.2.member.durationInMinutes' failed to satisfy constraint: "
                "Member must have value less than or equal to 1430"));
  EXPECT_THAT(lasting("0"), HasSubstr("greater than or equal to 1"));
  EXPECT_THAT(lasting("1.5"), HasSubstr("be an integer"));
  EXPECT_THAT(lasting(""), HasSubstr("Value null at"));
  EXPECT_THAT(second(R"({"durationInMinutes":5})"), HasSubstr("member.startTime' failed"));
  EXPECT_THAT(second(window_json("0 3 ? * FOO *", "5")), HasSubstr("day-of-week"));
  EXPECT_THAT(second(window_json("0 3 1 1 ? 2025", "5")), HasSubstr("never opens"));
  EXPECT_THAT(second("7"), HasSubstr("maintenanceWindows.2.member' failed"));
  EXPECT_THAT(refusal(R"("maintenanceWindows":{})"), HasSubstr("be a list"));
  EXPECT_THAT(refusal(R"("startTime":7)"), HasSubstr("be a string"));
}

TEST(Schedule, a_window_must_open_between_start_and_end) {
  const auto during = [](std::string_view fields) {
    return refusal(R"("startTime":"2026-12-01T00:00","endTime":"2026-12-05T00:00","maintenanceWindows":[)" +
                   window_json(fields, "60") + "]");
  };
  EXPECT_EQ(during("0 2 4 * ? *"), "accepted");
  EXPECT_THAT(during("0 2 30 * ? *"), HasSubstr("never opens within the time of the job"));
  EXPECT_THAT(during("0 0 5 * ? *"), HasSubstr("never opens"));  // just as it ends
}

TEST(Schedule, has_at_most_32_windows) {
  json::array list;
  const json::value one = object(window_json("0 2 ? * MON *", "60"));
  for (std::size_t i = 0; i < kMaxWindows; ++i) list.push_back(one);
  EXPECT_TRUE(read_windows(list));
  list.push_back(one);
  EXPECT_FALSE(read_windows(list));
}

TEST(Schedule, is_written_as_it_was_given) {
  const std::string text =
      R"({"startTime":"2026-11-26 10:00","endTime":"2026-12-26T10:30+01:00","endBehavior":"CANCEL",)"
      R"("maintenanceWindows":[)" +
      window_json("0 2 ? * mon *", "60") + "]}";
  const auto schedule = read_schedule(object(text), at(kNow));
  ASSERT_TRUE(schedule);
  EXPECT_EQ(to_text(to_json(*schedule)), text);
  EXPECT_EQ(schedule->end_ms, at("2026-12-26T09:30"));
  EXPECT_FALSE(schedule->empty());
  const auto again = read_schedule(to_json(*schedule), 0);
  ASSERT_TRUE(again);
  EXPECT_EQ(to_text(to_json(*again)), text);
}

TEST(ScheduleState, without_a_schedule_is_open_for_ever) {
  EXPECT_EQ(state(Schedule(), kNow), "started open never");
}

TEST(ScheduleState, starts_and_ends_at_the_very_moment) {
  const auto schedule = stored(R"("startTime":"2026-12-01T10:00","endTime":"2026-12-02T10:00")");
  EXPECT_EQ(state(schedule, "2026-12-01T09:59:59.999"), "2026-12-01T10:00");
  EXPECT_EQ(state(schedule, "2026-12-01T10:00"), "started open 2026-12-02T10:00");
  EXPECT_EQ(state(schedule, "2026-12-02T09:59:59.999"), "started open 2026-12-02T10:00");
  EXPECT_EQ(state(schedule, "2026-12-02T10:00"), "started ended never");
}

TEST(ScheduleState, window_is_half_open) {
  const auto schedule = windows("0 2 ? * MON * 90");
  EXPECT_EQ(state(schedule, "2026-11-30T01:59:59.999"), "started 2026-11-30T02:00");
  EXPECT_EQ(state(schedule, "2026-11-30T02:00"), "started open 2026-11-30T03:30");
  EXPECT_EQ(state(schedule, "2026-11-30T03:29:59.999"), "started open 2026-11-30T03:30");
  EXPECT_EQ(state(schedule, "2026-11-30T03:30"), "started 2026-12-07T02:00");
}

TEST(ScheduleState, window_reaches_over_midnight_and_years) {
  const auto schedule = windows("0 23 31 12 ? * 120");
  EXPECT_EQ(state(schedule, "2027-01-01T00:59"), "started open 2027-01-01T01:00");
  EXPECT_EQ(state(schedule, "2027-01-01T01:00"), "started 2027-12-31T23:00");
  EXPECT_EQ(state(windows("0 23 31 12 ? 2026 120"), "2027-01-01T00:00"), "started open 2027-01-01T01:00");
  EXPECT_EQ(state(windows("0 23 31 12 ? 2026 120"), "2027-01-01T01:00"), "started never");
}

TEST(ScheduleState, windows_before_the_start_and_after_the_end_do_not_count) {
  const auto schedule = windows("0 2 * * ? * 60", R"(,"startTime":"2026-12-01T02:30","endTime":"2026-12-03T02:30")");
  EXPECT_EQ(state(schedule, "2026-12-01T02:10"), "2026-12-01T02:30");
  EXPECT_EQ(state(schedule, "2026-12-01T02:30"), "started open 2026-12-01T03:00");
  EXPECT_EQ(state(schedule, "2026-12-02T04:00"), "started 2026-12-03T02:00");
  EXPECT_EQ(state(schedule, "2026-12-03T02:00"), "started open 2026-12-03T02:30");
  EXPECT_EQ(state(schedule, "2026-12-03T02:30"), "started ended never");
  EXPECT_EQ(state(windows("0 2 5 * ? * 60", R"(,"endTime":"2026-12-03T02:30")"), "2026-12-01T00:00"),
            "started 2026-12-03T02:30");
}

TEST(ScheduleState, overlapping_and_touching_windows_are_one) {
  const auto overlapping = windows("0 2 * * ? * 60; 30 2 * * ? * 120; 0 2 * * ? * 10");
  EXPECT_EQ(state(overlapping, "2026-12-01T02:00"), "started open 2026-12-01T04:30");
  EXPECT_EQ(state(overlapping, "2026-12-01T04:29"), "started open 2026-12-01T04:30");
  const auto touching = windows("0 2 * * ? * 60; 0 3 * * ? * 60");
  EXPECT_EQ(state(touching, "2026-12-01T02:59:59.999"), "started open 2026-12-01T04:00");
  EXPECT_EQ(state(touching, "2026-12-01T03:00"), "started open 2026-12-01T04:00");
  const auto itself = windows("0 1-5 * * ? * 90");
  EXPECT_EQ(state(itself, "2026-12-01T01:15"), "started open 2026-12-01T06:30");
}

TEST(ScheduleState, windows_without_a_gap_end_with_the_schedule) {
  const auto schedule = windows("0 * * * ? * 60", R"(,"endTime":"2026-12-03T02:30")");
  EXPECT_EQ(state(schedule, "2026-12-01T00:00"), "started open 2026-12-03T02:30");
  // For ever: a later moment, at which nothing has changed.
  const auto endless = windows("* * * * ? * 1430");
  const auto s = schedule_at(endless, at(kNow));
  EXPECT_TRUE(s.open);
  EXPECT_GT(s.next_change_ms, at(kNow) + 100 * 24 * 60 * kMinuteMs);
  EXPECT_TRUE(schedule_at(endless, s.next_change_ms).open);
}

// The next change is the first moment, to the minute, at which the state is another.
TEST(ScheduleState, next_change_is_exact) {
  std::mt19937 random(3);
  for (const auto list :
       {"0 2 ? * MON-FRI * 90", "0 */3 * * ? * 100; 30 4 * * ? * 15", "0 2,3 * * ? * 60; 15 12 L * ? * 7",
        "*/20 6 1,15 * ? * 30", "0 22 ? * SAT * 1430; 0 20 ? * SUN * 300"}) {
    const auto schedule = windows(list, R"(,"startTime":"2026-11-27T05:17","endTime":"2026-12-16T03:05")");
    for (std::int64_t now = at("2026-11-26T00:00"); now < at("2026-12-17T00:00");
         now += static_cast<std::int64_t>(random() % 600 + 1) * kMinuteMs) {
      const auto before = schedule_at(schedule, now);
      std::int64_t change = now;
      for (; change < at("2026-12-18T00:00"); change += kMinuteMs) {
        const auto then = schedule_at(schedule, change);
        if (then.started != before.started || then.open != before.open || then.ended != before.ended) break;
      }
      const std::int64_t expected = before.ended ? 0 : change;
      ASSERT_EQ(before.next_change_ms, expected) << list << " at " << text_of(now);
    }
  }
}

TEST(NextRollouts, are_the_openings_before_the_end) {
  const auto schedule = windows("0 2 ? * MON * 60; 0 14 ? * WED * 30", R"(,"endTime":"2026-12-09T14:00")");
  EXPECT_THAT(texts_of(next_rollouts(schedule, at("2026-11-30T02:00"), 7)),
              ElementsAre("2026-11-30T02:00", "2026-12-02T14:00", "2026-12-07T02:00"));
  EXPECT_THAT(texts_of(next_rollouts(schedule, at("2026-11-30T02:59"), 2)),
              ElementsAre("2026-11-30T02:00", "2026-12-02T14:00"));
  EXPECT_THAT(texts_of(next_rollouts(schedule, at("2026-11-30T03:00"), 1)), ElementsAre("2026-12-02T14:00"));
  EXPECT_THAT(next_rollouts(schedule, at("2026-11-30T03:00"), 0), IsEmpty());
  EXPECT_THAT(next_rollouts(schedule, at("2026-12-09T14:00"), 7), IsEmpty());
  EXPECT_THAT(next_rollouts(Schedule(), at(kNow), 7), IsEmpty());
}

TEST(NextRollouts, begin_with_the_start) {
  const auto schedule = windows("0 2 * * ? * 60", R"(,"startTime":"2026-12-01T02:30")");
  EXPECT_THAT(texts_of(next_rollouts(schedule, at(kNow), 3)),
              ElementsAre("2026-12-01T02:30", "2026-12-02T02:00", "2026-12-03T02:00"));
}

TEST(NextRollouts, windows_that_open_together_count_once) {
  const auto schedule = windows("0 2 * * ? * 60; 0 2,3 * * ? * 60");
  EXPECT_THAT(texts_of(next_rollouts(schedule, at("2026-12-01T02:05"), 3)),
              ElementsAre("2026-12-01T02:00", "2026-12-01T03:00", "2026-12-02T02:00"));
}

}  // namespace
}  // namespace muster::jobs
