// SPDX-License-Identifier: Apache-2.0
// Nearly right: a topic that misses a reserved or an allowed one by a '$' or a slash in front, by case, or by the
// thing's name. Every suggestion is checked before it is made. Pure.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/finding.h"

namespace muster::api::device {

struct NearQuestion {
  std::string_view topic;                         // or filter
  std::vector<std::string> names;                 // client id and things of the principal, at most 50
  std::vector<std::string> patterns;              // topics that policies allow for the action, variables filled in
  std::function<bool(std::string_view)> allowed;  // the action on another topic
  bool is_allowed = false;                        // it is on this one: only reserved topics can have been meant then
};
// At most one finding a kind: "topic.near.dollar", ".slash", ".case", ".thing".
Findings near_topics(const NearQuestion& question);

}  // namespace muster::api::device
