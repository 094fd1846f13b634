// SPDX-License-Identifier: Apache-2.0
// Finding: one answer to "why": a code for machines, a sentence for people, and the facts behind it by name. A value.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/json.h"

namespace muster {

struct Finding {
  std::string code;      // "execution.queued.paused"; stable, dots from wide to narrow
  std::string sentence;  // whole, in English, with its full stop
  std::map<std::string, std::string> facts;
};
using Findings = std::vector<Finding>;

// {"code", "sentence", "facts"}
json::object to_json(const Finding& finding);
json::array to_json(const Findings& findings);
// The sentences, one after the other with a space between; as many whole ones as fit into `max_bytes`.
std::string sentences(const Findings& findings, std::size_t max_bytes);

}  // namespace muster
