// SPDX-License-Identifier: Apache-2.0
// Records of users and roles as they are stored, and what both share: key of a name, maps, inline policy quotas.
#pragma once

#include <algorithm>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "domain/iam/identities.h"
#include "domain/iam/policy/document.h"
#include "store/store.h"

namespace muster::iam {

using TextMap = std::map<std::string, std::string>;

// Names are unique without regard to case.
std::string identity_key(char table, std::string_view name);
std::string unique_id(std::string_view prefix);  // AIDA..., AROA...
TextMap text_map(const json::object& record, std::string_view member);
json::object to_object(const TextMap& map);
std::vector<std::string> text_list(const json::object& record, std::string_view member);
json::array to_array(const std::vector<std::string>& list);

Error no_such_entity(std::string message);
Error entity_exists(std::string message);
Error delete_conflict(std::string message);
Error limit_exceeded(std::string message);

Status check_tags(const TextMap& tags);
// Checks the document and the total size of inline policies with it.
Status check_inline_policy(const TextMap& existing, std::string_view name, std::string_view document,
                           std::size_t size_limit, std::string_view owner);

struct IdentityRange {
  std::string begin, end;
};
Result<IdentityRange> identity_range(char table, std::string_view marker);
std::string identity_marker(std::string_view name);

// The marker that goes on behind a row.
std::string marker_after(const store::KeyValue& row);

// What one page reads at most, matching or not; about, since rows come in batches.
inline constexpr std::size_t kRowsAPage = 1000;
inline constexpr std::size_t kBytesAPage = std::size_t{2} << 20;

// Pages through a table of identities by lower-case name; `read(value)` makes an optional<T>. A page may have fewer
// items than asked for, or none, and still go on.
template <class T, class Read>
Result<NamePage<T>> list_identities(store::Tx& tx, char table, const ListNames& list, Read&& read) {
  TRY(IdentityRange range, identity_range(table, list.marker));
  NamePage<T> page;
  std::string last;  // marker behind what has been looked at
  std::size_t rows = 0, bytes = 0;
  for (;;) {
    // One more than there is room for tells whether there is more.
    const std::size_t batch = std::clamp<std::size_t>(list.limit + 1 - page.items.size(), 2, 50);
    auto found = tx.range({.begin = range.begin, .end = range.end, .limit = batch, .snapshot = true});
    for (const store::KeyValue& row : found) {
      if (rows >= kRowsAPage || bytes >= kBytesAPage) {
        page.next_marker = std::move(last);
        return page;
      }
      std::optional<T> identity = read(row.value);
      if (identity && identity->path.starts_with(list.path_prefix)) {
        if (page.items.size() >= list.limit) {
          page.next_marker = std::move(last);
          return page;
        }
        page.items.push_back(*std::move(identity));
      }
      last = marker_after(row);
      ++rows;
      bytes += row.value.size();
    }
    if (found.size() < batch) return page;
    range.begin = found.back().key + '\0';
  }
}

}  // namespace muster::iam
