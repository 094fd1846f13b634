// SPDX-License-Identifier: Apache-2.0
// What only the embedded engine does: surviving kill -9 and a full disk, locking its directory, naming damage, bounding
// what waits for the disk, checkpoints. The common contract is in engines_test.
#include "store/embedded_engine.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <future>
#include <random>
#include <thread>

#include "base/crypto.h"
#include "store/crash/numbered.h"

namespace muster::store {
namespace {

namespace fs = std::filesystem;

class EmbeddedEngine : public testing::Test {
 protected:
  EmbeddedEngine() : directory_(testing::TempDir() + "muster-embedded-" + random_hex(8)) {}
  ~EmbeddedEngine() override {
    std::error_code error;
    fs::remove_all(directory_, error);
  }
  Result<std::unique_ptr<Store>> open(const std::string& directory) {
    return open_embedded_store({.directory = directory, .clock = &clock_});
  }
  std::unique_ptr<Store> open() {
    auto store = open(directory_);
    EXPECT_TRUE(store) << store.error().message;
    return store ? *std::move(store) : nullptr;
  }
  static Store::Body put(std::string key, std::string value) {
    return [=](Tx& tx) -> Status {
      tx.put(key, value);
      return {};
    };
  }

  io::VirtualClock clock_;
  const std::string directory_;
};

// The process of src/store/crash, and the lines that it wrote.
class Child {
 public:
  Child(const std::string& mode, const std::string& directory) {
    const std::string program = fs::read_symlink("/proc/self/exe").parent_path() / "store_crash_child";
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("pipe");
    pid_ = ::fork();
    if (pid_ == 0) {
      ::dup2(ends[1], STDOUT_FILENO);
      ::execl(program.c_str(), program.c_str(), mode.c_str(), directory.c_str(), nullptr);
      ::_exit(127);
    }
    ::close(ends[1]);
    from_ = ends[0];
  }
  ~Child() {
    if (pid_ > 0) end(true);
  }
  // Reads until `count` whole lines came, or the end.
  void read_lines(std::size_t count) {
    char buffer[4096];
    while (lines_.size() < count) {
      const auto bytes = ::read(from_, buffer, sizeof buffer);
      if (bytes <= 0) return;
      for (const char c : std::string_view(buffer, static_cast<std::size_t>(bytes))) {
        if (c != '\n') {
          partial_ += c;
        } else {
          lines_.push_back(std::exchange(partial_, {}));
        }
      }
    }
  }
  int end(bool kill) {
    if (kill) ::kill(pid_, SIGKILL);
    read_lines(std::numeric_limits<std::size_t>::max());
    int status = 0;
    ::waitpid(std::exchange(pid_, -1), &status, 0);
    ::close(from_);
    return status;
  }
  const std::vector<std::string>& lines() const { return lines_; }

