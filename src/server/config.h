// SPDX-License-Identifier: Apache-2.0
// Config: every setting of the server. One table (settings.cc) names each key with its place in Config, default, bounds
// and meaning; a TOML file, the environment (MUSTER_HTTP_PORT for http.port) and flags (--http.port 4566) fill it,
// later ones winning. `mqtt.limits` chooses the column of defaults; a setting that any source names overrides it. An
// unknown key, a wrong type or a value out of bounds is an error that names where it came from.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/result.h"

namespace muster::server {

struct Config {
  std::string data_dir;
  std::string region;

  std::string http_address;
  std::int64_t http_port = 0;
  bool http_plain = false;
  std::string http_public_origin;
  std::vector<std::string> http_allowed_origins;
  std::vector<std::string> http_base_domains;
  std::int64_t http_max_connections = 0;

  std::vector<std::string> device_address;
  std::int64_t device_port = 0;
  std::int64_t device_https_port = 0;
  std::int64_t device_max_connections = 0;
  std::int64_t device_loops = 0;
  std::string device_host;

  std::int64_t plain_mqtt_port = 0;
  std::string plain_mqtt_policy;

  std::vector<std::string> tls_names;

  std::string outgoing_ca_file;
  std::vector<std::string> functions_endpoints;
  std::vector<std::string> iam_oidc_keys;

  std::string store_engine;
  std::string store_postgresql;

  std::string mqtt_limits;
  std::int64_t mqtt_max_payload_bytes = 0;
  std::int64_t mqtt_max_packet_bytes = 0;
  std::int64_t mqtt_max_client_id_bytes = 0;
  std::int64_t mqtt_max_topic_bytes = 0;
  std::int64_t mqtt_max_topic_levels = 0;
  std::int64_t mqtt_topic_alias_maximum = 0;
  std::int64_t mqtt_max_subscriptions = 0;
  std::int64_t mqtt_max_filters_per_subscribe = 0;
  std::int64_t mqtt_min_keep_alive_s = 0;
  std::int64_t mqtt_max_keep_alive_s = 0;
  std::int64_t mqtt_session_expiry_s = 0;
  std::int64_t mqtt_max_session_expiry_s = 0;
  std::int64_t mqtt_max_sessions = 0;
  std::int64_t mqtt_receive_maximum = 0;
  std::int64_t mqtt_max_inflight = 0;
  std::int64_t mqtt_max_queued_messages = 0;
  std::int64_t mqtt_max_queued_bytes = 0;
  std::int64_t mqtt_max_total_queued_bytes = 0;
  std::int64_t mqtt_max_output_bytes = 0;
  std::int64_t mqtt_write_stall_s = 0;
  std::int64_t mqtt_connect_deadline_s = 0;
  std::int64_t mqtt_max_retained_messages = 0;
  std::int64_t mqtt_max_retained_bytes = 0;
  std::int64_t mqtt_max_publishes_per_second = 0;
  std::int64_t mqtt_max_bytes_per_second = 0;
  std::int64_t mqtt_max_connects_per_second = 0;
  std::int64_t mqtt_sys_interval_s = 0;

  std::int64_t jobs_max_active = 0;
  std::int64_t jobs_max_concurrent = 0;
  std::int64_t jobs_default_timeout_minutes = 0;
  std::int64_t jobs_queued_days = 0;
  std::int64_t jobs_retention_days = 0;

  std::int64_t objects_max_bytes = 0;

  std::int64_t audit_keep_days = 0;
  std::int64_t audit_max_bytes = 0;
  bool audit_data_events = false;

  std::string log_level;
  std::string log_format;
  std::int64_t drain_s = 0;
};

struct Setting {
  enum class Type : std::uint8_t { kText, kInteger, kBoolean, kList };  // in the order of Place
  using Place =
      std::variant<std::string Config::*, std::int64_t Config::*, bool Config::*, std::vector<std::string> Config::*>;
  constexpr Setting(std::string_view name, Place where, std::string_view preset, std::string_view what)
      : key(name), place(where), type(static_cast<Type>(where.index())), default_value(preset), meaning(what) {}
  // An integer with its bounds; `aws` is the default with mqtt.limits = "aws", where it differs.
  constexpr Setting(std::string_view name, std::int64_t Config::*where, std::string_view preset, std::int64_t at_least,
                    std::int64_t at_most, std::string_view what, std::string_view aws = {})
      : key(name),
        place(where),
        type(Type::kInteger),
        default_value(preset),
        aws_value(aws),
        least(at_least),
        most(at_most),
        meaning(what) {}

  std::string_view key;  // "http.port"
  Place place;
  Type type;
  std::string_view default_value;  // as it would stand in a flag; lists are comma-separated
  std::string_view aws_value;
  std::int64_t least = 0, most = 0;  // integers
  std::string_view meaning;
};

std::span<const Setting> settings();

// name -> text; only MUSTER_* matter.
using Environment = std::map<std::string, std::string>;

struct ConfigSources {
  std::optional<std::string> file_text;  // TOML
  std::string file_name;                 // for messages
  Environment environment;
  std::vector<std::pair<std::string, std::string>> flags;  // key without "--", value
};

// All problems at once, one a line.
Result<Config> load_config(const ConfigSources& sources);
// The effective settings as TOML, secrets blanked (a PostgreSQL password).
std::string to_toml(const Config& config);
// The reference table in Markdown.
std::string config_reference();

}  // namespace muster::server
