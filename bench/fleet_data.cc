// SPDX-License-Identifier: Apache-2.0
// Makes the data directory of a large fleet, quickly and truly: every record is written by the domain's own functions
// into the embedded store, in transactions of --batch things with several on their way to the disk. No server may run
// on the directory meanwhile. Prints one JSON line.
//   fleet_data things --dir D --things N [--group G] [--groups K] [--prefix P] [--attributes A] [--hierarchies H]
//       things P0..P(N-1) in group G, or in its child groups G-0..G-(K-1); with A attributes; and as G in the groups
//       G:2 to G:H of other hierarchies too
//   fleet_data list --dir D
//       ListThings in pages of 250, all of them to the end, all with an attribute, all where it begins with a prefix:
//       the longest page and the median in each tenth of the way
//   fleet_data compact --dir D
//       what the store takes on the disk before and after a compaction of everything
//   fleet_data jobs --dir D --job J --state queued|running|finished [--count C] [--group G] [--timeout-minutes M]
//       jobs J-0..J-(C-1) (just J without --count) on group G, each with an execution a member: QUEUED; or IN_PROGRESS,
//       which arms a timer each when the job has a timeout; or SUCCEEDED after IN_PROGRESS
#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <functional>
#include <map>
#include <mutex>
#include <random>
#include <string>
#include <vector>

#include "base/json.h"
#include "domain/iam/identities.h"
#include "domain/jobs/engine.h"
#include "domain/jobs/executions.h"
#include "domain/jobs/jobs.h"
#include "domain/registry/groups.h"
#include "domain/registry/things.h"
#include "io/env.h"
#include "process_cpu.h"
#include "store/embedded_engine.h"
#include "store/outbox.h"
#include "store/rocks.h"

namespace muster::bench {
namespace {

constexpr std::string_view kDocument =
    R"({"operation":"reboot","parameters":{"delay_s":5,"reason":"benchmark of a durable fleet operation"}})";
constexpr std::size_t kInFlight = 4;

struct Options {
  std::map<std::string, std::string> values{{"dir", ""},         {"things", "0"},         {"group", "fleet"},
                                            {"groups", "0"},     {"prefix", "thing-"},    {"job", ""},
                                            {"state", "queued"}, {"count", "0"},          {"timeout-minutes", "0"},
                                            {"batch", "1000"},   {"region", "us-east-1"}, {"attributes", "0"},
                                            {"hierarchies", "1"}};
  const std::string& text(const char* name) const { return values.at(name); }
  std::int64_t number(const char* name) const { return std::atoll(values.at(name).c_str()); }
  std::size_t batch() const { return static_cast<std::size_t>(std::max<std::int64_t>(1, number("batch"))); }
};

// Transactions one after the other, several of them waiting for the disk. The first error ends it.
class Writer {
 public:
  explicit Writer(store::Store& store) : store_(store) {}
  ~Writer() { (void)finish(); }

  Status write(store::Store::Body body) {
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [&] { return in_flight_ < kInFlight; });
      if (!failed_) return failed_;
      ++in_flight_;
    }
    store_.run(std::move(body), [this](const Status& status) {
      const std::lock_guard lock(mutex_);
      if (!status && failed_) failed_ = status;
      --in_flight_;
      changed_.notify_all();
    });
    return {};
  }
  Status finish() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return in_flight_ == 0; });
    return failed_;
  }

 private:
  store::Store& store_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::size_t in_flight_ = 0;
  Status failed_;
};

class Fleet {
 public:
  Fleet(store::Store& store, const io::Clock& clock, Realm realm, const Options& options)
      : store_(store), clock_(clock), realm_(std::move(realm)), options_(options) {
    jobs::Limits limits;
    limits.engine_batch = options.batch();
    context_ = jobs::make_context(realm_, {}, {}, limits);
  }

  Status make_things() {
    const std::int64_t things = options_.number("things");
    const auto batch = static_cast<std::int64_t>(options_.batch());
    TRY(const auto hierarchies, make_groups());
    Writer writer(store_);
    for (std::int64_t from = 0; from < things; from += batch) {
      TRY_VOID(writer.write([this, &hierarchies, from, to = std::min(things, from + batch)](store::Tx& tx) -> Status {
        registry::GroupsRead read;
        for (std::int64_t i = from; i < to; ++i) TRY_VOID(make_thing(tx, i, hierarchies, read));
        return {};
      }));
    }
    made_ = things;
    return writer.finish();
  }

