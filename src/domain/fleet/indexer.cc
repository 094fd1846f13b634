// SPDX-License-Identifier: Apache-2.0
#include "domain/fleet/indexer.h"

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <shared_mutex>
#include <thread>
#include <unordered_set>

#include "base/log.h"
#include "domain/fleet/change_queue.h"
#include "domain/fleet/document.h"
#include "domain/fleet/group_watch.h"
#include "domain/fleet/turnstile.h"
#include "domain/registry/group_records.h"
#include "store/keys.h"
#include "store/schema.h"

namespace muster::fleet {

namespace {

namespace table = store::table;

constexpr std::size_t kBuildBatch = 1000;            // things that a build reads at once
constexpr std::size_t kBatch = 200;                  // changed things read at once,
constexpr std::size_t kBatchValues = 20'000;         // and as many as have so many values
constexpr std::size_t kValuesALock = 1000;           // searches wait for no more to be put
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

void complete(const std::string& thing, ThingFields& read) {
  if (read.left_out > 0)
    log::warn("a thing has shadows with too many values: some are not indexed",
              {{"thing", thing}, {"left_out", read.left_out}});
  for (std::string& group : read.dynamic_groups)
    read.fields.push_back({.field = std::string(kDynamicGroupsField), .text = std::move(group)});
}

}  // namespace

struct Indexer::State {
  explicit State(Parts p) : parts(std::move(p)), watch(parts.store, parts.changed, parts.committed) {}

  Parts parts;
  std::thread thread;

  // What was written and not yet read. Under `mutex`, as the states are.
  mutable std::mutex mutex;
  std::condition_variable woken;
  mutable std::condition_variable caught_up;
  ChangeQueue things;
  std::unordered_set<std::string> groups;
  std::uint64_t indexed = 0;          // changes of things
  bool configuration_changed = true;  // not read yet
  bool queries_changed = true;
  bool connectivity_failed = false;  // its recorder is to try again
  bool settle_connectivity = false;  // the worker's: it was turned on
  bool stopping = false;
  bool failing = false;
  registry::IndexedSources sources;  // what is indexed, or being built
  IndexStatus things_status = IndexStatus::kBuilding, groups_status = IndexStatus::kBuilding;

  // Searches share; the worker, the only one who changes them, does not. All come in turn: neither searches without a
  // pause nor changes without a pause keep the other out.
  mutable Turnstile turnstile;
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

  GroupWatch watch;  // the worker's

  void hear(const std::vector<std::string>& keys);
  void run();
  bool step();
  Result<bool> one_step();
  Status configure();
  Status build_things(const registry::IndexedSources& wanted);
  Status build_groups(bool on);
  void set_status(QuerySubject subject, IndexStatus status);
  bool is_stopping() const;
  bool has_work() const {
    return connectivity_failed || configuration_changed || queries_changed || !things.empty() || !groups.empty();
  }
  Status index_things(std::vector<ChangeQueue::Change>& changes);
  Status index_groups(const std::unordered_set<std::string>& changed);
  Result<std::size_t> read_things(const std::vector<ChangeQueue::Change>& changes, std::vector<ReadThing>& read) const;
  Status apply(std::vector<ReadThing> read);
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
    if (of_group)
      groups.insert(*std::move(name));
    else
      things.add(*std::move(name), source_of_table(tag));
  }
  if (has_work()) woken.notify_one();
}

bool Indexer::State::is_stopping() const {
  const std::lock_guard lock(mutex);
  return stopping;
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
  if (parts.connectivity != nullptr) {
    settle_connectivity |= parts.connectivity->set_on(wanted.connectivity);
    if (settle_connectivity && parts.now_ms)
      TRY_VOID(parts.connectivity->settle(parts.now_ms(), ConnectivityRecorder::kUnknown));
    settle_connectivity = false;
  }
  if (build_things_now) TRY_VOID(build_things(wanted));
  if (build_groups_now) TRY_VOID(build_groups(wanted.thing_groups));
  return {};
}

