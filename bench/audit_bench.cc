// SPDX-License-Identifier: Apache-2.0
// What recording costs: CPU and time per event, as reads (in the file) and as changes (on disk), with 1 to 256 callers
// that wait for theirs; then what verification and a search over the log take.
//   audit_bench [DIRECTORY [SECONDS]]
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <mutex>
#include <string>

#include "domain/audit/event.h"
#include "domain/audit/log.h"
#include "domain/audit/search.h"
#include "domain/audit/segments.h"
#include "domain/audit/verify.h"
#include "process_cpu.h"

namespace muster::audit {
namespace {

using Clock = std::chrono::steady_clock;

Event sample(int n) {
  Event event;
  event.time_ms = 1'700'000'000'000 + n;
  event.id = "11111111-2222-4333-8444-555555555555";
  event.request_id = event.id;
  event.source = "iot.amazonaws.com";
  event.name = "CreateThing";
  event.who = {"IAMUser",
               "AIDAIOSFODNN7EXAMPLE",
               "arn:aws:iam::123456789012:user/ann",
               "123456789012",
               "AKIAIOSFODNN7EXAMPLE",
               "ann",
               "",
               "",
               ""};
  event.region = "eu-west-1";
  event.account_id = "123456789012";
  event.address = "192.0.2.7";
  event.user_agent = "Boto3/1.26 Python/3.11 Linux/6.1 Botocore/1.29";
  event.parameters = R"({"thingName":"thing-)" + std::to_string(n) + R"("})";
  event.resources = {{"AWS::IoT::Thing", "arn:aws:iot:eu-west-1:123456789012:thing/thing-" + std::to_string(n)}};
  return event;
}

// As many callers as `most`, each with one event under way.
void run(Log& log, bool durable, int most, double seconds) {
  std::mutex mutex;
  std::condition_variable there;
  int under_way = 0, count = 0;
  const std::uint64_t syncs = log.syncs();
  const double cpu = bench::own_cpu();
  const auto begin = Clock::now(),
             end = begin + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
  while (Clock::now() < end) {
    {
      std::unique_lock lock(mutex);
      there.wait(lock, [&] { return under_way < most; });
      ++under_way;
    }
    log.append(to_text(sample(count++)), durable, [&](Status status) {
      if (!status) std::exit(1);
      const std::lock_guard lock(mutex);
      --under_way;
      there.notify_one();
    });
  }
  std::unique_lock lock(mutex);
  there.wait(lock, [&] { return under_way == 0; });
  const double took = std::chrono::duration<double>(Clock::now() - begin).count();
  std::printf(R"({"what":"%s","callers":%d,"events_per_second":%.0f,"cpu_us_per_event":%.2f,"syncs":%llu})"
              "\n",
              durable ? "change" : "read", most, count / took, (bench::own_cpu() - cpu) * 1e6 / count,
              static_cast<unsigned long long>(log.syncs() - syncs));
}

int main(const std::string& root, double seconds) {
  std::filesystem::create_directories(root);
  const io::SystemClock clock;
  LogOptions options;
  options.files = {root + "/audit", root + "/key.pem", root + "/public.pem", root + "/head.json"};
  auto log = Log::open(options, clock);
  if (!log) return std::fprintf(stderr, "%s\n", log.error().message.c_str()), 1;
  for (const bool durable : {false, true}) {
    for (const int callers : {1, 16, 256}) run(**log, durable, callers, seconds);
  }
  log->reset();
  VerifyInput input;
  std::uint64_t bytes = 0;
  for (const Segment& segment : *list_segments(options.files.directory)) {
    input.files.push_back(segment.path);
    bytes += segment.bytes;
  }
  auto begin = Clock::now();
  const auto verified = verify_log(input);
  double took = std::chrono::duration<double>(Clock::now() - begin).count();
  if (!verified) return std::fprintf(stderr, "%s\n", verified.error().message.c_str()), 1;
  std::printf(R"({"what":"verify","events":%llu,"bytes":%llu,"seconds":%.3f})"
              "\n",
              static_cast<unsigned long long>(verified->events), static_cast<unsigned long long>(bytes), took);
  Filter filter;
  filter.event_name = "DeleteThing";  // nothing: the whole page is read
  begin = Clock::now();
  const auto page = search(options.files.directory, filter, kNewest, {});
  took = std::chrono::duration<double>(Clock::now() - begin).count();
  std::printf(R"({"what":"search of a page of 64 MiB","seconds":%.3f,"more":%s})"
              "\n",
              took, page && page->next ? "true" : "false");
  return 0;
}

}  // namespace
}  // namespace muster::audit

int main(int argc, char** argv) {
  return muster::audit::main(argc > 1 ? argv[1] : "/tmp/audit-bench", argc > 2 ? std::atof(argv[2]) : 3);
}
