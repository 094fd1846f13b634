// SPDX-License-Identifier: Apache-2.0
// Denials that come again and again: the first of a kind is recorded, the same within a minute are counted, and a
// summary with the count follows when the minute is over. Who varies the call instead is bounded by source: beyond
// kOfSource kinds a minute of one source, what else it tries is one kind. A stranger's source is its address (an IPv6
// /64), that of a caller who proved who it is, its ARN: strangers cannot use up what is kept for others behind the same
// address. Control-plane calls of known callers are not bounded: each different one is recorded.
// Values and plain state, no clock; not thread-safe. Bounds, of strangers and known callers each: kKinds kinds and
// kSources sources at a time; beyond those all are one kind, but for known callers' control-plane calls, which are
// recorded and not remembered.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "domain/audit/event.h"

namespace muster::audit {

class Denials {
 public:
  static constexpr std::int64_t kWindowMs = 60'000;
  static constexpr std::size_t kOfSource = 60, kSources = 10'000, kKinds = 20'000;

  // True: `event` is to be recorded; it may have been made to stand for all that its source tries. False: it was
  // counted.
  bool is_new(Event& event);
  // Summaries of windows that are over by `now_ms`, or of all.
  std::vector<Event> over(std::int64_t now_ms);
  std::vector<Event> all();

  std::size_t kinds() const { return strangers_.kinds.size() + known_.kinds.size(); }

 private:
  struct Kind {
    Event first;
    std::int64_t last_ms = 0;
    std::uint64_t again = 0;
  };
  struct Source {
    std::int64_t since_ms = 0;
    std::size_t kinds = 0;
  };
  struct Callers {
    std::unordered_map<std::string, Kind> kinds;
    std::unordered_map<std::string, Source> sources;
  };
  static bool may_be_kind(Callers& callers, const Event& event);
  static void summarise(Callers& callers, std::int64_t began_before_ms, std::vector<Event>& out);
  std::vector<Event> summaries(std::int64_t began_before_ms);

  Callers strangers_, known_;
};

// The address, or what stands for it: of IPv6 its first 64 bits.
std::string source_of(const std::string& address);

}  // namespace muster::audit
