// SPDX-License-Identifier: Apache-2.0
#include "base/finding.h"

namespace muster {

json::object to_json(const Finding& finding) {
  json::object facts;
  for (const auto& [name, value] : finding.facts) facts[name] = value;
  return {{"code", finding.code}, {"sentence", finding.sentence}, {"facts", std::move(facts)}};
}

json::array to_json(const Findings& findings) {
  json::array list;
  for (const Finding& finding : findings) list.emplace_back(to_json(finding));
  return list;
}

std::string sentences(const Findings& findings, std::size_t max_bytes) {
  std::string text;
  for (const Finding& finding : findings) {
    const std::size_t space = text.empty() ? 0 : 1;
    if (text.size() + space + finding.sentence.size() > max_bytes) break;
    text.append(space, ' ').append(finding.sentence);
  }
  return text;
}

}  // namespace muster
