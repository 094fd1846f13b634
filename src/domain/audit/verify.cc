// SPDX-License-Identifier: Apache-2.0
#include "domain/audit/verify.h"

#include "base/json.h"
#include "domain/audit/segments.h"

namespace muster::audit {
namespace {

class Walk {
 public:
  explicit Walk(const VerifyInput& input) : input_(input) {}

  Status file(const std::string& path, bool last_file) {
    TRY(const std::string bytes, read_segment(path));
    ++out_.files;
    std::string_view rest = bytes;
    std::uint64_t number = 0;
    while (!rest.empty()) {
      ++number;
      const std::size_t end = rest.find('\n');
      // The last line of a running log may be half written; that of an ended segment may not.
      if (end == std::string_view::npos) {
        if (!last_file) return broken(path, number, "the line has no end");
        out_.remarks.emplace_back("the last line of " + path + " has no end: it is being written, or was torn");
        return {};
      }
      if (const auto status = line(path, number, rest.substr(0, end)); !status) return status;
      rest.remove_prefix(end + 1);
    }
    return {};
  }

  Result<Verified> finish() {
    if (!started_) return invalid("there is no line");
    out_.last = at_;
    if (input_.head && at_.sequence < input_.head->reached.sequence) {
      return invalid("the log ends at line " + std::to_string(at_.sequence) + ", but it had reached line " +
                     std::to_string(input_.head->reached.sequence) + ": what is behind was cut off");
    }
    return std::move(out_);
  }

 private:
  static Error broken(const std::string& path, std::uint64_t number, const std::string& why) {
    return invalid(path + ":" + std::to_string(number) + ": " + why);
  }

  Status line(const std::string& path, std::uint64_t number, std::string_view text) {
    if (!started_) TRY_VOID(start(path, number, text));
    const auto followed = follow(at_, text);
    if (!followed && followed.error().reason == "previous" && !before_.empty()) {
      return invalid(before_ + ": it, or the line behind it, " + path + ":" + std::to_string(number) +
                     ", was changed: they do not fit together");
    }
    if (!followed) return broken(path, number, followed.error().message);
    before_ = path + ":" + std::to_string(number);
    if (number == 1 && followed->kind != Line::Kind::kSeal) return broken(path, number, "a segment begins with a seal");
    switch (followed->kind) {
      case Line::Kind::kEvent:
        ++out_.events;
        break;
      case Line::Kind::kSeal:
        TRY_VOID(seal(path, number, *followed));
        break;
      case Line::Kind::kNote:
        TRY_VOID(note(path, number, *followed));
        break;
    }
    if (input_.head && at_.sequence == input_.head->reached.sequence && at_.hash != input_.head->reached.hash) {
      return broken(path, number, "it is not the line that the head file names");
    }
    return {};
  }

  Status start(const std::string& path, std::uint64_t number, std::string_view text) {
    const auto parsed = parse_line(text);
    if (!parsed) return broken(path, number, parsed.error().message);
    started_ = true;
    at_ = {parsed->sequence - 1, std::string(parsed->previous)};
    out_.first = {parsed->sequence, {}};
    if (!input_.head) return {};
    if (parsed->sequence != input_.head->first) {
      return broken(path, number,
                    "the log begins with line " + std::to_string(parsed->sequence) + ", and not with " +
                        std::to_string(input_.head->first) + " as the head file says");
    }
    if (parsed->previous != input_.head->first_previous) {
      return broken(path, number, "it was not written behind the line that the head file names");
    }
    return {};
  }

  Status seal(const std::string& path, std::uint64_t number, const Line& line) {
    ++out_.seals;
    if (!input_.key) return {};
    const auto checked = check_seal(line, *input_.key);
    if (!checked) return broken(path, number, checked.error().message);
    out_.sealed = line.sequence;
    out_.sealed_ms = checked->time_ms;
    return {};
  }

  Status note(const std::string& path, std::uint64_t number, const Line& line) {
    const auto parsed = parse_json(line.body);
    if (!parsed || !parsed->is_object()) return broken(path, number, "its note cannot be read");
    const std::string_view kind = get_string(parsed->get_object(), "kind");
    const std::string text(get_string(parsed->get_object(), "text"));
    if (kind != "torn" && kind != "dropped") return broken(path, number, "the server noted here: " + text);
    out_.remarks.push_back(path + ":" + std::to_string(number) + ": the server noted: " + text);
    return {};
  }

  const VerifyInput& input_;
  Verified out_;
  Position at_;
  std::string before_;  // place of the line before
  bool started_ = false;
};

}  // namespace

Result<Verified> verify_log(const VerifyInput& input) {
  Walk walk(input);
  for (std::size_t i = 0; i < input.files.size(); ++i) {
    TRY_VOID(walk.file(input.files[i], i + 1 == input.files.size()));
  }
  return walk.finish();
}

}  // namespace muster::audit
