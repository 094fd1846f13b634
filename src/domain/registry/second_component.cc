// SPDX-License-Identifier: Apache-2.0
#include "domain/registry/second_component.h"

#include "store/keys.h"

namespace muster::registry {

Result<Page<std::string>> second_components(store::Tx& tx, const IndexOwner& index, const PageRequest& request) {
  const std::string listing = listing_of(index.listing, {index.owner});
  TRY(std::string position, page_position(listing, request.token));
  std::string prefix = store::Key(index.table).text(index.owner).str();
  std::string begin = prefix;
  if (!position.empty()) begin = store::after_key(store::Key(index.table).text(index.owner).text(position).str());
  Page<std::string> page;
  auto found =
      tx.range({.begin = begin, .end = store::after_prefix(prefix), .limit = request.limit + 1, .snapshot = true});
  for (const store::KeyValue& item : found) {
    if (page.items.size() == request.limit) {
      page.next_token = page_token(listing, page.items.back());
      return page;
    }
    store::KeyReader reader(item.key);
    reader.text();
    if (auto member = reader.text()) page.items.push_back(*std::move(member));
  }
  return page;
}

}  // namespace muster::registry
