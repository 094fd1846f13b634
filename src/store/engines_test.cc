// SPDX-License-Identifier: Apache-2.0
// The engines that need no server of their own under the common suite.
#include <filesystem>

#include "base/crypto.h"
#include "store/embedded_engine.h"
#include "store/memory_engine.h"
#include "store/store_model_test.h"
#include "store/store_stress_test.h"
#include "store/store_suite_test.h"

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

class EmbeddedUnderTest final : public EngineUnderTest {
 public:
  EmbeddedUnderTest() : directory_(testing::TempDir() + "muster-store-" + random_hex(8)) { open(); }
  ~EmbeddedUnderTest() override {
    store_.reset();
    std::error_code error;
    std::filesystem::remove_all(directory_, error);
  }
  Store& store() override { return *store_; }
  void reopen() override {
    store_.reset();
    open();
  }

 private:
  void open() {
    auto opened = open_embedded_store({.directory = directory_, .clock = &clock});
    if (!opened) throw std::runtime_error(opened.error().message);
    store_ = *std::move(opened);
  }
  const std::string directory_;
  std::unique_ptr<Store> store_;
};

INSTANTIATE_TEST_SUITE_P(memory, StoreSuite, testing::Values([] { return std::make_unique<MemoryUnderTest>(); }));
INSTANTIATE_TEST_SUITE_P(memory, StoreModel, testing::Values([] { return std::make_unique<MemoryUnderTest>(); }));
INSTANTIATE_TEST_SUITE_P(embedded, StoreModel, testing::Values([] { return std::make_unique<EmbeddedUnderTest>(); }));
INSTANTIATE_TEST_SUITE_P(memory, StoreStress, testing::Values([] { return std::make_unique<MemoryUnderTest>(); }));
INSTANTIATE_TEST_SUITE_P(embedded, StoreSuite, testing::Values([] { return std::make_unique<EmbeddedUnderTest>(); }));
INSTANTIATE_TEST_SUITE_P(embedded, StoreStress, testing::Values([] { return std::make_unique<EmbeddedUnderTest>(); }));

}  // namespace
}  // namespace muster::store
