// SPDX-License-Identifier: Apache-2.0
#include "server/job_watch.h"

#include <gtest/gtest.h>

#include "server/terminal.h"

namespace muster::server {
namespace {

json::object progress(std::int64_t queued, std::int64_t succeeded, std::int64_t failed) {
  return {{"jobId", "up"},
          {"status", "IN_PROGRESS"},
          {"targetSelection", "SNAPSHOT"},
          {"rolledOut", false},
          {"fleet", 100},
          {"executions", queued + succeeded + failed},
          {"counts", json::object{{"QUEUED", queued}, {"SUCCEEDED", succeeded}, {"FAILED", failed}}},
          {"now", "2026-11-25T10:00:00Z"},
          {"ratePerMinute", 60},
          {"releasedLastMinute", 42},
          {"rolledOutBy", "2026-11-25T10:05:00Z"},
          {"waitSentence", "Job up is rolled out at 60 executions a minute."},
          {"failureReasons",
           json::array{json::object{{"status", "FAILED"}, {"reason", "disk\x1b[2J full"}, {"count", failed}}}}};
}

TEST(EndedRate, IsOfTheLastMinute) {
  EndedRate rate;
  EXPECT_EQ(rate.per_minute(), 0);
  rate.add(0, 0);
  EXPECT_EQ(rate.per_minute(), 0);
  rate.add(30'000, 10);
  EXPECT_EQ(rate.per_minute(), 20);
  for (std::int64_t s = 31; s <= 120; ++s) rate.add(s * 1000, 10);
  EXPECT_EQ(rate.per_minute(), 0);
  rate.add(60'000, 10);  // the server's clock was set back
  EXPECT_EQ(rate.per_minute(), 0);
}

TEST(JobWatch, ALineHasEverything) {
  EndedRate rate;
  rate.add(0, 0);
  rate.add(60'000, 30);
  EXPECT_EQ(
      watch_line(progress(20, 25, 5), rate),
      "2026-11-25T10:00:00Z  up  IN_PROGRESS  30% 30/100  QUEUED 20  SUCCEEDED 25  FAILED 5  30/min  ETA 00:02:20  "
      "failures: 5 FAILED: disk\\x1b[2J full  | Job up is rolled out at 60 executions a minute.\n");
}

TEST(JobWatch, WithoutARateItTellsWhenAllIsQueued) {
  EXPECT_NE(watch_line(progress(20, 0, 0), {}).find("all queued by 2026-11-25T10:05:00Z"), std::string::npos);
}

TEST(JobWatch, WhatWaitsForSomebodyHasNoTime) {
  json::object held = progress(20, 0, 0);
  held["waitCode"] = "job.waits.gate";
  EXPECT_NE(watch_line(held, {}).find("waits for somebody"), std::string::npos);
  EXPECT_EQ(watch_line(held, {}).find("all queued by"), std::string::npos);
}

TEST(JobWatch, ABlockFitsTheTerminal) {
  const std::string block = watch_block(progress(20, 25, 5), {}, 40);
  std::size_t lines = 0, begin = 0;
  for (std::size_t end = block.find('\n'); end != std::string::npos; begin = end + 1, end = block.find('\n', begin)) {
    EXPECT_LE(width_of(std::string_view(block).substr(begin, end - begin)), 40u);
    ++lines;
  }
  EXPECT_EQ(lines, 7u);  // the sentence takes two
  EXPECT_NE(block.find("[#########....................."), std::string::npos) << block;
  EXPECT_EQ(block.find('\x1b'), std::string::npos);
}

TEST(JobWatch, AnEmptyAnswerIsShownAndNothingIsDividedByZero) {
  EXPECT_NE(watch_block({}, {}, 80).find("0% 0/0"), std::string::npos);
  EXPECT_NE(watch_line({}, {}).find("no executions yet"), std::string::npos);
}

TEST(JobWatch, AnEndedJobCountsOnlyWhatItMade) {
  json::object ended = progress(0, 10, 0);
  ended["status"] = "CANCELED";
  EXPECT_NE(watch_line(ended, {}).find("100% 10/10"), std::string::npos);
  EXPECT_NE(watch_line(ended, {}).find("ended"), std::string::npos);
}

}  // namespace
}  // namespace muster::server
