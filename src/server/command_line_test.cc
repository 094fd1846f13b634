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

TEST(CommandLine, AuditTakesWordsAndOptions) {
  auto line = parse_command_line({"audit", "list", "--read-only", "true", "--user=ann", "--data-dir", "d"});
  ASSERT_TRUE(line) << line.error().message;
  EXPECT_EQ(line->words, (std::vector<std::string>{"list"}));
  EXPECT_EQ(line->options.at("read_only"), "true");
  EXPECT_EQ(line->options.at("user"), "ann");
  EXPECT_EQ(line->flags.size(), 1u);
  line = parse_command_line({"audit", "verify", "a.jsonl", "b.jsonl", "--key", "k.pem"});
  ASSERT_TRUE(line);
  EXPECT_EQ(line->words.size(), 3u);
  EXPECT_EQ(line->options.at("key"), "k.pem");
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

TEST(CommandLine, WhyAndJobTakeWordsAndOptions) {
  auto why = parse_command_line({"why", "--client", "gw", "--publish", "$aws/things/gw/jobs/get", "--data-dir", "d"});
  ASSERT_TRUE(why);
  EXPECT_EQ(why->options,
            (std::map<std::string, std::string>{{"client", "gw"}, {"publish", "$aws/things/gw/jobs/get"}}));
  ASSERT_EQ(why->flags.size(), 1u);
  EXPECT_EQ(why->flags[0].first, "data_dir");
  auto thing = parse_command_line({"why", "gw", "upgrade", "--format", "json"});
  ASSERT_TRUE(thing);
  EXPECT_EQ(thing->words, (std::vector<std::string>{"gw", "upgrade"}));
  EXPECT_EQ(thing->format, "json");
  auto job = parse_command_line({"job", "continue", "upgrade", "2"});
  ASSERT_TRUE(job);
  EXPECT_EQ(job->words, (std::vector<std::string>{"continue", "upgrade", "2"}));
  EXPECT_FALSE(parse_command_line({"why", "--client"}));
  // Of another word it would be a setting, which does not exist.
  EXPECT_TRUE(parse_command_line({"job", "--client", "x"})->options.empty());
}

}  // namespace
}  // namespace muster::server
