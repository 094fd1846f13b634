// SPDX-License-Identifier: Apache-2.0
// What the embedded engine can do on this disk and CPU: durable commits a second, CPU and syncs per commit, latency.
//   store_bench [DIRECTORY [RECORDS [SECONDS]]]
// J: read-modify-write of one 300 B record with two index entries and a counter (the workload of design/storage).
// O: the same as T while an outbox hands the messages over and deletes them.
// T: a job execution's transition: two reads, record, three index moves, two counters, two queue entries, a timer.
#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <mutex>
#include <random>

#include "base/text.h"
#include "io/env.h"
#include "store/embedded_engine.h"
#include "store/keys.h"
#include "store/outbox.h"
#include "store/schema.h"
#include "store/timers.h"

namespace muster::store {
namespace {

using Clock = std::chrono::steady_clock;

std::string thing(int n) {
  return "thing-" + std::to_string(n);
}
std::string record(int n) {
  return Key(table::kExecution).text(thing(n)).text("job").descending(1).str();
}
std::string value(std::mt19937& random) {
  std::string text(300, ' ');
  for (auto& c : text) c = static_cast<char>('a' + random() % 26);
  return text;
}

Status workload_j(Tx& tx, int n, std::mt19937& random) {
  auto old = tx.get(record(n));
  if (!old) return not_found("record");
  const char from = old->front(), to = static_cast<char>('a' + random() % 4);
  old->front() = to;
  tx.put(record(n), *old);
  tx.erase(Key(table::kJobStatusExecution).text("job").text(std::string(1, from)).text(thing(n)).integer(1));
  tx.put(Key(table::kJobStatusExecution).text("job").text(std::string(1, to)).text(thing(n)).integer(1), "");
  tx.add(Key(table::kJobCount).text("job").text(std::string(1, to)), 1);
  return {};
}

Status workload_t(Tx& tx, int n, std::mt19937& random) {
  if (!tx.get(Key(table::kJob).text("job"))) return not_found("job");
  TRY_VOID(workload_j(tx, n, random));
  tx.put(Key(table::kJobExecution).text("job").text(thing(n)).descending(1), "SUCCEEDED");
  tx.erase(Key(table::kPending).text(thing(n)).text("I").integer(1).text("job").integer(1));
  tx.put(Key(table::kPending).text(thing(n)).text("I").integer(2).text("job").integer(1), "");
  tx.add(Key(table::kJobCount).text("job").text("from"), -1);
  enqueue(tx, {.topic = "$aws/things/" + thing(n) + "/jobs/notify", .payload = std::string(120, 'n')});
  enqueue(tx, {.topic = "$aws/things/" + thing(n) + "/jobs/notify-next", .payload = std::string(250, 'n')});
  arm(tx, "execution", thing(n), tx.now_ms() + 3'600'000 + static_cast<std::int64_t>(random() % 1000));
  return {};
}

double cpu_seconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

struct InFlight {
  std::mutex mutex;
  std::condition_variable changed;
  std::size_t count = 0;
  std::vector<double> milliseconds;
  void begin(std::size_t bound) {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return count < bound; });
    ++count;
  }
  void end(Clock::time_point began) {
    const double took = std::chrono::duration<double, std::milli>(Clock::now() - began).count();
    const std::lock_guard lock(mutex);
    milliseconds.push_back(took);
    // Half the window at once, so that the driver's wake-ups do not dominate.
    if (--count == 0 || count % 16 == 0) changed.notify_one();
  }
};

template <class Work>
void measure(Store& store, const char* name, std::size_t bound, int records, double seconds, Work work) {
  InFlight flight;
  std::mt19937 random(static_cast<unsigned>(bound));
  const auto before = store.stats();
  const double cpu = cpu_seconds();
  const auto begin = Clock::now();
  const auto until = begin + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
  while (Clock::now() < until) {
    flight.begin(bound);
    const int n = static_cast<int>(random() % static_cast<unsigned>(records));
    store.run([&, n](Tx& tx) { return work(tx, n, random); },
              [&flight, began = Clock::now()](const Status& status) {
                if (!status) std::fprintf(stderr, "failed: %s\n", status.error().message.c_str());
                flight.end(began);
              });
  }
  store.flush();
  const double elapsed = std::chrono::duration<double>(Clock::now() - begin).count();
  const double used = cpu_seconds() - cpu;
  const auto after = store.stats();
  const double commits = static_cast<double>(after.commits - before.commits);
  const double syncs = static_cast<double>(after.syncs - before.syncs);
  auto& ms = flight.milliseconds;
  std::sort(ms.begin(), ms.end());
  std::printf(
      "%s %4zu in flight: %7.0f commits/s  %5.1f us CPU/commit  %6.0f syncs/s  %5.1f commits/sync  "
      "%4.0f us/sync  p50 %.2f ms  p99 %.2f ms  conflicts %llu\n",
      name, bound, commits / elapsed, used * 1e6 / commits, syncs / elapsed, commits / std::max(1.0, syncs),
      static_cast<double>(after.sync_microseconds - before.sync_microseconds) / std::max(1.0, syncs), ms[ms.size() / 2],
      ms[ms.size() * 99 / 100], static_cast<unsigned long long>(after.conflicts - before.conflicts));
  std::fflush(stdout);
}

void load(Store& store, int records) {
  constexpr int kEach = 1000;
  std::mt19937 random(1);
  for (int at = 0; at < records; at += kEach) {
    const Status status = run_blocking(store, [&](Tx& tx) -> Status {
      tx.put(Key(table::kJob).text("job"), value(random));
      for (int n = at; n < std::min(records, at + kEach); ++n) tx.put(record(n), value(random));
      return {};
    });
    if (!status) std::fprintf(stderr, "load: %s\n", status.error().message.c_str());
  }
}

}  // namespace
}  // namespace muster::store

int main(int argc, char** argv) {
  using namespace muster::store;
  const std::string directory = argc > 1 ? argv[1] : "/tmp/store_bench." + std::to_string(::getpid());
  const int records = argc > 2 ? std::atoi(argv[2]) : 100'000;
  const double seconds = argc > 3 ? std::atof(argv[3]) : 2;
  const muster::io::SystemClock clock;
  {
    auto store = open_embedded_store({.directory = directory, .clock = &clock});
    if (!store) {
      std::fprintf(stderr, "%s\n", store.error().message.c_str());
      return 1;
    }
    load(**store, std::max(records, 1));
    for (const std::size_t bound : {1, 8, 64, 512}) measure(**store, "J", bound, records, seconds, workload_j);
    for (const std::size_t bound : {1, 8, 64, 512}) measure(**store, "T", bound, records, seconds, workload_t);
    std::size_t messages = 0;
    Outbox outbox(**store, [&](std::vector<OutboxMessage> batch, const std::function<void()>& handled) {
      messages += batch.size();
      handled();
    });
    outbox.drain();
    for (const std::size_t bound : {8, 64, 512}) {
      const auto before = messages;
      measure(**store, "O", bound, records, seconds, [&](Tx& tx, int n, std::mt19937& random) {
        outbox.wake();
        return workload_t(tx, n, random);
      });
      const auto begin = Clock::now();
      outbox.drain();
      std::printf("  %zu messages, the rest drained in %.0f ms\n", messages - before,
                  std::chrono::duration<double, std::milli>(Clock::now() - begin).count());
    }
  }
  std::error_code error;
  std::filesystem::remove_all(directory, error);
  return 0;
}
