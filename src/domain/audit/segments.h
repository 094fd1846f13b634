// SPDX-License-Identifier: Apache-2.0
// The files of an audit log: a folder of segments, each named by the number of its first line. Plain calls of the
// operating system that block; for the log's own threads, the blocking pool and the command line. Errors: kUnavailable
// with the reason, kNotFound for a file that is not there.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace muster::audit {

struct Segment {
  std::string path;
  std::uint64_t first = 0;  // number of its first line, of its name
  std::uint64_t bytes = 0;
};

std::string segment_name(std::uint64_t first);  // "00000000000000000001.jsonl"
// In order. An absent folder has none.
Result<std::vector<Segment>> list_segments(const std::string& directory);

inline constexpr std::size_t kMaxLine = std::size_t{1} << 20;
// The whole file. Segments are bounded by the log; kTooLarge above 1 GiB.
Result<std::string> read_segment(const std::string& path);
// Up to the first line feed, without it; empty when there is none.
Result<std::string> read_first_line(const std::string& path);

// Whole, by another name first, synced with its folder. Mode 0600.
Status write_file(const std::string& path, std::string_view bytes);
Status sync_folder(const std::string& path);
Error system_error(const std::string& what, const std::string& path);

// Held while a log is written: two writers would make two chains. Ends with the process, however that ends.
class FolderLock {
 public:
  static Result<FolderLock> take(const std::string& path);  // kConflict: somebody has it
  FolderLock(FolderLock&& other) noexcept;
  FolderLock& operator=(FolderLock&& other) noexcept;
  ~FolderLock();

 private:
  explicit FolderLock(int descriptor) : descriptor_(descriptor) {}
  int descriptor_ = -1;
};

// A file that is appended to; closes itself.
class AppendFile {
 public:
  // Made when absent. `size`: what is behind is cut off.
  static Result<AppendFile> open(const std::string& path, std::uint64_t size);
  AppendFile() = default;
  AppendFile(AppendFile&& other) noexcept;
  AppendFile& operator=(AppendFile&& other) noexcept;
  ~AppendFile();

  // All of it, or an error with an unknown part of it written.
  Status write(std::string_view bytes);
  Status cut(std::uint64_t size);
  Status sync();
  // Has the file system set space aside behind the end, so that it is missed before something depends on it. File
  // systems that cannot are taken as they are.
  Status reserve(std::uint64_t up_to);
  bool is_open() const { return descriptor_ >= 0; }

 private:
  int descriptor_ = -1;
  std::string path_;
};

}  // namespace muster::audit
