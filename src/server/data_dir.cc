// SPDX-License-Identifier: Apache-2.0
#include "server/data_dir.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

namespace muster::server {
namespace {

Error system_error(const std::string& what) {
  return make_error(ErrorKind::kUnavailable, what + ": " + std::strerror(errno));
}

Status check_folder(const std::string& path) {
  struct stat st {};
  if (::stat(path.c_str(), &st) != 0) {
    if (errno == ENOENT) return not_found(path + " does not exist");
    return system_error(path);
  }
  if (!S_ISDIR(st.st_mode)) return invalid(path + " is not a folder");
  if (st.st_mode & 0022) return invalid(path + " may be written by others; chmod 700 it");
  return {};
}

Result<std::string> absolute(const std::string& path) {
  char* resolved = ::realpath(path.c_str(), nullptr);
  if (resolved == nullptr) return system_error(path);
  std::string out = resolved;
  std::free(resolved);
  return out;
}

bool write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

void sync_folder(const std::string& path) {
  int fd = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return;
  ::fsync(fd);
  ::close(fd);
}

}  // namespace

Result<DataDir> DataDir::open(const std::string& path) {
  if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) return system_error(path);
  return open_existing(path);
}

Result<DataDir> DataDir::open_existing(const std::string& path) {
  TRY_VOID(check_folder(path));
  TRY(auto full, absolute(path));
  return DataDir(full);
}

Status DataDir::write(std::string_view name, std::string_view bytes) const {
  std::string target = file(name), temporary = target + ".new";
  int fd = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return system_error(temporary);
  bool ok = ::fchmod(fd, 0600) == 0 && write_all(fd, bytes) && ::fsync(fd) == 0;
  ok = ::close(fd) == 0 && ok;
  if (!ok || ::rename(temporary.c_str(), target.c_str()) != 0) {
    Error error = system_error(target);
    ::unlink(temporary.c_str());
    return error;
  }
  sync_folder(path_);
  return {};
}

std::optional<std::string> DataDir::read(std::string_view name) const {
  auto text = read_whole_file(file(name));
  if (!text) return std::nullopt;
  return std::move(*text);
}

Result<std::string> read_whole_file(const std::string& path, std::size_t limit) {
  int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return errno == ENOENT ? not_found(path + " does not exist") : system_error(path);
  std::string out;
  char buffer[4096];
  for (;;) {
    ssize_t n = ::read(fd, buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      Error error = system_error(path);
      ::close(fd);
      return error;
    }
    if (n == 0) break;
    out.append(buffer, static_cast<std::size_t>(n));
    if (out.size() > limit) {
      ::close(fd);
      return make_error(ErrorKind::kTooLarge, path + " is too large");
    }
  }
  ::close(fd);
  return out;
}

}  // namespace muster::server
