// SPDX-License-Identifier: Apache-2.0
// The command line: a word, flags (--key value, --key=value, - and _ alike) and, behind mqtt, why, job and audit, more
// words. Pure; the settings themselves are checked by config.h.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace muster::server {

struct CommandLine {
  std::string word;  // serve, env, mqtt, why, job, audit, support, settings, version, help
  std::vector<std::pair<std::string, std::string>> flags;  // settings
  std::vector<std::string> words;                          // mqtt, job, audit: what to do, with what; why: thing, job
  std::map<std::string, std::string> options;              // why: client, job, publish ...; audit: key, event, user ...
  std::optional<std::string> config_file;
  bool check_config = false;
  std::string format;  // support: text, json, markdown; why, job, audit: text, json
  std::string raw;     // env --raw NAME: that value alone
};

Result<CommandLine> parse_command_line(const std::vector<std::string>& arguments);
std::string usage();

}  // namespace muster::server
