// SPDX-License-Identifier: Apache-2.0
#include "store/cluster_tx.h"

#include "store/keys.h"

namespace muster::store {

Result<Rows> ClusterTx::query(const char* sql, const std::vector<Parameter>& parameters) {
  const bool fresh = !connection_.connected();
  auto rows = connection_.query(sql, parameters);
  // A connection that idled through a restart of the database is found dead only now; reads can be repeated.
  if (!rows && !fresh && !connection_.connected()) rows = connection_.query(sql, parameters);
  if (!rows) poison_with(rows.error());
  return rows;
}

std::optional<std::string> ClusterTx::read(std::string_view key, bool snapshot) {
  const auto rows = query("SELECT value, version FROM muster_kv WHERE key = $1", {bytea(key)});
  if (!rows) return std::nullopt;
  const bool found = rows->size() == 1;
  if (!snapshot) {
    points_.emplace_back(std::string(key), found ? rows->integer(0, 1) : 0);
    ++tracked_reads_;
  }
  if (!found) return std::nullopt;
  return std::string(rows->bytes(0, 0));
}

std::vector<std::optional<std::string>> ClusterTx::read_many(const std::vector<std::string>& keys, bool snapshot) {
  std::vector<std::optional<std::string>> values(keys.size());
  if (keys.empty()) return values;
  const auto rows =
      query("SELECT key, value, version FROM muster_kv WHERE key = ANY($1)", {bytea_array({keys.begin(), keys.end()})});
  if (!rows) return values;
  std::map<std::string_view, int> found;
  for (int row = 0; row < rows->size(); ++row) found.emplace(rows->bytes(row, 0), row);
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const auto at = found.find(keys[i]);
    if (!snapshot) points_.emplace_back(keys[i], at == found.end() ? 0 : rows->integer(at->second, 2));
    if (at != found.end()) values[i] = std::string(rows->bytes(at->second, 1));
  }
  if (!snapshot) ++tracked_reads_;
  return values;
}

std::vector<KeyValue> ClusterTx::scan(const RangeOptions& options) {
  const auto rows = query(options.reverse ? "SELECT key, value, version FROM muster_kv WHERE key >= $1 AND key < $2 "
                                            "ORDER BY key DESC LIMIT $3"
                                          : "SELECT key, value, version FROM muster_kv WHERE key >= $1 AND key < $2 "
                                            "ORDER BY key LIMIT $3",
                          {bytea(options.begin), bytea(options.end), bigint(static_cast<std::int64_t>(options.limit))});
  std::vector<KeyValue> found;
  if (!rows) return found;
  Range range{options.begin, options.end, {}};
  for (int row = 0; row < rows->size(); ++row) {
    found.push_back({std::string(rows->bytes(row, 0)), std::string(rows->bytes(row, 1))});
    if (!options.snapshot) range.seen.emplace_back(found.back().key, rows->integer(row, 2));
  }
  if (options.snapshot) return found;
  // A full page says nothing about what lies behind it.
  if (found.size() == options.limit) {
    (options.reverse ? range.begin : range.end) = options.reverse ? found.back().key : after_key(found.back().key);
  }
  if (options.reverse) std::reverse(range.seen.begin(), range.seen.end());
  ranges_.push_back(std::move(range));
  ++tracked_reads_;
  return found;
}

std::int64_t ClusterTx::read_counter(std::string_view key) {
  const auto rows = query("SELECT coalesce(sum(value), 0)::bigint FROM muster_counter WHERE key = $1", {bytea(key)});
  return rows && rows->size() == 1 ? rows->integer(0, 0) : 0;
}

bool BatchConflicts::touches(const ClusterTx& tx) const {
  for (const auto& [key, version] : tx.points()) {
    if (keys_.contains(key)) return true;
    for (const auto& prefix : prefixes_)
      if (key.starts_with(prefix)) return true;
  }
  for (const auto& range : tx.ranges()) {
    const auto at = keys_.lower_bound(range.begin);
    if (at != keys_.end() && *at < range.end) return true;
    for (const auto& prefix : prefixes_)
      if (prefix < range.end && range.begin < after_prefix(prefix)) return true;
  }
  return false;
}

void BatchConflicts::add(ClusterTx& tx) {
  for (const auto& [key, value] : tx.writes()) keys_.insert(key);
  for (const auto& append : tx.appends()) prefixes_.insert(append.prefix);
}

