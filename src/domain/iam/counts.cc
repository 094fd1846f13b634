// SPDX-License-Identifier: Apache-2.0
// kIamCount: "users" | "roles" | "groups" | "policies" | "versions", and "attached" | "boundaries", policy ARN.
// kMeta "iam_counts": the counters are there.
#include "domain/iam/counts.h"

#include <functional>
#include <string>

#include "domain/iam/identity_records.h"
#include "store/keys.h"
#include "store/schema.h"

namespace muster::iam {

namespace {

struct Row {
  std::string_view name, quota_name;
  std::int64_t quota;
};

const Row& row_of(Counted what) {
  static constexpr Row kRows[] = {{"users", "UsersPerAccount", 5000},
                                  {"roles", "RolesPerAccount", 1000},
                                  {"groups", "GroupsPerAccount", 300},
                                  {"policies", "PoliciesPerAccount", 1500},
                                  {"versions", "PolicyVersionsInUse", 10000}};
  return kRows[static_cast<std::size_t>(what)];
}

std::string key_of(Counted what) {
  return store::Key(store::table::kIamCount).text(row_of(what).name).str();
}

std::string key_of_use(std::string_view arn, bool as_boundary) {
  return store::Key(store::table::kIamCount).text(as_boundary ? "boundaries" : "attached").text(arn).str();
}

void each_row(store::Tx& tx, char table, const std::function<void(const store::KeyValue&)>& row) {
  constexpr std::size_t kBatch = 200;
  const std::string prefix(1, table);
  std::string begin = prefix;
  for (;;) {
    const auto found =
        tx.range({.begin = begin, .end = store::after_prefix(prefix), .limit = kBatch, .snapshot = true});
    for (const store::KeyValue& item : found) row(item);
    if (found.size() < kBatch) return;
    begin = store::after_key(found.back().key);
  }
}

}  // namespace

std::int64_t quota_of(Counted what) {
  return row_of(what).quota;
}

std::int64_t count_of(store::Tx& tx, Counted what) {
  return tx.counter(key_of(what));
}

void count(store::Tx& tx, Counted what, std::int64_t change) {
  tx.add(key_of(what), change);
}

Status count_within_quota(store::Tx& tx, Counted what) {
  const Row& row = row_of(what);
  if (count_of(tx, what) >= row.quota)
    return limit_exceeded("Cannot exceed quota for " + std::string(row.quota_name) + ": " + std::to_string(row.quota));
  count(tx, what, 1);
  return {};
}

PolicyUses uses_of_policy(store::Tx& tx, std::string_view arn) {
  return {tx.counter(key_of_use(arn, false)), tx.counter(key_of_use(arn, true))};
}

void count_use(store::Tx& tx, std::string_view arn, bool as_boundary, std::int64_t change) {
  tx.add(key_of_use(arn, as_boundary), change);
}

void forget_uses(store::Tx& tx, std::string_view arn) {
  tx.erase_counter(key_of_use(arn, false));
  tx.erase_counter(key_of_use(arn, true));
}

void ensure_counts(store::Tx& tx) {
  const std::string done = store::Key(store::table::kMeta).text("iam_counts").str();
  if (tx.get(done)) return;
  tx.put(done, "1");
  auto count_rows = [&](char table, Counted what) { each_row(tx, table, [&](const auto&) { count(tx, what, 1); }); };
  count_rows(store::table::kUser, Counted::kUsers);
  count_rows(store::table::kRole, Counted::kRoles);
  count_rows(store::table::kIamGroup, Counted::kGroups);
  each_row(tx, store::table::kManagedPolicy, [&](const store::KeyValue& item) {
    count(tx, Counted::kPolicies, 1);
    const auto record = parse_record(item.value);
    const json::array* versions = record ? find_array(*record, "versions") : nullptr;
    if (versions != nullptr) count(tx, Counted::kPolicyVersions, static_cast<std::int64_t>(versions->size()));
  });
  each_row(tx, store::table::kPolicyAttachment, [&](const store::KeyValue& item) {
    store::KeyReader reader(item.key);
    const auto arn = reader.text(), kind = reader.text();
    if (arn && kind) count_use(tx, *arn, kind->ends_with("-boundary"), 1);
  });
}

}  // namespace muster::iam
