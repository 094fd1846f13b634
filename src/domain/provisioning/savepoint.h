// SPDX-License-Identifier: Apache-2.0
// Savepoint: a transaction within another one: sees what the outer one sees, keeps its writes to itself, and hands them
// over with release(), or drops them. For many independent changes in one commit, each of which may fail by itself. On
// the outer one's thread, within its body; the outer one writes nothing between make and release.
#pragma once

#include "store/buffered_tx.h"

namespace muster::provisioning {

class Savepoint final : public store::BufferedTx {
 public:
  explicit Savepoint(store::Tx& outer) : BufferedTx(outer.now_ms()), outer_(outer) {}
  // The error of what was written, if it may not be.
  Status release();

 protected:
  std::optional<std::string> read(std::string_view key, bool snapshot) override;
  std::vector<std::optional<std::string>> read_many(const std::vector<std::string>& keys, bool snapshot) override;
  std::vector<store::KeyValue> scan(const store::RangeOptions& options) override { return outer_.range(options); }
  std::int64_t read_counter(std::string_view key) override { return outer_.counter(key); }

 private:
  store::Tx& outer_;
};

}  // namespace muster::provisioning
