// SPDX-License-Identifier: Apache-2.0
// The fleet index at scale: builds it of synthetic things, straight and through a store, and measures build time,
// memory, searches, aggregations and updates. Prints one JSON line a figure; times are CPU times, but where they say
// otherwise.
//   fleet_index memory [--things N]            straight into the index
//   fleet_index store --dir D [--things N]     writes things, memberships and shadows into an embedded store, then
//                                              rebuilds the index from it and follows updates
// A thing has five attributes, a type, two groups below a common one, a shadow with four values (one of them numeric
// and nearly unique) and a connection.
#include <time.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <map>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "base/json.h"
#include "domain/fleet/aggregate.h"
#include "domain/fleet/connectivity.h"
#include "domain/fleet/indexer.h"
#include "domain/fleet/search.h"
#include "domain/registry/groups.h"
#include "domain/shadows/shadows.h"
#include "io/env.h"
#include "store/embedded_engine.h"
#include "store/keys.h"
#include "store/schema.h"

namespace muster::bench {
namespace {

using fleet::Index;
using registry::FleetQuery;
using registry::ValueKind;
using Clock = std::chrono::steady_clock;

// Of this thread: what else runs on the machine does not count.
double cpu_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

double resident_mb() {
  std::ifstream file("/proc/self/statm");
  double size = 0, resident = 0;
  file >> size >> resident;
  return resident * 4096 / 1e6;
}

void report(const std::string& what, json::object figures) {
  json::object line{{"what", what}};
  for (auto& figure : figures) line[figure.key()] = std::move(figure.value());
  std::printf("%s\n", to_text(line).c_str());
  std::fflush(stdout);
}

std::string name_of(int i) {
  char text[32];
  std::snprintf(text, sizeof text, "thing-%07d", i);
  return text;
}

struct Synthetic {
  registry::Attributes attributes;
  double temperature = 0;
  int battery = 0;
  bool connected = false;
  std::int64_t at_ms = 0;
  std::string id;
};

Synthetic synthetic(int i, std::mt19937_64& random) {
  static constexpr const char* kSites[] = {"berlin", "paris", "rome", "madrid", "oslo", "vienna", "zurich", "lisbon"};
  Synthetic one;
  one.attributes = {{"site", kSites[random() % 8]},
                    {"floor", std::to_string(random() % 60)},
                    {"serial", "SN" + std::to_string(1'000'000'000 + i)},
                    {"firmware", "1." + std::to_string(random() % 40)},
                    {"customer", "c" + std::to_string(random() % 5000)}};
  one.temperature = static_cast<double>(random() % 1'000'000) / 10'000;
  one.battery = static_cast<int>(random() % 101);
  one.connected = random() % 10 != 0;
  one.at_ms = 1'790'000'000'000 + static_cast<std::int64_t>(random() % 86'400'000);
  char id[40];
  std::snprintf(id, sizeof id, "%08x-%04x-4%03x-8%03x-%012llx", static_cast<unsigned>(random()),
                static_cast<unsigned>(random() & 0xffff), static_cast<unsigned>(random() & 0xfff),
                static_cast<unsigned>(random() & 0xfff), static_cast<unsigned long long>(random() & 0xffffffffffffULL));
  one.id = id;
  return one;
}

fleet::FieldValues fields_of(const std::string& name, int i, const Synthetic& one) {
  fleet::FieldValues fields{{.field = "thingName", .text = name},
                            {.field = "thingId", .text = one.id},
                            {.field = "thingTypeName", .text = "type-" + std::to_string(i % 20)},
                            {.field = "thingGroupNames", .text = "fleet"},
                            {.field = "thingGroupNames", .text = "region-" + std::to_string(i % 50)},
                            {.field = "thingGroupNames", .text = "batch-" + std::to_string(i % 1000)},
                            {.field = "registry.version", .text = "1", .kind = ValueKind::kNumber}};
  for (const auto& [key, value] : one.attributes) fields.push_back({.field = "attributes." + key, .text = value});
  const auto number = [&](const char* field, const std::string& text) {
    fields.push_back({.field = field, .text = text, .kind = ValueKind::kNumber});
  };
  const auto boolean = [&](const char* field, bool value) {
    fields.push_back({.field = field, .text = value ? "true" : "false", .kind = ValueKind::kBoolean});
  };
  number("shadow.reported.temperature", to_text(json::value(one.temperature)));
  number("shadow.reported.battery", std::to_string(one.battery));
  boolean("shadow.reported.online", one.connected);
  number("shadow.metadata.reported.temperature.timestamp", std::to_string(one.at_ms / 1000));
  number("shadow.metadata.reported.battery.timestamp", std::to_string(one.at_ms / 1000));
  number("shadow.metadata.reported.online.timestamp", std::to_string(one.at_ms / 1000));
  boolean("shadow.hasDelta", false);
  number("shadow.version", "1");
  boolean("connectivity.connected", one.connected);
  number("connectivity.timestamp", std::to_string(one.at_ms));
  return fields;
}

// CPU milliseconds of the median and the slowest of some runs.
json::object timed(const std::function<std::size_t()>& work) {
  std::vector<double> ms;
  std::size_t found = 0;
  for (int i = 0; i < 7; ++i) {
    const double start = cpu_seconds();
    found = work();
    ms.push_back((cpu_seconds() - start) * 1000);
  }
  std::ranges::sort(ms);
  return {{"found", found}, {"median_ms", ms[ms.size() / 2]}, {"slowest_ms", ms.back()}};
}

void measure_searches(const Index& index) {
  const std::vector<std::pair<const char*, std::string>> kQueries{
      {"exact, one thing", "attributes.serial:SN1000500000"},
      {"no field, one thing", "SN1000500000"},
      {"exact, selective and", "attributes.customer:c77 AND attributes.site:rome"},
      {"prefix", "thingName:thing-00421*"},
      {"leading wildcard on names", "thingName:*99999"},
      {"leading wildcard on few values", "attributes.site:*lin"},
      {"leading wildcard beside a selective term", "attributes.customer:c77 AND thingName:*7"},
      {"wildcard inside", "attributes.serial:SN10*42?7"},
      {"wildcard, no field", "*0500000"},
      {"numeric range, narrow", "shadow.reported.temperature:[50 TO 50.01]"},
      {"numeric range, half", "shadow.reported.temperature>50"},
      {"range and group and not", "shadow.reported.battery<10 thingGroupNames:region-7 NOT attributes.site:oslo"},
      {"not, most", "NOT attributes.site:oslo"},
      {"connected", "connectivity.connected:false"},
      {"everything", "*"},
      {"exists", "attributes.customer:*"},
      {"or of twelve", "attributes.customer:(c1 OR c2 OR c3 OR c4 OR c5 OR c6 OR c7 OR c8 OR c9 OR c10 OR c11 OR c12)"},
      {"hostile pattern", "attributes.serial:S*1*0*0*0*0*0*1*2*3*4*x"}};
  for (const auto& [what, text] : kQueries) {
    auto query = FleetQuery::parse(text);
    if (!query) {
      std::fprintf(stderr, "%s: %s\n", text.c_str(), query.error().message.c_str());
      std::exit(1);
    }
    std::size_t matches = 0;
    json::object figures = timed([&] {
      const fleet::DocSet found = search(index, *query);
      matches = found.count();
      return page_of(index, found, "", 100).names.size();
    });
    figures["matches"] = matches;
    report(std::string("search: ") + what, std::move(figures));
  }
  for (const char* after : {"thing-0500000", "thing-0999800"})
    report(std::string("search: page of everything behind ") + after, timed([&] {
             const fleet::DocSet found = search(index, *FleetQuery::parse("*"));
             return page_of(index, found, after, 500).names.size();
           }));
}

void measure_aggregations(const Index& index) {
  const auto aggregate = [&](const char* what, const char* text, const char* field, fleet::FieldType type) {
    report(std::string("aggregation: ") + what, timed([&]() -> std::size_t {
             const auto tallies = tally(index, search(index, *FleetQuery::parse(text)), field, type);
             (void)fleet::statistics(tallies, type);
             if (type == fleet::FieldType::kNumber) (void)fleet::percentiles(tallies, {1, 5, 25, 50, 75, 95, 99});
             return fleet::buckets(tallies, 10).size();
           }));
  };
  using enum fleet::FieldType;
  aggregate("few values over everything", "*", "attributes.site", kString);
  aggregate("5,000 values over everything", "*", "attributes.customer", kString);
  aggregate("a value a thing over everything", "*", "attributes.serial", kString);
  aggregate("numbers, a million distinct at most, over everything", "*", "shadow.reported.temperature", kNumber);
  aggregate("numbers, 101 distinct, over a half", "shadow.reported.temperature>50", "shadow.reported.battery", kNumber);
  aggregate("numbers over a selective query", "attributes.customer:c77", "shadow.reported.temperature", kNumber);
  aggregate("booleans over everything", "*", "connectivity.connected", kBoolean);
  aggregate("groups over everything", "*", "thingGroupNames", kString);
}

void report_size(const Index& index, double before_mb, double seconds) {
  const Index::Sizes sizes = index.sizes();
  const double mb = resident_mb() - before_mb;
  report("build", {{"things", sizes.documents},
                   {"cpu_seconds", seconds},
                   {"fields", sizes.fields},
                   {"distinct_values", sizes.values},
                   {"megabytes", mb},
                   {"bytes_a_thing", mb * 1e6 / static_cast<double>(sizes.documents)}});
}

int run_memory(int things) {
  std::mt19937_64 random(1);
  const double before = resident_mb();
  Index index(registry::QuerySubject::kThings);
  const double start = cpu_seconds();
  for (int i = 0; i < things; ++i) {
    const std::string name = name_of(i);
    index.put(name, fleet::kAllSources, fields_of(name, i, synthetic(i, random)));
  }
  report_size(index, before, cpu_seconds() - start);
  measure_searches(index);
  measure_aggregations(index);
  const double updates = cpu_seconds();
  constexpr int kUpdates = 100'000;
  for (int i = 0; i < kUpdates; ++i) {
    const int which = static_cast<int>(random() % static_cast<unsigned>(things));
    const std::string name = name_of(which);
    index.put(name, fleet::kAllSources, fields_of(name, which, synthetic(which, random)));
  }
  report("updates, straight", {{"a_second", kUpdates / (cpu_seconds() - updates)}});
  return 0;
}

// ---- through the store

template <class F>
void must(store::Store& store, F body) {
  if (auto done = store::run_blocking(store, body); !done) {
    std::fprintf(stderr, "%s\n", done.error().message.c_str());
    std::exit(1);
  }
}

void write_thing(store::Tx& tx, const Realm& realm, int i, std::mt19937_64& random) {
  const std::string name = name_of(i);
  const Synthetic one = synthetic(i, random);
  (void)registry::create_thing(tx, realm, {.name = name, .type = "", .attributes = one.attributes});
  (void)registry::add_thing_to_group(tx, "region-" + std::to_string(i % 50), name);
  shadows::Document document;
  document.reported.state = {{"temperature", one.temperature}, {"battery", one.battery}, {"online", one.connected}};
  document.reported.times = {
      {"temperature", one.at_ms / 1000}, {"battery", one.at_ms / 1000}, {"online", one.at_ms / 1000}};
  document.version = 1;
  document.updated_ms = one.at_ms;
  tx.put(shadows::shadow_key({name, ""}), shadows::encode(document));
  tx.put(fleet::connectivity_key(name),
         fleet::encode({.connected = one.connected, .changed_ms = one.at_ms, .disconnect_reason = {}}));
}

void fill(store::Store& store, int things) {
  const Realm realm{"123456789012", "eu-central-1"};
  must(store, [&](store::Tx& tx) -> Status {
    TRY_VOID(registry::create_group(tx, realm, {"fleet", "", "", {}}));
    for (int i = 0; i < 50; ++i)
      TRY_VOID(registry::create_group(tx, realm, {"region-" + std::to_string(i), "fleet", "", {}}));
    return {};
  });
  std::mt19937_64 random(1);
  for (int i = 0; i < things; i += 1000)
    must(store, [&](store::Tx& tx) -> Status {
      for (int k = i; k < std::min(i + 1000, things); ++k) write_thing(tx, realm, k, random);
      return {};
    });
}

std::size_t count(const fleet::Indexer& indexer, const std::string& text) {
  std::size_t found = 0;
  (void)indexer.with_index(registry::QuerySubject::kThings,
                           [&](const Index& index) { found = search(index, *FleetQuery::parse(text)).count(); });
  return found;
}

void measure_updates(store::Store& store, const fleet::Indexer& indexer, int things) {
  constexpr int kUpdates = 20'000, kBatch = 20;
  std::mt19937_64 random(9);
  const auto start = Clock::now();
  for (int i = 0; i < kUpdates; i += kBatch) {
    must(store, [&](store::Tx& tx) -> Status {
      for (int k = 0; k < kBatch; ++k) {
        registry::UpdateThing change{.name = name_of(static_cast<int>(random() % static_cast<unsigned>(things)))};
        change.attributes = registry::Attributes{{"floor", "u" + std::to_string(i)}};
        change.merge = true;
        TRY_VOID(registry::update_thing(tx, change));
      }
      return {};
    });
  }
  const double written = seconds_since(start);
  must(store, [&](store::Tx& tx) -> Status {
    registry::UpdateThing change{
        .name = name_of(0), .attributes = registry::Attributes{{"floor", "last"}}, .merge = true};
    TRY_VOID(registry::update_thing(tx, change));
    return {};
  });
  const auto last = Clock::now();
  while (count(indexer, "attributes.floor:last") == 0 && seconds_since(last) < 60)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  report("updates through the store", {{"things", kUpdates},
                                       {"written_a_second", kUpdates / written},
                                       {"last_seen_after_ms", seconds_since(last) * 1000}});
}

int run_store(const std::string& directory, int things) {
  io::SystemClock clock;
  auto store = store::open_embedded_store({.directory = directory, .clock = &clock});
  if (!store) {
    std::fprintf(stderr, "%s\n", store.error().message.c_str());
    return 1;
  }
  const auto filling = Clock::now();
  fill(**store, things);
  report("fill", {{"things", things}, {"seconds", seconds_since(filling)}});
  const auto configuration =
      parse_json(R"({"thingIndexingMode":"REGISTRY_AND_SHADOW","thingConnectivityIndexingMode":"STATUS"})");
  must(**store,
       [&](store::Tx& tx) { return fleet::update_indexing_configuration(tx, &configuration->get_object(), nullptr); });
  const double before = resident_mb();
  fleet::Indexer indexer({.store = **store, .changed = [](auto&&...) -> Status { return {}; }, .committed = [] {}});
  const double start = cpu_seconds();
  (void)indexer.step();
  const double seconds = cpu_seconds() - start;
  (void)indexer.with_index(registry::QuerySubject::kThings, [&](const Index& index) {
    report_size(index, before, seconds);
    measure_searches(index);
  });
  indexer.start_thread();
  measure_updates(**store, indexer, things);
  indexer.stop();
  return 0;
}

int run(int argc, char** argv) {
  std::map<std::string, std::string> options{{"things", "1000000"}, {"dir", ""}};
  const std::string what = argc > 1 ? argv[1] : "";
  for (int i = 2; i + 1 < argc; i += 2) options[std::string(argv[i]).substr(2)] = argv[i + 1];
  const int things = std::max(1, std::atoi(options["things"].c_str()));
  if (what == "memory") return run_memory(things);
  if (what == "store" && !options["dir"].empty()) return run_store(options["dir"], things);
  std::fprintf(stderr, "usage: fleet_index memory [--things N] | store --dir D [--things N]\n");
  return 2;
}

}  // namespace
}  // namespace muster::bench

int main(int argc, char** argv) {
  return muster::bench::run(argc, argv);
}
