// SPDX-License-Identifier: Apache-2.0
#include "server/config.h"

#define TOML_EXCEPTIONS 0
#include <toml++/toml.h>

#include <sstream>

#include "base/text.h"

namespace muster::server {
namespace {

using Type = Setting::Type;

constexpr std::int64_t kMaxPort = 65535;

constexpr std::array kSettings{
    Setting{"data_dir", Type::kText, "muster-data", 0, 0, "folder of everything that is kept; made with mode 0700"},
    Setting{"region", Type::kText, "us-east-1", 0, 0, "AWS region in ARNs and signatures; fixed at the first start"},
    Setting{"http.address", Type::kText, "127.0.0.1", 0, 0, "address of the AWS API port"},
    Setting{"http.port", Type::kInteger, "4566", 0, kMaxPort,
            "the one HTTP(S) port for all AWS APIs; 0 takes a free one"},
    Setting{"http.plain", Type::kBoolean, "false", 0, 0,
            "answer plain HTTP on an address that is not loopback (loopback always answers it)"},
    Setting{"http.public_origin", Type::kText, "", 0, 0,
            "scheme://host:port that devices reach the API port at, for pre-signed URLs; empty: http://ADDRESS:PORT"},
    Setting{"http.allowed_origins", Type::kList, "", 0, 0, "web origins that may call the APIs (CORS)"},
    Setting{"http.base_domains", Type::kList, "", 0, 0, "domains below which a host name's first label is a bucket"},
    Setting{"http.max_connections", Type::kInteger, "20000", 1, 1'000'000, "open connections on the API port"},
    Setting{"device.address", Type::kList, "::", 0, 0,
            "addresses of the device ports; '::' is every address, IPv4 too"},
    Setting{"device.port", Type::kInteger, "8883", 0, kMaxPort, "MQTT over mutual TLS (HTTPS too); 0 takes a free one"},
    Setting{"device.https_port", Type::kInteger, "-1", -1, kMaxPort,
            "a second mutual-TLS port for HTTPS, as AWS's 8443; -1: none"},
    Setting{"device.max_connections", Type::kInteger, "100000", 1, 10'000'000, "open connections on the device ports"},
    Setting{"device.loops", Type::kInteger, "0", 0, 64,
            "threads that serve devices, each with a part of the MQTT sessions; 0: one for each processor"},
    Setting{"device.host", Type::kText, "", 0, 0,
            "host name that DescribeEndpoint answers; empty: the first of tls.names"},
    Setting{"plain_mqtt.port", Type::kInteger, "-1", -1, kMaxPort,
            "MQTT without TLS on 127.0.0.1, for tests and local bridges; -1: none, 0 takes a free one"},
    Setting{"plain_mqtt.policy", Type::kText, "", 0, 0,
            "IoT policy that decides for clients of the plain port; '*' allows them everything; needed with the port"},
    Setting{"tls.names", Type::kList, "localhost,127.0.0.1", 0, 0, "DNS names and addresses in the server certificate"},
    Setting{"store.engine", Type::kText, "embedded", 0, 0, "embedded or postgresql"},
    Setting{"store.postgresql", Type::kText, "", 0, 0, "libpq connection string for the postgresql engine"},
    Setting{"mqtt.max_packet_bytes", Type::kInteger, "149504", 1024, 268'435'455,
            "largest MQTT packet (AWS: 128 KiB payload)"},
    Setting{"mqtt.max_queued_messages", Type::kInteger, "1000", 1, 1'000'000,
            "QoS 1 messages kept for one absent client"},
    Setting{"mqtt.session_expiry_s", Type::kInteger, "3600", 1, 4'294'967'294,
            "how long a persistent session outlives its connection (MQTT 3.1.1, and the bound for MQTT 5)"},
    Setting{"objects.max_bytes", Type::kInteger, "5368709120", 1, 5'497'558'138'880, "largest object"},
    Setting{"log.level", Type::kText, "info", 0, 0, "debug, info, warn or error"},
    Setting{"log.format", Type::kText, "text", 0, 0, "text or json"},
    Setting{"drain_s", Type::kInteger, "10", 0, 3600, "how long a stop waits for running requests"},
};

// Where each key is kept. The order of kSettings does not matter here.
void store_text(Config& c, std::string_view key, std::string v) {
  if (key == "data_dir")
    c.data_dir = std::move(v);
  else if (key == "region")
    c.region = std::move(v);
  else if (key == "http.address")
    c.http_address = std::move(v);
  else if (key == "http.public_origin")
    c.http_public_origin = std::move(v);
  else if (key == "device.host")
    c.device_host = std::move(v);
  else if (key == "plain_mqtt.policy")
    c.plain_mqtt_policy = std::move(v);
  else if (key == "store.engine")
    c.store_engine = std::move(v);
  else if (key == "store.postgresql")
    c.store_postgresql = std::move(v);
  else if (key == "log.level")
    c.log_level = std::move(v);
  else if (key == "log.format")
    c.log_format = std::move(v);
}

void store_integer(Config& c, std::string_view key, std::int64_t v) {
  if (key == "http.port")
    c.http_port = v;
  else if (key == "http.max_connections")
    c.http_max_connections = v;
  else if (key == "device.port")
    c.device_port = v;
  else if (key == "device.https_port")
    c.device_https_port = v;
  else if (key == "device.max_connections")
    c.device_max_connections = v;
  else if (key == "device.loops")
    c.device_loops = v;
  else if (key == "plain_mqtt.port")
    c.plain_mqtt_port = v;
  else if (key == "mqtt.max_packet_bytes")
    c.mqtt_max_packet_bytes = v;
  else if (key == "mqtt.max_queued_messages")
    c.mqtt_max_queued_messages = v;
  else if (key == "mqtt.session_expiry_s")
    c.mqtt_session_expiry_s = v;
  else if (key == "objects.max_bytes")
    c.objects_max_bytes = v;
  else if (key == "drain_s")
    c.drain_s = v;
}

void store_list(Config& c, std::string_view key, std::vector<std::string> v) {
  if (key == "http.allowed_origins")
    c.http_allowed_origins = std::move(v);
  else if (key == "http.base_domains")
    c.http_base_domains = std::move(v);
  else if (key == "device.address")
    c.device_address = std::move(v);
  else if (key == "tls.names")
    c.tls_names = std::move(v);
}

std::vector<std::string> split_list(std::string_view text) {
  std::vector<std::string> out;
  for (std::string_view part : split(text, ',')) {
    if (auto trimmed = trim(part); !trimmed.empty()) out.emplace_back(trimmed);
  }
  return out;
}

const Setting* find_setting(std::string_view key) {
  for (const Setting& s : kSettings) {
    if (s.key == key) return &s;
  }
  return nullptr;
}

class Loader {
 public:
  Config config;
  std::string problems;

