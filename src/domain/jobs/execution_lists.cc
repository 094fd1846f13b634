// SPDX-License-Identifier: Apache-2.0
// The listings of executions.h, by job and by thing.
#include <algorithm>
#include <iterator>
#include <map>
#include <span>
#include <tuple>

#include "domain/jobs/executions.h"
#include "domain/jobs/pending.h"
#include "domain/registry/page.h"
#include "domain/registry/things.h"
#include "store/keys.h"
#include "store/schema.h"

namespace muster::jobs {

namespace table = store::table;
using store::Key;

namespace {

constexpr std::size_t kMaxPage = 250;
constexpr std::size_t kMaxPending = 10'000;  // pending executions of a thing that are listed
// Index entries that a filtered page of a thing's executions looks at; a page may then be short and have a successor.
constexpr std::size_t kScanLimit = 1000;

// One page of index keys under `prefix` from the position in a token.
struct IndexPage {
  std::vector<std::string> tails;  // keys without the prefix, with a byte for KeyReader to skip
  bool more = false;
};

IndexPage read_index(store::Tx& tx, const std::string& prefix, const std::string& position, std::size_t limit) {
  store::RangeOptions options;
  options.begin = prefix + position;
  options.end = store::after_prefix(prefix);
  options.limit = limit + 1;
  options.snapshot = true;
  IndexPage page;
  for (const auto& row : tx.range(options)) page.tails.push_back('x' + row.key.substr(prefix.size()));
  page.more = page.tails.size() > limit;
  return page;
}

// In the order of `ids`; what a concurrent deletion took is left out.
Result<std::vector<ExecutionRow>> read_rows(store::Tx& tx, const std::vector<ExecutionId>& ids) {
  std::vector<std::string> keys;
  for (const auto& id : ids) {
    keys.push_back(Key(table::kExecution).text(id.thing).text(id.job).descending(id.number).str());
  }
  const auto records = tx.get_many_snapshot(keys);
  std::vector<ExecutionRow> rows;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (!records[i]) continue;
    TRY(Execution execution, decode_execution(ids[i].number, *records[i]));
    rows.push_back({ids[i].thing, ids[i].job, std::move(execution)});
  }
  return rows;
}

Error corrupt_listing() {
  return internal("corrupt listing of job executions");
}

// A place in the listing of a job: by thing, then newest number first.
struct Place {
  std::string key;  // text thing, descending number, as the indexes have it
  ExecutionId id;
};

// The next places of a job's executions, merged over the indexes by status. In the order in which executions move on,
// so that one that moves meanwhile is seen twice rather than not at all.
struct Places {
  std::vector<Place> found;  // in order, at most one more than asked for
};
Result<Places> next_places(store::Tx& tx, std::string_view job_id, std::span<const ExecutionStatus> statuses,
                           const std::string& position, std::size_t limit) {
  std::map<std::string, ExecutionId> merged;
  for (const auto status : statuses) {
    // What a sweep has just emptied would be stepped over entry by entry.
    if (tx.counter(count_key(job_id, status)) == 0) continue;
    const std::string prefix = status_prefix(job_id, status);
    const IndexPage index = read_index(tx, prefix, position, limit);
    for (const auto& tail : index.tails) {
      store::KeyReader reader(tail);
      auto thing = reader.text();
      const auto number = reader.descending();
      if (!thing || !number) return corrupt_listing();
      merged.try_emplace(tail.substr(1), ExecutionId{*std::move(thing), std::string(job_id), *number});
    }
  }
  Places places;
  for (auto& [key, id] : merged) {
    if (places.found.size() > limit) break;
    places.found.push_back({key, std::move(id)});
  }
  return places;
}

// Newest first.
bool is_newer(const ExecutionRow& a, const ExecutionRow& b) {
  const auto order = [](const ExecutionRow& row) {
    return std::tuple(-row.execution.queued_ms, std::string_view(row.job), -row.execution.number);
  };
  return order(a) < order(b);
}

std::string thing_position(const ExecutionRow& row) {
  const std::string key = Key(table::kThingExecution)
                              .descending(row.execution.queued_ms)
                              .text(row.job)
                              .descending(row.execution.number)
                              .str();
  return key.substr(1);
}

// Ended executions of a thing from `position` on, in the order of their index.
Result<std::vector<ExecutionRow>> ended_rows(store::Tx& tx, std::string_view thing, const std::string& position,
                                             std::size_t limit) {
  const IndexPage index = read_index(tx, Key(table::kThingExecution).text(thing).str(), position, limit);
  std::vector<ExecutionId> ids;
  for (const auto& tail : index.tails) {
    store::KeyReader reader(tail);
    auto job = reader.descending() ? reader.text() : std::nullopt;
    const auto number = reader.descending();
    if (!job || !number) return corrupt_listing();
    ids.push_back({std::string(thing), *std::move(job), *number});
  }
  return read_rows(tx, ids);
}

// Pending ones from `position` on.
Result<std::vector<ExecutionRow>> pending_rows(store::Tx& tx, std::string_view thing, const std::string& position) {
  TRY(const auto entries, read_pending(tx, thing, kMaxPending));
  std::vector<ExecutionId> ids;
  for (const auto& entry : entries) ids.push_back({std::string(thing), entry.job, entry.number});
  TRY(auto rows, read_rows(tx, ids));
  std::erase_if(rows, [&](const auto& row) { return thing_position(row) < position; });
  return rows;
}

bool passes(const ExecutionFilter& filter, const ExecutionRow& row) {
  if (filter.status && row.execution.status != *filter.status) return false;
  return filter.namespace_id.empty() || row.execution.namespace_id == filter.namespace_id;
}

// Of one job: few, by number.
Result<Page<ExecutionRow>> list_of_thing_and_job(store::Tx& tx, std::string_view thing, const ExecutionFilter& filter,
                                                 const std::string& listing, const std::string& position) {
  const std::size_t wanted = std::clamp<std::size_t>(filter.max_results, 1, kMaxPage);
  const IndexPage index = read_index(tx, Key(table::kExecution).text(thing).text(filter.job).str(), position, wanted);
  std::vector<ExecutionId> ids;
  for (const auto& tail : index.tails) {
    const auto number = store::KeyReader(tail).descending();
    if (!number) return corrupt_listing();
    ids.push_back({std::string(thing), filter.job, *number});
  }
  if (index.more) ids.resize(wanted);
  Page<ExecutionRow> page;
  TRY(page.items, read_rows(tx, ids));
  std::erase_if(page.items, [&](const auto& row) { return !passes(filter, row); });
  if (index.more) page.next_token = registry::page_token(listing, std::string_view(index.tails[wanted]).substr(1));
  return page;
}

}  // namespace

