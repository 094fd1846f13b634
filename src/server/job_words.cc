// SPDX-License-Identifier: Apache-2.0
#include "server/job_words.h"

#include <algorithm>

#include "base/text.h"
#include "server/admin_connection.h"
#include "server/terminal.h"

namespace muster::server {
namespace {

constexpr std::string_view kWhyUsage =
    "muster why takes: THING [JOB], or --job JOB, or --client ID with at most one of --publish, --subscribe and "
    "--receive TOPIC";
constexpr std::string_view kJobUsage =
    "muster job takes: watch JOB, pause JOB, resume JOB, approve JOB, continue JOB [GATE|all], preview JOB";

Result<sigv4::Pairs> why_query(const std::vector<std::string>& words, const WordOptions& options) {
  sigv4::Pairs query;
  const auto option = [&](const char* name) { return options.contains(name) ? options.at(name) : std::string(); };
  const std::string client = option("client"), job = option("job");
  if (client.empty() ? words.empty() == job.empty() : !words.empty() || !job.empty()) {
    return invalid(std::string(kWhyUsage));
  }
  if (words.size() > 2) return invalid(std::string(kWhyUsage));
  for (const char* action : {"publish", "subscribe", "receive"}) {
    if (!options.contains(action)) continue;
    if (client.empty() || query.size() == 2) return invalid(std::string(kWhyUsage));
    query.emplace_back("action", action);
    query.emplace_back("topic", option(action));
  }
  if (!client.empty()) query.emplace_back("clientId", client);
  if (!words.empty()) query.emplace_back("thing", words[0]);
  if (words.size() == 2 || !job.empty()) query.emplace_back("job", job.empty() ? words[1] : job);
  std::ranges::sort(query);
  return query;
}

std::string findings_of(const json::object& answer) {
  const auto* findings = find_array(answer, "findings");
  return findings == nullptr ? "" : findings_text(*findings);
}

std::string control_text(const json::object& answer) {
  return printable("Job " + std::string(get_string(answer, "jobId")) + " is " +
                   std::string(get_string(answer, "status")) + (get_bool(answer, "paused") ? ", paused" : "") + ". " +
                   std::string(get_string(answer, "waitSentence"))) +
         "\n";
}

}  // namespace

std::string findings_text(const json::array& findings) {
  std::string text;
  for (const json::value& finding : findings) {
    if (finding.is_object()) text += printable(get_string(finding.get_object(), "sentence")) + "\n";
  }
  return text;
}

Result<std::string> run_why_words(const DataDir& data, const std::vector<std::string>& words,
                                  const WordOptions& options, const std::string& format) {
  if (!format.empty() && format != "text" && format != "json") return invalid("--format is text or json");
  TRY(const auto query, why_query(words, options));
  TRY(const auto server, AdminConnection::open(data));
  TRY(const auto answer, server.ask("GET", "/_admin/why", query));
  return format == "json" ? to_text(answer) + "\n" : findings_of(answer);
}

Result<std::string> run_job_words(const DataDir& data, const std::vector<std::string>& words,
                                  const std::string& format) {
  if (!format.empty() && format != "text" && format != "json") return invalid("--format is text or json");
  constexpr std::string_view kVerbs[] = {"pause", "resume", "approve", "continue", "preview"};
  const std::string verb = words.empty() ? "" : words[0];
  const std::size_t most = verb == "continue" ? 3 : 2;
  if (std::ranges::find(kVerbs, verb) == std::end(kVerbs) || words.size() < 2 || words.size() > most) {
    return invalid(std::string(kJobUsage));
  }
  sigv4::Pairs query;
  if (words.size() == 3) query.emplace_back("gate", words[2]);
  TRY(const auto server, AdminConnection::open(data));
  TRY(const auto answer, server.ask("POST", "/_admin/jobs/" + percent_encode(words[1]) + "/" + verb, query));
  if (format == "json") return to_text(answer) + "\n";
  return verb == "preview" ? findings_of(answer) : control_text(answer);
}

}  // namespace muster::server
