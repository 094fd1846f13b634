// SPDX-License-Identifier: Apache-2.0
#include "domain/audit/trail.h"

#include <gmock/gmock.h>

#include <atomic>
#include <thread>

#include "domain/audit/test_log.h"

namespace muster::audit {
namespace {

using testing::HasSubstr;
using testing::Not;

class AuditTrail : public AuditFolder {
 protected:
  void make() { trail = std::make_unique<Trail>(open(), clock, TrailOptions{{"123456789012", "eu-west-1"}, false}); }
  std::unique_ptr<Trail> trail;
};

TEST_F(AuditTrail, FillsInWhatTheServerKnows) {
  make();
  Answers answers;
  Event bare;
  bare.name = "CreateThing";
  trail->record(std::move(bare), answers.one());
  EXPECT_EQ(answers.good(), 1);
  EXPECT_THAT(all(), HasSubstr(R"("awsRegion":"eu-west-1")"));
  EXPECT_THAT(all(), HasSubstr(R"("recipientAccountId":"123456789012")"));
  EXPECT_THAT(all(), HasSubstr(R"("eventTime":"2023-11-14T22:13:20Z")"));
  EXPECT_THAT(all(), Not(HasSubstr(R"("eventID":"")")));
}

TEST_F(AuditTrail, RepeatedDenialsBecomeOneRecordAndASummary) {
  make();
  Answers answers;
  for (int i = 0; i < 50; ++i) trail->record_denial(event("Denied"), answers.one());
  EXPECT_EQ(answers.good(), 50);
  EXPECT_EQ(trail->log().events(), 1u);
  clock.advance_ms(61'000);
  while (trail->log().events() < 2) std::this_thread::yield();  // the log's tick
  trail.reset();
  EXPECT_THAT(all(), HasSubstr(R"("repetitions":49)"));
  EXPECT_EQ(why(), "");
}

TEST_F(AuditTrail, WhatWasCountedIsRecordedAtTheEnd) {
  make();
  Answers answers;
  for (int i = 0; i < 3; ++i) trail->record_denial(event("Denied"), answers.one());
  answers.wait();
  trail.reset();
  EXPECT_THAT(all(), HasSubstr(R"("repetitions":2)"));
  EXPECT_EQ(why(), "");
}

TEST_F(AuditTrail, ChangesAreRefusedWhileNothingCanBeWritten) {
  std::atomic<bool> works{true};
  options.may_write = [&] { return works.load(); };
  make();
  EXPECT_TRUE(trail->may_change());
  works = false;
  Answers answers;
  trail->record(event("Change"), answers.one());
  EXPECT_EQ(answers.bad(), 1);
  ASSERT_FALSE(trail->may_change());
  EXPECT_EQ(trail->may_change().error().kind, ErrorKind::kUnavailable);
  works = true;
  while (!trail->may_change()) std::this_thread::yield();
  trail.reset();
  EXPECT_THAT(all(), HasSubstr("\"Change\""));
}

}  // namespace
}  // namespace muster::audit
