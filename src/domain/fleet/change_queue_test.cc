// SPDX-License-Identifier: Apache-2.0
#include "domain/fleet/change_queue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace muster::fleet {
namespace {

using testing::ElementsAre;
using Names = std::vector<std::string>;

TEST(ChangeQueueTest, OldestFirstAndOncePerThing) {
  const auto names = [](const std::vector<ChangeQueue::Change>& changes) {
    Names names;
    for (const auto& change : changes) names.push_back(change.thing);
    return names;
  };
  ChangeQueue queue;
  queue.add("busy", 1);
  queue.add("b", 1);
  queue.add("busy", 2);
  queue.add("c", 4);
  EXPECT_EQ(queue.done(), 0u);
  auto taken = queue.take(1);
  ASSERT_THAT(names(taken), ElementsAre("busy"));
  EXPECT_EQ(taken.front().sources, 3u);
  EXPECT_EQ(queue.done(), 1u);
  queue.add("busy", 8);
  EXPECT_THAT(names(queue.take(2)), ElementsAre("b", "c")) << "it waits behind the others";
  EXPECT_EQ(queue.done(), 4u);
  queue.add("d", 1);
  queue.give_back(taken);
  EXPECT_EQ(queue.done(), 0u);
  taken = queue.take(9);
  EXPECT_THAT(names(taken), ElementsAre("busy", "d")) << "once, where it was at first";
  EXPECT_EQ(taken.front().sources, 11u);
  EXPECT_TRUE(queue.empty());
  EXPECT_EQ(queue.done(), queue.heard());
}

}  // namespace
}  // namespace muster::fleet
