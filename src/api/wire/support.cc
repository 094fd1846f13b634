// SPDX-License-Identifier: Apache-2.0
#include "api/wire/support.h"

#include <algorithm>
#include <map>
#include <vector>

#include "api/wire/model.h"
#include "base/json.h"

namespace muster::api {
namespace {

using model::Member;
using model::Operation;
using model::Service;
using model::Shape;
using model::Support;

struct Refusal {
  std::string member;  // "schedulingConfig.maintenanceWindows"
  std::string_view reason;
};

// Refused members anywhere beneath the input; a shape that contains itself is entered once.
void collect(const Service& service, std::uint16_t index, const std::string& path, std::vector<std::uint16_t>& open,
             std::vector<Refusal>& out) {
  if (index == model::kNone || std::ranges::find(open, index) != open.end()) return;
  const Shape& shape = service.shapes[index];
  open.push_back(index);
  if (shape.element != model::kNone) collect(service, shape.element, path, open, out);
  for (const Member& member : service.members.subspan(shape.first_member, shape.member_count)) {
    const std::string name = path.empty() ? std::string(member.name) : path + "." + std::string(member.name);
    if (member.refused) {
      out.push_back({name, member.refused_reason});
    } else {
      collect(service, member.shape, name, open, out);
    }
  }
  open.pop_back();
}

std::vector<Refusal> refusals(const Service& service, const Operation& operation) {
  std::vector<Refusal> found;
  std::vector<std::uint16_t> open;
  collect(service, operation.input, "", open, found);
  return found;
}

// "not here: a, b (why); c (why)", in the order of the model.
std::string refusals_text(const Service& service, const Operation& operation, std::string_view quote) {
  std::vector<std::pair<std::string_view, std::string>> by_reason;
  for (const Refusal& one : refusals(service, operation)) {
    auto it = std::ranges::find(by_reason, one.reason, &std::pair<std::string_view, std::string>::first);
    if (it == by_reason.end()) it = by_reason.insert(it, {one.reason, {}});
    it->second += (it->second.empty() ? "" : ", ") + std::string(quote) + one.member + std::string(quote);
  }
  std::string text;
  for (const auto& [reason, members] : by_reason) {
    text += (text.empty() ? "" : "; ") + members + " (" + std::string(reason) + ")";
  }
  return text;
}

std::string_view word(Support support) {
  switch (support) {
    case Support::kFull:
      return "full";
    case Support::kPartial:
      return "partial";
    case Support::kRefused:
      return "refused";
  }
  return "";
}

std::size_t served(const Service& service) {
  return static_cast<std::size_t>(
      std::ranges::count_if(service.operations, [](const Operation& o) { return o.support != Support::kRefused; }));
}

std::string heading(const Service& service) {
  return std::string(service.title) + " (" + std::string(service.id) + ", " + std::string(service.api_version) +
         "): " + std::to_string(served(service)) + " of " + std::to_string(service.operations.size()) + " operations";
}

}  // namespace

std::string support_text() {
  std::string text;
  for (const Service* service : model::services()) {
    text += heading(*service) + "\n";
    std::size_t width = 0;
    for (const Operation& o : service->operations) {
      if (o.support != Support::kRefused) width = std::max(width, o.name.size());
    }
    for (const Operation& o : service->operations) {
      if (o.support == Support::kRefused) continue;
      std::string line =
          "  " + std::string(o.name) + std::string(width - o.name.size() + 2, ' ') + std::string(word(o.support));
      const std::string refused = refusals_text(*service, o, "");
      if (!o.note.empty() || !refused.empty()) line += o.support == Support::kFull ? "     " : "  ";
      line += o.note;
      if (!refused.empty()) line += (o.note.empty() ? "refused: " : "; refused: ") + refused;
      text += line + "\n";
    }
    text += "\n";
  }
  return text + "Every other operation of these services is refused by name.\n";
}

std::string support_json() {
  json::array all;
  for (const Service* service : model::services()) {
    json::array operations;
    for (const Operation& o : service->operations) {
      json::object row{{"name", o.name}, {"support", word(o.support)}};
      if (!o.note.empty()) row["note"] = o.note;
      if (o.support != Support::kRefused) {
        row["action"] = o.action;
        json::object refused;
        for (const Refusal& one : refusals(*service, o)) refused[one.member] = one.reason;
        if (!refused.empty()) row["refusedMembers"] = std::move(refused);
      }
      operations.push_back(std::move(row));
    }
    all.push_back(json::object{{"service", service->id},
                               {"title", service->title},
                               {"apiVersion", service->api_version},
                               {"operations", std::move(operations)}});
  }
  return to_text(json::object{{"services", std::move(all)}}) + "\n";
}

std::string support_markdown() {
  std::string text =
      "# What is supported\n\n"
      "<!-- Written from src/api/support by the update_support_reference target. Do not edit. -->\n\n"
      "`full`: as AWS does it. `partial`: what differs is said. A refused member in a request is answered with an "
      "error\n"
      "that names it, and so is every operation that is not listed here; nothing is ignored silently.\n"
      "`muster support` prints this list, `muster support --format json` for programs.\n";
  for (const Service* service : model::services()) {
    text += "\n## " + heading(*service) + "\n\n| Operation | Support | Differences |\n| --- | --- | --- |\n";
    for (const Operation& o : service->operations) {
      if (o.support == Support::kRefused) continue;
      const std::string refused = refusals_text(*service, o, "`");
      text += "| " + std::string(o.name) + " | " + std::string(word(o.support)) + " | " + std::string(o.note);
      if (!refused.empty()) text += (o.note.empty() ? "Refused: " : "; refused: ") + refused;
      text += " |\n";
    }
  }
  return text;
}

}  // namespace muster::api
