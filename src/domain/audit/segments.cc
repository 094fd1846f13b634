// SPDX-License-Identifier: Apache-2.0
#include "domain/audit/segments.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <utility>

namespace muster::audit {
namespace {

constexpr std::string_view kSuffix = ".jsonl";
constexpr std::size_t kDigits = 20;
constexpr std::uint64_t kMaxSegment = std::uint64_t{1} << 30;

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }

 private:
  int fd_;
};

Status write_all(int fd, std::string_view bytes, const std::string& path) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(fd, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return system_error("write", path);
    bytes.remove_prefix(static_cast<std::size_t>(count));
  }
  return {};
}

// At most `limit` bytes of the front.
Result<std::string> read_front(const std::string& path, std::size_t limit) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) return errno == ENOENT ? Error(not_found(path + " is not there")) : system_error("open", path);
  std::string bytes;
  char buffer[65536];
  while (bytes.size() < limit) {
    const ssize_t count = ::read(file.get(), buffer, std::min(sizeof buffer, limit - bytes.size()));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return system_error("read", path);
    if (count == 0) break;
    bytes.append(buffer, static_cast<std::size_t>(count));
  }
  return bytes;
}

}  // namespace

Error system_error(const std::string& what, const std::string& path) {
  return make_error(ErrorKind::kUnavailable, "cannot " + what + " " + path + ": " + std::strerror(errno));
}

std::string segment_name(std::uint64_t first) {
  const std::string digits = std::to_string(first);
  return std::string(kDigits - std::min(kDigits, digits.size()), '0') + digits + std::string(kSuffix);
}

Result<std::vector<Segment>> list_segments(const std::string& directory) {
  std::vector<Segment> out;
  DIR* open = ::opendir(directory.c_str());
  if (open == nullptr) {
    if (errno == ENOENT) return out;
    return system_error("read", directory);
  }
  while (const dirent* entry = ::readdir(open)) {
    const std::string_view name = entry->d_name;
    Segment segment;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), segment.first);
    if (error != std::errc() || segment_name(segment.first) != name) continue;
    segment.path = directory + "/" + std::string(name);
    struct stat about {};
    if (::stat(segment.path.c_str(), &about) != 0) continue;  // removed meanwhile
    segment.bytes = static_cast<std::uint64_t>(about.st_size);
    out.push_back(std::move(segment));
  }
  ::closedir(open);
  std::ranges::sort(out, {}, &Segment::first);
  return out;
}

Result<std::string> read_segment(const std::string& path) {
  TRY(std::string bytes, read_front(path, kMaxSegment + 1));
  if (bytes.size() > kMaxSegment) return make_error(ErrorKind::kTooLarge, path + " is larger than any segment");
  return bytes;
}

Result<std::string> read_first_line(const std::string& path) {
  TRY(std::string bytes, read_front(path, 4096));
  std::size_t end = bytes.find('\n');
  if (end == std::string::npos && bytes.size() == 4096) {
    TRY(bytes, read_front(path, kMaxLine));
    end = bytes.find('\n');
  }
  bytes.resize(end == std::string::npos ? 0 : end);
  return bytes;
}

Status sync_folder(const std::string& path) {
  const Descriptor folder(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (folder.get() < 0 || ::fsync(folder.get()) != 0) return system_error("sync", path);
  return {};
}

Status write_file(const std::string& path, std::string_view bytes) {
  const std::string fresh = path + ".new";
  {
    const Descriptor file(::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    if (file.get() < 0) return system_error("open", fresh);
    TRY_VOID(write_all(file.get(), bytes, fresh));
    if (::fsync(file.get()) != 0) return system_error("sync", fresh);
  }
  if (::rename(fresh.c_str(), path.c_str()) != 0) return system_error("rename", fresh);
  return sync_folder(path.substr(0, path.rfind('/')));
}

Result<FolderLock> FolderLock::take(const std::string& path) {
  FolderLock lock(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (lock.descriptor_ < 0) return system_error("open", path);
  if (::flock(lock.descriptor_, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return system_error("lock", path);
    return make_error(ErrorKind::kConflict, "another server writes the audit log in " + path);
  }
  return lock;
}

FolderLock::FolderLock(FolderLock&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}

FolderLock& FolderLock::operator=(FolderLock&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  return *this;
}

FolderLock::~FolderLock() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

Result<AppendFile> AppendFile::open(const std::string& path, std::uint64_t size) {
  AppendFile file;
  file.path_ = path;
  file.descriptor_ = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (file.descriptor_ < 0) return system_error("open", path);
  TRY_VOID(file.cut(size));
  TRY_VOID(sync_folder(path.substr(0, path.rfind('/'))));
  return file;
}

AppendFile::AppendFile(AppendFile&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)), path_(std::move(other.path_)) {}

AppendFile& AppendFile::operator=(AppendFile&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  std::swap(path_, other.path_);
  return *this;
}

AppendFile::~AppendFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

Status AppendFile::write(std::string_view bytes) {
  return write_all(descriptor_, bytes, path_);
}

Status AppendFile::cut(std::uint64_t size) {
  if (::ftruncate(descriptor_, static_cast<off_t>(size)) != 0) return system_error("cut", path_);
  return {};
}

Status AppendFile::sync() {
  if (::fdatasync(descriptor_) != 0) return system_error("sync", path_);
  return {};
}

Status AppendFile::reserve(std::uint64_t up_to) {
  if (::fallocate(descriptor_, FALLOC_FL_KEEP_SIZE, 0, static_cast<off_t>(up_to)) == 0) return {};
  if (errno == EOPNOTSUPP || errno == ENOSYS || errno == EINTR) return {};
  return system_error("reserve space for", path_);
}

}  // namespace muster::audit
