// SPDX-License-Identifier: Apache-2.0
#include "store/change_feed.h"

namespace muster::store {

void ChangeFeed::subscribe(std::string_view tables, Listener listener) {
  Subscriber subscriber{.tables = {}, .listener = std::move(listener)};
  for (char tag : tables) subscriber.tables.set(static_cast<unsigned char>(tag));
  wanted_ |= subscriber.tables;
  subscribers_.push_back(std::move(subscriber));
}

void ChangeFeed::tell(const std::vector<std::string>& keys) const {
  std::vector<std::string> some;
  for (const Subscriber& subscriber : subscribers_) {
    some.clear();
    for (const std::string& key : keys) {
      if (subscriber.tables[static_cast<unsigned char>(key.front())]) some.push_back(key);
    }
    if (!some.empty()) subscriber.listener(some);
  }
}

}  // namespace muster::store
