// SPDX-License-Identifier: Apache-2.0
#include "domain/fleet/indexer.h"

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <shared_mutex>
#include <thread>
#include <unordered_map>
#include <unordered_set>

#include "base/log.h"
#include "domain/fleet/document.h"
#include "domain/registry/group_records.h"
#include "store/keys.h"
#include "store/schema.h"

namespace muster::fleet {

namespace {

namespace table = store::table;

constexpr std::size_t kBuildBatch = 1000;            // things that a build reads at once
constexpr std::size_t kBatch = 200;                  // changed things read at once
constexpr auto kRetry = std::chrono::seconds(1);     // after the store refused
constexpr auto kCatchUp = std::chrono::seconds(10);  // a builder waits for the index
constexpr SourceMask kShadows = mask_of(FieldSource::kShadow) | mask_of(FieldSource::kNamedShadow);

SourceMask source_of_table(char tag) {
  switch (tag) {
    case table::kShadow:
      return kShadows;
    case table::kConnectivity:
      return mask_of(FieldSource::kConnectivity);
    case table::kExecution:
      return mask_of(FieldSource::kJobs);
    default:
      return mask_of(FieldSource::kRegistry);
  }
}

struct ReadThing {
  std::string name;
  SourceMask sources = 0;
  bool exists = false;
  bool connectivity_known = false;
  ThingFields read;
};

using Changes = std::unordered_map<std::string, SourceMask>;

void put_thing(Index& index, const std::string& name, SourceMask sources, ThingFields&& read) {
  for (std::string& group : read.dynamic_groups)
    read.fields.push_back({.field = std::string(kDynamicGroupsField), .text = std::move(group)});
  index.put(name, sources, read.fields);
}

}  // namespace

struct Indexer::State {
  explicit State(Parts p) : parts(std::move(p)) {}

  Parts parts;
  std::thread thread;

  // What was written and not yet read. Under `mutex`, as the states are.
  mutable std::mutex mutex;
  std::condition_variable woken;
  mutable std::condition_variable caught_up;
  Changes things;
  std::unordered_set<std::string> groups;
  std::uint64_t heard = 0, indexed = 0;  // changes
  bool configuration_changed = true;     // not read yet
  bool queries_changed = true;
  bool stopping = false;
  bool failing = false;
  registry::IndexedSources sources;  // what is indexed, or being built
  IndexStatus things_status = IndexStatus::kBuilding, groups_status = IndexStatus::kBuilding;

  // Searches share; the worker, the only one who changes them, does not. Who comes while it waits waits behind it, or
  // searches without a pause would keep it out.
  mutable std::mutex turnstile;
  mutable std::shared_mutex index_mutex;
  std::shared_lock<std::shared_mutex> lock_to_read() const {
    const std::lock_guard turn(turnstile);
    return std::shared_lock(index_mutex);
  }
  std::unique_lock<std::shared_mutex> lock_to_write() const {
    const std::lock_guard turn(turnstile);
    return std::unique_lock(index_mutex);
  }
  Index things_index{QuerySubject::kThings};
  Index groups_index{QuerySubject::kThingGroups};

  std::vector<registry::DynamicQuery> queries;  // that need the index; the worker's

