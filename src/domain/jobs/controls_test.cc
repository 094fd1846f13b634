// SPDX-License-Identifier: Apache-2.0
#include "domain/jobs/controls.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace muster::jobs {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using Tags = std::map<std::string, std::string>;

std::string refusal(const Tags& tags) {
  const auto controls = controls_from_tags(tags);
  if (controls) return "accepted";
  EXPECT_EQ(controls.error().kind, ErrorKind::kInvalid);
  return controls.error().message;
}
std::string refusal(std::string_view key, std::string value) {
  return refusal(Tags{{std::string(key), std::move(value)}});
}
Controls read(const Tags& tags) {
  const auto controls = controls_from_tags(tags);
  EXPECT_TRUE(controls) << refusal(tags);
  return controls ? *controls : Controls();
}
std::string change(const Tags& before, const Tags& after, bool started) {
  const auto status = check_controls_change(read(before), read(after), started);
  if (status) return "accepted";
  EXPECT_EQ(status.error().kind, ErrorKind::kInvalid);
  return status.error().message;
}

TEST(Controls, without_reserved_tags_are_the_defaults) {
  EXPECT_EQ(read({}), Controls());
  EXPECT_EQ(read({{"team", "muster:pause"}, {"muster", "x"}, {"", ""}, {"mustered:pause", "x"}}), Controls());
  EXPECT_TRUE(to_json(Controls()).empty());
}

TEST(Controls, are_read_from_reserved_tags) {
  const auto controls = read({{"muster:approval", "required"},
                              {"muster:pause", "true"},
                              {"muster:hold", "1:95 10:99.5  50"},
                              {"muster:continue", "2"},
                              {"muster:priority", "-99"},
                              {"muster:dry-run", "true"},
                              {"other", "x"}});
  EXPECT_EQ(controls.approval, Approval::kRequired);
  EXPECT_TRUE(controls.paused);
  EXPECT_THAT(controls.gates, ElementsAre(Gate{1, 95}, Gate{10, 99.5}, Gate{50, std::nullopt}));
  EXPECT_EQ(controls.gates_continued, 2u);
  EXPECT_EQ(controls.priority, -99);
  EXPECT_TRUE(controls.dry_run);
  EXPECT_EQ(read({{"muster:approval", "approved"}}).approval, Approval::kApproved);
  EXPECT_FALSE(read({{"muster:pause", "false"}}).paused);
  EXPECT_EQ(read({{"muster:hold", "5"}, {"muster:continue", "0"}}).gates_continued, 0u);
}

TEST(Controls, misspelt_keys_are_refused) {
  for (const auto key :
       {"muster:", "muster:paused", "muster:Pause", "Muster:pause", "MUSTER:pause", "muster:pause ", "muster::pause"}) {
    EXPECT_THAT(refusal(key, "true"), HasSubstr("Tag '" + std::string(key) + "' is not one that Muster knows")) << key;
  }
}

TEST(Controls, flags_are_true_or_false) {
  for (const auto key : {kPauseTag, kDryRunTag}) {
    for (const auto value : {"", "TRUE", "yes", "1", " true", "true "}) {
      EXPECT_EQ(refusal(key, value), "Value '" + std::string(value) + "' of tag '" + std::string(key) +
                                         "' is not valid: it must be \"true\" or \"false\".");
    }
  }
}

TEST(Controls, approval_is_required_or_approved) {
  for (const auto value : {"", "Required", "no", "true", "approved "}) {
    EXPECT_THAT(refusal(kApprovalTag, value), HasSubstr("\"required\" or \"approved\"")) << value;
  }
}

TEST(Controls, priority_is_a_small_whole_number_written_plainly) {
  for (const auto value : {"-99", "-1", "0", "7", "99"}) EXPECT_EQ(refusal(kPriorityTag, value), "accepted") << value;
  for (const auto value : {"", "100", "-100", "1.0", "+5", "007", "-0", " 1", "9999999999999999999999", "high"}) {
    EXPECT_THAT(refusal(kPriorityTag, value), HasSubstr("a whole number from -99 to 99")) << value;
  }
}

TEST(Controls, gates_rise_between_0_and_100) {
  for (const auto value : {"0.01", "99.99", "5", " 5 ", "1 2 3 4 5 6 7 8 9 10", "05", "1:100", "1:0.5"}) {
    EXPECT_EQ(refusal(kHoldTag, value), "accepted") << value;
  }
  for (const auto value :
       {"",      " ",    "0",     "0.00", "100", "100.0",    "5 5",   "10 5",  "1 2 3 4 5 6 7 8 9 10 11",
        "5%",    "-1",   "+1",    "1e1",  "0x5", "nan",      "inf",   "1.",    ".5",
        "1.234", "1,2",  "1:",    ":95",  "1:0", "1:100.01", "1:2:3", "1: 95", "1 :95",
        "0005",  "five", "1:95%", "1\t2"}) {
    EXPECT_THAT(refusal(kHoldTag, value), HasSubstr("it must be up to 10 percentages of the fleet")) << value;
  }
}

