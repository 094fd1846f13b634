// SPDX-License-Identifier: Apache-2.0
#include "server/audit/audit_files.h"

#include <algorithm>

#include "base/json.h"
#include "base/text.h"
#include "domain/audit/event.h"
#include "domain/audit/search.h"
#include "domain/audit/segments.h"
#include "domain/audit/verify.h"
#include "server/terminal.h"

namespace muster::server {
namespace {

using Options = std::map<std::string, std::string>;

constexpr std::int64_t kMostListed = 100'000;

const std::string& option(const Options& options, const std::string& name) {
  static const std::string kNone;
  const auto found = options.find(name);
  return found == options.end() ? kNone : found->second;
}

// A running server may begin and remove segments meanwhile: taken when the head stayed what it was.
Status read_places(const audit::LogFiles& places, audit::VerifyInput& input) {
  std::string head;
  for (int attempt = 0; attempt < 10; ++attempt) {
    TRY(head, audit::read_segment(places.head));
    TRY(const auto segments, audit::list_segments(places.directory));
    input.files.clear();
    for (const audit::Segment& segment : segments) input.files.push_back(segment.path);
    TRY(const std::string again, audit::read_segment(places.head));
    if (again == head) break;
  }
  if (input.files.empty()) return invalid("there is no audit log in " + places.directory);
  TRY(input.head, audit::read_head(head, *input.key));
  return {};
}

Result<std::string> verify_words(const audit::LogFiles& places, const std::vector<std::string>& files,
                                 const std::string& key_file) {
  audit::VerifyInput input;
  input.files = files;
  if (files.empty() || !key_file.empty()) {
    TRY(const std::string pem, audit::read_segment(key_file.empty() ? places.public_key : key_file));
    TRY(input.key, Ed25519PublicKey::from_pem(pem));
  }
  if (files.empty()) TRY_VOID(read_places(places, input));
  TRY(const audit::Verified verified, audit::verify_log(input));
  std::string out = "The audit log is whole: " + std::to_string(verified.events) + " events in " +
                    std::to_string(verified.files) + " files, lines " + std::to_string(verified.first.sequence) +
                    " to " + std::to_string(verified.last.sequence) + ".\n";
  if (input.key) {
    out += "Signed by key " + audit::key_id(*input.key) + " up to line " + std::to_string(verified.sealed) + " (" +
           to_iso8601(verified.sealed_ms, false) + ").\n";
  } else {
    out += "Seals were not checked (no --key), nor whether lines are missing at the ends.\n";
  }
  out += "Last line: " + verified.last.hash + "\n";
  for (const std::string& remark : verified.remarks) out += "Remark: " + printable(remark) + "\n";
  return out;
}

Result<std::optional<std::int64_t>> time_option(const Options& options, const std::string& name) {
  const std::string& text = option(options, name);
  if (text.empty()) return std::optional<std::int64_t>();
  std::string whole = text.size() == 10 ? text + "T00:00:00Z" : text;
  const auto time_ms = parse_iso8601(whole);
  if (!time_ms) return invalid("--" + name + " wants a time like 2026-11-23T04:05:06Z, or a day");
  return std::optional<std::int64_t>(*time_ms);
}

Result<audit::Filter> filter_of(const Options& options) {
  audit::Filter filter;
  filter.event_name = option(options, "event");
  filter.user_name = option(options, "user");
  filter.event_source = option(options, "source");
  filter.access_key_id = option(options, "access_key");
  filter.resource_name = option(options, "resource");
  filter.source_address = option(options, "address");
  filter.error_code = option(options, "error");
  if (!filter.event_source.empty() && filter.event_source.find('.') == std::string::npos) {
    filter.event_source += ".amazonaws.com";
  }
  if (filter.error_code == "any") {
    filter.error_code.clear();
    filter.only_errors = true;
  }
  if (const std::string& only = option(options, "read_only"); !only.empty()) {
    if (only != "true" && only != "false") return invalid("--read-only is true or false");
    filter.read_only = only == "true";
  }
  TRY(filter.start_ms, time_option(options, "since"));
  TRY(filter.end_ms, time_option(options, "until"));
  return filter;
}

// One event in one line: when, who, from where, what, on what, how it ended.
std::string event_line(const json::object& event) {
  std::string who(audit::user_name(event));
  const json::object* identity = find_object(event, "userIdentity");
  if (who.empty() && identity != nullptr) who = get_string(*identity, "accessKeyId");
  if (who.empty()) who = "-";
  const std::string_view source = get_string(event, "eventSource");
  std::string line(get_string(event, "eventTime"));
  line += "  " + who + "  " + std::string(get_string(event, "sourceIPAddress")) + "  " +
          std::string(source.substr(0, source.find('.'))) + ":" + std::string(get_string(event, "eventName"));
  if (const json::array* resources = find_array(event, "resources")) {
    for (const json::value& item : *resources) {
      if (item.is_object()) line += "  " + std::string(audit::resource_name(get_string(item.get_object(), "ARN")));
    }
  }
  const std::string_view error = get_string(event, "errorCode");
  line += error.empty() ? "  ok" : "  " + std::string(error);
  const json::object* additional = find_object(event, "additionalEventData");
  if (additional != nullptr && has(*additional, "repetitions")) {
    line += "  " + std::to_string(get_int(*additional, "repetitions")) + " times more";
  }
  return printable(line) + "\n";
}

Result<std::string> list_words(const audit::LogFiles& places, const Options& options, const std::string& format) {
  TRY(const audit::Filter filter, filter_of(options));
  const std::string& most_text = option(options, "limit");
  const auto most = most_text.empty() ? std::optional<std::int64_t>(100) : parse_int(most_text);
  if (!most || *most < 1 || *most > kMostListed) return invalid("--limit is 1 to 100000");
  auto left = static_cast<std::size_t>(*most);
  std::vector<std::string> lines;
  std::uint64_t before = audit::kNewest;
  while (left > 0) {
    TRY(const audit::Page page, audit::search(places.directory, filter, before, {.max_events = left}));
    for (const audit::Found& found : page.events) {
      lines.push_back(format == "json" ? found.text + "\n" : event_line(found.event));
    }
    left -= page.events.size();
    if (!page.next) break;
    before = *page.next;
  }
  std::string out;
  for (auto line = lines.rbegin(); line != lines.rend(); ++line) out += *line;  // as a log is read
  return out;
}

}  // namespace

audit::LogFiles audit_files(const std::string& data_dir) {
  return {data_dir + "/audit", data_dir + "/audit-key.pem", data_dir + "/audit-public.pem",
          data_dir + "/audit-head.json"};
}

Result<std::string> run_audit_words(const std::string& data_dir, const std::vector<std::string>& words,
                                    const Options& options, const std::string& format) {
  if (!format.empty() && format != "text" && format != "json") return invalid("--format is text or json");
  const audit::LogFiles places = audit_files(data_dir);
  if (!words.empty() && words[0] == "verify") {
    return verify_words(places, {words.begin() + 1, words.end()}, option(options, "key"));
  }
  if (words.size() == 1 && words[0] == "list") return list_words(places, options, format);
  return invalid("say muster audit verify [FILE ...] or muster audit list; see muster help");
}

}  // namespace muster::server