  void hear(const std::vector<std::string>& keys);
  void run();
  bool step();
  Result<bool> one_step();
  Status configure();
  Status build_things(const registry::IndexedSources& wanted);
  Status build_groups(bool on);
  void set_status(QuerySubject subject, IndexStatus status);
  Status index_changes(const Changes& changes, const std::unordered_set<std::string>& changed_groups);
  Result<std::vector<ReadThing>> read_things(std::vector<std::pair<std::string, SourceMask>> batch) const;
  Status apply(std::vector<ReadThing> read);
  Status read_queries();
  bool disagrees(const ReadThing& thing) const;
  Status refresh(const std::vector<std::string>& names);
  Status forget(const std::vector<std::string>& names);
};

// On a thread of the store's engine.
void Indexer::State::hear(const std::vector<std::string>& keys) {
  const std::lock_guard lock(mutex);
  for (const std::string& key : keys) {
    const char tag = key.front();
    if (tag == table::kIndexingConfiguration) {
      configuration_changed = true;
      continue;
    }
    if (tag == table::kDynamicGroup) {
      queries_changed = true;
      continue;
    }
    const bool of_group = tag == table::kThingGroup;
    if ((of_group ? groups_status : things_status) == IndexStatus::kOff) continue;
    auto name = store::KeyReader(key).text();
    if (!name) continue;
    ++heard;
    if (of_group)
      groups.insert(*std::move(name));
    else
      things[*std::move(name)] |= source_of_table(tag);
  }
  if (configuration_changed || !things.empty() || !groups.empty()) woken.notify_one();
}

void Indexer::State::set_status(QuerySubject subject, IndexStatus status) {
  const std::lock_guard lock(mutex);
  (subject == QuerySubject::kThings ? things_status : groups_status) = status;
}

// ---- what is indexed

Status Indexer::State::configure() {
  TRY(const auto wanted, store::run_blocking_for(parts.store, [](store::Tx& tx) -> Result<registry::IndexedSources> {
        return registry::indexed_sources(tx);
      }));
  bool build_things_now = false, build_groups_now = false;
  {
    const std::lock_guard lock(mutex);
    const auto of_things = [](registry::IndexedSources value) {
      value.thing_groups = false;
      return value;
    };
    build_things_now = things_status != IndexStatus::kActive || of_things(wanted) != of_things(sources);
    build_groups_now = groups_status != IndexStatus::kActive || wanted.thing_groups != sources.thing_groups;
    const auto next = [](IndexStatus now, bool on) {
      if (!on) return IndexStatus::kOff;
      return now == IndexStatus::kActive ? IndexStatus::kRebuilding : IndexStatus::kBuilding;
    };
    // From here on changes are heard, or no longer.
    if (build_things_now) things_status = next(things_status, wanted.things);
    if (build_groups_now) groups_status = next(groups_status, wanted.thing_groups);
    sources = wanted;
  }
  if (parts.connectivity != nullptr) parts.connectivity->set_on(wanted.connectivity);
  if (build_things_now) TRY_VOID(build_things(wanted));
  if (build_groups_now) TRY_VOID(build_groups(wanted.thing_groups));
  return {};
}

Status Indexer::State::build_things(const registry::IndexedSources& wanted) {
  Index fresh(QuerySubject::kThings);
  std::string after;
  for (bool more = wanted.things; more;) {
    {
      const std::lock_guard lock(mutex);
      if (stopping) return {};
    }
    TRY_VOID(store::run_blocking(parts.store, [&](store::Tx& tx) -> Status {
      auto rows = read_many_rows(tx, after, kBuildBatch, wanted);
      GroupCache groups_read;
      for (const auto& [name, one] : rows) {
        auto fields = fields_of_thing(tx, name, one, wanted, kAllSources, groups_read);
        if (fields)
          put_thing(fresh, name, kAllSources, *std::move(fields));
        else
          log::warn("a thing cannot be indexed", {{"thing", name}, {"reason", fields.error().message}});
      }
      more = rows.size() == kBuildBatch;
      if (!rows.empty()) after = rows.rbegin()->first;
      return {};
    }));
  }
  {
    const auto lock = lock_to_write();
    std::swap(things_index, fresh);
  }
  if (wanted.things) set_status(QuerySubject::kThings, IndexStatus::kActive);
  return {};
}

Status Indexer::State::build_groups(bool on) {
  Index fresh(QuerySubject::kThingGroups);
  const std::string prefix(1, table::kThingGroup);
  std::string begin = prefix;
  for (bool more = on; more;) {
    TRY_VOID(store::run_blocking(parts.store, [&](store::Tx& tx) -> Status {
      const auto rows =
          tx.range({.begin = begin, .end = store::after_prefix(prefix), .limit = kBuildBatch, .snapshot = true});
      for (const store::KeyValue& row : rows) {
        auto name = store::KeyReader(row.key).text();
        auto group = name ? registry::read_group(*name, row.value) : std::nullopt;
        if (group && !group->deleting) fresh.put(*name, kAllSources, fields_of_group(*group));
      }
      more = rows.size() == kBuildBatch;
      if (!rows.empty()) begin = store::after_key(rows.back().key);
      return {};
    }));
  }
  {
    const auto lock = lock_to_write();
    std::swap(groups_index, fresh);
  }
  if (on) set_status(QuerySubject::kThingGroups, IndexStatus::kActive);
  return {};
}

// ---- changes

Result<std::vector<ReadThing>> Indexer::State::read_things(
    std::vector<std::pair<std::string, SourceMask>> batch) const {
  std::vector<ReadThing> result;
  TRY_VOID(store::run_blocking(parts.store, [&](store::Tx& tx) -> Status {
    result.clear();
    GroupCache cache;
    for (const auto& [name, mask] : batch) {
      // A new document begins whole: shadows and clients may be older than their thing.
      const bool whole = !queries.empty() || !things_index.has(name);
      ReadThing thing{.name = name, .sources = whole ? kAllSources : mask};
      auto rows = read_rows(tx, name, sources, thing.sources);
      thing.exists = rows.has_value();
      if (rows) {
        thing.connectivity_known = !rows->connectivity.empty();
        auto fields = fields_of_thing(tx, name, *rows, sources, thing.sources, cache);
        if (!fields) {
          log::warn("a thing cannot be indexed", {{"thing", name}, {"reason", fields.error().message}});
          continue;
        }
        thing.read = *std::move(fields);
      }
      result.push_back(std::move(thing));
    }
    return {};
  }));
  return result;
}

// Does the thing belong to other dynamic groups than it is in? For those that need the index.
bool Indexer::State::disagrees(const ReadThing& thing) const {
  return thing.exists && std::ranges::any_of(queries, [&](const registry::DynamicQuery& one) {
           const bool member =
               std::ranges::find(thing.read.dynamic_groups, one.group) != thing.read.dynamic_groups.end();
           return one.query.matches(thing.read.fields) != member;
         });
}

Status Indexer::State::refresh(const std::vector<std::string>& names) {
  if (names.empty()) return {};
  TRY_VOID(store::run_blocking(parts.store, [&](store::Tx& tx) -> Status {
    TRY_VOID(registry::refresh_things(tx, names, parts.changed, index_fields));
    return {};
  }));
  parts.committed();
  return {};
}

// What is left of things that are gone.
Status Indexer::State::forget(const std::vector<std::string>& names) {
  if (names.empty()) return {};
  return store::run_blocking(parts.store, [&](store::Tx& tx) -> Status {
    for (const std::string& name : names)
      if (!registry::thing_exists(tx, name) && tx.get(connectivity_key(name))) tx.erase(connectivity_key(name));
    return {};
  });
}

Status Indexer::State::apply(std::vector<ReadThing> read) {
  std::vector<std::string> wrong, gone;
  for (const ReadThing& thing : read) {
    if (!thing.exists) {
      gone.push_back(thing.name);
      continue;
    }
    if (disagrees(thing)) wrong.push_back(thing.name);
    const bool unseen = !thing.connectivity_known && (thing.sources & mask_of(FieldSource::kRegistry)) != 0;
    if (unseen && sources.connectivity && parts.connectivity != nullptr) parts.connectivity->recall(thing.name);
  }
  {
    const auto lock = lock_to_write();
    for (ReadThing& thing : read) {
      if (thing.exists)
        put_thing(things_index, thing.name, thing.sources, std::move(thing.read));
      else
        things_index.erase(thing.name);
    }
  }
  TRY_VOID(refresh(wrong));
  return sources.connectivity ? forget(gone) : Status();
}

Status Indexer::State::read_queries() {
  TRY(auto all, store::run_blocking_for(parts.store, [](store::Tx& tx) { return registry::dynamic_queries(tx); }));
  std::erase_if(all, [](const registry::DynamicQuery& one) { return one.query.needs().registry_only(); });
  queries = std::move(all);
  return {};
}

Status Indexer::State::index_changes(const Changes& changes, const std::unordered_set<std::string>& changed_groups) {
  std::vector<std::pair<std::string, SourceMask>> batch;
  for (auto at = changes.begin(); at != changes.end();) {
    batch.assign(1, *at++);
    while (at != changes.end() && batch.size() < kBatch) batch.push_back(*at++);
    TRY(auto read, read_things(batch));
    TRY_VOID(apply(std::move(read)));
  }
  if (changed_groups.empty()) return {};
  std::vector<std::pair<std::string, std::optional<registry::ThingGroup>>> read;
  TRY_VOID(store::run_blocking(parts.store, [&](store::Tx& tx) -> Status {
    read.clear();
    for (const std::string& name : changed_groups) read.emplace_back(name, registry::find_group_record(tx, name, true));
    return {};
  }));
  const auto lock = lock_to_write();
  for (const auto& [name, group] : read) {
    if (group && !group->deleting)
      groups_index.put(name, kAllSources, fields_of_group(*group));
    else
      groups_index.erase(name);
  }
  return {};
}

Result<bool> Indexer::State::one_step() {
  bool configure_now = false, read_queries_now = false;
  Changes changes;
  std::unordered_set<std::string> changed_groups;
  std::uint64_t up_to = 0;
  {
    const std::lock_guard lock(mutex);
    configure_now = std::exchange(configuration_changed, false);
  }
  if (configure_now) {
    auto done = configure();
    if (!done) {
      const std::lock_guard lock(mutex);
      configuration_changed = true;
      return done.error();
    }
  }
  {
    const std::lock_guard lock(mutex);
    read_queries_now = std::exchange(queries_changed, false);
    changes.swap(things);
    changed_groups.swap(groups);
    if (things_status == IndexStatus::kOff) changes.clear();
    if (groups_status == IndexStatus::kOff) changed_groups.clear();
    up_to = heard;
  }
  Status done = read_queries_now ? read_queries() : Status();
  if (done) done = index_changes(changes, changed_groups);
  const std::lock_guard lock(mutex);
  if (!done) {
    queries_changed |= read_queries_now;
    for (const auto& [name, mask] : changes) things[name] |= mask;
    groups.insert(changed_groups.begin(), changed_groups.end());
    return done.error();
  }
  indexed = up_to;
  caught_up.notify_all();
  return configure_now || !changes.empty() || !changed_groups.empty();
}

bool Indexer::State::step() {
  auto more = one_step();
  failing = !more;
  if (!more) log::warn("the fleet index cannot be brought up to date", {{"reason", more.error().message}});
  return !more || *more;
}

void Indexer::State::run() {
  std::unique_lock lock(mutex);
  while (!stopping) {
    woken.wait(lock, [&] { return stopping || configuration_changed || !things.empty() || !groups.empty(); });
    if (stopping) return;
    lock.unlock();
    step();
    lock.lock();
    if (failing) woken.wait_for(lock, kRetry, [&] { return stopping; });
  }
}

// ---- the object

Indexer::Indexer(Parts parts) : state_(std::make_shared<State>(std::move(parts))) {
  constexpr char kTables[] = {table::kThing,        table::kThingMembership,      table::kShadow,
                              table::kExecution,    table::kConnectivity,         table::kThingGroup,
                              table::kDynamicGroup, table::kIndexingConfiguration};
  state_->parts.store.changes().subscribe(
      {kTables, sizeof kTables}, [state = state_](const std::vector<std::string>& keys) { state->hear(keys); });
}

Indexer::~Indexer() {
  stop();
}

void Indexer::start_thread() {
  state_->thread = std::thread([state = state_.get()] { state->run(); });
}

void Indexer::stop() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->stopping = true;
    state_->woken.notify_all();
    state_->caught_up.notify_all();
  }
  if (state_->thread.joinable()) state_->thread.join();
}

