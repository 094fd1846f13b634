// SPDX-License-Identifier: Apache-2.0
// Random operations compared with a std::map, for every engine: point reads, ranges of all shapes over own, fresh and
// old entries of several tables, with transactions that end in errors and stores that are reopened in between.
#pragma once

#include <map>
#include <random>

#include "store/store_suite_test.h"

namespace muster::store {

class StoreModel : public StoreSuite {
 protected:
  using Model = std::map<std::string, std::string>;

  std::string some_key() {
    static constexpr char kTags[] = {table::kThing, table::kThingGroup, table::kGroupMember, table::kOutbox};
    Key key(kTags[random_() % 4]);
    return std::move(key).integer(static_cast<std::int64_t>(random_() % 12)).str();
  }
  std::string some_bound() {
    switch (random_() % 4) {
      case 0:
        return std::string(1, static_cast<char>('A' + random_() % 12));
      case 1:
        return after_key(some_key());
      default:
        return some_key();
    }
  }
  static std::vector<KeyValue> expected(const Model& model, const RangeOptions& options) {
    std::vector<KeyValue> found;
    for (const auto& [key, value] : model)
      if (key >= options.begin && key < options.end) found.push_back({key, value});
    if (options.reverse) std::reverse(found.begin(), found.end());
    if (found.size() > options.limit) found.resize(options.limit);
    return found;
  }
  static std::string text(const std::vector<KeyValue>& entries) {
    std::string all;
    for (const auto& entry : entries) all += entry.key + "=" + entry.value + ";";
    return all;
  }
  void step(Tx& tx, Model& model) {
    const std::string key = some_key();
    switch (random_() % 5) {
      case 0: {
        const std::string value = std::to_string(random_() % 1000);
        tx.put(key, value);
        model[key] = value;
        break;
      }
      case 1:
        tx.erase(key);
        model.erase(key);
        break;
      case 2: {
        const auto found = random_() % 2 == 0 ? tx.get(key) : tx.get_many({key})[0];
        const auto at = model.find(key);
        EXPECT_EQ(found, at == model.end() ? std::nullopt : std::optional(at->second));
        break;
      }
      default: {
        const RangeOptions options{.begin = some_bound(),
                                   .end = some_bound(),
                                   .limit = random_() % 3 == 0 ? 1000 : random_() % 6,
                                   .reverse = random_() % 2 == 0,
                                   .snapshot = random_() % 2 == 0};
        EXPECT_EQ(text(tx.range(options)), text(expected(model, options)))
            << options.begin << " " << options.end << " " << options.limit << " " << options.reverse;
      }
    }
  }

  std::mt19937 random_{11};
};

TEST_P(StoreModel, random_operations_match_a_map) {
  Model committed;
  for (int transaction = 0; transaction < 400; ++transaction) {
    Model model = committed;
    const bool fails = random_() % 5 == 0;
    const auto steps = 1 + random_() % 12;
    // Not waiting each time lets what is not yet on disk pile up.
    store().run(
        [&](Tx& tx) -> Status {
          for (unsigned i = 0; i < steps; ++i) step(tx, model);
          if (fails) return invalid("taken back");
          return {};
        },
        [](const Status&) {});
    if (!engine_->runs_bodies_at_once() || random_() % 8 == 0) store().flush();
    if (!fails) committed = model;
    if (transaction % 100 == 99) {
      store().flush();
      engine_->reopen();
    }
    if (testing::Test::HasFailure()) break;
  }
  store().flush();
  EXPECT_EQ(text(range({"A", "Z"})), text(expected(committed, {.begin = "A", .end = "Z"})));
}

}  // namespace muster::store
