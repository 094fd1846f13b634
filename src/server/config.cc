// SPDX-License-Identifier: Apache-2.0
#include "server/config.h"

#define TOML_EXCEPTIONS 0
#include <toml++/toml.h>

#include <algorithm>
#include <optional>

#include "base/text.h"

namespace muster::server {
namespace {

using Type = Setting::Type;

std::vector<std::string> split_list(std::string_view text) {
  std::vector<std::string> out;
  for (std::string_view part : split(text, ',')) {
    if (auto trimmed = trim(part); !trimmed.empty()) out.emplace_back(trimmed);
  }
  return out;
}

const Setting* find_setting(std::string_view key) {
  for (const Setting& s : settings()) {
    if (s.key == key) return &s;
  }
  return nullptr;
}

std::string environment_name(std::string_view key) {
  std::string name = "MUSTER_";
  for (char c : key) name += c == '.' ? '_' : static_cast<char>(c >= 'a' && c <= 'z' ? c - 32 : c);
  return name;
}

class Loader {
 public:
  Config config;
  std::string problems;

  void complain(std::string_view where, std::string_view key, std::string_view what) {
    problems += std::string(where) + ": " + std::string(key) + ": " + std::string(what) + "\n";
  }

  template <class T>
  void set(const Setting& s, T value) {
    config.*std::get<T Config::*>(s.place) = std::move(value);
  }

  void set_text(std::string_view where, const Setting& s, std::string_view text) {
    switch (s.type) {
      case Type::kText:
        set<std::string>(s, std::string(text));
        break;
      case Type::kList:
        set<std::vector<std::string>>(s, split_list(text));
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
    set<std::int64_t>(s, n);
  }

  void set_boolean(std::string_view where, const Setting& s, std::string_view text) {
    if (text != "true" && text != "false") return complain(where, s.key, "is true or false");
    set<bool>(s, text == "true");
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
      set<std::string>(*s, text->get());
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
      set<std::vector<std::string>>(*s, std::move(out));
    } else {
      complain(where, key, "has the wrong type");
    }
  }

  void fill(const ConfigSources& sources, const std::optional<toml::table>& file, bool aws) {
    for (const Setting& s : settings()) {
      set_text("default", s, aws && !s.aws_value.empty() ? s.aws_value : s.default_value);
    }
    if (file) set_toml(sources.file_name, "", *file);
    for (const Setting& s : settings()) {
      auto name = environment_name(s.key);
      if (auto it = sources.environment.find(name); it != sources.environment.end()) set_text(name, s, it->second);
    }
    for (const auto& [key, value] : sources.flags) {
      if (const Setting* s = find_setting(key)) {
        set_text("--" + key, *s, value);
      } else {
        complain("flag", "--" + key, "is not a setting");
      }
    }
  }

  void check_whole() {
    const Config& c = config;
    auto one_of = [&](std::string_view key, const std::string& v, std::initializer_list<std::string_view> allowed) {
      if (std::find(allowed.begin(), allowed.end(), v) == allowed.end())
        complain("settings", key, "'" + v + "' is not a choice");
    };
    one_of("store.engine", c.store_engine, {"embedded", "postgresql"});
    one_of("mqtt.limits", c.mqtt_limits, {"default", "aws"});
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

std::string_view section_of(std::string_view key) {
  const auto dot = key.find('.');
  return dot == std::string_view::npos ? std::string_view() : key.substr(0, dot);
}

std::string toml_value(const Setting& s, const Config& config) {
  switch (s.type) {
    case Type::kInteger:
      return std::to_string(config.*std::get<std::int64_t Config::*>(s.place));
    case Type::kBoolean:
      return config.*std::get<bool Config::*>(s.place) ? "true" : "false";
    case Type::kList:
      return toml_list(config.*std::get<std::vector<std::string> Config::*>(s.place));
    case Type::kText:
      break;
  }
  const std::string& text = config.*std::get<std::string Config::*>(s.place);
  return toml_string(s.key == "store.postgresql" && !text.empty() ? "(hidden)" : text);
}

std::string quoted(std::string_view value) {
  return value.empty() ? std::string() : "`" + std::string(value) + "`";
}

}  // namespace

Result<Config> load_config(const ConfigSources& sources) {
  std::optional<toml::table> file;
  if (sources.file_text) {
    auto parsed = toml::parse(*sources.file_text);
    if (!parsed) {
      const auto& e = parsed.error();
      return invalid(sources.file_name + ":" + std::to_string(e.source().begin.line) + ": " +
                     std::string(e.description()));
    }
    file = std::move(parsed).table();
  }
  Loader loader;
  loader.fill(sources, file, false);
  // Every source may have chosen the other defaults.
  if (loader.config.mqtt_limits == "aws") {
    loader = {};
    loader.fill(sources, file, true);
  }
  if (loader.problems.empty()) loader.check_whole();
  if (!loader.problems.empty()) {
    loader.problems.pop_back();
    return invalid(loader.problems);
  }
  return std::move(loader.config);
}

std::string to_toml(const Config& config) {
  // What belongs to no section comes first.
  std::vector<std::string_view> sections{{}};
  for (const Setting& s : settings()) {
    if (std::find(sections.begin(), sections.end(), section_of(s.key)) == sections.end()) {
      sections.push_back(section_of(s.key));
    }
  }
  std::string out;
  for (std::string_view section : sections) {
    if (!section.empty()) out += "\n[" + std::string(section) + "]\n";
    for (const Setting& s : settings()) {
      if (section_of(s.key) != section) continue;
      const std::string_view name = section.empty() ? s.key : s.key.substr(section.size() + 1);
      out += std::string(name) + " = " + toml_value(s, config) + "\n";
    }
  }
  return out;
}

std::string config_reference() {
  std::string out =
      "# Settings\n\nA TOML file (`muster serve --config FILE`), the environment and flags fill these, later ones "
      "winning: `http.port`\n"
      "is `[http] port = 4566` in the file, `MUSTER_HTTP_PORT` in the environment, `--http.port 4566` as a flag. Where "
      "two\n"
      "defaults stand, the second is that of `mqtt.limits = \"aws\"`.\n\n"
      "| setting | default | meaning |\n|---|---|---|\n";
  for (const Setting& s : settings()) {
    out += "| `" + std::string(s.key) + "` | " + quoted(s.default_value);
    if (!s.aws_value.empty()) out += ", aws: " + quoted(s.aws_value);
    out += " | " + std::string(s.meaning) + " |\n";
  }
  return out;
}

}  // namespace muster::server
