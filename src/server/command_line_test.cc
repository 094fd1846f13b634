// SPDX-License-Identifier: Apache-2.0
#include "server/command_line.h"

#include <gtest/gtest.h>

namespace muster::server {
namespace {

TEST(CommandLine, FlagsInBothForms) {
  auto line =
      parse_command_line({"serve", "--http.port", "1", "--data-dir=/d=x", "--check-config", "--config", "f.toml"});
  ASSERT_TRUE(line) << line.error().message;
  EXPECT_EQ(line->word, "serve");
  ASSERT_EQ(line->flags.size(), 2u);
  EXPECT_EQ(line->flags[0], (std::pair<std::string, std::string>("http.port", "1")));
  EXPECT_EQ(line->flags[1], (std::pair<std::string, std::string>("data_dir", "/d=x")));
  EXPECT_TRUE(line->check_config);
  EXPECT_EQ(line->config_file, "f.toml");
}

TEST(CommandLine, MqttTakesWords) {
  auto line = parse_command_line({"mqtt", "disconnect", "-a b", "--data-dir", "/d"});
  ASSERT_TRUE(line) << line.error().message;
  EXPECT_EQ(line->words, (std::vector<std::string>{"disconnect", "-a b"}));
  EXPECT_EQ(line->flags.size(), 1u);
}

TEST(CommandLine, NothingAsksForHelp) {
  EXPECT_EQ(parse_command_line({})->word, "help");
}

TEST(CommandLine, RefusesWhatItDoesNotKnow) {
  EXPECT_FALSE(parse_command_line({"serv"}));
  EXPECT_FALSE(parse_command_line({"serve", "http.port"}));
  EXPECT_FALSE(parse_command_line({"serve", "--http.port"}));
  EXPECT_FALSE(parse_command_line({"serve", "--"}));
}

}  // namespace
}  // namespace muster::server
