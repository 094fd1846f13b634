// SPDX-License-Identifier: Apache-2.0
#include "domain/security/named_page.h"

#include "store/keys.h"

namespace muster::security {

Result<registry::Page<std::string>> list_names(store::Tx& tx, char table, std::string_view listing,
                                               const registry::PageRequest& request, bool ascending) {
  const std::string name = std::string(listing) + (ascending ? "" : "-descending");
  TRY(const std::string position, registry::page_position(name, request.token));
  store::RangeOptions options;
  options.begin = store::after_key(store::Key(table).text("").str());
  options.end = store::after_prefix(std::string(1, table));
  if (!position.empty()) {
    const std::string key = store::Key(table).text(position).str();
    if (ascending) {
      options.begin = store::after_key(key);
    } else {
      options.end = key;
    }
  }
  options.limit = request.limit + 1;
  options.reverse = !ascending;
  options.snapshot = true;
  registry::Page<std::string> page;
  for (const store::KeyValue& item : tx.range(options)) {
    if (page.items.size() == request.limit) {
      page.next_token = registry::page_token(name, page.items.back());
      break;
    }
    if (auto text = store::KeyReader(item.key).text()) page.items.push_back(*std::move(text));
  }
  return page;
}

}  // namespace muster::security
