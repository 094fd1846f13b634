// SPDX-License-Identifier: Apache-2.0
// The fixture of the registry's tests: a memory store, a realm, and short forms of what every test does.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "base/json.h"
#include "domain/registry/groups.h"
#include "domain/registry/things.h"
#include "store/memory_engine.h"

namespace muster::registry {

class RegistryTest : public testing::Test {
 protected:
  template <class F>
  auto result(F&& body) {
    return store::run_blocking_for(*store_, body);
  }
  template <class F>
  auto run(F&& body) {
    auto outcome = result(body);
    EXPECT_TRUE(outcome) << outcome.error().message;
    return outcome ? *outcome : std::remove_reference_t<decltype(*outcome)>{};
  }
  template <class F>
  Status status(F&& body) {
    return store::run_blocking(*store_, body);
  }
  // The text of the error, or "ok".
  template <class F>
  std::string said(F&& body) {
    Status outcome = status([&](store::Tx& tx) -> Status {
      auto inner = body(tx);
      if (!inner) return inner.error();
      return {};
    });
    return outcome ? "ok" : outcome.error().message;
  }

  Thing thing(const std::string& name, Attributes attributes = {}) {
    return run([&](store::Tx& tx) { return create_thing(tx, realm_, {name, "", attributes}); });
  }
  ThingGroup group(const std::string& name, const std::string& parent = "") {
    return run([&](store::Tx& tx) { return create_group(tx, realm_, {name, parent, "", {}}); });
  }
  std::string join(const std::string& group_name, const std::string& thing_name) {
    return said([&](store::Tx& tx) { return add_thing_to_group(tx, group_name, thing_name); });
  }

  io::VirtualClock clock_;
  std::unique_ptr<store::MemoryStore> store_ = store::make_memory_store(clock_);
  Realm realm_{"123456789012", "eu-central-1"};
};

}  // namespace muster::registry
