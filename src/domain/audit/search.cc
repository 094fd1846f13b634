// SPDX-License-Identifier: Apache-2.0
#include "domain/audit/search.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cstring>
#include <map>
#include <mutex>
#include <tuple>

#include "base/text.h"
#include "domain/audit/chain.h"
#include "domain/audit/event.h"
#include "domain/audit/segments.h"

namespace muster::audit {
namespace {

// Written by event.cc; absent (another writer's): to the second.
std::int64_t time_of(const json::object& event) {
  const json::object* additional = find_object(event, "additionalEventData");
  if (additional != nullptr && has(*additional, "eventTimeMs")) return get_int(*additional, "eventTimeMs");
  return parse_iso8601(get_string(event, "eventTime")).value_or(0);
}

bool resource_matches(const Filter& filter, const json::object& event) {
  if (filter.resource_name.empty() && filter.resource_type.empty()) return true;
  const json::array* resources = find_array(event, "resources");
  if (resources == nullptr) return false;
  for (const json::value& item : *resources) {
    if (!item.is_object()) continue;
    const std::string_view arn = get_string(item.get_object(), "ARN");
    const bool name =
        filter.resource_name.empty() || filter.resource_name == arn || filter.resource_name == resource_name(arn);
    const bool type = filter.resource_type.empty() || filter.resource_type == get_string(item.get_object(), "type");
    if (name && type) return true;
  }
  return false;
}

bool same(std::string_view wanted, std::string_view value) {
  return wanted.empty() || wanted == value;
}

// Texts that a line must have to be worth parsing.
std::vector<std::string> needles_of(const Filter& filter) {
  std::vector<std::string> out;
  const auto member = [&out](std::string_view name, std::string_view value) {
    if (value.empty()) return;
    std::string text;
    append_json_string(text, name);
    text += ':';
    append_json_string(text, value);
    out.push_back(std::move(text));
  };
  member("eventID", filter.event_id);
  member("eventName", filter.event_name);
  member("eventSource", filter.event_source);
  member("accessKeyId", filter.access_key_id);
  member("sourceIPAddress", filter.source_address);
  member("errorCode", filter.error_code);
  member("type", filter.resource_type);
  for (const std::string& value : {filter.resource_name, filter.user_name == "root" ? "" : filter.user_name}) {
    if (value.empty()) continue;
    std::string text;
    append_json_string(text, value);
    out.push_back(text.substr(1, text.size() - 2));
  }
  if (filter.read_only) out.emplace_back(*filter.read_only ? "\"readOnly\":true" : "\"readOnly\":false");
  if (filter.only_errors) out.emplace_back("\"errorCode\":");
  return out;
}

// The C library's: several times as fast as the string's on texts full of quotation marks.
std::size_t behind_last_feed(std::string_view text) {
  const void* feed = text.empty() ? nullptr : ::memrchr(text.data(), '\n', text.size());
  return feed == nullptr ? 0 : static_cast<std::size_t>(static_cast<const char*>(feed) - text.data()) + 1;
}

class Search {
 public:
  Search(const Filter& filter, std::uint64_t before, const SearchLimits& limits)
      : filter_(filter), needles_(needles_of(filter)), before_(before), limits_(limits) {}

  // False when the page is full.
  bool lines(std::string_view bytes) {
    bytes = bytes.substr(0, behind_last_feed(bytes));  // the last line may be half written
    while (!bytes.empty()) {
      bytes.remove_suffix(1);
      const std::size_t start = behind_last_feed(bytes);
      if (!line(bytes.substr(start))) return false;
      bytes = bytes.substr(0, start);
    }
    return true;
  }

  Page page;

 private:
  bool line(std::string_view text) {
    for (const std::string& needle : needles_) {
      if (::memmem(text.data(), text.size(), needle.data(), needle.size()) == nullptr) return true;
    }
    const auto parsed = parse_line(text);
    if (!parsed || parsed->kind != Line::Kind::kEvent || parsed->sequence >= before_) return true;
    auto event = parse_json(parsed->body, {.max_bytes = kMaxLine});
    if (!event || !event->is_object() || !matches(filter_, event->get_object())) return true;
    if (page.events.size() == limits_.max_events) {
      page.next = page.events.back().sequence;
      return false;
    }
    page.events.push_back({parsed->sequence, std::string(parsed->body), std::move(event->get_object())});
    return true;
  }

