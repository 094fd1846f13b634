// SPDX-License-Identifier: Apache-2.0
#include "store/buffered_tx.h"

#include "base/log.h"
#include "store/keys.h"

namespace muster::store {

namespace {

constexpr auto kKindByTag = [] {
  std::array<signed char, 256> kinds{};
  for (auto& kind : kinds) kind = -1;
  for (const auto& row : kTables) kinds[static_cast<unsigned char>(row.tag)] = static_cast<signed char>(row.kind);
  return kinds;
}();

// Both sorted the same way and without duplicates between them; at most `limit` of the merged order.
std::vector<KeyValue> merge(std::vector<KeyValue> committed,
                            std::vector<std::pair<std::string_view, std::string_view>> own,
                            const RangeOptions& options) {
  std::vector<KeyValue> out;
  const auto before = [&](std::string_view a, std::string_view b) { return options.reverse ? b < a : a < b; };
  std::size_t i = 0, j = 0;
  while (out.size() < options.limit && (i < committed.size() || j < own.size())) {
    if (j == own.size() || (i < committed.size() && before(committed[i].key, own[j].first))) {
      out.push_back(std::move(committed[i++]));
    } else {
      out.push_back({std::string(own[j].first), std::string(own[j].second)});
      ++j;
    }
  }
  return out;
}

}  // namespace

std::optional<Kind> kind_of(std::string_view key) {
  if (key.empty()) return std::nullopt;
  const auto kind = kKindByTag[static_cast<unsigned char>(key[0])];
  if (kind < 0) return std::nullopt;
  return static_cast<Kind>(kind);
}

std::string stamped_key(std::string_view prefix, std::uint64_t commit, std::uint32_t place) {
  Key stamp('\0');
  stamp.integer(static_cast<std::int64_t>(commit)).integer(place);
  std::string key;
  key.reserve(prefix.size() + 16);
  key.append(prefix).append(stamp.str(), 1);
  return key;
}

Status run_body(const Store::Body& body, Tx& tx) {
  try {
    return body(tx);
  } catch (const std::exception& failure) {
    log::error("a transaction's body threw; its writes are dropped", {{"what", failure.what()}});
  } catch (...) {
    log::error("a transaction's body threw something unknown; its writes are dropped");
  }
  return internal("Internal error");
}

void BufferedTx::poison_with(Error error) {
  if (!poison_) poison_ = std::move(error);
}

const std::optional<std::string>* BufferedTx::own(std::string_view key) const {
  if (writes_.empty()) return nullptr;
  const auto at = writes_.find(key);
  return at == writes_.end() ? nullptr : &at->second;
}

std::vector<std::optional<std::string>> BufferedTx::read_many(const std::vector<std::string>& keys, bool snapshot) {
  std::vector<std::optional<std::string>> values;
  values.reserve(keys.size());
  for (const auto& key : keys) values.push_back(read(key, snapshot));
  return values;
}

std::optional<std::string> BufferedTx::get(std::string_view key) {
  if (const auto* mine = own(key)) return *mine;
  if (poison_) return std::nullopt;
  return read(key, false);
}

std::optional<std::string> BufferedTx::get_snapshot(std::string_view key) {
  if (const auto* mine = own(key)) return *mine;
  if (poison_) return std::nullopt;
  return read(key, true);
}

std::vector<std::optional<std::string>> BufferedTx::get_many(const std::vector<std::string>& keys) {
  return many(keys, false);
}

std::vector<std::optional<std::string>> BufferedTx::get_many_snapshot(const std::vector<std::string>& keys) {
  return many(keys, true);
}

std::vector<std::optional<std::string>> BufferedTx::many(const std::vector<std::string>& keys, bool snapshot) {
  std::vector<std::optional<std::string>> values(keys.size());
  if (poison_) return values;
  std::vector<std::string> foreign;
  std::vector<std::size_t> places;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (const auto* mine = own(keys[i])) {
      values[i] = *mine;
    } else {
      foreign.push_back(keys[i]);
      places.push_back(i);
    }
  }
  auto read = read_many(foreign, snapshot);
  for (std::size_t i = 0; i < places.size() && i < read.size(); ++i) values[places[i]] = std::move(read[i]);
  return values;
}

