// SPDX-License-Identifier: Apache-2.0
// DataDir: the folder of everything that is kept, mode 0700, and the small files in it, mode 0600, replaced whole
// (temporary file, fsync, rename, fsync of the folder). Refuses a folder that others may write.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace muster::server {

class DataDir {
 public:
  static Result<DataDir> open(const std::string& path);           // makes it when absent
  static Result<DataDir> open_existing(const std::string& path);  // kNotFound when absent

  const std::string& path() const { return path_; }  // absolute
  std::string file(std::string_view name) const { return path_ + "/" + std::string(name); }
  Status write(std::string_view name, std::string_view bytes) const;
  std::optional<std::string> read(std::string_view name) const;  // nullopt when absent; at most 1 MiB

 private:
  explicit DataDir(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

Result<std::string> read_whole_file(const std::string& path, std::size_t limit = 1u << 20);

}  // namespace muster::server
