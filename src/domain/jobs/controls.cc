// SPDX-License-Identifier: Apache-2.0
#include "domain/jobs/controls.h"

#include <algorithm>
#include <cstdlib>

#include "base/text.h"

namespace muster::jobs {

namespace {

constexpr std::size_t kMaxGates = 10;
constexpr std::size_t kMaxShownBytes = 256;
constexpr std::int64_t kMaxPriority = 99;

constexpr std::string_view kHoldForm =
    "up to 10 percentages of the fleet, above 0 and below 100 and rising, separated by spaces, each with \":SUCCESS\" "
    "where the gate opens by itself, as in \"1:95 10:99.5 50\"";
constexpr std::string_view kContinueForm = "the number of gates of muster:hold to pass, or \"all\"";

Error refuse(std::string_view key, std::string_view value, std::string_view allowed) {
  std::size_t end = std::min(value.size(), kMaxShownBytes);
  while (end > 0 && end < value.size() && (static_cast<unsigned char>(value[end]) & 0xC0) == 0x80) --end;
  return invalid("Value '" + std::string(value.substr(0, end)) + (end < value.size() ? "..." : "") + "' of tag '" +
                 std::string(key) + "' is not valid: it must be " + std::string(allowed) + ".");
}

// Plain digits with at most two decimals: neither signs nor exponents.
std::optional<double> parse_percent(std::string_view text) {
  const auto dot = text.find('.');
  const std::string_view whole = text.substr(0, dot);
  const std::string_view decimals = dot == std::string_view::npos ? "0" : text.substr(dot + 1);
  const auto all_digits = [](std::string_view part) {
    return !part.empty() && std::ranges::all_of(part, [](char c) { return c >= '0' && c <= '9'; });
  };
  if (whole.size() > 3 || decimals.size() > 2 || !all_digits(whole) || !all_digits(decimals)) return std::nullopt;
  return std::strtod(std::string(text).c_str(), nullptr);
}

std::optional<Gate> parse_gate(std::string_view text) {
  const auto colon = text.find(':');
  const auto percent = parse_percent(text.substr(0, colon));
  if (!percent || *percent <= 0 || *percent >= 100) return std::nullopt;
  Gate gate{*percent, std::nullopt};
  if (colon == std::string_view::npos) return gate;
  gate.success_percent = parse_percent(text.substr(colon + 1));
  if (!gate.success_percent || *gate.success_percent <= 0 || *gate.success_percent > 100) return std::nullopt;
  return gate;
}

Result<std::vector<Gate>> parse_gates(std::string_view value) {
  std::vector<Gate> gates;
  for (const auto stage : split(value, ' ')) {
    if (stage.empty()) continue;
    const auto gate = parse_gate(stage);
    const bool rising = gate && (gates.empty() || gate->percent > gates.back().percent);
    if (!rising || gates.size() == kMaxGates) return refuse(kHoldTag, value, kHoldForm);
    gates.push_back(*gate);
  }
  if (gates.empty()) return refuse(kHoldTag, value, kHoldForm);
  return gates;
}

// As std::to_string writes it: one number has one text.
std::optional<std::int64_t> parse_canonical(std::string_view text) {
  const auto number = parse_int(text);
  if (!number || std::to_string(*number) != text) return std::nullopt;
  return number;
}

Result<std::size_t> parse_continue(std::string_view value, std::size_t gates) {
  if (gates == 0) return invalid("Tag 'muster:continue' needs the tag 'muster:hold', which names the gates to pass.");
  if (value == "all") return gates;
  const auto number = parse_canonical(value);
  if (!number || *number < 0 || std::cmp_greater(*number, gates)) {
    return refuse(kContinueTag, value,
                  std::string(kContinueForm) + "; there " + (gates == 1 ? "is " : "are ") + std::to_string(gates));
  }
  return static_cast<std::size_t>(*number);
}

Result<bool> parse_flag(std::string_view key, std::string_view value) {
  if (value == "true") return true;
  if (value == "false") return false;
  return refuse(key, value, "\"true\" or \"false\"");
}

Status read_tag(Controls& controls, std::string_view key, std::string_view value) {
  if (key == kApprovalTag) {
    if (value != "required" && value != "approved") return refuse(key, value, "\"required\" or \"approved\"");
    controls.approval = value == "required" ? Approval::kRequired : Approval::kApproved;
  } else if (key == kPauseTag) {
    TRY(controls.paused, parse_flag(key, value));
  } else if (key == kHoldTag) {
    TRY(controls.gates, parse_gates(value));
  } else if (key == kDryRunTag) {
    TRY(controls.dry_run, parse_flag(key, value));
  } else if (key == kPriorityTag) {
    const auto priority = parse_canonical(value);
    if (!priority || *priority < -kMaxPriority || *priority > kMaxPriority) {
      return refuse(key, value, "a whole number from -99 to 99");
    }
    controls.priority = *priority;
  } else if (key != kContinueTag) {
    return invalid("Tag '" + std::string(key) +
                   "' is not one that Muster knows: of the keys that begin with \"muster:\" a job can have "
                   "muster:approval, muster:pause, muster:hold, muster:continue, muster:priority and muster:dry-run.");
  }
  return {};
}

}  // namespace

Result<Controls> controls_from_tags(const std::map<std::string, std::string>& tags) {
  Controls controls;
  for (const auto& [key, value] : tags) {
    if (!equals_ignore_case(std::string_view(key).substr(0, kReservedTagPrefix.size()), kReservedTagPrefix)) continue;
    TRY_VOID(read_tag(controls, key, value));
  }
  // Last, because it counts gates.
  if (const auto it = tags.find(std::string(kContinueTag)); it != tags.end()) {
    TRY(controls.gates_continued, parse_continue(it->second, controls.gates.size()));
  }
  return controls;
}

Status check_controls_change(const Controls& before, const Controls& after, bool started) {
  if (after.priority != before.priority) {
    return invalid("Tag 'muster:priority' cannot be changed: a job's priority is fixed when it is created.");
  }
  if (after.dry_run) return invalid("Tag 'muster:dry-run' can only be given to CreateJob.");
  if (!started) return {};
  if (after.approval == Approval::kRequired && before.approval != Approval::kRequired) {
    return invalid("Tag 'muster:approval' cannot become \"required\": the job has started. Pause it instead.");
  }
  if (after.gates.empty()) return {};
  const std::size_t passed = before.gates_continued;
  const bool kept =
      after.gates.size() >= passed &&
      std::equal(before.gates.begin(), before.gates.begin() + static_cast<std::ptrdiff_t>(passed), after.gates.begin());
  if (!kept || after.gates_continued < passed) {
    return invalid(
        "The first " + std::to_string(passed) +
        " gates of tag 'muster:hold' have been passed and cannot be changed or closed. Pause the job instead.");
  }
  return {};
}

json::object to_json(const Controls& controls) {
  json::object record;
  if (controls.approval != Approval::kNotNeeded) {
    record["approval"] = controls.approval == Approval::kRequired ? "required" : "approved";
  }
  if (controls.paused) record["paused"] = true;
  if (!controls.gates.empty()) {
    json::array gates;
    for (const auto& gate : controls.gates) {
      json::object one;
      one["percent"] = gate.percent;
      if (gate.success_percent) one["success"] = *gate.success_percent;
      gates.push_back(std::move(one));
    }
    record["gates"] = std::move(gates);
  }
  if (controls.gates_continued != 0) record["continued"] = static_cast<std::int64_t>(controls.gates_continued);
  if (controls.priority != 0) record["priority"] = controls.priority;
  return record;
}

Controls controls_from_json(const json::object& record) {
  Controls controls;
  const auto approval = get_string(record, "approval");
  if (approval == "required") controls.approval = Approval::kRequired;
  if (approval == "approved") controls.approval = Approval::kApproved;
  controls.paused = get_bool(record, "paused");
  if (const auto* gates = find_array(record, "gates")) {
    for (const auto& item : *gates) {
      const auto* one = item.if_object();
      if (one == nullptr || controls.gates.size() == kMaxGates) continue;
      Gate gate{get_double(*one, "percent"), std::nullopt};
      if (has(*one, "success")) gate.success_percent = get_double(*one, "success");
      controls.gates.push_back(gate);
    }
  }
  const auto continued = std::max<std::int64_t>(get_int(record, "continued"), 0);
  controls.gates_continued = std::min(static_cast<std::size_t>(continued), controls.gates.size());
  controls.priority = get_int(record, "priority");
  return controls;
}

}  // namespace muster::jobs