// Also compares each thing with the groups that follow the index: what was written by a process that ended before it
// had indexed it, nobody tells again. Where they disagree the thing is read once more, as if it had changed.
Status Indexer::State::build_things(const registry::IndexedSources& wanted) {
  Index fresh(QuerySubject::kThings);
  std::string after;
  for (bool more = wanted.things; more;) {
    if (is_stopping()) return {};
    std::vector<ReadThing> read;
    std::string last;
    bool full = false;
    TRY_VOID(store::run_blocking(parts.store, [&](store::Tx& tx) -> Status {
      read.clear();
      const auto rows = read_many_rows(tx, after, kBuildBatch, wanted);
      GroupCache groups_read;
      for (const auto& [name, one] : rows) {
        auto fields = fields_of_thing(tx, name, one, wanted, kAllSources, groups_read);
        if (fields)
          read.push_back({.name = name, .read = *std::move(fields)});
        else
          log::warn("a thing cannot be indexed", {{"thing", name}, {"reason", fields.error().message}});
      }
      full = rows.size() == kBuildBatch;
      last = rows.empty() ? after : rows.rbegin()->first;
      return {};
    }));
    for (ReadThing& thing : read) {
      if (watch.disagrees(thing.read)) {
        const std::lock_guard lock(mutex);
        things.add(thing.name, mask_of(FieldSource::kRegistry));
      }
      complete(thing.name, thing.read);
      fresh.put(thing.name, kAllSources, thing.read.fields);
    }
    after = std::move(last);
    more = full;
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
    if (is_stopping()) return {};
    std::vector<store::KeyValue> rows;
    TRY_VOID(store::run_blocking(parts.store, [&](store::Tx& tx) -> Status {
      rows = tx.range({.begin = begin, .end = store::after_prefix(prefix), .limit = kBuildBatch, .snapshot = true});
      return {};
    }));
    for (const store::KeyValue& row : rows) {
      auto name = store::KeyReader(row.key).text();
      auto group = name ? registry::read_group(*name, row.value) : std::nullopt;
      if (group && !group->deleting) fresh.put(*name, kAllSources, fields_of_group(*group));
    }
    more = rows.size() == kBuildBatch;
    if (!rows.empty()) begin = store::after_key(rows.back().key);
  }
  {
    const auto lock = lock_to_write();
    std::swap(groups_index, fresh);
  }
  if (on) set_status(QuerySubject::kThingGroups, IndexStatus::kActive);
  return {};
}

// ---- changes

// How many of the changes it has read: at least one, and no more than a batch's values.
Result<std::size_t> Indexer::State::read_things(const std::vector<ChangeQueue::Change>& changes,
                                                std::vector<ReadThing>& read) const {
  std::size_t done = 0;
  TRY_VOID(store::run_blocking(parts.store, [&](store::Tx& tx) -> Status {
    read.clear();
    GroupCache cache;
    std::size_t values = 0;
    for (done = 0; done < changes.size() && values < kBatchValues; ++done) {
      const auto& [name, mask, number] = changes[done];
      // A new document begins whole: shadows and clients may be older than their thing.
      const bool whole = !watch.empty() || !things_index.has(name);
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
        values += thing.read.fields.size();
      }
      read.push_back(std::move(thing));
    }
    return {};
  }));
  return done;
}

Status Indexer::State::apply(std::vector<ReadThing> read) {
  std::vector<std::string> wrong;
  for (ReadThing& thing : read) {
    if (!thing.exists) continue;
    if (watch.disagrees(thing.read)) wrong.push_back(thing.name);
    complete(thing.name, thing.read);
    const bool unseen = !thing.connectivity_known && (thing.sources & mask_of(FieldSource::kRegistry)) != 0;
    if (unseen && sources.connectivity && parts.connectivity != nullptr) parts.connectivity->recall(thing.name);
  }
  for (auto at = read.begin(); at != read.end();) {
    const auto lock = lock_to_write();
    for (std::size_t values = 0; at != read.end() && values < kValuesALock; ++at) {
      values += at->read.fields.size() + 1;
      if (at->exists)
        things_index.put(at->name, at->sources, at->read.fields);
      else
        things_index.erase(at->name);
    }
  }
  return watch.refresh(wrong);
}

