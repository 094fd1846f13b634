// SPDX-License-Identifier: Apache-2.0
#include "server/readiness.h"

#include <gtest/gtest.h>

#include "store/memory_engine.h"

namespace muster::server {
namespace {

TEST(Readiness, FollowsTheStore) {
  io::VirtualClock clock;
  auto store = store::make_memory_store(clock);
  Readiness readiness(*store, clock);
  EXPECT_EQ(readiness.not_ready(), std::nullopt);
  store->set_faults({.refuse = 1});
  EXPECT_EQ(readiness.not_ready(), std::nullopt) << "one probe a second";
  clock.advance_ms(1000);
  readiness.not_ready();
  EXPECT_NE(readiness.not_ready(), std::nullopt);
  store->set_faults({});
  clock.advance_ms(1000);
  readiness.not_ready();
  EXPECT_EQ(readiness.not_ready(), std::nullopt);
}

TEST(Readiness, AStoreThatHangsIsNotReady) {
  io::VirtualClock clock;
  auto store = store::make_memory_store(clock, {.sync_at_once = false});
  Readiness readiness(*store, clock);
  readiness.not_ready();
  clock.advance_ms(6000);
  EXPECT_EQ(readiness.not_ready(), "the store does not answer");
  store->flush();
  EXPECT_EQ(readiness.not_ready(), std::nullopt);
}

TEST(Readiness, StoppingIsNotReady) {
  io::VirtualClock clock;
  auto store = store::make_memory_store(clock);
  Readiness readiness(*store, clock);
  readiness.set_stopping();
  EXPECT_EQ(readiness.not_ready(), "stopping");
}

}  // namespace
}  // namespace muster::server
