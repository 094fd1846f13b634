// SPDX-License-Identifier: Apache-2.0
// ListThings: a page is a range of one table, wherever it begins: all things by name from their records, those of a
// type or with an attribute from the index, whose things are then read together.
#include <algorithm>

#include "domain/registry/thing_records.h"
#include "domain/registry/things.h"
#include "store/keys.h"
#include "store/schema.h"

namespace muster::registry {

namespace {

// Attribute and type together: index entries looked at for a page, which is short then.
constexpr std::size_t kScanLimit = 500;
constexpr std::size_t kScanStep = 125;

struct ThingRange {
  std::string begin, end;
  std::size_t components = 0;  // before the thing's name
};

ThingRange range_of(const ListThings& list) {
  ThingRange range;
  if (!list.attribute_name.empty()) {
    range.components = 2;
    range.begin = store::Key(store::table::kThingAttribute).text(list.attribute_name).text(list.attribute_value).str();
    if (list.prefix) range.begin.pop_back();  // the terminator of the value
  } else if (!list.type.empty()) {
    range.components = 1;
    range.begin = store::Key(store::table::kThingByType).text(list.type).str();
  } else {
    range.begin = std::string(1, store::table::kThing);
  }
  range.end = store::after_prefix(range.begin);
  return range;
}

std::string listing_of_things(const ListThings& list) {
  return listing_of("things", {list.attribute_name, list.attribute_value, list.prefix ? "prefix" : "", list.type});
}

std::string thing_of_key(std::string_view key, std::size_t components) {
  store::KeyReader reader(key);
  for (std::size_t i = 0; i < components; ++i) reader.text();
  return reader.text().value_or("");
}

// The things of a piece of the range, in its order; nullopt: gone meanwhile.
std::vector<std::optional<Thing>> things_of(store::Tx& tx, const ThingRange& range,
                                            const std::vector<store::KeyValue>& found) {
  std::vector<std::string> names, keys;
  for (const store::KeyValue& item : found) names.push_back(thing_of_key(item.key, range.components));
  std::vector<std::optional<std::string>> records;
  if (range.components > 0) {
    for (const std::string& name : names) keys.push_back(thing_key(name));
    records = tx.get_many_snapshot(keys);
  }
  std::vector<std::optional<Thing>> things;
  for (std::size_t i = 0; i < found.size(); ++i) {
    if (range.components == 0)
      things.push_back(read_thing(names[i], found[i].value));
    else
      things.push_back(records[i] ? read_thing(names[i], *records[i]) : std::nullopt);
  }
  return things;
}

}  // namespace

Result<Page<Thing>> list_things(store::Tx& tx, const ListThings& list) {
  if (list.attribute_name.empty() && (!list.attribute_value.empty() || list.prefix))
    return invalid("attributeName is required with attributeValue");
  if (!list.attribute_name.empty() && list.attribute_value.empty())
    return invalid("attributeValue is required with attributeName");
  const std::string listing = listing_of_things(list);
  TRY(std::string position, page_position(listing, list.page.token));
  ThingRange range = range_of(list);
  // A position is the key without its table, so that it cannot leave the range.
  if (!position.empty()) range.begin = std::max(range.begin, store::after_key(range.begin.substr(0, 1) + position));
  const bool filtered = !list.attribute_name.empty() && !list.type.empty();
  Page<Thing> page;
  std::string last;
  std::size_t scanned = 0;
  while (range.begin < range.end) {
    std::size_t want = list.page.limit - page.items.size() + 1;
    if (filtered) want = std::max(want, kScanStep);
    auto found = tx.range({.begin = range.begin, .end = range.end, .limit = want, .snapshot = true});
    auto things = things_of(tx, range, found);
    for (std::size_t i = 0; i < found.size(); ++i) {
      if (page.items.size() == list.page.limit || (filtered && ++scanned > kScanLimit)) {
        page.next_token = page_token(listing, last.substr(1));
        return page;
      }
      last = found[i].key;
      std::optional<Thing>& thing = things[i];
      if (thing && (list.type.empty() || thing->type == list.type)) page.items.push_back(*std::move(thing));
    }
    if (found.size() < want) return page;
    range.begin = store::after_key(found.back().key);
  }
  return page;
}

}  // namespace muster::registry
