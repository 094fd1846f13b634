// SPDX-License-Identifier: Apache-2.0
// Listings of groups. All groups are read from their table; the groups below a parent by walking its hierarchy.
#include "base/text.h"
#include "domain/registry/group_records.h"
#include "domain/registry/groups.h"
#include "store/keys.h"
#include "store/schema.h"

namespace muster::registry {

namespace {

constexpr std::size_t kScanLimit = 2000;

std::optional<std::string> next_child(store::Tx& tx, std::string_view parent, std::string_view after, bool snapshot) {
  std::string prefix = store::Key(store::table::kGroupChild).text(parent).str();
  std::string begin = prefix;
  if (!after.empty()) begin = store::after_key(store::Key(store::table::kGroupChild).text(parent).text(after).str());
  auto found = tx.range({.begin = begin, .end = store::after_prefix(prefix), .limit = 1, .snapshot = snapshot});
  if (found.empty()) return std::nullopt;
  store::KeyReader reader(found.front().key);
  reader.text();
  return reader.text();
}

Result<Page<std::string>> list_below(store::Tx& tx, const ListGroups& list, const std::string& listing,
                                     std::string_view position) {
  if (!find_group(tx, list.parent)) return group_not_found(list.parent);
  GroupPath path{list.parent};
  if (!position.empty()) path = split_path(position);
  if (path.front() != list.parent || path.size() > 16) return invalid("Invalid next token");
  Page<std::string> page;
  for (std::size_t scanned = 0; scanned < kScanLimit; ++scanned) {
    std::string before = join_path(path);
    if (!advance(tx, path, true)) return page;
    if (!path.back().starts_with(list.name_prefix)) continue;
    if (page.items.size() == list.page.limit) {
      page.next_token = page_token(listing, before);
      return page;
    }
    page.items.push_back(path.back());
  }
  page.next_token = page_token(listing, join_path(path));
  return page;
}

// A flat range of keys whose last component is the group's name.
Result<Page<std::string>> list_flat(store::Tx& tx, const ListGroups& list, const std::string& listing,
                                    std::string_view position) {
  std::string prefix(1, store::table::kThingGroup);
  if (!list.recursive) prefix = store::Key(store::table::kGroupChild).text(list.parent).str();
  auto key_of = [&](std::string_view name) {
    if (list.recursive) return store::Key(store::table::kThingGroup).text(name).str();
    return store::Key(store::table::kGroupChild).text(list.parent).text(name).str();
  };
  std::string begin = prefix;
  std::string end = store::after_prefix(prefix);
  if (!list.name_prefix.empty()) {
    begin = key_of(list.name_prefix);
    begin.pop_back();  // the terminator of the name
    end = store::after_prefix(begin);
  }
  if (!position.empty()) begin = std::max(begin, store::after_key(key_of(position)));
  Page<std::string> page;
  while (begin < end) {
    auto found = tx.range({.begin = begin, .end = end, .limit = list.page.limit + 1, .snapshot = true});
    for (const store::KeyValue& item : found) {
      store::KeyReader reader(item.key);
      if (!list.recursive) reader.text();
      auto name = reader.text();
      if (!name) continue;
      if (list.recursive) {
        auto group = read_group(*name, item.value);
        if (!group || group->deleting) continue;
      }
      if (page.items.size() == list.page.limit) {
        page.next_token = page_token(listing, page.items.back());
        return page;
      }
      page.items.push_back(*std::move(name));
    }
    if (found.size() <= list.page.limit) return page;
    begin = store::after_key(found.back().key);
  }
  return page;
}

}  // namespace

bool advance(store::Tx& tx, GroupPath& path, bool snapshot) {
  if (auto child = next_child(tx, path.back(), {}, snapshot)) {
    path.push_back(*std::move(child));
    return true;
  }
  while (path.size() > 1) {
    std::string done = std::move(path.back());
    path.pop_back();
    if (auto sibling = next_child(tx, path.back(), done, snapshot)) {
      path.push_back(*std::move(sibling));
      return true;
    }
  }
  return false;
}

// '/' is not a character of group names.
std::string join_path(const GroupPath& path) {
  std::string text;
  for (const std::string& name : path) {
    if (!text.empty()) text += '/';
    text += name;
  }
  return text;
}

GroupPath split_path(std::string_view text) {
  GroupPath path;
  for (std::string_view name : split(text, '/')) path.emplace_back(name);
  return path;
}

Result<Page<std::string>> list_groups(store::Tx& tx, const ListGroups& list) {
  bool below = !list.parent.empty() && list.recursive;
  const std::string listing =
      listing_of("thing-groups", {list.parent, list.name_prefix, list.recursive ? "recursive" : ""});
  TRY(std::string position, page_position(listing, list.page.token));
  if (below) return list_below(tx, list, listing, position);
  if (!list.parent.empty() && !find_group(tx, list.parent)) return group_not_found(list.parent);
  return list_flat(tx, list, listing, position);
}

}  // namespace muster::registry
