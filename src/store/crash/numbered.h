// SPDX-License-Identifier: Apache-2.0
// Numbered transactions whose parts prove each other: number n writes record n, sets three keys of different tables to
// n, appends n to a queue and counts one. Shared by the crash test and the process it kills.
#pragma once

#include <string>

#include "base/text.h"
#include "store/keys.h"
#include "store/schema.h"
#include "store/store.h"

namespace muster::store::numbered {

inline std::string record(int number) {
  return Key(table::kThing).integer(number).str();
}
inline std::string last(char tag) {
  return Key(tag).text("last").str();
}
inline constexpr char kLasts[] = {table::kMeta, table::kPending, table::kTimer};
inline const std::string kQueue(1, table::kOutbox);
inline const std::string kCount = Key(table::kJobCount).text("numbered").str();

inline Status write(Tx& tx, int number, std::size_t bytes) {
  // Read-modify-write: a lost predecessor would show.
  const auto before = tx.get(last(table::kMeta));
  if (number > 0 && before != std::to_string(number - 1)) return internal("the predecessor is missing");
  tx.put(record(number), std::string(bytes, static_cast<char>('a' + number % 26)));
  for (const char tag : kLasts) tx.put(last(tag), std::to_string(number));
  tx.append(kQueue, std::to_string(number));
  tx.add(kCount, 1);
  return {};
}

inline int next(Store& store) {
  int number = -1;
  const Status status = run_blocking(store, [&](Tx& tx) -> Status {
    const auto value = tx.get(last(table::kMeta));
    number = value ? static_cast<int>(parse_int(*value).value_or(-2)) + 1 : 0;
    return {};
  });
  return status ? number : -1;
}

// Every transaction is there whole or not at all, without gaps.
inline bool check(Store& store) {
  const int count = next(store);
  bool good = count >= 0;
  const Status status = run_blocking(store, [&](Tx& tx) -> Status {
    for (const char tag : kLasts) good = good && (count == 0 || tx.get(last(tag)) == std::to_string(count - 1));
    good = good && tx.counter(kCount) == count;
    int records = 0, queued = 0;
    std::string begin(1, table::kThing);
    const std::string end = after_prefix(begin);
    while (true) {
      const auto page = tx.range({.begin = begin, .end = end, .limit = 500});
      for (const auto& entry : page) good = good && entry.key == record(records++);
      if (page.empty()) break;
      begin = after_key(page.back().key);
    }
    for (const auto& entry : tx.range({.begin = kQueue, .end = after_prefix(kQueue), .limit = 10'000'000}))
      good = good && entry.value == std::to_string(queued++);
    good = good && records == count && queued == count;
    return {};
  });
  return good && status;
}

}  // namespace muster::store::numbered
