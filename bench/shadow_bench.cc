// SPDX-License-Identifier: Apache-2.0
// Shadow updates a second: what the domain costs alone (memory engine), and durable ones on this disk (embedded engine,
// 256 under way). Each update is parsed, merged into one of 10,000 shadows and written, as a device's publish is; heard
// by nobody, or by somebody who wants accepted, delta and documents.
//   shadow_bench [DIRECTORY [SECONDS]]
#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <mutex>

#include "domain/shadows/shadows.h"
#include "io/env.h"
#include "store/embedded_engine.h"
#include "store/memory_engine.h"
#include "store/outbox.h"

namespace muster::shadows {
namespace {

using Clock = std::chrono::steady_clock;
constexpr int kShadows = 10'000;
constexpr std::size_t kUnderWay = 256;

double cpu_seconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

// `properties` that stay as they are, one that changes, and one that is desired otherwise.
std::string payload(int properties, std::uint64_t n) {
  std::string text = R"({"state":{"desired":{"mode":"eco"},"reported":{"mode":"full","count":)" + std::to_string(n);
  for (int i = 0; i < properties; ++i) text += ",\"property" + std::to_string(i) + "\":\"value of it\"";
  return text + R"(}},"clientToken":"device-1"})";
}

Status update(store::Tx& tx, int shadow, const std::string& text, const Wanted& wanted) {
  TRY(auto body, parse_update_body(text));
  TRY(const Token token, client_token(body));
  TRY(const auto change, read_update(std::move(body)));
  TRY_VOID(update_shadow(tx, {"thing-" + std::to_string(shadow), ""}, change, token, wanted));
  return {};
}

void measure(store::Store& store, const char* engine, int properties, bool heard, double seconds) {
  std::mutex mutex;
  std::condition_variable changed;
  std::size_t under_way = 0;
  std::uint64_t n = 0;
  const Wanted wanted = [heard](std::string_view) { return heard; };
  const double cpu = cpu_seconds();
  const auto begin = Clock::now();
  while (std::chrono::duration<double>(Clock::now() - begin).count() < seconds) {
    {
      std::unique_lock lock(mutex);
      changed.wait(lock, [&] { return under_way < kUnderWay; });
      ++under_way;
    }
    ++n;
    const std::string text = payload(properties, n);
    store.run([&wanted, n, text](store::Tx& tx) { return update(tx, static_cast<int>(n % kShadows), text, wanted); },
              [&](const Status& status) {
                if (!status) std::fprintf(stderr, "failed: %s\n", status.error().message.c_str());
                const std::lock_guard lock(mutex);
                --under_way;
                changed.notify_one();
              });
  }
  {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return under_way == 0; });
  }
  const double elapsed = std::chrono::duration<double>(Clock::now() - begin).count();
  const double count = static_cast<double>(n);
  std::printf("%-9s %3d properties, %-15s %8.0f updates/s  %6.1f us CPU/update\n", engine, properties + 2,
              heard ? "3 messages:" : "nobody hears:", count / elapsed, (cpu_seconds() - cpu) / count * 1e6);
}

void run(const std::string& directory, double seconds) {
  io::SystemClock clock;
  for (const int properties : {3, 100}) {
    for (const bool heard : {false, true}) {
      const auto memory = store::make_memory_store(clock);
      measure(*memory, "memory", properties, heard, seconds);
      std::filesystem::remove_all(directory);
      auto embedded = store::open_embedded_store({.directory = directory, .clock = &clock});
      if (!embedded) {
        std::fprintf(stderr, "%s\n", embedded.error().message.c_str());
        std::exit(1);
      }
      store::Outbox outbox(**embedded, [](auto, auto handled) { handled(); });
      measure(**embedded, "embedded", properties, heard, seconds);
      outbox.drain();
    }
  }
  std::filesystem::remove_all(directory);
}

}  // namespace
}  // namespace muster::shadows

int main(int argc, char** argv) {
  const std::string directory = argc > 1 ? argv[1] : "/tmp/muster-shadow-bench-" + std::to_string(::getpid());
  muster::shadows::run(directory, argc > 2 ? std::atof(argv[2]) : 3.0);
  return 0;
}
