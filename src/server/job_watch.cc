// SPDX-License-Identifier: Apache-2.0
#include "server/job_watch.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <mutex>

#include "base/text.h"
#include "server/admin_connection.h"
#include "server/terminal.h"

namespace muster::server {
namespace {

constexpr std::int64_t kMinuteMs = 60'000;
constexpr int kFailuresBorne = 10;  // a second apart: a server may be restarted meanwhile
constexpr std::size_t kBar = 30;
constexpr std::size_t kSentenceLines = 4;
constexpr std::array<std::string_view, 8> kStatuses{"QUEUED",   "IN_PROGRESS", "SUCCEEDED", "FAILED",
                                                    "REJECTED", "TIMED_OUT",   "CANCELED",  "REMOVED"};

struct Numbers {
  std::int64_t total = 0;
  std::int64_t ended = 0;
  std::int64_t now_ms = 0;
};
Numbers numbers_of(const json::object& progress) {
  Numbers numbers;
  const std::int64_t executions = get_int(progress, "executions");
  // A job that has ended makes no more.
  const std::string_view status = get_string(progress, "status");
  const bool active = status == "IN_PROGRESS" || status == "SCHEDULED";
  const bool more = active && !get_bool(progress, "rolledOut");
  numbers.total = more ? std::max(executions, get_int(progress, "fleet")) : executions;
  numbers.ended = executions;
  if (const auto* counts = find_object(progress, "counts")) {
    numbers.ended -= get_int(*counts, "QUEUED") + get_int(*counts, "IN_PROGRESS");
  }
  numbers.now_ms = parse_iso8601(get_string(progress, "now")).value_or(0);
  return numbers;
}

std::string bar(const Numbers& numbers) {
  const auto full = numbers.total == 0
                        ? 0
                        : static_cast<std::size_t>(static_cast<std::int64_t>(kBar) * numbers.ended / numbers.total);
  return "[" + std::string(std::min(full, kBar), '#') + std::string(kBar - std::min(full, kBar), '.') + "]";
}

std::string share(const Numbers& numbers) {
  const std::int64_t percent = numbers.total == 0 ? 0 : numbers.ended * 100 / numbers.total;
  return std::to_string(percent) + "% " + std::to_string(numbers.ended) + "/" + std::to_string(numbers.total);
}

std::string counts_text(const json::object& progress) {
  std::string text;
  const auto* counts = find_object(progress, "counts");
  for (const auto status : kStatuses) {
    const std::int64_t count = counts == nullptr ? 0 : get_int(*counts, status);
    if (count != 0) text += (text.empty() ? "" : "  ") + std::string(status) + " " + std::to_string(count);
  }
  return text.empty() ? "no executions yet" : text;
}

std::string rate_text(double rate) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), rate < 10 ? "%.1f/min" : "%.0f/min", rate);
  return text.data();
}

std::string duration_text(std::int64_t seconds) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%02lld:%02lld:%02lld", static_cast<long long>(seconds / 3600),
                static_cast<long long>(seconds / 60 % 60), static_cast<long long>(seconds % 60));
  return text.data();
}

std::string eta_text(const json::object& progress, const Numbers& numbers, double rate) {
  if (get_string(progress, "status") == "COMPLETED" || get_string(progress, "status") == "CANCELED") return "ended";
  if (rate > 0 && numbers.total > numbers.ended) {
    const auto seconds = static_cast<std::int64_t>(static_cast<double>(numbers.total - numbers.ended) * 60 / rate);
    return "ETA " + duration_text(std::min<std::int64_t>(seconds, 360'000'000));
  }
  // A time would be a promise that nobody has made.
  for (const std::string_view wait : {"job.waits.gate", "job.waits.paused", "job.waits.approval"}) {
    if (get_string(progress, "waitCode") == wait) return "waits for somebody";
  }
  const std::string by(get_string(progress, "rolledOutBy"));
  return by.empty() ? "ETA unknown" : "all queued by " + by;
}

std::string reasons_text(const json::object& progress) {
  std::string text;
  const auto* reasons = find_array(progress, "failureReasons");
  if (reasons == nullptr) return text;
  for (const json::value& value : *reasons) {
    const auto* reason = value.if_object();
    if (reason == nullptr) continue;
    const std::string why = printable(get_string(*reason, "reason"));
    text += (text.empty() ? "" : "; ") + std::to_string(get_int(*reason, "count")) + " " +
            std::string(get_string(*reason, "status")) + ": " + (why.empty() ? "no reason given" : why);
  }
  return text;
}

// Whole characters, at most `columns` of them.
std::string cut(std::string_view line, std::size_t columns) {
  std::size_t end = 0, width = 0;
  while (end < line.size() && width < columns) {
    do ++end;
    while (end < line.size() && (line[end] & 0xC0) == 0x80);
    ++width;
  }
  return std::string(line.substr(0, end));
}

