// SPDX-License-Identifier: Apache-2.0
// The listings of executions.h, by job and by thing.
#include <algorithm>

#include "domain/jobs/executions.h"
#include "domain/registry/page.h"
#include "domain/registry/things.h"
#include "store/keys.h"
#include "store/schema.h"

namespace muster::jobs {

namespace table = store::table;
using store::Key;

namespace {

constexpr std::size_t kMaxPage = 250;
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
  const auto records = tx.get_many(keys);
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

}  // namespace

Result<Page<ExecutionRow>> list_executions_of_job(const Context& context, store::Tx& tx, std::string_view job_id,
                                                  const ExecutionFilter& filter) {
  TRY_VOID(get_job(context, tx, job_id));
  const std::size_t wanted = std::clamp<std::size_t>(filter.max_results, 1, kMaxPage);
  std::string listing = "job executions " + std::string(job_id);
  std::string prefix = Key(table::kJobExecution).text(job_id).str();
  if (filter.status) {
    listing.append(" ").append(to_string(*filter.status));
    prefix = Key(table::kJobStatusExecution).text(job_id).text(to_string(*filter.status)).str();
  }
  TRY(const std::string position, registry::page_position(listing, filter.next_token));
  const IndexPage index = read_index(tx, prefix, position, wanted);
  std::vector<ExecutionId> ids;
  for (std::size_t i = 0; i < std::min(index.tails.size(), wanted); ++i) {
    store::KeyReader reader(index.tails[i]);
    auto thing = reader.text();
    const auto number = reader.descending();
    if (!thing || !number) return corrupt_listing();
    ids.push_back({*std::move(thing), std::string(job_id), *number});
  }
  Page<ExecutionRow> page;
  TRY(page.items, read_rows(tx, ids));
  // The index was read without conflicting: an execution may have moved on since.
  if (filter.status) std::erase_if(page.items, [&](const auto& row) { return row.execution.status != *filter.status; });
  if (index.more) page.next_token = registry::page_token(listing, std::string_view(index.tails[wanted]).substr(1));
  return page;
}

Result<Page<ExecutionRow>> list_executions_of_thing(const Context& context, store::Tx& tx, std::string_view thing,
                                                    const ExecutionFilter& filter) {
  (void)context;
  if (!registry::thing_exists(tx, thing)) return registry::thing_not_found(thing);
  const std::size_t wanted = std::clamp<std::size_t>(filter.max_results, 1, kMaxPage);
  std::string listing = "thing executions " + std::string(thing) + " " + filter.job;
  if (filter.status) listing.append(" ").append(to_string(*filter.status));
  const bool one_job = !filter.job.empty();
  const std::string prefix = one_job ? Key(table::kExecution).text(thing).text(filter.job).str()
                                     : Key(table::kThingExecution).text(thing).str();
  TRY(const std::string position, registry::page_position(listing, filter.next_token));
  const std::size_t limit = filter.status ? kScanLimit : wanted;
  const IndexPage index = read_index(tx, prefix, position, limit);
  Page<ExecutionRow> page;
  constexpr std::size_t kChunk = 100;
  for (std::size_t at = 0; at < std::min(index.tails.size(), limit); at += kChunk) {
    std::vector<ExecutionId> ids;
    const std::size_t end = std::min({at + kChunk, index.tails.size(), limit});
    for (std::size_t i = at; i < end; ++i) {
      store::KeyReader reader(index.tails[i]);
      std::optional<std::string> job = filter.job;
      if (!one_job) job = reader.descending() ? reader.text() : std::nullopt;
      const auto number = reader.descending();
      if (!job || !number) return corrupt_listing();
      ids.push_back({std::string(thing), *std::move(job), *number});
    }
    TRY(const auto rows, read_rows(tx, ids));
    for (const auto& row : rows) {
      if (filter.status && row.execution.status != *filter.status) continue;
      if (page.items.size() < wanted) {
        page.items.push_back(row);
        continue;
      }
      // The first one that did not fit begins the next page.
      const auto is_row = [&](const ExecutionId& id) { return id.job == row.job && id.number == row.execution.number; };
      const auto i = at + static_cast<std::size_t>(std::ranges::find_if(ids, is_row) - ids.begin());
      page.next_token = registry::page_token(listing, std::string_view(index.tails[i]).substr(1));
      return page;
    }
  }
  if (index.more) page.next_token = registry::page_token(listing, std::string_view(index.tails[limit]).substr(1));
  return page;
}

}  // namespace muster::jobs
