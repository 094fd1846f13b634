// SPDX-License-Identifier: Apache-2.0
#include "server/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/broker_limits.h"
#include "server/data_dir.h"
#include "server/job_limits.h"

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

TEST(Config, LimitsOfJobsComeFromTheSettings) {
  auto config = load_config({});
  ASSERT_TRUE(config) << config.error().message;
  // The defaults of the table are those of the domain.
  const jobs::Limits preset, unset = job_limits(*config);
  EXPECT_EQ(unset.max_active_jobs, preset.max_active_jobs);
  EXPECT_EQ(unset.max_concurrent_jobs, preset.max_concurrent_jobs);
  EXPECT_EQ(unset.default_timeout_minutes, preset.default_timeout_minutes);
  EXPECT_EQ(unset.queued_days, preset.queued_days);
  EXPECT_EQ(unset.retention_days, preset.retention_days);
  ConfigSources sources;
  sources.flags = {{"jobs.max_active_jobs", "2"},
                   {"jobs.max_concurrent_jobs", "3"},
                   {"jobs.default_timeout_minutes", "0"},
                   {"jobs.queued_days", "5"},
                   {"jobs.retention_days", "6"}};
  config = load_config(sources);
  ASSERT_TRUE(config) << config.error().message;
  const jobs::Limits set = job_limits(*config);
  EXPECT_EQ(set.max_active_jobs, 2);
  EXPECT_EQ(set.max_concurrent_jobs, 3);
  EXPECT_EQ(set.default_timeout_minutes, 0);
  EXPECT_EQ(set.queued_days, 5);
  EXPECT_EQ(set.retention_days, 6);
  sources.flags = {{"jobs.default_timeout_minutes", "10081"}};
  EXPECT_FALSE(load_config(sources));  // AWS's longest timeout is seven days
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
      value = s.key == "store.engine"  ? "postgresql"
              : s.key == "log.level"   ? "error"
              : s.key == "log.format"  ? "json"
              : s.key == "mqtt.limits" ? "aws"
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

TEST(Config, AwsLimitsAreDefaultsThatAnySettingOverrides) {
  ConfigSources sources;
  sources.file_text = "[mqtt]\nmax_subscriptions = 7\n";
  sources.file_name = "f.toml";
  sources.flags = {{"mqtt.limits", "aws"}};  // chosen by the last source, yet weaker than the file
  auto config = load_config(sources);
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->mqtt_max_subscriptions, 7);
  const mqtt::BrokerOptions aws = broker_limits(*config);
  EXPECT_EQ(aws.max_subscriptions, 7u);
  EXPECT_EQ(aws.max_payload_bytes, 128u * 1024);
  EXPECT_EQ(aws.max_topic_levels, 8u);
  EXPECT_EQ(aws.max_topic_bytes, 256u);
  EXPECT_EQ(aws.max_client_id_bytes, 128u);
  EXPECT_EQ(aws.max_filters_per_subscribe, 8u);
  EXPECT_EQ(aws.topic_alias_maximum, 8);
  EXPECT_EQ(aws.min_keep_alive_s, 30u);
  EXPECT_EQ(aws.max_keep_alive_s, 1200u);
  EXPECT_EQ(aws.receive_maximum, 100);
  EXPECT_EQ(aws.max_publishes_per_second, 100u);
  EXPECT_EQ(aws.max_bytes_per_second, 512u * 1024);
  EXPECT_EQ(aws.max_connects_per_second, 1u);
  EXPECT_EQ(aws.session_expiry_s, 3600u);
  EXPECT_EQ(aws.max_session_expiry_s, 7u * 86'400);

  const mqtt::BrokerOptions wide = broker_limits(*load_config({}));
  EXPECT_EQ(wide.max_payload_bytes, 256u * 1024);
  EXPECT_EQ(wide.max_topic_levels, 128u);
  EXPECT_EQ(wide.max_publishes_per_second, 0u);
  // A will of full size fits into a CONNECT, a message of full size into a packet.
  EXPECT_GT(wide.max_connect_bytes, wide.max_payload_bytes);
  EXPECT_GT(wide.max_packet_bytes, wide.max_payload_bytes + wide.max_topic_bytes);
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
        Bad{"[log]\nlevel = \"loud\"\n", "'loud' is not a choice"}, Bad{"region = \"Mars!\"\n", "region"},
        Bad{"[mqtt]\nlimits = \"none\"\n", "'none' is not a choice"}}) {
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
