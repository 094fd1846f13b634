// SPDX-License-Identifier: Apache-2.0
#include "domain/audit/log_files.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/crypto.h"
#include "base/log.h"
#include "base/text.h"

namespace muster::audit {
namespace {

// nullopt: there is none.
Result<std::optional<std::string>> read_small(const std::string& path) {
  auto bytes = read_segment(path);
  if (bytes) return std::optional<std::string>(*std::move(bytes));
  if (bytes.error().kind == ErrorKind::kNotFound) return std::optional<std::string>();
  return std::move(bytes).error();
}

Result<Ed25519PrivateKey> open_key(const LogFiles& files, bool has_log) {
  TRY(auto pem, read_small(files.key));
  if (!pem && has_log) {
    return invalid("the key of the audit log, " + files.key + ", is gone: bring it back, or move " + files.directory +
                   " and " + files.head + " away to begin another log");
  }
  if (!pem) {
    const auto made = Ed25519PrivateKey::generate();
    TRY_VOID(write_file(files.key, made.pem()));
    pem = made.pem();
  }
  auto key = Ed25519PrivateKey::from_pem(*pem);
  if (!key) return invalid(files.key + ": " + key.error().message);
  const std::string public_pem = key->public_key().pem();
  TRY(const auto there, read_small(files.public_key));
  if (there != public_pem) TRY_VOID(write_file(files.public_key, public_pem));
  return key;
}

// What stands behind the last good line, before it is cut off. What a crash leaves of lines that nobody was answered
// for has no end, or begins with a line that holds a zero byte, which none that is written does: of the space set aside
// a power cut may keep later pages and lose an earlier one, but only of what was not synced yet. Behind a line that was
// sealed, and so synced, nothing of the kind can be. Anything else was done to the file.
void explain_tail(Opened& opened, const std::string& path, std::string_view tail, const std::string& why) {
  if (tail.empty()) return;
  const std::size_t end = tail.find('\n');
  const bool hole =
      tail.substr(0, end).find('\0') != std::string_view::npos && opened.at.sequence >= opened.head.reached.sequence;
  const bool torn = hole || end == std::string_view::npos;
  std::string text = std::to_string(tail.size()) + " bytes behind line " + std::to_string(opened.at.sequence) +
                     ", SHA-256 " + sha256_hex(tail);
  if (!torn) {
    const std::string kept = path + ".damaged";
    text += ", are no part of the chain: " + why;
    if (write_file(kept, tail)) text += "; they are kept in " + kept;
    log::error("THE AUDIT LOG IS DAMAGED", {{"file", path}, {"what", text}});
  } else {
    text += ", were an unfinished line";
    log::warn("the audit log ended in an unfinished line, which no call was answered for", {{"file", path}});
  }
  opened.notes.emplace_back(torn ? "torn" : "damaged", text);
}

// Follows the last segment to its last good line. False: not even its first is one, and the file is gone.
Result<bool> walk_last(Opened& opened, const std::string& head_hash_of) {
  const Segment& last = opened.segments.back().segment;
  TRY(const std::string bytes, read_segment(last.path));
  std::string_view rest = bytes;
  std::string why;
  bool any = false;
  while (!rest.empty()) {
    const std::size_t end = rest.find('\n');
    if (end == std::string_view::npos) break;
    const std::string_view text = rest.substr(0, end);
    if (!any) {
      const auto first = parse_line(text);
      if (!first || first->sequence != last.first || first->kind != Line::Kind::kSeal) {
        why = "its first line is no seal with its number";
        break;
      }
      opened.at = {last.first - 1, std::string(first->previous)};
    }
    if (const auto line = follow(opened.at, text); !line) {
      why = line.error().message;
      break;
    }
    any = true;
    if (opened.at.sequence == opened.head.reached.sequence && opened.at.hash != head_hash_of) {
      opened.notes.emplace_back("damaged",
                                "line " + std::to_string(opened.at.sequence) + " is not the one that was sealed");
    }
    rest.remove_prefix(end + 1);
  }
  opened.good_bytes = bytes.size() - rest.size();
  explain_tail(opened, last.path, rest, why);
  if (any) return true;
  if (::unlink(last.path.c_str()) != 0) return system_error("remove", last.path);
  opened.segments.pop_back();
  return false;
}

Status find_end(Opened& opened) {
  const std::string sealed = opened.head.reached.hash;
  while (!opened.segments.empty()) {
    TRY(const bool found, walk_last(opened, sealed));
    if (found) break;
  }
  if (opened.segments.empty()) opened.at = opened.head.reached;
  if (opened.at.sequence < opened.head.reached.sequence) {
    opened.notes.emplace_back("lost", "the log ended at line " + std::to_string(opened.at.sequence) +
                                          ", but it had reached line " + std::to_string(opened.head.reached.sequence));
  }
  return {};
}

}  // namespace

Result<Opened> open_files(const LogFiles& files, std::int64_t now_ms) {
  if (::mkdir(files.directory.c_str(), 0700) != 0 && errno != EEXIST) return system_error("make", files.directory);
  TRY(auto lock, FolderLock::take(files.directory));
  TRY(const auto listed, list_segments(files.directory));
  TRY(const auto head_bytes, read_small(files.head));
  TRY(auto key, open_key(files, !listed.empty() || head_bytes));
  Opened opened{.lock = std::move(lock), .key = std::move(key), .head = {}, .segments = {}, .at = {}, .notes = {}};
  if (!head_bytes && listed.empty()) TRY_VOID(write_file(files.head, head_text(opened.head, opened.key)));
  if (!head_bytes && !listed.empty()) opened.notes.emplace_back("damaged", files.head + " was gone");
  if (head_bytes) {
    auto head = read_head(*head_bytes, opened.key.public_key());
    if (!head) return invalid(files.head + ": " + head.error().message);
    opened.head = *std::move(head);
  }
  for (const Segment& segment : listed) {
    if (segment.first < opened.head.first) {  // its removal was decided, and then came a crash
      ::unlink(segment.path.c_str());
      continue;
    }
    TRY(const std::string first, read_first_line(segment.path));
    const auto line = parse_line(first);
    opened.segments.push_back({segment, line ? seal_time(line->body) : now_ms});
  }
  const bool had_lines = head_bytes && opened.head.reached.sequence > 0;
  const bool gone = opened.segments.empty() && had_lines;
  TRY_VOID(find_end(opened));
  if (gone)
    opened.notes.emplace_back(
        "lost", "the log had reached line " + std::to_string(opened.head.reached.sequence) + " and is gone");
  if (!opened.segments.empty() && had_lines && opened.segments.front().segment.first > opened.head.first) {
    opened.notes.emplace_back("lost", "the log began at line " + std::to_string(opened.head.first) +
                                          " and begins now at line " +
                                          std::to_string(opened.segments.front().segment.first));
  }
  for (const auto& [kind, text] : opened.notes) {
    if (kind != "torn") log::error("THE AUDIT LOG IS DAMAGED", {{"kind", kind}, {"what", text}});
  }
  return opened;
}

}  // namespace muster::audit
