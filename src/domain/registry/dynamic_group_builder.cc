// SPDX-License-Identifier: Apache-2.0
// kGroupBuild: group -> {rebuilding, from, lap}: the walk stood behind the thing `from` when it took the group up;
// `lap`: it has been at the end of the things since. {deleting}: the group's members are let go. Under the empty name,
// which no group has: the last thing walked.
#include "domain/registry/dynamic_group_builder.h"

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "base/json.h"
#include "base/log.h"
#include "domain/registry/group_records.h"
#include "store/keys.h"
#include "store/schema.h"

namespace muster::registry {

namespace {

constexpr std::size_t kBatch = 200;                   // things a transaction refreshes
constexpr std::size_t kBuildRows = 200;               // all dynamic groups, some being deleted
constexpr auto kRetry = std::chrono::seconds(1);      // after the store refused
constexpr auto kLookAgain = std::chrono::minutes(1);  // should a poke have been lost

struct Build {
  std::string group;
  json::object record;
};

struct Walk {
  std::string cursor;
  bool has_cursor = false;
  std::vector<Build> builds;
  std::string deleting;  // one of the groups that are being emptied
};

Result<Walk> read_walk(store::Tx& tx) {
  Walk walk;
  const std::string prefix(1, store::table::kGroupBuild);
  for (const auto& row : tx.range({.begin = prefix, .end = store::after_prefix(prefix), .limit = kBuildRows})) {
    auto group = store::KeyReader(row.key).text();
    if (!group) continue;
    if (group->empty()) {
      walk.cursor = row.value;
      walk.has_cursor = true;
      continue;
    }
    TRY(json::object record, parse_record(row.value));
    if (get_bool(record, "deleting"))
      walk.deleting = *std::move(group);
    else
      walk.builds.push_back({*std::move(group), std::move(record)});
  }
  return walk;
}

// The names behind the cursor. A snapshot: a thing that is made or changed meanwhile refreshes itself.
std::vector<std::string> next_things(store::Tx& tx, std::string_view cursor, std::size_t batch) {
  const std::string prefix(1, store::table::kThing);
  const std::string begin = cursor.empty() ? prefix : store::after_key(store::Key(store::table::kThing).text(cursor));
  std::vector<std::string> names;
  for (const auto& row :
       tx.range({.begin = begin, .end = store::after_prefix(prefix), .limit = batch, .snapshot = true})) {
    if (auto name = store::KeyReader(row.key).text()) names.push_back(*std::move(name));
  }
  return names;
}

// Has the build seen every thing, now that the walk has gone from `before` to `after` (or to the end)? Keeps its record
// up to date otherwise.
bool advance_build(json::object& record, std::string_view before, std::string_view after, bool at_end) {
  if (!has(record, "from")) record["from"] = before;
  const std::string_view from = get_string(record, "from");
  if (get_bool(record, "lap")) return at_end || after >= from;
  if (!at_end) return false;
  record["lap"] = true;
  return from.empty();
}

Status delete_some(store::Tx& tx, std::string_view name, std::size_t batch, const MembershipObserver& changed) {
  auto group = find_group_record(tx, name, false);
  if (!group) {
    tx.erase(group_build_key(name));
    return {};
  }
  TRY(GroupDeletion deletion, empty_group(tx, *group, batch));
  for (const MembershipChange& change : deletion.changes)
    TRY_VOID(changed(tx, change.thing, change.before, change.after));
  return {};
}

}  // namespace

Result<bool> refresh_things(store::Tx& tx, const std::vector<std::string>& names, const MembershipObserver& changed,
                            const IndexFields& index_fields) {
  TRY(const auto queries, dynamic_queries(tx));
  const bool indexed = index_fields && std::ranges::any_of(queries, [](const DynamicQuery& one) {
                         return !one.query.needs().registry_only();
                       });
  bool any = false;
  for (const std::string& name : names) {
    const std::vector<std::string> before = groups_of_thing_with_ancestors(tx, name);
    const FieldValues fields = indexed ? index_fields(tx, name) : FieldValues();
    TRY_VOID(refresh_thing(tx, name, queries, indexed ? &fields : nullptr));
    const std::vector<std::string> after = groups_of_thing_with_ancestors(tx, name);
    if (before == after) continue;
    any = true;
    TRY_VOID(changed(tx, name, before, after));
  }
  return any;
}

Result<bool> build_step(store::Tx& tx, std::size_t batch, const MembershipObserver& changed,
                        const IndexFields& index_fields) {
  TRY(Walk walk, read_walk(tx));
  if (!walk.deleting.empty()) {
    TRY_VOID(delete_some(tx, walk.deleting, batch, changed));
    return true;
  }
  if (walk.builds.empty()) {
    if (walk.has_cursor) tx.erase(group_build_key(""));
    return false;
  }
  const std::vector<std::string> names = next_things(tx, walk.cursor, batch);
  TRY_VOID(refresh_things(tx, names, changed, index_fields));
  const bool at_end = names.size() < batch;
  const std::string cursor = at_end ? std::string() : names.back();
  for (Build& build : walk.builds) {
    if (advance_build(build.record, walk.cursor, cursor, at_end))
      tx.erase(group_build_key(build.group));
    else
      tx.put(group_build_key(build.group), to_text(build.record));
  }
  tx.put(group_build_key(""), cursor);
  return true;
}

// A group that is built of the things that match, and of its members, who may match no more.
struct CandidateBuild {
  std::string group, query;
  std::vector<std::string> names;
  std::size_t next = 0;
};

namespace {

Result<std::optional<CandidateBuild>> next_fresh_build(store::Tx& tx) {
  TRY(const Walk walk, read_walk(tx));
  if (!walk.deleting.empty()) return std::optional<CandidateBuild>();
  for (const Build& build : walk.builds) {
    if (has(build.record, "from")) continue;
    auto group = find_group_record(tx, build.group, false);
    if (group && !group->deleting) return std::optional(CandidateBuild{.group = build.group, .query = group->query});
  }
  return std::optional<CandidateBuild>();
}

Status add_members(store::Store& store, CandidateBuild& build) {
  constexpr std::size_t kPage = 1000;
  std::string cursor;
  do {
    TRY(const MemberPage page, store::run_blocking_for(store, [&](store::Tx& tx) {
          return for_each_member(tx, build.group, false, cursor, kPage, true);
        }));
    build.names.insert(build.names.end(), page.things.begin(), page.things.end());
    cursor = page.next;
  } while (!cursor.empty());
  std::ranges::sort(build.names);
  build.names.erase(std::unique(build.names.begin(), build.names.end()), build.names.end());
  return {};
}

// Another query since: its build stays to be done.
void finish_build(store::Tx& tx, const CandidateBuild& build) {
  auto group = find_group_record(tx, build.group, false);
  if (group && !group->deleting && group->query == build.query) tx.erase(group_build_key(build.group));
}

}  // namespace

struct DynamicGroupBuilder::State {
  store::Store& store;
  MembershipObserver changed;
  std::function<void()> committed;
  IndexFields index_fields;
  Candidates candidates;
  std::mutex mutex;
  std::condition_variable woken;
  bool stopping = false;
  bool poked = true;  // what a process before this one left
  bool failing = false;
  std::size_t batch = kBatch;  // smaller after conflicts: of the thread that steps
  std::thread thread;
  std::optional<CandidateBuild> current;

