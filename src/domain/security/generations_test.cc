// SPDX-License-Identifier: Apache-2.0
#include "domain/security/generations.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace muster::security {
namespace {

using testing::ElementsAre;

TEST(PolicyGenerationsTest, GrowsForTheCertificateConcernedAndTellsListeners) {
  PolicyGenerations generations;
  std::vector<std::string> heard;
  generations.on_change([&](std::string_view id) { heard.emplace_back(id); });
  auto one = generations.generation("one"), two = generations.generation("two");
  generations.bump("one");
  EXPECT_GT(generations.generation("one"), one);
  EXPECT_EQ(generations.generation("two"), two);
  generations.bump_all();
  EXPECT_GT(generations.generation("two"), two);
  EXPECT_THAT(heard, ElementsAre("one", ""));
}

}  // namespace
}  // namespace muster::security
