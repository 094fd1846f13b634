// SPDX-License-Identifier: Apache-2.0
#include "domain/audit/log.h"

#include <gmock/gmock.h>
#include <sys/stat.h>

#include <atomic>
#include <thread>

#include "base/text.h"
#include "domain/audit/test_log.h"

namespace muster::audit {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

TEST_F(AuditFolder, WhatIsAppendedIsThereInOrderAndVerifies) {
  auto log = open();
  Answers answers;
  for (int i = 0; i < 200; ++i) {
    log->append(to_text(event("Op" + std::to_string(i))), i % 2 == 0, answers.one());
  }
  EXPECT_EQ(answers.good(), 200);
  EXPECT_EQ(log->events(), 200u);
  EXPECT_LT(log->syncs(), 100u);  // those who wait share syncs
  log.reset();
  const auto verified = verify();
  ASSERT_TRUE(verified) << verified.error().message;
  EXPECT_EQ(verified->events, 200u);
  EXPECT_EQ(verified->seals, 2u);  // at the start and at the end
  EXPECT_EQ(verified->sealed, verified->last.sequence);
  EXPECT_THAT(verified->remarks, IsEmpty());
  const std::string text = all();
  EXPECT_LT(text.find("\"Op9\""), text.find("\"Op10\""));
}

TEST_F(AuditFolder, DurableMeansOnDiskWhenItIsAnswered) {
  auto log = open();
  put(*log, "CreateThing");
  EXPECT_THAT(all(), HasSubstr("CreateThing"));
  EXPECT_GE(log->syncs(), 2u);
}

TEST_F(AuditFolder, WhoFindsTheFileFreeWritesItsLineItself) {
  auto log = open();
  put(*log, "First");  // space is set aside
  int at_once = 0;
  for (int i = 0; i < 50; ++i) {
    Answers answers;
    const std::thread::id here = std::this_thread::get_id();
    std::thread::id told;
    const std::string name = "Read" + std::to_string(i);
    log->append(to_text(event(name)), false, [&, done = answers.one()](Status status) {
      told = std::this_thread::get_id();
      done(status);
    });
    EXPECT_EQ(answers.good(), 1);
    EXPECT_THAT(all(), HasSubstr('"' + name + '"'));
    at_once += told == here;
  }
  EXPECT_GT(at_once, 0);
  log.reset();
  const auto verified = verify();
  ASSERT_TRUE(verified) << verified.error().message;
  EXPECT_EQ(verified->events, 51u);
}

TEST_F(AuditFolder, ManyThreadsThatReadAndChangeMakeOneChain) {
  options.segment_bytes = 64 * 1024;
  auto log = open();
  Answers answers;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 300; ++i) {
        log->append(to_text(event("T" + std::to_string(t) + "-" + std::to_string(i))), i % 10 == 0, answers.one());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(answers.good(), 1200);
  log.reset();
  const auto verified = verify();
  ASSERT_TRUE(verified) << verified.error().message;
  EXPECT_EQ(verified->events, 1200u);
  EXPECT_GT(files().size(), 1u);
}

TEST_F(AuditFolder, FilesAreTheOwnersOnly) {
  open();
  for (const auto& [path, mode] : {std::pair{options.files.directory, 0700},
                                   {options.files.key, 0600},
                                   {options.files.head, 0600},
                                   {files().front(), 0600}}) {
    struct stat about {};
    ASSERT_EQ(::stat(path.c_str(), &about), 0);
    EXPECT_EQ(about.st_mode & 0777, static_cast<unsigned>(mode)) << path;
  }
}

TEST_F(AuditFolder, GoesOnWhereItEnded) {
  { put(*open(), "A"); }
  { put(*open(), "B"); }
  const auto verified = verify();
  ASSERT_TRUE(verified) << verified.error().message;
  EXPECT_EQ(verified->events, 2u);
  EXPECT_EQ(verified->first.sequence, 1u);
  EXPECT_EQ(files().size(), 1u);
}

TEST_F(AuditFolder, SegmentsEndBySizeAndByDayAndTheChainGoesThrough) {
  options.segment_bytes = 4096;
  {
    auto log = open();
    for (int i = 0; i < 30; ++i) put(*log, "Op" + std::to_string(i));
    EXPECT_GT(files().size(), 3u);
    const std::size_t before = files().size();
    clock.advance_ms(86'400'000);
    put(*log, "NextDay");
    EXPECT_EQ(files().size(), before + 1);
  }
  const auto verified = verify();
  ASSERT_TRUE(verified) << verified.error().message;
  EXPECT_EQ(verified->events, 31u);
}

TEST_F(AuditFolder, OldSegmentsGoWholeAndTheRestStillVerifies) {
  options.segment_bytes = 2048;
  options.keep_days = 2;
  {
    auto log = open();
    for (int day = 0; day < 6; ++day) {
      for (int i = 0; i < 3; ++i) put(*log, "Day" + std::to_string(day));
      clock.advance_ms(86'400'000);
    }
    put(*log, "Last");
  }
  EXPECT_THAT(all(), testing::Not(HasSubstr("\"Day0\"")));
  EXPECT_THAT(all(), HasSubstr("\"Day4\""));
  auto verified = verify();
  ASSERT_TRUE(verified) << verified.error().message;
  EXPECT_GT(verified->first.sequence, 1u);
  { put(*open(), "Again"); }
  EXPECT_EQ(why(), "");
  // One more removed by hand is missed.
  std::filesystem::remove(files().front());
  EXPECT_THAT(why(), HasSubstr("the log begins with line"));
}

TEST_F(AuditFolder, TooManyBytesGoToo) {
  options.segment_bytes = 2048;
  options.keep_bytes = 8192;
  {
    auto log = open();
    for (int i = 0; i < 100; ++i) put(*log, "Op" + std::to_string(i));
  }
  EXPECT_LE(all().size(), 8192u + 3 * 2048u);
  EXPECT_EQ(why(), "");
}

TEST_F(AuditFolder, SealsComeEachMinuteInWhichSomethingWasRecorded) {
  auto log = open();
  put(*log, "A");
  clock.advance_ms(61'000);
  put(*log, "B");  // wakes the writer, who sees that a minute is over
  EXPECT_TRUE(log->seal());
  EXPECT_TRUE(log->seal());
  const auto verified = verify();
  ASSERT_TRUE(verified) << verified.error().message;
  EXPECT_GE(verified->seals, 3u);
  EXPECT_EQ(verified->sealed, verified->last.sequence);
}

TEST_F(AuditFolder, AnUnfinishedLineIsCutOffAndNoted) {
  { put(*open(), "A"); }
  const std::string path = files().back(), whole = slurp(path), head = slurp(options.files.head);
  const std::string zeros(5000, '\0'), later = "\",\"x\":1}\n{\"seq\":98,\"prev\":\"00\"}\n";
  for (const std::string& tail : {std::string("{\"seq\":99,\"prev\":\"00"), zeros, std::string("x"), zeros + later,
                                  "{\"seq\":99,\"pre" + zeros + later}) {
    spill(path, whole + tail);
    { put(*open(), "B"); }
    const auto verified = verify();
    ASSERT_TRUE(verified) << verified.error().message;
    ASSERT_EQ(verified->remarks.size(), 1u);
    EXPECT_THAT(verified->remarks[0], HasSubstr("unfinished line"));
    EXPECT_EQ(verified->events, 2u);
    spill(path, whole);
    spill(options.files.head, head);
  }
}

TEST_F(AuditFolder, ZerosInPlaceOfLinesThatWereSealedAreDamage) {
  { put(*open(), "A"); }
  const std::string path = files().back();
  std::string bytes = slurp(path);
  const std::size_t at = bytes.find("\"eventName\":\"A\"");
  bytes.replace(at, 15, std::string(15, '\0'));
  spill(path, bytes);
  { put(*open(), "B"); }
  EXPECT_THAT(why(), HasSubstr("the server noted here"));
  EXPECT_FALSE(slurp(path + ".damaged").empty());
}

TEST_F(AuditFolder, ANewSegmentThatACrashLeftEmptyIsForgotten) {
  { put(*open(), "A"); }
  const auto last = verify()->last.sequence;
  spill(options.files.directory + "/" + segment_name(last + 1), "");
  { put(*open(), "B"); }
  EXPECT_EQ(why(), "");
  EXPECT_EQ(verify()->events, 2u);
}

TEST_F(AuditFolder, WhatIsNotOfTheChainIsKeptAsideAndVerificationFailsForGood) {
  { put(*open(), "A"); }
  const std::string path = files().back();
  std::string bytes = slurp(path);
  bytes.replace(bytes.find("\"eventName\":\"A\""), 15, "\"eventName\":\"Z\"");
  spill(path, bytes);
  EXPECT_NE(why(), "");
  { put(*open(), "B"); }
  EXPECT_THAT(why(), HasSubstr("the server noted here"));
  EXPECT_THAT(slurp(path + ".damaged"), HasSubstr("seal"));
}

TEST_F(AuditFolder, LinesCutOffBehindASealAreMissedAtTheNextStart) {
  { put(*open(), "A"); }
  const std::string path = files().back(), early = slurp(path);
  { put(*open(), "B"); }
  spill(path, early);
  EXPECT_THAT(why(), HasSubstr("what is behind was cut off"));
  { put(*open(), "C"); }
  EXPECT_THAT(why(), HasSubstr("but it had reached line"));
  std::filesystem::remove_all(options.files.directory);
  { put(*open(), "D"); }
  EXPECT_THAT(all(), HasSubstr("and is gone"));
  EXPECT_THAT(why(), HasSubstr("the log begins with line"));
}

TEST_F(AuditFolder, WithoutItsKeyALogIsNotGoneOnWith) {
  { put(*open(), "A"); }
  const std::string pem = slurp(options.files.key);
  std::filesystem::remove(options.files.key);
  EXPECT_FALSE(Log::open(options, clock));
  spill(options.files.key, Ed25519PrivateKey::generate().pem());
  EXPECT_FALSE(Log::open(options, clock));  // the head was signed with another
  spill(options.files.key, pem);
  EXPECT_TRUE(Log::open(options, clock));
  spill(options.files.head, "{}");
  EXPECT_FALSE(Log::open(options, clock));
}

TEST_F(AuditFolder, ASecondWriterIsRefused) {
  auto log = open();
  const auto second = Log::open(options, clock);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().kind, ErrorKind::kConflict);
  log.reset();
  EXPECT_TRUE(Log::open(options, clock));
}

TEST_F(AuditFolder, AHeadThatIsGoneIsNoted) {
  { put(*open(), "A"); }
  std::filesystem::remove(options.files.head);
  { put(*open(), "B"); }
  EXPECT_THAT(why(), HasSubstr("was gone"));
}

TEST_F(AuditFolder, WhileItCannotWriteChangesAreToldAndNothingIsForgotten) {
  std::atomic<bool> works{true};
  options.may_write = [&] { return works.load(); };
  auto log = open();
  put(*log, "Before");
  works = false;
  Answers answers;
  log->append(to_text(event("Half")), true, answers.one());
  EXPECT_EQ(answers.bad(), 1);
  EXPECT_TRUE(log->failing());
  EXPECT_FALSE(log->seal());
  log->append(to_text(event("Change")), true, answers.one());
  log->append(to_text(event("Read")), false, answers.one());
  EXPECT_EQ(answers.bad(), 2);
  EXPECT_EQ(answers.good(), 1);
  works = true;
  while (log->failing()) std::this_thread::yield();
  put(*log, "After");
  log.reset();
  const auto verified = verify();
  ASSERT_TRUE(verified) << verified.error().message;
  EXPECT_EQ(verified->events, 5u);
  EXPECT_THAT(verified->remarks, IsEmpty());
}

TEST_F(AuditFolder, ASyncThatFailsIsNoSuccess) {
  std::atomic<int> allowed{1'000'000};
  options.may_write = [&] { return allowed.fetch_sub(1) > 0; };
  auto log = open();
  put(*log, "Before");
  allowed = 1;  // the write, not the sync
  Answers answers;
  log->append(to_text(event("Change")), true, answers.one());
  EXPECT_EQ(answers.bad(), 1);
  allowed = 1'000'000;
  while (log->failing()) std::this_thread::yield();
  put(*log, "After");
  log.reset();
  EXPECT_EQ(why(), "");
  EXPECT_EQ(verify()->events, 3u);
}

TEST_F(AuditFolder, WhatWaitsInMemoryIsBoundedAndTheRestIsRefusedAndNoted) {
  std::atomic<bool> works{true};
  options.may_write = [&] { return works.load(); };
  options.max_waiting_bytes = 10'000;
  auto log = open();
  works = false;
  Answers answers;
  log->append(to_text(event("First")), true, answers.one());
  answers.wait();
  for (int i = 0; i < 100; ++i) log->append(to_text(event("Read")), false, answers.one());
  EXPECT_GT(answers.bad(), 50);
  EXPECT_GT(answers.good(), 5);
  works = true;
  while (log->failing()) std::this_thread::yield();
  EXPECT_TRUE(log->seal());  // and so what waited is in the file
  put(*log, "After");
  log.reset();
  const auto verified = verify();
  ASSERT_TRUE(verified) << verified.error().message;
  ASSERT_EQ(verified->remarks.size(), 1u);
  EXPECT_THAT(verified->remarks[0], HasSubstr("were refused and not recorded"));
}

TEST_F(AuditFolder, ManyThreadsMakeOneChain) {
  options.segment_bytes = 20'000;
  auto log = open();
  Answers answers;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 100; ++i) log->append(to_text(event("T" + std::to_string(t))), i % 3 == 0, answers.one());
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(answers.good(), 400);
  log.reset();
  EXPECT_EQ(why(), "");
  EXPECT_EQ(verify()->events, 400u);
}

}  // namespace
}  // namespace muster::audit