// Takes those that it has indexed out of the changes.
Status Indexer::State::index_things(std::vector<ChangeQueue::Change>& changes) {
  if (changes.empty()) return {};
  std::vector<ReadThing> read;
  TRY(const std::size_t done, read_things(changes, read));
  TRY_VOID(apply(std::move(read)));
  changes.erase(changes.begin(), changes.begin() + static_cast<std::ptrdiff_t>(done));
  return {};
}

Status Indexer::State::index_groups(const std::unordered_set<std::string>& changed) {
  if (changed.empty()) return {};
  std::vector<std::pair<std::string, std::optional<registry::ThingGroup>>> read;
  TRY_VOID(store::run_blocking(parts.store, [&](store::Tx& tx) -> Status {
    read.clear();
    for (const std::string& name : changed) read.emplace_back(name, registry::find_group_record(tx, name, true));
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
  std::vector<ChangeQueue::Change> changes;
  std::unordered_set<std::string> changed_groups;
  {
    const std::lock_guard lock(mutex);
    configure_now = std::exchange(configuration_changed, false);
    read_queries_now = std::exchange(queries_changed, false);
  }
  Status done = read_queries_now ? watch.read_queries() : Status();
  if (done && configure_now) done = configure();
  if (!done) {
    const std::lock_guard lock(mutex);
    configuration_changed |= configure_now;
    queries_changed |= read_queries_now;
    return done.error();
  }
  {
    const std::lock_guard lock(mutex);
    if (things_status == IndexStatus::kOff) things.clear();
    if (groups_status == IndexStatus::kOff) groups.clear();
    changes = things.take(kBatch);
    changed_groups.swap(groups);
  }
  const bool any = configure_now || !changes.empty() || !changed_groups.empty();
  done = index_things(changes);
  if (done) done = index_groups(changed_groups);
  const std::lock_guard lock(mutex);
  things.give_back(changes);
  if (!done) {
    groups.insert(changed_groups.begin(), changed_groups.end());
    return done.error();
  }
  indexed = things.done();
  caught_up.notify_all();
  return any;
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
    woken.wait(lock, [&] { return stopping || has_work(); });
    if (stopping) return;
    lock.unlock();
    step();
    lock.lock();
    if (failing || connectivity_failed) woken.wait_for(lock, kRetry, [&] { return stopping; });
    if (!std::exchange(connectivity_failed, false) || stopping) continue;
    lock.unlock();
    parts.connectivity->retry();
    lock.lock();
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
  if (state_->parts.connectivity != nullptr)
    state_->parts.connectivity->on_failure([state = state_] {
      const std::lock_guard lock(state->mutex);
      state->connectivity_failed = true;
      state->woken.notify_one();
    });
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
    const std::uint64_t wanted = state_->things.heard();
    const bool ready = state_->caught_up.wait_for(lock, kCatchUp, [&] {
      return state_->stopping || state_->things_status != IndexStatus::kActive || state_->indexed >= wanted;
    });
    if (!ready || state_->stopping) return std::nullopt;
  }
  std::vector<std::string> names;
  bool in_time = false;
  auto looked = with_index(QuerySubject::kThings, [&](const Index& index) {
    auto found = search_in_time(
        index, query, [this] { return state_->is_stopping(); }, DynamicMembership::kUnseen);
    in_time = found.has_value();
    if (found) names = all_names(index, *found);
  });
  if (!looked || !in_time) return std::nullopt;
  return names;
}

bool Indexer::step() {
  return state_->step();
}

}  // namespace muster::fleet
