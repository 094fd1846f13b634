// SPDX-License-Identifier: Apache-2.0
#include "api/device/answer_cache.h"

#include <gtest/gtest.h>

#include <random>

namespace muster::api::device {
namespace {

std::string topic(int n) {
  return "site/north/sensor/" + std::to_string(n);
}

class Cache : public testing::Test {
 protected:
  bool ask(AnswerCache& cache, const std::string& name, bool truth) {
    return cache.answer(name, [&] {
      ++asked_;
      return truth;
    });
  }
  AnswerRoom room_;
  int asked_ = 0;
};

TEST_F(Cache, RemembersBothAnswers) {
  AnswerCache cache(&room_);
  for (int round = 0; round < 3; ++round) {
    EXPECT_TRUE(ask(cache, "a", true));
    EXPECT_FALSE(ask(cache, "b", false));
  }
  EXPECT_EQ(asked_, 2);
  cache.forget();
  EXPECT_FALSE(ask(cache, "a", false));
  EXPECT_EQ(asked_, 3);
}

TEST_F(Cache, GrowsForWhoGoesRoundManyTopics) {
  AnswerCache cache(&room_);
  for (int round = 0; round < 5; ++round)
    for (int i = 0; i < 100; ++i) EXPECT_EQ(ask(cache, topic(i), i % 3 == 0), i % 3 == 0);
  EXPECT_LE(asked_, 140) << "few are asked twice";
  EXPECT_LE(cache.capacity(), AnswerCache::kMost);
  cache.forget();
  EXPECT_EQ(room_.bytes, AnswerRoom().bytes) << "given back";
}

TEST_F(Cache, IsBoundedAndNeverWrong) {
  std::mt19937 random(7);
  AnswerCache cache(&room_);
  for (int i = 0; i < 50'000; ++i) {
    const int n = static_cast<int>(random() % 2000);
    ASSERT_EQ(ask(cache, topic(n), n % 2 == 0), n % 2 == 0);
  }
  EXPECT_EQ(cache.capacity(), AnswerCache::kMost);
}

TEST_F(Cache, WithoutRoomItKeepsTheFew) {
  room_.bytes = 0;
  AnswerCache cache(&room_);
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(ask(cache, topic(i), i % 2 == 0), i % 2 == 0);
  EXPECT_EQ(cache.capacity(), AnswerCache::kFirst);
  EXPECT_TRUE(ask(cache, "again", true));
  asked_ = 0;
  EXPECT_TRUE(ask(cache, "again", true));
  EXPECT_EQ(asked_, 0);
}

TEST_F(Cache, RoomIsGivenBackByWhoLeaves) {
  {
    AnswerCache cache(&room_);
    for (int i = 0; i < 200; ++i) ask(cache, topic(i), true);
    EXPECT_LT(room_.bytes, AnswerRoom().bytes);
  }
  EXPECT_EQ(room_.bytes, AnswerRoom().bytes);
}

TEST_F(Cache, LongAndEmptyTopicsAreAskedEachTime) {
  AnswerCache cache(&room_);
  const std::string huge(AnswerCache::kMaxTopicBytes + 1, 'x');
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(ask(cache, huge, true));
    EXPECT_FALSE(ask(cache, "", false));
    EXPECT_TRUE(ask(cache, "", true)) << "an empty topic is nobody's entry";
  }
  EXPECT_EQ(asked_, 9);
}

}  // namespace
}  // namespace muster::api::device
