// SPDX-License-Identifier: Apache-2.0
// The engines that need no server of their own under the common suite.
#include "store/memory_engine.h"
#include "store/store_suite_test.h"
#include "store/store_stress_test.h"

namespace muster::store {
namespace {

class MemoryUnderTest final : public EngineUnderTest {
 public:
  MemoryUnderTest() : store_(make_memory_store(clock)) {}
  Store& store() override { return *store_; }
  void reopen() override { store_->crash(); }

 private:
  std::unique_ptr<MemoryStore> store_;
};

INSTANTIATE_TEST_SUITE_P(memory, StoreSuite, testing::Values([] { return std::make_unique<MemoryUnderTest>(); }));
INSTANTIATE_TEST_SUITE_P(memory, StoreStress, testing::Values([] { return std::make_unique<MemoryUnderTest>(); }));

}  // namespace
}  // namespace muster::store
