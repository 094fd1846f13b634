// SPDX-License-Identifier: Apache-2.0
#include "domain/provisioning/line_reader.h"

#include "base/text.h"

namespace muster::provisioning {

namespace {

constexpr std::size_t kReadBytes = std::size_t{256} << 10;

}  // namespace

Result<std::vector<Line>> LineReader::next(std::size_t lines, std::size_t bytes) {
  std::vector<Line> out;
  std::size_t taken = 0;
  bool skipping = false;  // inside a line that is too long
  std::int64_t start = offset_;
  while (out.size() < lines && taken < bytes) {
    const std::size_t newline = buffer_.find('\n', used_);
    if (newline == std::string::npos && !end_) {
      if (skipping || buffer_.size() - used_ > kMaxLineBytes) {
        skipping = true;
        offset_ += static_cast<std::int64_t>(buffer_.size() - used_);
        used_ = buffer_.size();
      }
      buffer_.erase(0, used_);
      used_ = 0;
      TRY(const std::string more, blob_->read(offset_ + static_cast<std::int64_t>(buffer_.size()), kReadBytes));
      end_ = more.size() < kReadBytes;
      buffer_ += more;
      continue;
    }
    if (newline == std::string::npos && used_ == buffer_.size() && !skipping) break;  // the end
    const std::size_t stop = newline == std::string::npos ? buffer_.size() : newline;
    const std::string_view text = trim(std::string_view(buffer_).substr(used_, stop - used_));
    ++number_;
    const bool too_long = skipping || stop - used_ > kMaxLineBytes;
    taken += stop - used_ + 1;
    if (too_long || !text.empty()) {
      out.push_back({number_, start, too_long ? std::string() : std::string(text), too_long});
    }
    const std::size_t behind = newline == std::string::npos ? stop : stop + 1;
    offset_ += static_cast<std::int64_t>(behind - used_);
    used_ = behind;
    start = offset_;
    skipping = false;
  }
  return out;
}

}  // namespace muster::provisioning