 private:
  pid_t pid_ = -1;
  int from_ = -1;
  std::string partial_;
  std::vector<std::string> lines_;
};

TEST_F(EmbeddedEngine, nothing_acknowledged_is_lost_and_nothing_is_torn_by_kill_9) {
  std::mt19937 random(7);
  int acknowledged = 0;
  for (int round = 0; round < 15; ++round) {
    Child child("commit", directory_);
    child.read_lines(1 + random() % 3000);
    const int status = child.end(true);
    ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << "exit " << WEXITSTATUS(status);
    ASSERT_FALSE(child.lines().empty());
    for (const auto& line : child.lines()) {
      const auto number = parse_int(line);
      ASSERT_TRUE(number) << line;
      // In commit order; a restart goes on after what it found, which may be more than was acknowledged.
      ASSERT_GE(*number, acknowledged);
      acknowledged = static_cast<int>(*number) + 1;
    }
    if (round % 5 == 4) {
      auto store = open();
      ASSERT_TRUE(store);
      EXPECT_GE(numbered::next(*store), acknowledged);
      EXPECT_TRUE(numbered::check(*store));
    }
  }
  EXPECT_GT(acknowledged, 1000);
}

TEST_F(EmbeddedEngine, a_failing_disk_refuses_writes_loses_nothing_and_leaves_reads_alone) {
  Child child("fill", directory_);
  child.read_lines(std::numeric_limits<std::size_t>::max());
  const int status = child.end(false);
  ASSERT_TRUE(WIFEXITED(status));
  ASSERT_EQ(WEXITSTATUS(status), 0) << (child.lines().empty() ? "" : child.lines().back());
  int acknowledged = 0;
  bool refused = false;
  for (const auto& line : child.lines()) {
    refused = refused || line == "refused";
    if (const auto number = parse_int(line)) acknowledged = static_cast<int>(*number) + 1;
  }
  EXPECT_TRUE(refused);
  EXPECT_GT(acknowledged, 10);
  auto store = open();
  ASSERT_TRUE(store);
  EXPECT_GE(numbered::next(*store), acknowledged);
  EXPECT_TRUE(numbered::check(*store));
}

TEST_F(EmbeddedEngine, a_full_disk_that_gets_room_again_is_written_again) {
  Child child("full", directory_);
  const int status = child.end(false);
  ASSERT_TRUE(WIFEXITED(status));
  if (WEXITSTATUS(status) == 77) GTEST_SKIP() << "not allowed to mount a small file system here";
  EXPECT_EQ(WEXITSTATUS(status), 0);
  EXPECT_EQ(child.lines().back(), "resumed");
}

TEST_F(EmbeddedEngine, the_directory_is_private_and_locked) {
  auto store = open();
  struct stat info {};
  ASSERT_EQ(::stat(directory_.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0700U);
  const auto second = open(directory_);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().kind, ErrorKind::kUnavailable);
  EXPECT_NE(second.error().message.find("in use by another process"), std::string::npos) << second.error().message;
  store.reset();
  EXPECT_TRUE(open(directory_));
}

TEST_F(EmbeddedEngine, a_directory_that_cannot_be_made_is_named) {
  std::ofstream(directory_) << "a file";
  const auto store = open(directory_ + "/store");
  ASSERT_FALSE(store);
  EXPECT_NE(store.error().message.find(directory_), std::string::npos);
}

TEST_F(EmbeddedEngine, damage_is_named_and_not_papered_over) {
  {
    auto store = open();
    for (int i = 0; i < 2000; ++i) store->run(put(numbered::record(i), std::string(500, 'x')), [](const Status&) {});
  }
  // Opening again moves the log into table files.
  open();
  std::size_t damaged = 0;
  for (const auto& file : fs::directory_iterator(directory_)) {
    if (file.path().extension() != ".sst") continue;
    std::fstream bytes(file.path(), std::ios::in | std::ios::out | std::ios::binary);
    for (std::uintmax_t at = 0; at + 16 < fs::file_size(file.path()) && damaged < 64; at += 97, ++damaged) {
      bytes.seekp(static_cast<std::streamoff>(at));
      bytes << "damage";
    }
  }
  ASSERT_GT(damaged, 0U);
  auto store = open(directory_);
  if (!store) {
    EXPECT_EQ(store.error().kind, ErrorKind::kInternal);
    EXPECT_NE(store.error().message.find("damaged"), std::string::npos) << store.error().message;
    return;
  }
  int unreadable = 0;
  for (int i = 0; i < 2000; ++i) {
    std::optional<std::string> value;
    const Status status = run_blocking(**store, [&](Tx& tx) -> Status {
      value = tx.get(numbered::record(i));
      return {};
    });
    if (status) {
      EXPECT_EQ(value, std::string(500, 'x'));
    } else {
      EXPECT_EQ(status.error().kind, ErrorKind::kUnavailable);
      ++unreadable;
    }
  }
  EXPECT_GT(unreadable, 0);
}

TEST_F(EmbeddedEngine, a_store_whose_parts_are_missing_is_not_taken_for_a_new_one) {
  open();
  fs::remove(directory_ + "/CURRENT");
  const auto store = open(directory_);
  ASSERT_FALSE(store);
  EXPECT_NE(store.error().message.find(directory_), std::string::npos) << store.error().message;
}

TEST_F(EmbeddedEngine, what_waits_for_the_disk_is_bounded) {
  auto opened = open_embedded_store({.directory = directory_, .clock = &clock_, .max_pending_bytes = 1000});
  ASSERT_TRUE(opened);
  auto store = *std::move(opened);
  std::promise<void> flusher_is_held, go_on;
  auto gate = go_on.get_future();
  store->run(put("Hfirst", "x"), [&](const Status&) {
    flusher_is_held.set_value();
    gate.wait();
  });
  flusher_is_held.get_future().wait();
  // Nothing is written while the flusher is held: the next ones pile up to the bound, then are refused at once.
  int accepted = 0, throttled = 0;
  for (int i = 0; i < 50; ++i) {
    store->run(put("H" + std::to_string(i), std::string(100, 'x')), [&](const Status& status) {
      if (status) {
        ++accepted;
      } else {
        EXPECT_EQ(status.error().kind, ErrorKind::kThrottled);
        ++throttled;
      }
    });
  }
  EXPECT_GT(throttled, 30);
  EXPECT_EQ(accepted, 0);
  go_on.set_value();
  EXPECT_TRUE(store->flush());
  EXPECT_EQ(accepted + throttled, 50);
  EXPECT_TRUE(run_blocking(*store, put("Hlater", "x")));
}

TEST_F(EmbeddedEngine, a_reader_is_released_with_what_it_read) {
  auto store = open();
  std::promise<void> flusher_is_held, go_on;
  auto gate = go_on.get_future();
  store->run(put("Hfirst", "x"), [&](const Status&) {
    flusher_is_held.set_value();
    gate.wait();
  });
  flusher_is_held.get_future().wait();
  std::atomic<int> written = 0, undurable = 0, failed = 0, durable = 0;
  store->run(put("Hyoung", "x"), [&](const Status&) { ++written; });
  store->run([](Tx& tx) -> Status { return tx.get("Hyoung") ? Status{} : not_found("bug"); },
             [&](const Status& status) {
               EXPECT_TRUE(status);
               EXPECT_EQ(written, 1);
               ++undurable;
             });
  store->run(
      [](Tx& tx) -> Status {
        return tx.range({"Ha", "Hz"}).size() == 2 ? Status(invalid("two")) : Status{};
      },
      [&](const Status& status) {
        EXPECT_FALSE(status);
        ++failed;
      });
  store->run([](Tx& tx) -> Status { return tx.get("Hfirst") ? Status{} : not_found("bug"); },
             [&](const Status& status) {
               EXPECT_TRUE(status);
               ++durable;
             });
  EXPECT_EQ(written + undurable + failed, 0);
  EXPECT_EQ(durable, 1);
  go_on.set_value();
  EXPECT_TRUE(store->flush());
  EXPECT_EQ(written + undurable + failed, 3);
}

TEST_F(EmbeddedEngine, a_checkpoint_is_a_store_of_that_moment) {
  const std::string copy = directory_ + "-copy";
  auto store = open();
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(run_blocking(*store, [&](Tx& tx) { return numbered::write(tx, i, 10); }));
  ASSERT_TRUE(store->checkpoint(copy));
  ASSERT_TRUE(run_blocking(*store, [&](Tx& tx) { return numbered::write(tx, 100, 10); }));
  EXPECT_FALSE(store->checkpoint(copy));  // not empty
  auto restored = open(copy);
  ASSERT_TRUE(restored) << restored.error().message;
  EXPECT_EQ(numbered::next(**restored), 100);
  EXPECT_TRUE(numbered::check(**restored));
  EXPECT_TRUE(run_blocking(**restored, [&](Tx& tx) { return numbered::write(tx, 100, 10); }));
  restored->reset();
  fs::remove_all(copy);
}

TEST_F(EmbeddedEngine, commits_share_syncs) {
  auto store = open();
  const auto before = store->stats();
  for (int i = 0; i < 5000; ++i) store->run(put("H" + std::to_string(i), "x"), [](const Status&) {});
  ASSERT_TRUE(store->flush());
  const auto after = store->stats();
  EXPECT_EQ(after.commits - before.commits, 5000U);
  EXPECT_LT(after.syncs - before.syncs, 2500U);
  EXPECT_GT(after.syncs, before.syncs);
}

TEST_F(EmbeddedEngine, a_long_reader_does_not_stop_commits_and_sees_their_conflict) {
  auto store = open();
  int runs = 0;
  EXPECT_TRUE(run_blocking(*store, [&](Tx& tx) -> Status {
    const auto before = tx.range({"Ha", "Hz"}).size();
    if (runs++ == 0) {
      for (int i = 0; i < 3000; ++i) store->run(put("Hk" + std::to_string(i), "x"), [](const Status&) {});
      EXPECT_TRUE(store->flush());
    }
    tx.put("Jcount", std::to_string(before));
    return {};
  }));
  EXPECT_EQ(runs, 2);
}

}  // namespace
}  // namespace muster::store
