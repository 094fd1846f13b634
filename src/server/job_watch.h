// SPDX-License-Identifier: Apache-2.0
// muster job watch JOB: asks for a job's progress every second and shows it: on a terminal a few lines that are drawn
// over, else one line a second. Ends with the job.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <utility>

#include "base/json.h"
#include "base/result.h"
#include "server/data_dir.h"

namespace muster::server {

// Executions that ended over the last minute of what was seen.
class EndedRate {
 public:
  void add(std::int64_t now_ms, std::int64_t ended);
  // A minute; 0: none, or not yet known.
  double per_minute() const;

 private:
  std::deque<std::pair<std::int64_t, std::int64_t>> seen_;
};

// Of an answer of GetJobProgress. Pure; `columns` bounds every line.
std::string watch_line(const json::object& progress, const EndedRate& rate);
std::string watch_block(const json::object& progress, const EndedRate& rate, std::size_t columns);

struct WatchScreen {
  bool terminal = false;
  std::size_t columns = 100;
  std::function<void(std::string_view text)> print;
};
// 0: COMPLETED; 1: CANCELED or in deletion. An error when the server does not answer for 10 s, or refuses.
Result<int> watch_job(const DataDir& data, const std::string& job_id, const WatchScreen& screen);

}  // namespace muster::server