Result<std::vector<bool>> reads_hold(Postgres& connection, const std::vector<const ClusterTx*>& transactions) {
  std::vector<std::string_view> keys;
  for (const auto* tx : transactions)
    for (const auto& [key, version] : tx->points()) keys.push_back(key);
  std::sort(keys.begin(), keys.end());
  keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
  std::map<std::string, std::int64_t, std::less<>> versions;
  if (!keys.empty()) {
    TRY(const auto rows,
        connection.query("SELECT key, version FROM muster_kv WHERE key = ANY($1)", {bytea_array(keys)}));
    for (int row = 0; row < rows.size(); ++row) versions.emplace(rows.bytes(row, 0), rows.integer(row, 1));
  }
  std::vector<bool> holds;
  for (const auto* tx : transactions) {
    bool same = true;
    for (const auto& [key, version] : tx->points()) {
      const auto at = versions.find(key);
      same = same && version == (at == versions.end() ? 0 : at->second);
    }
    for (const auto& range : tx->ranges()) {
      if (!same) break;
      TRY(const auto rows,
          connection.query(
              "SELECT key, version FROM muster_kv WHERE key >= $1 AND key < $2 ORDER BY key LIMIT $3",
              {bytea(range.begin), bytea(range.end), bigint(static_cast<std::int64_t>(range.seen.size()) + 1)}));
      same = rows.size() == static_cast<int>(range.seen.size());
      for (int row = 0; same && row < rows.size(); ++row) {
        const auto& [key, version] = range.seen[static_cast<std::size_t>(row)];
        same = rows.bytes(row, 0) == key && rows.integer(row, 1) == version;
      }
    }
    holds.push_back(same);
  }
  return holds;
}

void BatchWrites::add(ClusterTx& tx, std::int64_t version) {
  for (const auto& [key, value] : tx.writes()) {
    changes_.insert_or_assign(key, Change{value ? std::optional<std::string_view>(*value) : std::nullopt, version});
  }
  std::uint32_t place = 0;
  for (const auto& append : tx.appends()) {
    changes_.insert_or_assign(stamped_key(append.prefix, static_cast<std::uint64_t>(version), place++),
                              Change{append.value, version});
  }
  for (const auto& [key, change] : tx.counters()) {
    auto& sum = counters_[key];
    if (change.erased) sum = {.erased = true};
    sum.delta += change.delta;
  }
}

Status BatchWrites::write(Postgres& connection, std::int64_t shard) const {
  std::vector<std::string_view> keys, values, erased, sums, erased_sums;
  std::vector<std::int64_t> versions, deltas;
  for (const auto& [key, change] : changes_) {
    if (!change.value) {
      erased.push_back(key);
      continue;
    }
    keys.push_back(key);
    values.push_back(*change.value);
    versions.push_back(change.version);
  }
  for (const auto& [key, change] : counters_) {
    if (change.erased) erased_sums.push_back(key);
    if (change.delta == 0) continue;
    sums.push_back(key);
    deltas.push_back(change.delta);
  }
  if (!erased.empty()) TRY_VOID(connection.run("DELETE FROM muster_kv WHERE key = ANY($1)", {bytea_array(erased)}));
  if (!keys.empty()) {
    TRY_VOID(
        connection.run("INSERT INTO muster_kv (key, value, version) "
                       "SELECT * FROM unnest($1::bytea[], $2::bytea[], $3::bigint[]) "
                       "ON CONFLICT (key) DO UPDATE SET value = excluded.value, version = excluded.version",
                       {bytea_array(keys), bytea_array(values), bigint_array(versions)}));
  }
  if (!erased_sums.empty())
    TRY_VOID(connection.run("DELETE FROM muster_counter WHERE key = ANY($1)", {bytea_array(erased_sums)}));
  if (!sums.empty()) {
    TRY_VOID(
        connection.run("INSERT INTO muster_counter (key, shard, value) "
                       "SELECT k, $3, v FROM unnest($1::bytea[], $2::bigint[]) AS change (k, v) "
                       "ON CONFLICT (key, shard) DO UPDATE SET value = muster_counter.value + excluded.value",
                       {bytea_array(sums), bigint_array(deltas), bigint(shard)}));
  }
  return {};
}

}  // namespace muster::store
