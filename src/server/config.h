// SPDX-License-Identifier: Apache-2.0
// Config: every setting of the server. One table (settings()) names each key with its default, bounds and meaning; a
// TOML file, the environment (MUSTER_HTTP_PORT for http.port) and flags (--http.port 4566) fill it, later ones winning.
// An unknown key, a wrong type or a value out of bounds is an error that names where it came from.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
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

  std::string store_engine;
  std::string store_postgresql;

  std::int64_t mqtt_max_packet_bytes = 0;
  std::int64_t mqtt_max_queued_messages = 0;
  std::int64_t mqtt_session_expiry_s = 0;

  std::int64_t objects_max_bytes = 0;

  std::string log_level;
  std::string log_format;
  std::int64_t drain_s = 0;
};

struct Setting {
  enum class Type : std::uint8_t { kText, kInteger, kBoolean, kList };
  std::string_view key;  // "http.port"
  Type type;
  std::string_view default_value;  // as it would stand in a flag; lists are comma-separated
  std::int64_t least, most;        // integers
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