  Status make_jobs() {
    // Nobody is connected, so every message is handled as soon as it is durable.
    store::Outbox outbox(store_, [](auto, const std::function<void()>& handled) { handled(); });
    const std::int64_t count = options_.number("count");
    for (std::int64_t i = 0; i < std::max<std::int64_t>(1, count); ++i) {
      const std::string job = options_.text("job") + (count == 0 ? "" : "-" + std::to_string(i));
      TRY_VOID(make_job(job, outbox));
    }
    outbox.drain();
    return {};
  }

  std::int64_t made() const { return made_; }

 private:
  using Hierarchies = std::vector<std::vector<std::string>>;  // the groups of each that get things

  Status make_thing(store::Tx& tx, std::int64_t number, const Hierarchies& hierarchies, registry::GroupsRead& read) {
    const std::string thing = options_.text("prefix") + std::to_string(number);
    TRY_VOID(registry::create_thing(tx, realm_, {thing, {}, attributes_of(number)}));
    std::vector<std::string> groups;
    for (const auto& hierarchy : hierarchies)
      groups.push_back(hierarchy[static_cast<std::size_t>(number) % hierarchy.size()]);
    TRY_VOID(registry::join_groups_of_new_thing(tx, thing, groups, &read));
    return {};
  }

  // Some that many things share, some of few, one of its own.
  registry::Attributes attributes_of(std::int64_t number) const {
    const auto of = [&](std::int64_t kinds) { return std::to_string(number % kinds); };
    const std::vector<std::pair<std::string, std::string>> all{
        {"model", "gateway-" + of(10)},
        {"site", "hall-" + of(100)},
        {"firmware", "2.4." + of(7)},
        {"owner", "customer-" + of(1000)},
        {"serial", "SN" + std::to_string(1'000'000'000 + number * 7919 % 999'999'937)}};
    const auto count = std::min<std::size_t>(all.size(), static_cast<std::size_t>(options_.number("attributes")));
    return {all.begin(), all.begin() + static_cast<std::ptrdiff_t>(count)};
  }

  Result<Hierarchies> make_groups() {
    Hierarchies hierarchies;
    TRY_VOID(store::run_blocking(store_, [&](store::Tx& tx) -> Status {
      hierarchies.clear();
      for (std::int64_t number = 1; number <= options_.number("hierarchies"); ++number) {
        const std::string root = options_.text("group") + (number == 1 ? "" : ":" + std::to_string(number));
        TRY_VOID(registry::create_group(tx, realm_, {root, {}, {}, {}}));
        auto& groups = hierarchies.emplace_back();
        for (std::int64_t i = 0; i < options_.number("groups"); ++i) {
          groups.push_back(root + "-" + std::to_string(i));
          TRY_VOID(registry::create_group(tx, realm_, {groups.back(), root, {}, {}}));
        }
        if (groups.empty()) groups.push_back(root);
      }
      return {};
    }));
    return hierarchies;
  }

  Status make_job(const std::string& id, store::Outbox& outbox) {
    jobs::NewJob job;
    job.id = id;
    job.targets = {registry::group_arn(realm_, options_.text("group"))};
    job.document = kDocument;
    if (const auto minutes = options_.number("timeout-minutes"); minutes > 0) job.timeout_minutes = minutes;
    jobs::Engine engine(store_, context_, {.outbox = [&] { outbox.wake(); }}, [this] { return clock_.now_ms(); });
    TRY_VOID(store::run_blocking(store_, [&](store::Tx& tx) -> Status {
      jobs::Effects effects;
      TRY_VOID(jobs::create_job(context_, tx, job, effects));
      return {};
    }));
    settle(engine);
    TRY(const auto queued, count_of(id));
    made_ += queued;
    if (options_.text("state") == "queued") return {};
    TRY_VOID(advance_all(id, options_.text("state") == "finished", outbox));
    engine.poke(id);
    settle(engine);
    return {};
  }

  static void settle(jobs::Engine& engine) {
    while (engine.step()) {
    }
  }

  Result<std::int64_t> count_of(const std::string& job) {
    return store::run_blocking_for(store_, [&](store::Tx& tx) -> Result<std::int64_t> {
      return jobs::job_counts(tx, job).of(jobs::ExecutionStatus::kQueued);
    });
  }

  // Takes every member's execution to IN_PROGRESS and, when wanted, on to SUCCEEDED, as the devices would.
  Status advance_all(const std::string& job, bool finish, store::Outbox& outbox) {
    Writer writer(store_);
    std::string cursor;
    do {
      TRY(auto page, store::run_blocking_for(store_, [&](store::Tx& tx) {
            return registry::for_each_member(tx, options_.text("group"), true, cursor, options_.batch(), true);
          }));
      TRY_VOID(writer.write([this, job, finish, things = std::move(page.things)](store::Tx& tx) -> Status {
        for (const auto& thing : things) {
          TRY_VOID(update(tx, thing, job, "IN_PROGRESS"));
          if (finish) TRY_VOID(update(tx, thing, job, "SUCCEEDED"));
        }
        return {};
      }));
      outbox.wake();
      cursor = std::move(page.next);
    } while (!cursor.empty());
    return writer.finish();
  }

  Status update(store::Tx& tx, const std::string& thing, const std::string& job, const char* status) {
    jobs::Update request;
    request.thing = thing;
    request.job = job;
    request.status = status;
    // What a device reports differs from device to device, and so do its bytes on the disk.
    request.details = {{"firmware", "2.4.1"}, {"took_ms", std::to_string(random_() % 1'000'000)}};
    jobs::Effects effects;
    TRY_VOID(jobs::update_execution(context_, tx, request, effects));
    return {};
  }

  store::Store& store_;
  const io::Clock& clock_;
  const Realm realm_;
  const Options& options_;
  jobs::Context context_;
  std::int64_t made_ = 0;
  std::mt19937 random_;
};

std::uint64_t bytes_below(const std::string& directory) {
  std::uint64_t bytes = 0;
  std::error_code error;
  for (std::filesystem::recursive_directory_iterator it(directory, error), end; !error && it != end;
       it.increment(error)) {
    if (it->is_regular_file(error)) bytes += it->file_size(error);
  }
  return bytes;
}

struct Walk {
  std::vector<double> pages_ms;      // from asked to answered
  std::vector<double> pages_cpu_ms;  // of the asking thread: what a busy machine does not blur
  std::size_t things = 0;
};

double thread_cpu_ms() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e3 + static_cast<double>(now.tv_nsec) / 1e6;
}

// A listing from its first page to its last, each page a transaction as the API makes it.
Result<Walk> walk(store::Store& store, registry::ListThings list) {
  Walk walk;
  list.page.limit = 250;
  do {
    const auto began = std::chrono::steady_clock::now();
    const double cpu_began = thread_cpu_ms();
    TRY(auto page, store::run_blocking_for(store, [&](store::Tx& tx) { return registry::list_things(tx, list); }));
    walk.pages_cpu_ms.push_back(thread_cpu_ms() - cpu_began);
    const auto took = std::chrono::steady_clock::now() - began;
    walk.pages_ms.push_back(std::chrono::duration<double, std::milli>(took).count());
    walk.things += page.items.size();
    list.page.token = std::move(page.next_token);
  } while (!list.page.token.empty());
  return walk;
}

json::object shape_of(std::vector<double> pages) {
  json::array medians;
  const auto at = [&](std::size_t tenth) {
    return pages.begin() + static_cast<std::ptrdiff_t>(pages.size() * tenth / 10);
  };
  for (std::size_t tenth = 0; tenth < 10; ++tenth) {
    std::vector<double> part(at(tenth), at(tenth + 1));
    if (part.empty()) continue;
    std::ranges::sort(part);
    medians.emplace_back(rounded(part[part.size() / 2]));
  }
  std::ranges::sort(pages);
  return {{"median_by_tenth", std::move(medians)},
          {"p99", rounded(pages[pages.size() * 99 / 100])},
          {"longest", rounded(pages.back())}};
}

json::object shape_of(const Walk& walk) {
  return {{"things", walk.things},
          {"pages", walk.pages_ms.size()},
          {"ms", shape_of(walk.pages_ms)},
          {"cpu_ms", shape_of(walk.pages_cpu_ms)}};
}

Result<json::object> list(const Options& options) {
  const io::SystemClock clock;
  TRY(const auto store, store::open_embedded_store({.directory = options.text("dir") + "/store", .clock = &clock}));
  json::object out{{"made", "list"}};
  TRY(const Walk all, walk(*store, {}));
  out["all"] = shape_of(all);
  registry::ListThings filter;
  filter.attribute_name = "model";
  filter.attribute_value = "gateway-3";
  TRY(const Walk one, walk(*store, filter));
  out["attribute"] = shape_of(one);
  filter.attribute_name = "owner";
  filter.attribute_value = "customer-9";
  filter.prefix = true;
  TRY(const Walk prefix, walk(*store, filter));
  out["prefix"] = shape_of(prefix);
  return out;
}

Result<json::object> compact(const Options& options) {
  const std::string directory = options.text("dir") + "/store";
  json::object out{{"made", "compact"}, {"store_bytes_before", bytes_below(directory)}};
  {
    TRY(const auto rocks, store::Rocks::open(directory, std::size_t{32} << 20));
    TRY_VOID(rocks->compact());
  }
  out["store_bytes"] = bytes_below(directory);
  return out;
}

Result<json::object> make(const std::string& what, const Options& options) {
  const io::SystemClock clock;
  const auto began = std::chrono::steady_clock::now();
  const std::string directory = options.text("dir") + "/store";
  json::object out{{"made", what}};
  {
    TRY(const auto store, store::open_embedded_store({.directory = directory, .clock = &clock}));
    const auto before = store->stats();
    TRY(const auto account, store::run_blocking_for(*store, [&](store::Tx& tx) {
          return iam::ensure_account(tx, options.text("region"));
        }));
    Fleet fleet(*store, clock, account.realm, options);
    TRY_VOID(what == "things" ? fleet.make_things() : fleet.make_jobs());
    if (!store->flush()) return make_error(ErrorKind::kUnavailable, "the store cannot write");
    out["count"] = fleet.made();
    out["transactions"] = store->stats().commits - before.commits;
    out["written_bytes"] = store->stats().bytes_written - before.bytes_written;
  }
  const auto took = std::chrono::steady_clock::now() - began;
  out["seconds"] = rounded(std::chrono::duration<double>(took).count());
  out["cpu_s"] = rounded(own_cpu());
  out["store_bytes"] = bytes_below(directory);
  return out;
}

bool parse(int argc, char** argv, Options& options) {
  for (int i = 2; i < argc; i += 2) {
    const std::string_view key = argv[i];
    const auto it = key.starts_with("--") ? options.values.find(std::string(key.substr(2))) : options.values.end();
    if (it == options.values.end() || i + 1 >= argc) return false;
    it->second = argv[i + 1];
  }
  if (argc < 2 || options.text("dir").empty()) return false;
  const std::string_view what = argv[1], state = options.text("state");
  if (what == "things") return options.number("things") > 0;
  if (what == "list" || what == "compact") return true;
  return what == "jobs" && !options.text("job").empty() &&
         (state == "queued" || state == "running" || state == "finished");
}

}  // namespace
}  // namespace muster::bench

int main(int argc, char** argv) {
  muster::bench::Options options;
  if (!muster::bench::parse(argc, argv, options)) {
    std::fputs(
        "fleet_data things --dir D --things N [--group G] [--groups K] [--prefix P] [--batch B] [--attributes A]\n"
        "           [--hierarchies H]\n"
        "fleet_data list|compact --dir D\n"
        "fleet_data jobs --dir D --job J --state queued|running|finished [--count C] [--group G] [--timeout-minutes "
        "M]\n"
        "           [--batch B]\n",
        stderr);
    return 2;
  }
  const std::string what = argv[1];
  const auto made = what == "list"      ? muster::bench::list(options)
                    : what == "compact" ? muster::bench::compact(options)
                                        : muster::bench::make(what, options);
  if (!made) {
    std::fprintf(stderr, "fleet_data: %s\n", made.error().message.c_str());
    return 1;
  }
  std::puts(muster::to_text(*made).c_str());
  return 0;
}
