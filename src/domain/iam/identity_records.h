// SPDX-License-Identifier: Apache-2.0
// Records of users and roles as they are stored, and what both share: key of a name, maps, inline policy quotas.
#pragma once

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

// Pages through a table of identities by lower-case name; `read(value)` makes an optional<T>.
template <class T, class Read>
Result<NamePage<T>> list_identities(store::Tx& tx, char table, const ListNames& list, Read&& read) {
  TRY(IdentityRange range, identity_range(table, list.marker));
  NamePage<T> page;
  for (;;) {
    auto found = tx.range({.begin = range.begin, .end = range.end, .limit = 200, .snapshot = true});
    for (const store::KeyValue& item : found) {
      std::optional<T> identity = read(item.value);
      if (!identity || !identity->path.starts_with(list.path_prefix)) continue;
      if (page.items.size() == list.limit) {
        page.next_marker = identity_marker(page.items.back().name);
        return page;
      }
      page.items.push_back(*std::move(identity));
    }
    if (found.size() < 200) return page;
    range.begin = found.back().key + '\0';
  }
}

}  // namespace muster::iam
