// SPDX-License-Identifier: Apache-2.0
// ChangeFeed: tells what is kept in memory beside the store (indexes, compiled policies) which keys were written. It
// hears every write of a table, whoever made it, so that no writer can forget to tell. After the commit is durable and
// before its Done is called: what a client does after its answer finds the change heard. Only writes of this process;
// what it missed before a start is read from the store then. Owned by the Store; appended keys and counters are not
// told.
#pragma once

#include <bitset>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace muster::store {

class ChangeFeed {
 public:
  // Keys of the tables asked for, in commit order, repeated when written again. On a thread of the engine's: must not
  // block, nor run a transaction and wait for it.
  using Listener = std::function<void(const std::vector<std::string>& keys)>;
  // `tables`: their tags. Before the store's first commit that counts: not thread-safe with run().
  void subscribe(std::string_view tables, Listener listener);

  bool wants(std::string_view key) const { return !key.empty() && wanted_[static_cast<unsigned char>(key.front())]; }
  void tell(const std::vector<std::string>& keys) const;  // keys that it wants

 private:
  using Tables = std::bitset<256>;
  struct Subscriber {
    Tables tables;
    Listener listener;
  };
  Tables wanted_;
  std::vector<Subscriber> subscribers_;
};

}  // namespace muster::store