  const Filter& filter_;
  const std::vector<std::string> needles_;
  const std::uint64_t before_;
  const SearchLimits limits_;
};

std::int64_t read_start(const Segment& segment) {
  const auto text = read_first_line(segment.path);
  const auto line = text ? parse_line(*text) : Result<Line>(text.error());
  return line ? seal_time(line->body) : 0;
}

// When segments begin, so that a page about an hour does not open each file of the years: a segment's first line stays
// what it is as long as the file is the same one.
class Starts {
 public:
  std::int64_t of(const Segment& segment) {
    struct statx file {};
    if (::statx(AT_FDCWD, segment.path.c_str(), 0, STATX_INO | STATX_BTIME, &file) != 0) return 0;
    const File key{segment.first, file.stx_dev_major,    file.stx_dev_minor,
                   file.stx_ino,  file.stx_btime.tv_sec, file.stx_btime.tv_nsec};
    {
      const std::lock_guard lock(mutex_);
      if (const auto known = starts_.find(key); known != starts_.end()) return known->second;
    }
    const std::int64_t start = read_start(segment);
    if (start == 0) return 0;  // its first line is still being written
    const std::lock_guard lock(mutex_);
    if (starts_.size() >= kMost) starts_.erase(starts_.begin());  // the oldest
    starts_.insert_or_assign(key, start);
    return start;
  }

 private:
  static constexpr std::size_t kMost = 65536;
  using File = std::tuple<std::uint64_t, std::uint32_t, std::uint32_t, std::uint64_t, std::int64_t, std::uint32_t>;
  std::mutex mutex_;
  std::map<File, std::int64_t> starts_;  // under mutex_
};

std::int64_t start_of(const Segment& segment) {
  static Starts starts;
  return starts.of(segment);
}

}  // namespace

bool matches(const Filter& filter, const json::object& event) {
  const std::int64_t time_ms = time_of(event);
  if (filter.start_ms && time_ms < *filter.start_ms) return false;
  if (filter.end_ms && time_ms > *filter.end_ms) return false;
  if (filter.read_only && get_bool(event, "readOnly") != *filter.read_only) return false;
  if (filter.only_errors && !has(event, "errorCode")) return false;
  const json::object* who = find_object(event, "userIdentity");
  const std::string_view key = who != nullptr ? get_string(*who, "accessKeyId") : std::string_view();
  return same(filter.event_id, get_string(event, "eventID")) &&
         same(filter.event_name, get_string(event, "eventName")) &&
         same(filter.event_source, get_string(event, "eventSource")) &&
         same(filter.error_code, get_string(event, "errorCode")) &&
         same(filter.source_address, get_string(event, "sourceIPAddress")) && same(filter.access_key_id, key) &&
         same(filter.user_name, user_name(event)) && resource_matches(filter, event);
}

Result<Page> search(const std::string& directory, const Filter& filter, std::uint64_t before,
                    const SearchLimits& limits) {
  TRY(const auto segments, list_segments(directory));
  Search search(filter, before, limits);
  std::size_t read = 0;
  // Clocks may step back: a segment is left out only when an hour's step would not matter.
  constexpr std::int64_t kSlackMs = 3'600'000;
  std::int64_t next_start = 0;
  for (auto segment = segments.rbegin(); segment != segments.rend(); ++segment) {
    if (segment->first >= before) continue;
    const std::int64_t start = filter.start_ms || filter.end_ms ? start_of(*segment) : 0;
    const bool later = filter.end_ms && start > *filter.end_ms + kSlackMs;
    const bool earlier = filter.start_ms && next_start != 0 && next_start < *filter.start_ms - kSlackMs;
    next_start = start;
    if (later || earlier) continue;
    if (read > 0 && read + segment->bytes > limits.max_bytes) {
      search.page.next = segments[static_cast<std::size_t>(segments.rend() - segment)].first;  // all of this one
      break;
    }
    const auto bytes = read_segment(segment->path);
    if (!bytes && bytes.error().kind == ErrorKind::kNotFound) break;  // removed meanwhile, as all before it
    if (!bytes) return bytes.error();
    read += bytes->size();
    if (!search.lines(*bytes)) break;
  }
  return std::move(search.page);
}

}  // namespace muster::audit
