// SPDX-License-Identifier: Apache-2.0
// LineReader: the lines of a blob from an offset on, a batch at a time. Holds at most a line and one read of the file.
// A line longer than kMaxLineBytes comes without its text. Blocks; one thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "domain/objects/blobs.h"

namespace muster::provisioning {

inline constexpr std::size_t kMaxLineBytes = std::size_t{64} << 10;

struct Line {
  std::int64_t number = 0;  // from 1
  std::int64_t offset = 0;
  std::string text;       // without its end
  bool too_long = false;  // then without text
};

class LineReader {
 public:
  LineReader(std::unique_ptr<objects::BlobReader> blob, std::int64_t offset, std::int64_t lines_before)
      : blob_(std::move(blob)), offset_(offset), number_(lines_before) {}

  // Up to `lines` or about `bytes`, whichever comes first; empty at the end. Blank lines are counted, not returned.
  Result<std::vector<Line>> next(std::size_t lines, std::size_t bytes);
  std::int64_t offset() const { return offset_; }  // behind what next() returned
  std::int64_t number() const { return number_; }

 private:
  std::unique_ptr<objects::BlobReader> blob_;
  std::int64_t offset_;
  std::int64_t number_;
  std::string buffer_;  // read, from offset_ on
  std::size_t used_ = 0;
  bool end_ = false;
};

}  // namespace muster::provisioning