IndexStatus Indexer::status(QuerySubject subject) const {
  const std::lock_guard lock(state_->mutex);
  return subject == QuerySubject::kThings ? state_->things_status : state_->groups_status;
}

Status Indexer::with_index(QuerySubject subject, const std::function<void(const Index& index)>& look) const {
  const bool of_things = subject == QuerySubject::kThings;
  const std::string name(of_things ? kThingsIndex : kThingGroupsIndex);
  const auto lock = state_->lock_to_read();
  switch (status(subject)) {
    case IndexStatus::kOff:
      return not_found("Index " + name + " does not exist. Please enable index by calling UpdateIndexingConfiguration");
    case IndexStatus::kBuilding:
    case IndexStatus::kRebuilding:
      return make_error(ErrorKind::kConflict, "Index " + name + " is being built", "IndexNotReadyException");
    case IndexStatus::kActive:
      break;
  }
  look(of_things ? state_->things_index : state_->groups_index);
  return {};
}

std::optional<std::vector<std::string>> Indexer::candidates(const FleetQuery& query) const {
  {
    std::unique_lock lock(state_->mutex);
    const std::uint64_t wanted = state_->heard;
    const bool ready = state_->caught_up.wait_for(lock, kCatchUp, [&] {
      return state_->stopping || state_->things_status != IndexStatus::kActive || state_->indexed >= wanted;
    });
    if (!ready || state_->stopping) return std::nullopt;
  }
  std::vector<std::string> names;
  auto looked = with_index(QuerySubject::kThings, [&](const Index& index) {
    names = all_names(index, search(index, query, DynamicMembership::kUnseen));
  });
  if (!looked) return std::nullopt;
  return names;
}

bool Indexer::step() {
  return state_->step();
}

}  // namespace muster::fleet
