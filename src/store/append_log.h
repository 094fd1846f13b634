// SPDX-License-Identifier: Apache-2.0
// AppendLog: a log of byte records on disk with group commit, for what is written often, read only at start and soon
// forgotten (messages that wait for MQTT sessions). A thread of its own writes whatever is pending with one write and
// one sync, then tells who waits. Files ("segments") are removed whole, oldest first, when their owner says so.
//
// One frame per append(): segment number 8 | payload size 4 | CRC-32 of both and the payload 4 | payload;
// little-endian. A frame is there whole or, behind the last complete one, not at all: so one append() is atomic. The
// segment number in the frame refuses what an earlier use of the file left behind.
//
// A failed write or sync is tried again, into a fresh file of the same segment, until it succeeds: nothing waits for
// less, and failing() is true meanwhile. A frame may then be there twice: records must bear repetition.
//
// Thread-safe. Bounded by its callers: pending_bytes().
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace muster::store {

struct AppendLogOptions {
  std::string directory;  // made (0700) when absent
  std::uint64_t segment_bytes = 64u << 20;
  // Tests: called before each write; false makes it fail.
  std::function<bool()> may_write;
};

class AppendLog {
 public:
  using Visit = std::function<void(std::string_view record)>;
  using Durable = std::function<void(std::uint64_t position)>;

  // Reads what the directory has, in order, then starts behind it. kUnavailable: the directory cannot be used. A frame
  // that is damaged ends its file: a torn tail is what a crash leaves; more than that is logged.
  static Result<std::unique_ptr<AppendLog>> open(const AppendLogOptions& options, const Visit& visit);
  ~AppendLog();  // writes what is pending, unless writing fails

  // Called on the log's thread after each sync, with the position up to which everything is on stable storage. Before
  // the first append().
  void on_durable(Durable durable);

  // Returns the position behind the record; durable when on_durable() says so much.
  std::uint64_t append(std::string_view record);
  // Records appended from now on go into this segment or a later one.
  std::uint64_t segment() const;
  std::uint64_t first_segment() const;
  // Removes all segments before this one, after everything appended until now is durable.
  void remove_before(std::uint64_t segment);

  // Waits until everything before is done; false when writing fails. Not on the log's thread.
  bool flush();

  std::size_t pending_bytes() const;  // appended and not yet durable
  bool failing() const;
  std::uint64_t syncs() const;

 private:
  struct State;
  explicit AppendLog(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace muster::store
