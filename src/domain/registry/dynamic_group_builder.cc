// SPDX-License-Identifier: Apache-2.0
// kGroupBuild: group -> {rebuilding, from, lap}: the walk stood behind the thing `from` when it took the group up;
// `lap`: it has been at the end of the things since. Under the empty name, which no group has: the last thing walked.
#include "domain/registry/dynamic_group_builder.h"

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "base/json.h"
#include "base/log.h"
#include "domain/registry/dynamic_groups.h"
#include "domain/registry/groups.h"
#include "store/keys.h"
#include "store/schema.h"

namespace muster::registry {

namespace {

constexpr std::size_t kBatch = 200;                   // things a transaction refreshes
constexpr std::size_t kBuildRows = 200;               // more than there are dynamic groups
constexpr auto kRetry = std::chrono::seconds(1);      // after the store refused
constexpr auto kLookAgain = std::chrono::minutes(1);  // should a poke have been lost

std::string build_key(std::string_view group) {
  return store::Key(store::table::kGroupBuild).text(group).str();
}

struct Build {
  std::string group;
  json::object record;
};

struct Walk {
  std::string cursor;
  bool has_cursor = false;
  std::vector<Build> builds;
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

}  // namespace

Result<bool> build_step(store::Tx& tx, std::size_t batch, const MembershipObserver& changed) {
  TRY(Walk walk, read_walk(tx));
  if (walk.builds.empty()) {
    if (walk.has_cursor) tx.erase(build_key(""));
    return false;
  }
  const std::vector<std::string> names = next_things(tx, walk.cursor, batch);
  for (const std::string& name : names) {
    const std::vector<std::string> before = groups_of_thing_with_ancestors(tx, name);
    TRY_VOID(refresh_thing(tx, name));
    const std::vector<std::string> after = groups_of_thing_with_ancestors(tx, name);
    if (before != after) TRY_VOID(changed(tx, name, before, after));
  }
  const bool at_end = names.size() < batch;
  const std::string cursor = at_end ? std::string() : names.back();
  for (Build& build : walk.builds) {
    if (advance_build(build.record, walk.cursor, cursor, at_end))
      tx.erase(build_key(build.group));
    else
      tx.put(build_key(build.group), to_text(build.record));
  }
  tx.put(build_key(""), cursor);
  return true;
}

struct DynamicGroupBuilder::State {
  store::Store& store;
  MembershipObserver changed;
  std::function<void()> committed;
  std::mutex mutex;
  std::condition_variable woken;
  bool stopping = false;
  bool poked = true;  // what a process before this one left
  bool failing = false;
  std::size_t batch = kBatch;  // smaller after conflicts: of the thread that steps
  std::thread thread;

  bool step();
  void run();
};

bool DynamicGroupBuilder::State::step() {
  auto more = store::run_blocking_for(store, [&](store::Tx& tx) { return build_step(tx, batch, changed); });
  failing = !more;
  if (!more) {
    log::warn("dynamic thing groups cannot be built", {{"error", more.error().message}});
    batch = std::max<std::size_t>(batch / 2, 1);
    return true;
  }
  batch = kBatch;
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
                                         std::function<void()> committed)
    : state_(std::make_shared<State>(store, std::move(changed), std::move(committed))) {}

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
