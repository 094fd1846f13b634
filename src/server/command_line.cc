// SPDX-License-Identifier: Apache-2.0
#include "server/command_line.h"

#include <algorithm>

namespace muster::server {

std::string usage() {
  return R"(muster: a self-hosted IoT platform that speaks the AWS APIs

  muster serve [--config FILE] [--SETTING VALUE ...]   run the server
  muster serve --check-config                          print the effective settings as TOML, or what is wrong with them
  muster env [--data-dir DIR] [--raw NAME]             shell lines that make the AWS CLI and SDKs work against it
  muster support [--format text|json|markdown]         what is supported, what is refused, and why
  muster mqtt clients [--data-dir DIR]                 who is connected to the server of that folder, or has a session
  muster mqtt client ID                                one of them; muster mqtt disconnect ID ends its connection
  muster why THING [JOB]                               why a thing is or is not offered a job; --job JOB: why a
                                                       rollout waits
  muster why --client ID [--publish|--subscribe|--receive TOPIC]
                                                       what a client was refused and why; may it do that
  muster job watch JOB                                 live counts, rate, ETA and failure reasons
  muster job pause|resume|approve|preview JOB          controls of a rollout; continue JOB [GATE|all] passes a gate
  muster audit verify [--data-dir DIR | FILE ... --key FILE]
                                                       whether the audit log is whole; names the first broken line
  muster audit list [--event NAME] [--user NAME] [--source SERVICE] [--resource NAME] [--access-key ID]
                    [--address IP] [--error CODE|any] [--read-only true|false] [--since TIME] [--until TIME]
                    [--limit N] [--format text|json]    who did what, from where, and how it ended
  muster settings                                      every setting, with default and meaning
  muster version

Settings come from a TOML file, then MUSTER_* in the environment, then flags: http.port is MUSTER_HTTP_PORT and
--http.port.
)";
}

namespace {

constexpr std::string_view kWhyFlags[] = {"client", "job", "publish", "subscribe", "receive"};
constexpr std::string_view kAuditFlags[] = {"key",     "event", "user",      "source", "resource", "access_key",
                                            "address", "error", "read_only", "since",  "until",    "limit"};

bool is_option(std::string_view word, std::string_view flag) {
  if (word == "why") return std::find(std::begin(kWhyFlags), std::end(kWhyFlags), flag) != std::end(kWhyFlags);
  return word == "audit" && std::find(std::begin(kAuditFlags), std::end(kAuditFlags), flag) != std::end(kAuditFlags);
}

bool takes_words(std::string_view word) {
  return word == "mqtt" || word == "why" || word == "job" || word == "audit";
}

}  // namespace

Result<CommandLine> parse_command_line(const std::vector<std::string>& arguments) {
  CommandLine line;
  static constexpr std::string_view kWords[] = {"serve", "env",     "mqtt",     "why",     "job",
                                                "audit", "support", "settings", "version", "help"};
  std::size_t i = 0;
  if (arguments.empty() || arguments[0] == "--help" || arguments[0] == "-h") {
    line.word = "help";
    return line;
  }
  line.word = arguments[i++];
  if (line.word == "--version") line.word = "version";
  if (std::find(std::begin(kWords), std::end(kWords), line.word) == std::end(kWords)) {
    return invalid("'" + line.word + "' is not a command; see muster help");
  }
  while (i < arguments.size()) {
    std::string flag = arguments[i++];
    if (takes_words(line.word) && !flag.starts_with("--")) {
      line.words.push_back(std::move(flag));
      continue;
    }
    if (flag.size() < 3 || !flag.starts_with("--")) return invalid("'" + flag + "' is not a flag; see muster help");
    flag.erase(0, 2);
    std::optional<std::string> value;
    if (auto equals = flag.find('='); equals != std::string::npos) {
      value = flag.substr(equals + 1);
      flag.resize(equals);
    }
    std::replace(flag.begin(), flag.end(), '-', '_');
    if (flag == "help") {
      line.word = "help";
      return line;
    }
    if (flag == "check_config") {
      if (value) return invalid("--check-config takes no value");
      line.check_config = true;
      continue;
    }
    if (!value) {
      if (i == arguments.size()) return invalid("--" + flag + " wants a value");
      value = arguments[i++];
    }
    if (is_option(line.word, flag))
      line.options.insert_or_assign(flag, *value);
    else if (flag == "config")
      line.config_file = *value;
    else if (flag == "format")
      line.format = *value;
    else if (flag == "raw")
      line.raw = *value;
    else
      line.flags.emplace_back(flag, *value);
  }
  return line;
}

}  // namespace muster::server
