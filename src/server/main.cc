// SPDX-License-Identifier: Apache-2.0
// muster: the command line. Reads arguments and environment, and hands everything else to Server.
#include <signal.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <iostream>

#include "api/wire/support.h"
#include "base/json.h"
#include "base/log.h"
#include "server/admin_client.h"
#include "server/audit/audit_files.h"
#include "server/command_line.h"
#include "server/config.h"
#include "server/job_watch.h"
#include "server/job_words.h"
#include "server/server.h"
#include "server/service_notify.h"
#include "server/version.h"

extern char** environ;

namespace {

using namespace muster;          // NOLINT
using namespace muster::server;  // NOLINT

int fail(const std::string& message, int status = 1) {
  std::cerr << "muster: " << message << "\n";
  return status;
}

Environment environment() {
  Environment out;
  for (char** item = environ; *item != nullptr; ++item) {
    std::string_view text = *item;
    auto equals = text.find('=');
    if (equals != std::string_view::npos && text.starts_with("MUSTER_")) {
      out.emplace(std::string(text.substr(0, equals)), std::string(text.substr(equals + 1)));
    }
  }
  return out;
}

Result<Config> settings_of(const CommandLine& line) {
  ConfigSources sources;
  sources.environment = environment();
  sources.flags = line.flags;
  if (line.config_file) {
    TRY(auto text, read_whole_file(*line.config_file));
    sources.file_text = text;
    sources.file_name = *line.config_file;
  }
  return load_config(sources);
}

void configure_log(const Config& config) {
  auto level = config.log_level == "debug"   ? log::Level::kDebug
               : config.log_level == "warn"  ? log::Level::kWarn
               : config.log_level == "error" ? log::Level::kError
                                             : log::Level::kInfo;
  log::configure(level, config.log_format == "json" ? log::Format::kJson : log::Format::kText);
}

// As the next shell can call it, whether or not it is on the PATH.
std::string own_path() {
  std::error_code error;
  auto path = std::filesystem::read_symlink("/proc/self/exe", error);
  return error ? "muster" : path.string();
}

std::string joined(const std::vector<std::string>& items) {
  std::string out;
  for (const auto& item : items) out += (out.empty() ? "" : ",") + item;
  return out;
}

void print_welcome(const Server& server, const Config& config, const DataDir& data) {
  const Endpoints& e = server.endpoints();
  std::printf("muster %s is serving account %s in %s from %s\n", kVersion, e.account_id.c_str(), e.region.c_str(),
              data.path().c_str());
  std::printf("  AWS APIs      %s\n", e.api_origin.c_str());
  std::printf("  MQTT (TLS)    %s port %u, client certificates; server CA %s\n", joined(config.device_address).c_str(),
              e.device_port, e.ca_file.c_str());
  if (e.device_https_port != 0)
    std::printf("  device HTTPS  %s port %u\n", joined(config.device_address).c_str(), e.device_https_port);
  if (e.plain_mqtt_port != 0) std::printf("  plain MQTT    127.0.0.1:%u\n", e.plain_mqtt_port);
  if (server.first_start()) {
    std::printf("\nA new account was made; its root key is in %s. To use it from another shell:\n\n",
                data.file("root-key.json").c_str());
    std::printf("  eval \"$(%s env --data-dir %s)\"\n", own_path().c_str(), data.path().c_str());
    std::printf("  aws iot create-thing --thing-name my-device\n");
    std::printf("  aws iot list-things\n\n");
  }
  std::fflush(stdout);
}

int serve(const CommandLine& line) {
  auto config = settings_of(line);
  if (!config) return fail(config.error().message, 2);
  if (line.check_config) {
    std::cout << to_toml(*config);
    return 0;
  }
  configure_log(*config);
  ::signal(SIGPIPE, SIG_IGN);
  // Blocked before any thread starts, so that every thread leaves them to sigwait below.
  sigset_t stop_signals;
  sigemptyset(&stop_signals);
  sigaddset(&stop_signals, SIGTERM);
  sigaddset(&stop_signals, SIGINT);
  ::pthread_sigmask(SIG_BLOCK, &stop_signals, nullptr);

  auto data = DataDir::open(config->data_dir);
  if (!data) return fail(data.error().message);
  auto server = Server::create(*config, *data);
  if (!server) return fail(server.error().message);
  (*server)->start();
  if (auto written = data->write("endpoints.json", to_json((*server)->endpoints())); !written) {
    return fail(written.error().message);
  }
  print_welcome(**server, *config, *data);
  log::info("serving",
            {{"api", (*server)->endpoints().api_origin}, {"device_port", (*server)->endpoints().device_port}});
  const char* notify = std::getenv("NOTIFY_SOCKET");
  std::string manager = notify == nullptr ? "" : notify;
  notify_service_manager(manager, "READY=1");

  int signal = 0;
  ::sigwait(&stop_signals, &signal);
  log::info("stopping", {{"signal", signal}});
  notify_service_manager(manager, "STOPPING=1");
  // A second signal while draining ends the process at once: nothing acknowledged is lost by that.
  ::signal(SIGTERM, SIG_DFL);
  ::signal(SIGINT, SIG_DFL);
  ::pthread_sigmask(SIG_UNBLOCK, &stop_signals, nullptr);
  (*server)->stop();
  log::info("stopped");
  return 0;
}

std::string shell_quoted(std::string_view text) {
  std::string out = "'";
  for (char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

int print_env(const CommandLine& line) {
  auto config = settings_of(line);
  if (!config) return fail(config.error().message, 2);
  auto data = DataDir::open_existing(config->data_dir);
  if (!data) return fail(data.error().message);
  auto endpoints_text = data->read("endpoints.json"), key_text = data->read("root-key.json");
  if (!endpoints_text || !key_text) return fail("no server has served from " + data->path() + " yet; run muster serve");
  auto e = endpoints_from_json(*endpoints_text);
  auto key = parse_record(*key_text);
  if (!e || !key) return fail("the files in " + data->path() + " are damaged");
  // None of these names is a setting's: a server started from the same shell is not changed by them.
  std::vector<std::pair<std::string, std::string>> values{
      {"AWS_ENDPOINT_URL", e->api_origin},
      {"AWS_ACCESS_KEY_ID", std::string(get_string(*key, "accessKeyId"))},
      {"AWS_SECRET_ACCESS_KEY", std::string(get_string(*key, "secretAccessKey"))},
      {"AWS_DEFAULT_REGION", e->region},
      {"AWS_REGION", e->region},
      {"MUSTER_ACCOUNT_ID", e->account_id},
      {"MUSTER_MQTT_HOST", e->device_host},
      {"MUSTER_MQTT_PORT", std::to_string(e->device_port)},
      {"MUSTER_CA_FILE", e->ca_file}};
  if (e->device_https_port != 0) values.emplace_back("MUSTER_MQTT_HTTPS_PORT", std::to_string(e->device_https_port));
  if (e->plain_mqtt_port != 0) values.emplace_back("MUSTER_MQTT_PLAIN_PORT", std::to_string(e->plain_mqtt_port));
  for (const auto& [name, value] : values) {
    if (line.raw == name) {
      std::cout << value << "\n";
      return 0;
    }
    if (line.raw.empty()) std::cout << "export " << name << "=" << shell_quoted(value) << "\n";
  }
  if (!line.raw.empty()) return fail("there is no " + line.raw + " here");
  std::cout << "unset AWS_SESSION_TOKEN AWS_PROFILE\n"
               "aws() { command aws --endpoint-url \"$AWS_ENDPOINT_URL\" \"$@\"; }\n";
  return 0;
}

// What `ask` answers, printed.
int administer(const CommandLine& line, const std::function<Result<std::string>(const DataDir&)>& ask) {
  auto config = settings_of(line);
  if (!config) return fail(config.error().message, 2);
  auto data = DataDir::open_existing(config->data_dir);
  if (!data) return fail(data.error().message);
  auto text = ask(*data);
  if (!text) return fail(text.error().message);
  std::cout << *text;
  return 0;
}

int watch(const CommandLine& line) {
  auto config = settings_of(line);
  if (!config) return fail(config.error().message, 2);
  auto data = DataDir::open_existing(config->data_dir);
  if (!data) return fail(data.error().message);
  WatchScreen screen;
  screen.terminal = ::isatty(STDOUT_FILENO) == 1;
  winsize size{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) screen.columns = size.ws_col;
  screen.print = [](std::string_view text) { std::cout << text << std::flush; };
  auto status = watch_job(*data, line.words[1], screen);
  if (!status) return fail(status.error().message);
  return *status;
}

int administer_jobs(const CommandLine& line) {
  if (line.words.size() == 2 && line.words[0] == "watch") return watch(line);
  return administer(line, [&](const DataDir& data) { return run_job_words(data, line.words, line.format); });
}

int read_audit(const CommandLine& line) {
  const auto run = [&](const std::string& folder) {
    return run_audit_words(folder, line.words, line.options, line.format);
  };
  // Files that were carried elsewhere need no data folder.
  if (line.words.size() < 2) return administer(line, [&](const DataDir& data) { return run(data.path()); });
  auto text = run({});
  if (!text) return fail(text.error().message);
  std::cout << *text;
  return 0;
}

int print_support(const CommandLine& line) {
  if (line.format.empty() || line.format == "text")
    std::cout << api::support_text();
  else if (line.format == "json")
    std::cout << api::support_json();
  else if (line.format == "markdown")
    std::cout << api::support_markdown();
  else
    return fail("--format is text, json or markdown", 2);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  auto line = parse_command_line(std::vector<std::string>(argv + 1, argv + argc));
  if (!line) return fail(line.error().message, 2);
  if (line->word == "serve") return serve(*line);
  if (line->word == "env") return print_env(*line);
  if (line->word == "mqtt") {
    return administer(*line, [&](const DataDir& data) { return run_mqtt_words(data, line->words); });
  }
  if (line->word == "why") {
    return administer(
        *line, [&](const DataDir& data) { return run_why_words(data, line->words, line->options, line->format); });
  }
  if (line->word == "audit") return read_audit(*line);
  if (line->word == "job") return administer_jobs(*line);
  if (line->word == "support") return print_support(*line);
  if (line->word == "settings") {
    std::cout << config_reference();
    return 0;
  }
  if (line->word == "version") {
    std::cout << "muster " << kVersion << "\n";
    return 0;
  }
  std::cout << usage();
  return 0;
}