TEST(Controls, only_gates_that_exist_are_continued) {
  const auto with = [](std::string value) { return refusal({{"muster:hold", "5 10"}, {"muster:continue", value}}); };
  EXPECT_EQ(with("2"), "accepted");
  EXPECT_EQ(read({{"muster:hold", "5 10"}, {"muster:continue", "all"}}).gates_continued, 2u);
  for (const auto value : {"3", "-1", "", "ALL", "1.0", "01", "99999999999999999999"}) {
    EXPECT_THAT(with(value), HasSubstr("the number of gates of muster:hold to pass, or \"all\"; there are 2")) << value;
  }
  EXPECT_THAT(refusal(kContinueTag, "1"), HasSubstr("needs the tag 'muster:hold'"));
  EXPECT_THAT(refusal(kContinueTag, "all"), HasSubstr("needs the tag 'muster:hold'"));
}

TEST(Controls, long_values_are_cut_in_the_refusal) {
  const auto text = refusal(kHoldTag, std::string(255, 'a') + "\xC3\xA9\xC3\xA9");
  EXPECT_THAT(text, HasSubstr("'" + std::string(255, 'a') + "...'"));
}

TEST(Controls, survive_the_record) {
  auto controls = read({{"muster:approval", "approved"},
                        {"muster:pause", "true"},
                        {"muster:hold", "0.25:95 10:99.99 50"},
                        {"muster:continue", "all"},
                        {"muster:priority", "12"}});
  const auto parsed = parse_json(to_text(to_json(controls)));
  ASSERT_TRUE(parsed);
  EXPECT_EQ(controls_from_json(parsed->get_object()), controls);
  EXPECT_EQ(controls_from_json({}), Controls());
  const Controls required = read({{"muster:approval", "required"}});
  EXPECT_EQ(controls_from_json(to_json(required)), required);
  controls.dry_run = true;  // nothing that is stored was one
  EXPECT_FALSE(controls_from_json(to_json(controls)).dry_run);
}

TEST(Controls, hostile_records_stay_within_bounds) {
  const auto parsed = parse_json(R"({"continued":-5,"gates":[1,{"percent":5},null],"priority":"x","approval":7})");
  ASSERT_TRUE(parsed);
  const auto controls = controls_from_json(parsed->get_object());
  EXPECT_EQ(controls.gates_continued, 0u);
  EXPECT_THAT(controls.gates, ElementsAre(Gate{5, std::nullopt}));
  const auto beyond = parse_json(R"({"continued":9,"gates":[{"percent":5,"success":50}]})");
  EXPECT_EQ(controls_from_json(beyond->get_object()).gates_continued, 1u);
}

TEST(ControlsChange, priority_and_dry_run_are_fixed_at_creation) {
  for (const bool started : {false, true}) {
    EXPECT_THAT(change({}, {{"muster:priority", "1"}}, started), HasSubstr("cannot be changed"));
    EXPECT_THAT(change({{"muster:priority", "1"}}, {}, started), HasSubstr("cannot be changed"));
    EXPECT_EQ(change({}, {{"muster:priority", "0"}}, started), "accepted");
    EXPECT_THAT(change({}, {{"muster:dry-run", "true"}}, started), HasSubstr("only be given to CreateJob"));
  }
}

TEST(ControlsChange, approval_can_be_demanded_only_before_the_start) {
  EXPECT_EQ(change({}, {{"muster:approval", "required"}}, false), "accepted");
  EXPECT_EQ(change({{"muster:approval", "required"}}, {{"muster:approval", "approved"}}, false), "accepted");
  EXPECT_THAT(change({{"muster:approval", "required"}}, {}, false), HasSubstr("cannot be removed"));
  EXPECT_EQ(change({{"muster:approval", "approved"}}, {}, true), "accepted");
  EXPECT_THAT(change({}, {{"muster:approval", "required"}}, true), HasSubstr("the job has started"));
  EXPECT_THAT(change({{"muster:approval", "approved"}}, {{"muster:approval", "required"}}, true),
              HasSubstr("the job has started"));
}

TEST(ControlsChange, pause_is_free) {
  EXPECT_EQ(change({}, {{"muster:pause", "true"}}, true), "accepted");
  EXPECT_EQ(change({{"muster:pause", "true"}}, {}, true), "accepted");
}

TEST(ControlsChange, passed_gates_stay_once_the_job_has_started) {
  const Tags before{{"muster:hold", "5 10:99 50"}, {"muster:continue", "2"}};
  const auto to = [&](std::string hold, std::string passed) {
    return change(before, {{"muster:hold", std::move(hold)}, {"muster:continue", std::move(passed)}}, true);
  };
  EXPECT_EQ(to("5 10:99 50", "3"), "accepted");
  EXPECT_EQ(to("5 10:99 30 60", "2"), "accepted");
  EXPECT_EQ(to("5 10:99", "all"), "accepted");
  EXPECT_EQ(change(before, {}, true), "accepted");  // no gates any more: rolls on
  EXPECT_THAT(to("1 5 10:99 50", "2"), HasSubstr("have been passed"));
  EXPECT_THAT(to("5 10 50", "2"), HasSubstr("have been passed"));
  EXPECT_THAT(to("5", "1"), HasSubstr("have been passed"));
  EXPECT_THAT(to("5 10:99 50", "1"), HasSubstr("have been passed"));
  EXPECT_THAT(change(before, {{"muster:hold", "5 10:99 50"}}, true), HasSubstr("have been passed"));
  EXPECT_EQ(change(before, {{"muster:hold", "1 2"}}, false), "accepted");
  EXPECT_EQ(change({}, {{"muster:hold", "20"}}, true), "accepted");
}

}  // namespace
}  // namespace muster::jobs