  bool step();
  Result<bool> one_step();
  Result<bool> begin_with_candidates();
  void run();
};

// Takes up a group that no walk has begun, when the index knows who matches. False: there is none.
Result<bool> DynamicGroupBuilder::State::begin_with_candidates() {
  TRY(auto found, store::run_blocking_for(store, [](store::Tx& tx) { return next_fresh_build(tx); }));
  if (!found) return false;
  TRY(const FleetQuery query, FleetQuery::parse(found->query));
  auto names = candidates(query);
  if (!names) return false;
  found->names = *std::move(names);
  TRY_VOID(add_members(store, *found));
  current = std::move(found);
  return true;
}

Result<bool> DynamicGroupBuilder::State::one_step() {
  if (!current && candidates) TRY_VOID(begin_with_candidates());
  if (!current)
    return store::run_blocking_for(store, [&](store::Tx& tx) { return build_step(tx, batch, changed, index_fields); });
  const std::size_t end = std::min(current->next + batch, current->names.size());
  const auto begin = current->names.begin();
  const std::vector<std::string> names(begin + static_cast<std::ptrdiff_t>(current->next),
                                       begin + static_cast<std::ptrdiff_t>(end));
  TRY_VOID(store::run_blocking(store, [&](store::Tx& tx) -> Status {
    TRY_VOID(refresh_things(tx, names, changed, index_fields));
    if (end == current->names.size()) finish_build(tx, *current);
    return {};
  }));
  current->next = end;
  if (end == current->names.size()) current.reset();
  return true;
}

bool DynamicGroupBuilder::State::step() {
  auto more = one_step();
  failing = !more;
  if (!more) {
    log::warn("dynamic thing groups cannot be built", {{"error", more.error().message}});
    batch = std::max<std::size_t>(batch / 2, 1);
    return true;
  }
  batch = std::min(batch * 2, kBatch);
  if (*more) committed();
  return *more;
}

void DynamicGroupBuilder::State::run() {
  std::unique_lock lock(mutex);
  while (!stopping) {
    if (!poked) woken.wait_for(lock, kLookAgain, [&] { return stopping || poked; });
    poked = false;
    bool more = true;
    while (more && !stopping) {
      lock.unlock();
      more = step();
      lock.lock();
      if (failing) woken.wait_for(lock, kRetry, [&] { return stopping; });
    }
  }
}

DynamicGroupBuilder::DynamicGroupBuilder(store::Store& store, MembershipObserver changed,
                                         std::function<void()> committed, IndexFields index_fields,
                                         Candidates candidates)
    : state_(std::make_shared<State>(store, std::move(changed), std::move(committed), std::move(index_fields),
                                     std::move(candidates))) {}

DynamicGroupBuilder::~DynamicGroupBuilder() {
  stop();
}

void DynamicGroupBuilder::start_thread() {
  state_->thread = std::thread([state = state_.get()] { state->run(); });
}

void DynamicGroupBuilder::stop() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->stopping = true;
    state_->woken.notify_all();
  }
  if (state_->thread.joinable()) state_->thread.join();
}

void DynamicGroupBuilder::poke() {
  const std::lock_guard lock(state_->mutex);
  state_->poked = true;
  state_->woken.notify_one();
}

bool DynamicGroupBuilder::step() {
  return state_->step();
}

}  // namespace muster::registry