// At spaces where there are any, into at most kSentenceLines lines.
void add_wrapped(std::string_view text, std::size_t columns, std::vector<std::string>& lines) {
  for (std::size_t i = 0; i < kSentenceLines && !text.empty(); ++i) {
    std::string line = cut(text, columns);
    if (line.size() < text.size() && text[line.size()] != ' ') {
      if (const auto space = line.rfind(' '); space != std::string::npos) line.resize(space);
    }
    text.remove_prefix(line.size());
    if (text.starts_with(' ')) text.remove_prefix(1);
    if (line.empty()) break;  // no room for a character
    lines.push_back(std::move(line));
  }
}

void wait_a_second() {
  std::mutex mutex;
  std::unique_lock lock(mutex);
  std::condition_variable never;
  never.wait_for(lock, std::chrono::seconds(1), [] { return false; });
}

}  // namespace

void EndedRate::add(std::int64_t now_ms, std::int64_t ended) {
  if (!seen_.empty() && (now_ms < seen_.back().first || ended < seen_.back().second))
    seen_.clear();  // another clock, deletions
  seen_.emplace_back(now_ms, ended);
  while (seen_.size() > 2 && seen_[1].first <= now_ms - kMinuteMs) seen_.pop_front();
}

double EndedRate::per_minute() const {
  if (seen_.size() < 2 || seen_.back().first <= seen_.front().first) return 0;
  return static_cast<double>(seen_.back().second - seen_.front().second) * static_cast<double>(kMinuteMs) /
         static_cast<double>(seen_.back().first - seen_.front().first);
}

std::string watch_line(const json::object& progress, const EndedRate& rate) {
  const Numbers numbers = numbers_of(progress);
  std::string line = std::string(get_string(progress, "now")) + "  " + printable(get_string(progress, "jobId")) + "  " +
                     std::string(get_string(progress, "status")) + "  " + share(numbers) + "  " +
                     counts_text(progress) + "  " + rate_text(rate.per_minute()) + "  " +
                     eta_text(progress, numbers, rate.per_minute());
  const std::string reasons = reasons_text(progress);
  if (!reasons.empty()) line += "  failures: " + reasons;
  return line + "  | " + printable(get_string(progress, "waitSentence")) + "\n";
}

std::string watch_block(const json::object& progress, const EndedRate& rate, std::size_t columns) {
  const Numbers numbers = numbers_of(progress);
  const std::int64_t limit = get_int(progress, "ratePerMinute");
  std::string speed = "ended " + rate_text(rate.per_minute());
  if (limit != 0) {
    speed += "   released " + std::to_string(get_int(progress, "releasedLastMinute")) +
             " in the last minute, at most " + std::to_string(limit) + "/min";
  }
  std::vector<std::string> lines{
      "job " + printable(get_string(progress, "jobId")) + "   " + std::string(get_string(progress, "status")) + "   " +
          std::string(get_string(progress, "targetSelection")),
      bar(numbers) + " " + share(numbers) + " ended   " + eta_text(progress, numbers, rate.per_minute()),
      counts_text(progress),
      speed,
  };
  add_wrapped(printable(get_string(progress, "waitSentence")), columns, lines);
  const std::string reasons = reasons_text(progress);
  lines.push_back(reasons.empty() ? "no failures" : "failures: " + reasons);
  std::string block;
  for (const std::string& line : lines) block += cut(line, columns) + "\n";
  return block;
}

Result<int> watch_job(const DataDir& data, const std::string& job_id, const WatchScreen& screen) {
  TRY(const auto server, AdminConnection::open(data));
  const std::string path = "/_admin/jobs/" + percent_encode(job_id) + "/progress";
  EndedRate rate;
  int failures = 0;
  std::size_t drawn = 0;
  for (;; wait_a_second()) {
    const auto progress = server.ask("GET", path);
    if (!progress) {
      if (progress.error().kind != ErrorKind::kUnavailable || ++failures == kFailuresBorne) return progress.error();
      continue;
    }
    failures = 0;
    const Numbers numbers = numbers_of(*progress);
    rate.add(numbers.now_ms, numbers.ended);
    if (screen.terminal) {
      const std::string block = watch_block(*progress, rate, screen.columns);
      // Up over the last block, whose lines are erased: the new one may have fewer.
      screen.print((drawn == 0 ? "" : "\x1b[" + std::to_string(drawn) + "A\x1b[J") + block);
      drawn = static_cast<std::size_t>(std::ranges::count(block, '\n'));
    } else {
      screen.print(watch_line(*progress, rate));
    }
    const std::string_view status = get_string(*progress, "status");
    if (status == "COMPLETED") return 0;
    if (status == "CANCELED" || status == "DELETION_IN_PROGRESS") return 1;
  }
}

}  // namespace muster::server
