// SPDX-License-Identifier: Apache-2.0
#include "api/device/near_topics.h"

#include <gtest/gtest.h>

#include <set>

namespace muster::api::device {
namespace {

struct Policy {
  std::set<std::string> topics;
  std::string near(const std::string& topic, std::vector<std::string> names = {"gw"}) const {
    NearQuestion question;
    question.topic = topic;
    question.names = std::move(names);
    question.patterns.assign(topics.begin(), topics.end());
    question.allowed = [&](std::string_view other) { return topics.contains(std::string(other)); };
    question.is_allowed = question.allowed(topic);
    std::string text;
    for (const auto& finding : near_topics(question)) {
      text += (text.empty() ? "" : " ") + finding.code.substr(11) + ":" + finding.facts.at("meant");
    }
    return text;
  }
};

TEST(NearTopics, TheMissingDollar) {
  EXPECT_EQ(Policy{}.near("aws/things/gw/jobs/get"), "dollar:$aws/things/gw/jobs/get");
  EXPECT_EQ(Policy{}.near("/aws/things/gw/jobs/get"), "dollar:$aws/things/gw/jobs/get");
  EXPECT_EQ(Policy{}.near("AWS/Things/gw/jobs/get"), "dollar:$aws/things/gw/jobs/get");
  // Even where everything is allowed: the topic is right, and means nothing.
  EXPECT_EQ(Policy{{"aws/things/gw/jobs/get"}}.near("aws/things/gw/jobs/get"), "dollar:$aws/things/gw/jobs/get");
  EXPECT_EQ(Policy{}.near("awsome/things"), "");
}

TEST(NearTopics, TheSlashInFront) {
  EXPECT_EQ(Policy{{"up/gw"}}.near("/up/gw"), "slash:up/gw");
  EXPECT_EQ(Policy{{"/up/gw"}}.near("up/gw"), "slash:/up/gw");
  EXPECT_EQ(Policy{}.near("/$aws/things/gw/jobs/get"), "slash:$aws/things/gw/jobs/get");
  EXPECT_EQ(Policy{{"up/gw"}}.near("/"), "");
}

TEST(NearTopics, TheCase) {
  EXPECT_EQ(Policy{{"up/gw/*"}}.near("Up/gw/1"), "case:up/gw/*");
  EXPECT_EQ(Policy{}.near("$aws/Things/gw/Jobs/Start-Next"), "case:$aws/things/gw/jobs/start-next");
  // Thing names and job ids keep their case.
  EXPECT_EQ(Policy{}.near("$AWS/things/GW/jobs/J1/update"), "case:$aws/things/GW/jobs/J1/update");
  EXPECT_EQ(Policy{}.near("$aws/things/GW/jobs/J1/update"), "");
  EXPECT_EQ(Policy{}.near("$aws/things/GW/Shadow/name/Config/Get"), "case:$aws/things/GW/shadow/name/Config/get");
  EXPECT_EQ(Policy{}.near("$aws/things/GW/shadow/name/Config/update/accepted"), "");
}

TEST(NearTopics, AnotherThingsName) {
  EXPECT_EQ(Policy{{"dt/gw/temp"}}.near("dt/other/temp"), "thing:dt/gw/temp");
  EXPECT_EQ(Policy{{"dt/gw/temp"}}.near("dt/other/temp", {"client-7", "gw"}), "thing:dt/gw/temp");
  EXPECT_EQ(Policy{{"dt/gw/temp"}}.near("dt/other/humidity"), "");
}

TEST(NearTopics, HostileTopicsAreOnlyTopics) {
  EXPECT_EQ(Policy{}.near(""), "");
  EXPECT_EQ(Policy{}.near("$"), "");
  EXPECT_EQ(Policy{}.near(std::string(60'000, '/')), "");
  EXPECT_EQ(Policy{}.near("*"), "");
}

}  // namespace
}  // namespace muster::api::device