  void complain(std::string_view where, std::string_view key, std::string_view what) {
    problems += std::string(where) + ": " + std::string(key) + ": " + std::string(what) + "\n";
  }

  void set_text(std::string_view where, const Setting& s, std::string_view text) {
    switch (s.type) {
      case Type::kText:
        store_text(config, s.key, std::string(text));
        break;
      case Type::kList:
        store_list(config, s.key, split_list(text));
        break;
      case Type::kBoolean:
        set_boolean(where, s, text);
        break;
      case Type::kInteger:
        if (auto n = parse_int(text)) {
          set_integer(where, s, *n);
        } else {
          complain(where, s.key, "'" + std::string(text) + "' is not a whole number");
        }
        break;
    }
  }

  void set_integer(std::string_view where, const Setting& s, std::int64_t n) {
    if (n < s.least || n > s.most) {
      complain(where, s.key,
               std::to_string(n) + " is not between " + std::to_string(s.least) + " and " + std::to_string(s.most));
      return;
    }
    store_integer(config, s.key, n);
  }

  void set_boolean(std::string_view where, const Setting& s, std::string_view text) {
    if (text != "true" && text != "false") return complain(where, s.key, "is true or false");
    if (s.key == "http.plain") config.http_plain = text == "true";
  }

  void set_toml(std::string_view where, const std::string& key, const toml::node& node) {
    if (const toml::table* table = node.as_table()) {
      for (const auto& [name, child] : *table) {
        set_toml(where, key.empty() ? std::string(name.str()) : key + "." + std::string(name.str()), child);
      }
      return;
    }
    const Setting* s = find_setting(key);
    if (s == nullptr) return complain(where, key, "is not a setting");
    if (const auto* text = node.as_string(); text != nullptr && s->type == Type::kText) {
      store_text(config, key, text->get());
    } else if (const auto* n = node.as_integer(); n != nullptr && s->type == Type::kInteger) {
      set_integer(where, *s, n->get());
    } else if (const auto* b = node.as_boolean(); b != nullptr && s->type == Type::kBoolean) {
      set_boolean(where, *s, b->get() ? "true" : "false");
    } else if (const auto* list = node.as_array(); list != nullptr && s->type == Type::kList) {
      std::vector<std::string> out;
      for (const auto& item : *list) {
        if (!item.is_string()) return complain(where, key, "is a list of strings");
        out.push_back(item.as_string()->get());
      }
      store_list(config, key, std::move(out));
    } else {
      complain(where, key, "has the wrong type");
    }
  }