std::vector<KeyValue> BufferedTx::range(const RangeOptions& options) {
  if (poison_ || options.limit == 0 || options.begin >= options.end) return {};
  const auto first = writes_.lower_bound(options.begin);
  const auto last = writes_.lower_bound(options.end);
  if (first == last) return scan(options);
  // Each own write can hide one committed entry of the page, so that many more are fetched.
  RangeOptions wider = options;
  std::vector<std::pair<std::string_view, std::string_view>> mine;
  for (auto at = first; at != last; ++at) {
    ++wider.limit;
    if (at->second) mine.emplace_back(at->first, *at->second);
  }
  if (options.reverse) std::reverse(mine.begin(), mine.end());
  auto committed = scan(wider);
  std::erase_if(committed, [&](const KeyValue& entry) { return own(entry.key) != nullptr; });
  return merge(std::move(committed), std::move(mine), options);
}

bool BufferedTx::accept(std::string_view key, std::size_t value_bytes, bool counter) {
  if (poison_) return false;
  const auto kind = kind_of(key);
  if (!kind || (*kind == Kind::kCounter) != counter) {
    poison_with(internal("A key does not belong to its table"));
    return false;
  }
  bytes_ += key.size() + value_bytes;
  if (key.size() > kMaxKeyBytes || value_bytes > kMaxValueBytes || bytes_ > kMaxTransactionBytes) {
    poison_with(make_error(ErrorKind::kTooLarge, "The item or transaction exceeds the maximum size"));
    return false;
  }
  return true;
}

void BufferedTx::put(std::string_view key, std::string_view value) {
  if (!accept(key, value.size(), false)) return;
  const auto at = writes_.lower_bound(key);
  if (at != writes_.end() && at->first == key) {
    at->second = std::string(value);
  } else {
    writes_.emplace_hint(at, std::string(key), std::string(value));
  }
}

void BufferedTx::erase(std::string_view key) {
  if (!accept(key, 0, false)) return;
  const auto at = writes_.lower_bound(key);
  if (at != writes_.end() && at->first == key) {
    at->second.reset();
  } else {
    writes_.emplace_hint(at, std::string(key), std::nullopt);
  }
}

void BufferedTx::append(std::string_view prefix, std::string_view value) {
  if (!accept(prefix, value.size() + 16, false)) return;
  appends_.push_back({std::string(prefix), std::string(value)});
}

void BufferedTx::add(std::string_view counter_key, std::int64_t delta) {
  if (!accept(counter_key, 8, true)) return;
  auto at = counters_.lower_bound(counter_key);
  if (at == counters_.end() || at->first != counter_key) {
    before_change(counter_key);
    at = counters_.emplace_hint(at, std::string(counter_key), CounterChange{});
  }
  // Wraps instead of being undefined; nothing counts that far.
  at->second.delta =
      static_cast<std::int64_t>(static_cast<std::uint64_t>(at->second.delta) + static_cast<std::uint64_t>(delta));
}

std::int64_t BufferedTx::counter(std::string_view counter_key) {
  if (poison_) return 0;
  const auto mine = counters_.find(counter_key);
  if (mine == counters_.end()) return read_counter(counter_key);
  return (mine->second.erased ? 0 : read_counter(counter_key)) + mine->second.delta;
}

void BufferedTx::erase_counter(std::string_view counter_key) {
  if (!accept(counter_key, 8, true)) return;
  if (!counters_.contains(counter_key)) before_change(counter_key);
  counters_[std::string(counter_key)] = CounterChange{.erased = true};
}

}  // namespace muster::store
