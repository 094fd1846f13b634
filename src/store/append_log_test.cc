// SPDX-License-Identifier: Apache-2.0
#include "store/append_log.h"

#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <mutex>

namespace muster::store {
namespace {

namespace fs = std::filesystem;

class AppendLogTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = fs::temp_directory_path() / "append-log-XXXXXX";
    options.directory = std::string(::mkdtemp(pattern.data())) + "/log";
  }
  void TearDown() override { fs::remove_all(fs::path(options.directory).parent_path()); }

  std::unique_ptr<AppendLog> open() {
    records.clear();
    auto log = AppendLog::open(options, [&](std::string_view record) { records.emplace_back(record); });
    EXPECT_TRUE(log.has_value());
    (*log)->on_durable([&](std::uint64_t position) {
      const std::lock_guard lock(mutex);
      durable = position;
      changed.notify_all();
    });
    durable = 0;
    return std::move(*log);
  }
  void wait_for(std::uint64_t position) {
    std::unique_lock lock(mutex);
    ASSERT_TRUE(changed.wait_for(lock, std::chrono::seconds(20), [&] { return durable >= position; }));
  }
  std::vector<fs::path> files() const {
    std::vector<fs::path> found;
    for (const auto& entry : fs::directory_iterator(options.directory)) found.push_back(entry.path());
    std::sort(found.begin(), found.end());
    return found;
  }

  AppendLogOptions options;
  std::vector<std::string> records;
  std::mutex mutex;
  std::condition_variable changed;
  std::uint64_t durable = 0;
};

TEST_F(AppendLogTest, WhatWasAppendedIsThereAfterwardsInOrder) {
  std::vector<std::string> all;
  for (int round = 0; round < 3; ++round) {
    auto log = open();
    EXPECT_EQ(records, all);
    std::uint64_t end = 0;
    for (int i = 0; i < 100; ++i) {
      all.push_back(std::to_string(round) + ":" + std::string(static_cast<std::size_t>(i) * 17, 'x'));
      end = log->append(all.back());
    }
    wait_for(end);
    EXPECT_EQ(log->pending_bytes(), 0U);
  }
  open();
  EXPECT_EQ(records, all);
}

TEST_F(AppendLogTest, ATornTailIsLeftOutWhereverItWasTorn) {
  {
    auto log = open();
    log->append("first");
    log->append("second");
    wait_for(log->append("third"));
  }
  const auto file = files().at(0);
  const auto whole = fs::file_size(file);
  const std::size_t last = 16 + 5;
  for (std::size_t cut = 1; cut <= last; ++cut) {
    fs::resize_file(file, whole - cut);
    auto log = open();
    EXPECT_EQ(records, (std::vector<std::string>{"first", "second"})) << cut;
    log.reset();
    for (const auto& other : files()) {
      if (other != file) fs::remove(other);
    }
  }
}

TEST_F(AppendLogTest, ADamagedRecordEndsItsFileAndLaterFilesAreRead) {
  options.segment_bytes = 40;
  {
    auto log = open();
    log->append(std::string(50, 'a'));
    wait_for(log->append(std::string(50, 'b')));
  }
  ASSERT_EQ(files().size(), 2U);
  std::fstream damaged(files()[0], std::ios::in | std::ios::out | std::ios::binary);
  damaged.seekp(30);
  damaged.put('X');
  damaged.close();
  open();
  EXPECT_EQ(records, std::vector<std::string>{std::string(50, 'b')});
}

TEST_F(AppendLogTest, BytesOfAnotherSegmentAreNotTaken) {
  {
    auto log = open();
    wait_for(log->append("old"));
  }
  fs::rename(files()[0], options.directory + "/00000000000000ff-0000.log");
  open();
  EXPECT_TRUE(records.empty());
}

TEST_F(AppendLogTest, SegmentsAreRemovedOnceTheOwnerSaysSo) {
  options.segment_bytes = 100;
  auto log = open();
  std::uint64_t end = 0;
  for (int i = 0; i < 10; ++i) end = log->append(std::string(100, 'x'));
  wait_for(end);
  EXPECT_EQ(files().size(), 10U);
  EXPECT_EQ(log->segment(), 11U);
  log->remove_before(9);
  wait_for(log->append("later"));
  EXPECT_EQ(files().size(), 3U);
  log.reset();
  open();
  EXPECT_EQ(records.size(), 3U);
  EXPECT_EQ(open()->first_segment(), 9U);
}

TEST_F(AppendLogTest, AFailingDiskDelaysAndLosesNothing) {
  std::atomic<int> failures{3};
  std::atomic<bool> limited{false};
  options.may_write = [&] { return !limited || --failures < 0; };
  auto log = open();
  wait_for(log->append("before"));
  limited = true;
  const std::uint64_t end = log->append("meanwhile");
  {
    std::unique_lock lock(mutex);
    EXPECT_FALSE(changed.wait_for(lock, std::chrono::milliseconds(50), [&] { return durable >= end; }));
  }
  EXPECT_TRUE(log->failing());
  wait_for(end);
  EXPECT_FALSE(log->failing());
  wait_for(log->append("after"));
  log.reset();
  open();
  EXPECT_EQ(records, (std::vector<std::string>{"before", "meanwhile", "after"}));
}

TEST_F(AppendLogTest, ADirectoryThatCannotBeMadeIsAnError) {
  options.directory = "/proc/no/such/place";
  EXPECT_FALSE(AppendLog::open(options, [](std::string_view) {}).has_value());
}

}  // namespace
}  // namespace muster::store
