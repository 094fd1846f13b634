// SPDX-License-Identifier: Apache-2.0
#include "server/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/data_dir.h"

namespace muster::server {
namespace {

using ::testing::HasSubstr;

TEST(Config, DefaultsAreClosed) {
  auto config = load_config({});
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->http_address, "127.0.0.1");
  EXPECT_EQ(config->http_port, 4566);
  EXPECT_EQ(config->device_port, 8883);
  EXPECT_EQ(config->plain_mqtt_port, -1);
  EXPECT_FALSE(config->http_plain);
}

TEST(Config, LaterSourcesWin) {
  ConfigSources sources;
  sources.file_text = "[http]\nport = 1000\n[device]\nport = 1001\n[tls]\nnames = [\"a\", \"b\"]\n";
  sources.file_name = "muster.toml";
  sources.environment = {{"MUSTER_HTTP_PORT", "2000"}, {"MUSTER_LOG_LEVEL", "warn"}};
  sources.flags = {{"http.port", "3000"}};
  auto config = load_config(sources);
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->http_port, 3000);
  EXPECT_EQ(config->device_port, 1001);
  EXPECT_EQ(config->log_level, "warn");
  EXPECT_EQ(config->tls_names, (std::vector<std::string>{"a", "b"}));
}

TEST(Config, EveryKeyCanBeSetBySourceAndComesBackInToml) {
  for (const Setting& s : settings()) {
    ConfigSources sources;
    std::string value(s.default_value);
    if (s.type == Setting::Type::kInteger) value = std::to_string(s.most);
    if (s.type == Setting::Type::kBoolean) value = "true";
    if (s.type == Setting::Type::kList) value = "seven.example";
    if (s.type == Setting::Type::kText) {
      value = s.key == "store.engine" ? "postgresql"
              : s.key == "log.level"  ? "error"
              : s.key == "log.format" ? "json"
                                      : "seven";
    }
    sources.flags = {{std::string(s.key), value}, {"plain_mqtt.policy", "p"}, {"store.postgresql", "host=x"}};
    if (s.key == "plain_mqtt.policy") sources.flags[1].second = "seven";
    auto config = load_config(sources);
    ASSERT_TRUE(config) << s.key << ": " << config.error().message;
    auto text = to_toml(*config);
    if (s.key == "store.postgresql") {
      EXPECT_THAT(text, ::testing::Not(HasSubstr("host=x")));
      continue;
    }
    auto name = std::string(s.key.substr(s.key.find('.') == std::string_view::npos ? 0 : s.key.find('.') + 1));
    EXPECT_THAT(text, HasSubstr(value)) << s.key;
    EXPECT_THAT(text, HasSubstr(name + " = ")) << s.key;
    ConfigSources again;
    again.file_text = text;
    EXPECT_TRUE(load_config(again)) << load_config(again).error().message;
  }
}

struct Bad {
  const char* toml;
  const char* message;
};

TEST(Config, ProblemsNameTheirSource) {
  for (const Bad& bad :
       {Bad{"[http]\nport = 70000\n", "f.toml: http.port: 70000 is not between"},
        Bad{"[http]\nprot = 1\n", "f.toml: http.prot: is not a setting"}, Bad{"[http]\nport = \"1\"\n", "wrong type"},
        Bad{"[http\n", "f.toml:1"}, Bad{"[plain_mqtt]\nport = 1883\n", "plain_mqtt.policy"},
        Bad{"[store]\nengine = \"postgresql\"\n", "store.postgresql"},
        Bad{"[log]\nlevel = \"loud\"\n", "'loud' is not a choice"}, Bad{"region = \"Mars!\"\n", "region"}}) {
    ConfigSources sources;
    sources.file_text = bad.toml;
    sources.file_name = "f.toml";
    auto config = load_config(sources);
    ASSERT_FALSE(config) << bad.toml;
    EXPECT_THAT(config.error().message, HasSubstr(bad.message)) << bad.toml;
  }
  ConfigSources sources;
  sources.environment = {{"MUSTER_HTTP_PORT", "many"}};
  EXPECT_THAT(load_config(sources).error().message,
              HasSubstr("MUSTER_HTTP_PORT: http.port: 'many' is not a whole number"));
}

TEST(Config, TheReferencePageIsCurrent) {
  auto page = read_whole_file(MUSTER_SOURCE_DIR "/docs/reference/settings.md");
  ASSERT_TRUE(page) << page.error().message;
  EXPECT_EQ(*page, config_reference()) << "run ./dev reference";
}

}  // namespace
}  // namespace muster::server