Result<Page<ExecutionRow>> list_executions_of_job(const Context& context, store::Tx& tx, std::string_view job_id,
                                                  const ExecutionFilter& filter) {
  TRY_VOID(get_job(context, tx, job_id));
  const std::size_t wanted = std::clamp<std::size_t>(filter.max_results, 1, kMaxPage);
  std::string listing = "job executions " + std::string(job_id);
  std::span<const ExecutionStatus> statuses = kAllStatuses;
  if (filter.status) {
    listing.append(" ").append(to_string(*filter.status));
    statuses = std::span(&*filter.status, 1);
  }
  TRY(const std::string position, registry::page_position(listing, filter.next_token));
  TRY(const Places places, next_places(tx, job_id, statuses, position, wanted));
  std::vector<ExecutionId> ids;
  for (const auto& place : places.found) {
    if (ids.size() < wanted) ids.push_back(place.id);
  }
  Page<ExecutionRow> page;
  TRY(page.items, read_rows(tx, ids));
  // The index was read without conflicting: an execution may have moved on since.
  if (filter.status) std::erase_if(page.items, [&](const auto& row) { return row.execution.status != *filter.status; });
  if (places.found.size() > wanted) page.next_token = registry::page_token(listing, places.found[wanted].key);
  return page;
}

Result<Page<ExecutionRow>> list_executions_of_thing(const Context& context, store::Tx& tx, std::string_view thing,
                                                    const ExecutionFilter& filter) {
  (void)context;
  if (!registry::thing_exists(tx, thing)) return registry::thing_not_found(thing);
  const std::size_t wanted = std::clamp<std::size_t>(filter.max_results, 1, kMaxPage);
  std::string listing = "thing executions " + std::string(thing) + " " + filter.job + " " + filter.namespace_id;
  if (filter.status) listing.append(" ").append(to_string(*filter.status));
  TRY(const std::string position, registry::page_position(listing, filter.next_token));
  if (!filter.job.empty()) return list_of_thing_and_job(tx, thing, filter, listing, position);

  const bool filtered = filter.status || !filter.namespace_id.empty();
  const std::size_t limit = filtered ? kScanLimit : wanted;
  TRY(auto rows, pending_rows(tx, thing, position));
  TRY(auto ended, ended_rows(tx, thing, position, limit));
  // Behind the last ended one read there may be more of them, before pending ones that are older still.
  const bool cut = ended.size() > limit;
  const std::string end = cut ? thing_position(ended.back()) : std::string();
  std::move(ended.begin(), ended.end(), std::back_inserter(rows));
  std::ranges::sort(rows, is_newer);
  // One that ended between the two reads is in both.
  const auto same = [](const ExecutionRow& a, const ExecutionRow& b) {
    return a.job == b.job && a.execution.number == b.execution.number;
  };
  const auto twice = std::ranges::unique(rows, same);
  rows.erase(twice.begin(), twice.end());
  Page<ExecutionRow> page;
  for (auto& row : rows) {
    std::string place = thing_position(row);
    const bool beyond = cut && place >= end;
    if (!beyond && !passes(filter, row)) continue;
    if (beyond || page.items.size() == wanted) {
      page.next_token = registry::page_token(listing, place);
      return page;
    }
    page.items.push_back(std::move(row));
  }
  return page;
}

}  // namespace muster::jobs
