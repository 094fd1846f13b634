// SPDX-License-Identifier: Apache-2.0
#include "domain/registry/groups.h"
namespace muster::registry {
std::int64_t member_count(store::Tx& tx, std::string_view group, bool recursive) {
  std::int64_t n = 0;
  std::string cursor;
  do {
    auto page = for_each_member(tx, group, recursive, cursor, 1000);
    if (!page) return n;
    n += static_cast<std::int64_t>(page->things.size());
    cursor = page->next;
  } while (!cursor.empty());
  return n;
}
}
