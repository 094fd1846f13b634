// SPDX-License-Identifier: Apache-2.0
// The process that embedded_engine_test kills and starves. It reports on stdout what was acknowledged, one line each.
//   commit DIRECTORY   commits numbered transactions for ever, many in flight
//   fill DIRECTORY     commits until files may not grow any more, then shows what a failing disk does to the store
//   full DIRECTORY     the same on a small file system, mounted there for this process only, that then gets room again
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <condition_variable>
#include <csignal>
#include <mutex>

#include "io/env.h"
#include "store/crash/numbered.h"
#include "store/embedded_engine.h"

namespace muster::store {
namespace {

void say(const std::string& line) {
  const std::string text = line + "\n";
  if (::write(STDOUT_FILENO, text.data(), text.size()) != static_cast<ssize_t>(text.size())) ::_exit(3);
}

int commit_for_ever(Store& store) {
  constexpr int kInFlight = 64;
  std::mutex mutex;
  std::condition_variable changed;
  int in_flight = 0;
  for (int number = numbered::next(store);; ++number) {
    {
      std::unique_lock lock(mutex);
      changed.wait(lock, [&] { return in_flight < kInFlight; });
      ++in_flight;
    }
    store.run([number](Tx& tx) { return numbered::write(tx, number, 20); },
              [&, number](const Status& status) {
                if (!status) ::_exit(4);
                say(std::to_string(number));
                const std::lock_guard lock(mutex);
                --in_flight;
                changed.notify_one();
              });
  }
}

// Commits until it is refused; the number of the refused one, or -1 when what follows is not as promised.
int commit_until_refused(Store& store) {
  int number = numbered::next(store);
  Status status;
  for (; number < 3000; ++number) {
    status = run_blocking(store, [&](Tx& tx) { return numbered::write(tx, number, 30'000); });
    if (!status) break;
    say(std::to_string(number));
  }
  if (status || status.error().kind != ErrorKind::kUnavailable) return -1;
  // Reads go on and show exactly what was acknowledged; writes are refused; nothing pretends to be flushed.
  if (numbered::next(store) != number || !numbered::check(store)) return -1;
  status = run_blocking(store, [&](Tx& tx) { return numbered::write(tx, number, 1); });
  if (status || status.error().kind != ErrorKind::kUnavailable || store.flush()) return -1;
  say("refused");
  return number;
}

int fill(Store& store) {
  std::signal(SIGXFSZ, SIG_IGN);
  rlimit limit{};
  ::getrlimit(RLIMIT_FSIZE, &limit);
  limit.rlim_cur = 2 << 20;
  ::setrlimit(RLIMIT_FSIZE, &limit);
  return commit_until_refused(store) < 0 ? 5 : 0;
}

constexpr int kCannotMount = 77;

bool mount_small(const std::string& directory, const std::string& ballast) {
  if (::unshare(CLONE_NEWNS) != 0 || ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return false;
  if (::mkdir(directory.c_str(), 0700) != 0) return false;
  if (::mount("tmpfs", directory.c_str(), "tmpfs", 0, "size=120m") != 0) return false;
  const int file = ::open(ballast.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
  const bool made = file >= 0 && ::posix_fallocate(file, 0, 100 << 20) == 0;
  if (file >= 0) ::close(file);
  return made;
}

int full(const EmbeddedOptions& options, const std::string& ballast) {
  auto store = open_embedded_store(options);
  if (!store) return 2;
  const int number = commit_until_refused(**store);
  if (number < 0) return 5;
  if (::unlink(ballast.c_str()) != 0) return 6;
  bool resumed = false;
  for (int tries = 0; tries < 1000 && !resumed; ++tries) {  // RocksDB looks for room every five seconds
    resumed = run_blocking(**store, [&](Tx& tx) { return numbered::write(tx, number, 1); }).has_value();
    if (!resumed) ::poll(nullptr, 0, 20);
  }
  if (!resumed) return 7;
  say("resumed");
  store->reset();
  store = open_embedded_store(options);
  return store && numbered::next(**store) == number + 1 && numbered::check(**store) ? 0 : 8;
}

int run(const std::string& mode, const std::string& directory) {
  const io::SystemClock clock;
  EmbeddedOptions options{.directory = directory, .clock = &clock, .resume_every_ms = 50};
  if (mode == "full") {
    const std::string ballast = directory + "/ballast";
    if (!mount_small(directory, ballast)) return kCannotMount;
    options.directory = directory + "/store";
    return full(options, ballast);
  }
  auto store = open_embedded_store(options);
  if (!store) {
    say(store.error().message);
    return 2;
  }
  return mode == "fill" ? fill(**store) : commit_for_ever(**store);
}

}  // namespace
}  // namespace muster::store

int main(int argc, char** argv) {
  if (argc != 3) return 1;
  return muster::store::run(argv[1], argv[2]);
}