  void check_whole() {
    const Config& c = config;
    auto one_of = [&](std::string_view key, const std::string& v, std::initializer_list<std::string_view> allowed) {
      if (std::find(allowed.begin(), allowed.end(), v) == allowed.end())
        complain("settings", key, "'" + v + "' is not a choice");
    };
    one_of("store.engine", c.store_engine, {"embedded", "postgresql"});
    one_of("log.level", c.log_level, {"debug", "info", "warn", "error"});
    one_of("log.format", c.log_format, {"text", "json"});
    if (c.store_engine == "postgresql" && c.store_postgresql.empty()) {
      complain("settings", "store.postgresql", "is needed by the postgresql engine");
    }
    if (c.plain_mqtt_port >= 0 && c.plain_mqtt_policy.empty()) {
      complain("settings", "plain_mqtt.policy",
               "is needed with plain_mqtt.port: name an IoT policy, or '*' for everything");
    }
    if (c.data_dir.empty()) complain("settings", "data_dir", "is empty");
    if (c.region.empty() || c.region.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") != std::string::npos) {
      complain("settings", "region", "is not a region name");
    }
    if (c.tls_names.empty()) complain("settings", "tls.names", "is empty");
    if (c.device_address.empty()) complain("settings", "device.address", "is empty");
  }
};

std::string environment_name(std::string_view key) {
  std::string name = "MUSTER_";
  for (char c : key) name += c == '.' ? '_' : static_cast<char>(c >= 'a' && c <= 'z' ? c - 32 : c);
  return name;
}

std::string toml_string(std::string_view text) {
  std::string out = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + "\"";
}

std::string toml_list(const std::vector<std::string>& list) {
  std::string out = "[";
  for (const auto& item : list) out += (out.size() > 1 ? ", " : "") + toml_string(item);
  return out + "]";
}

}  // namespace

std::span<const Setting> settings() {
  return kSettings;
}

Result<Config> load_config(const ConfigSources& sources) {
  Loader loader;
  for (const Setting& s : kSettings) loader.set_text("default", s, s.default_value);
  if (sources.file_text) {
    auto parsed = toml::parse(*sources.file_text);
    if (!parsed) {
      const auto& e = parsed.error();
      return invalid(sources.file_name + ":" + std::to_string(e.source().begin.line) + ": " +
                     std::string(e.description()));
    }
    loader.set_toml(sources.file_name, "", parsed.table());
  }
  for (const Setting& s : kSettings) {
    auto name = environment_name(s.key);
    if (auto it = sources.environment.find(name); it != sources.environment.end()) loader.set_text(name, s, it->second);
  }
  for (const auto& [key, value] : sources.flags) {
    if (const Setting* s = find_setting(key)) {
      loader.set_text("--" + key, *s, value);
    } else {
      loader.complain("flag", "--" + key, "is not a setting");
    }
  }
  if (loader.problems.empty()) loader.check_whole();
  if (!loader.problems.empty()) {
    loader.problems.pop_back();
    return invalid(loader.problems);
  }
  return std::move(loader.config);
}

std::string to_toml(const Config& c) {
  std::ostringstream out;
  out << "data_dir = " << toml_string(c.data_dir) << "\nregion = " << toml_string(c.region)
      << "\ndrain_s = " << c.drain_s << "\n\n[http]\naddress = " << toml_string(c.http_address)
      << "\nport = " << c.http_port << "\nplain = " << (c.http_plain ? "true" : "false")
      << "\npublic_origin = " << toml_string(c.http_public_origin)
      << "\nallowed_origins = " << toml_list(c.http_allowed_origins)
      << "\nbase_domains = " << toml_list(c.http_base_domains) << "\nmax_connections = " << c.http_max_connections
      << "\n\n[device]\naddress = " << toml_list(c.device_address) << "\nport = " << c.device_port
      << "\nhttps_port = " << c.device_https_port << "\nmax_connections = " << c.device_max_connections
      << "\nloops = " << c.device_loops << "\nhost = " << toml_string(c.device_host)
      << "\n\n[plain_mqtt]\nport = " << c.plain_mqtt_port << "\npolicy = " << toml_string(c.plain_mqtt_policy)
      << "\n\n[tls]\nnames = " << toml_list(c.tls_names) << "\n\n[store]\nengine = " << toml_string(c.store_engine)
      << "\npostgresql = " << toml_string(c.store_postgresql.empty() ? "" : "(hidden)")
      << "\n\n[mqtt]\nmax_packet_bytes = " << c.mqtt_max_packet_bytes
      << "\nmax_queued_messages = " << c.mqtt_max_queued_messages << "\nsession_expiry_s = " << c.mqtt_session_expiry_s
      << "\n\n[objects]\nmax_bytes = " << c.objects_max_bytes << "\n\n[log]\nlevel = " << toml_string(c.log_level)
      << "\nformat = " << toml_string(c.log_format) << "\n";
  return out.str();
}

std::string config_reference() {
  std::string out =
      "# Settings\n\nA TOML file (`muster serve --config FILE`), the environment and flags fill these, later ones "
      "winning: `http.port`\n"
      "is `[http] port = 4566` in the file, `MUSTER_HTTP_PORT` in the environment, `--http.port 4566` as a flag.\n\n"
      "| setting | default | meaning |\n|---|---|---|\n";
  for (const Setting& s : kSettings) {
    out += "| `" + std::string(s.key) + "` | " +
           (s.default_value.empty() ? "" : "`" + std::string(s.default_value) + "`") + " | " + std::string(s.meaning) +
           " |\n";
  }
  return out;
}

}  // namespace muster::server
