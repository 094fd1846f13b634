// SPDX-License-Identifier: Apache-2.0
#include "store/append_log.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <map>
#include <mutex>
#include <thread>

#include "base/log.h"
#include "base/text.h"

namespace muster::store {

namespace {

constexpr std::size_t kHeader = 16;
constexpr std::size_t kMaxRecord = std::size_t{1} << 30;
constexpr std::chrono::milliseconds kFirstRetry{100};
constexpr std::chrono::milliseconds kLongestRetry{5000};
constexpr std::size_t kKeptBuffer = std::size_t{4} << 20;

void put(char* at, std::uint64_t value, unsigned bytes) {
  for (unsigned i = 0; i < bytes; ++i) at[i] = static_cast<char>(value >> (8 * i));
}
std::uint64_t get(const char* at, unsigned bytes) {
  std::uint64_t value = 0;
  for (unsigned i = bytes; i-- > 0;) value = value << 8 | static_cast<unsigned char>(at[i]);
  return value;
}

std::uint32_t checksum(const char* header, std::string_view payload) {
  auto crc = ::crc32(0, reinterpret_cast<const Bytef*>(header), 12);
  crc = ::crc32_z(crc, reinterpret_cast<const Bytef*>(payload.data()), payload.size());
  return static_cast<std::uint32_t>(crc);
}

Error refused(const std::string& what, const std::string& path) {
  return make_error(ErrorKind::kUnavailable, "cannot " + what + " " + path + ": " + std::strerror(errno));
}

// "SEGMENT-USE.log", both hexadecimal: a segment has a second file after a failed write.
struct FileName {
  std::uint64_t segment = 0;
  std::uint64_t use = 0;
  auto operator<=>(const FileName&) const = default;
  std::string text() const {
    char name[48];
    std::snprintf(name, sizeof name, "%016llx-%04llx.log", static_cast<unsigned long long>(segment),
                  static_cast<unsigned long long>(use));
    return name;
  }
};

std::optional<FileName> parse_name(const char* name) {
  unsigned long long segment = 0, use = 0;
  int end = 0;
  if (std::sscanf(name, "%16llx-%12llx.log%n", &segment, &use, &end) != 2) return std::nullopt;
  FileName parsed{segment, use};
  if (parsed.text() != name) return std::nullopt;
  return parsed;
}

Result<std::vector<FileName>> list_files(const std::string& directory) {
  DIR* open = ::opendir(directory.c_str());
  if (open == nullptr) return refused("read", directory);
  std::vector<FileName> files;
  while (const dirent* entry = ::readdir(open)) {
    if (const auto name = parse_name(entry->d_name)) files.push_back(*name);
  }
  ::closedir(open);
  std::sort(files.begin(), files.end());
  return files;
}

Result<std::string> read_file(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return refused("open", path);
  struct stat about {};
  std::string bytes;
  if (::fstat(fd, &about) == 0) bytes.resize(static_cast<std::size_t>(about.st_size));
  std::size_t have = 0;
  while (have < bytes.size()) {
    const ssize_t count = ::read(fd, bytes.data() + have, bytes.size() - have);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) {
      const Error error = refused("read", path);
      ::close(fd);
      return error;
    }
    if (count == 0) break;
    have += static_cast<std::size_t>(count);
  }
  ::close(fd);
  bytes.resize(have);
  return bytes;
}

void visit_frames(const std::string& path, std::uint64_t segment, std::string_view bytes,
                  const AppendLog::Visit& visit) {
  std::size_t at = 0;
  while (bytes.size() - at >= kHeader) {
    const char* header = bytes.data() + at;
    const std::uint64_t size = get(header + 8, 4);
    if (get(header, 8) != segment || size > bytes.size() - at - kHeader) break;
    const std::string_view payload = bytes.substr(at + kHeader, size);
    if (get(header + 12, 4) != checksum(header, payload)) break;
    visit(payload);
    at += kHeader + size;
  }
  if (at < bytes.size()) {
    log::warn("log file ends in an incomplete record, which was never acknowledged",
              {{"file", path}, {"bytes", static_cast<std::uint64_t>(bytes.size() - at)}});
  }
}

}  // namespace

struct AppendLog::State {
  explicit State(AppendLogOptions chosen) : options(std::move(chosen)) {}

  struct Job {
    std::uint64_t segment = 0;
    std::uint64_t position = 0;       // behind it
    std::uint64_t remove_before = 0;  // instead of a record
    std::string frame;
  };

  std::string path(const FileName& name) const { return options.directory + "/" + name.text(); }
  void run();
  bool write(std::vector<Job>& jobs);
  bool open_file(std::uint64_t segment);
  bool write_all(std::string_view bytes);
  void take_back();
  bool sync_directory() const;
  void remove_files(std::uint64_t before);

  const AppendLogOptions options;
  Durable durable;

  std::mutex mutex;  // guards what follows, up to the atomics
  std::uint64_t segment = 1;
  std::uint64_t first_segment = 1;
  std::uint64_t in_segment = 0;  // bytes
  std::uint64_t position = 0;
  std::condition_variable work;
  std::condition_variable idle;
  bool busy = false;
  std::vector<Job> pending;
  bool stopping = false;
  std::atomic<std::size_t> pending_bytes{0};
  std::atomic<bool> failing{false};
  std::atomic<std::uint64_t> syncs{0};

  // The log thread's.
  std::map<FileName, bool> files;
  FileName current;
  int fd = -1;
  std::uint64_t synced_bytes = 0;  // of `current`
  std::string buffer;
  std::thread thread;
};

bool AppendLog::State::sync_directory() const {
  const int folder = ::open(options.directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0) return false;
  const bool done = ::fsync(folder) == 0;
  ::close(folder);
  return done;
}

bool AppendLog::State::open_file(std::uint64_t wanted) {
  if (fd >= 0) ::close(fd);
  FileName name{wanted, 0};
  while (files.contains(name)) ++name.use;
  fd = ::open(path(name).c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) return false;
  files[name] = true;
  current = name;
  synced_bytes = 0;
  return sync_directory();
}

// Gives back the space of what could not be written whole: the next try begins another file.
void AppendLog::State::take_back() {
  const int reason = errno;
  if (synced_bytes == 0) {
    ::unlink(path(current).c_str());
    files.erase(current);
  } else if (::ftruncate(fd, static_cast<off_t>(synced_bytes)) != 0) {
    log::warn("a log file keeps an incomplete record", {{"file", path(current)}});
  }
  ::close(fd);
  fd = -1;
  errno = reason;
}

bool AppendLog::State::write_all(std::string_view bytes) {
  if (options.may_write && !options.may_write()) {
    errno = EIO;
    return false;
  }
  while (!bytes.empty()) {
    const ssize_t count = ::write(fd, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(count));
  }
  return true;
}

void AppendLog::State::remove_files(std::uint64_t before) {
  while (!files.empty() && files.begin()->first.segment < before) {
    ::unlink(path(files.begin()->first).c_str());
    files.erase(files.begin());
  }
}

// Everything or nothing counts as written: after a failure the kernel may have dropped what it could not write.
bool AppendLog::State::write(std::vector<Job>& jobs) {
  bool fresh = failing || fd < 0;
  std::size_t at = 0;
  while (at < jobs.size()) {
    const std::uint64_t target = jobs[at].segment;
    if ((fresh || current.segment != target) && !open_file(target)) return false;
    fresh = false;
    buffer.clear();
    for (; at < jobs.size() && jobs[at].segment == target; ++at) {
      std::string& frame = jobs[at].frame;
      if (frame.empty()) continue;
      put(frame.data(), target, 8);
      put(frame.data() + 12, checksum(frame.data(), std::string_view(frame).substr(kHeader)), 4);
      buffer += frame;
    }
    if (buffer.empty()) continue;
    if (!write_all(buffer) || ::fdatasync(fd) != 0) {
      take_back();
      return false;
    }
    synced_bytes += buffer.size();
    ++syncs;
  }
  if (buffer.capacity() > kKeptBuffer) std::string().swap(buffer);
  return true;
}

void AppendLog::State::run() {
  std::vector<Job> jobs;
  auto pause = kFirstRetry;
  std::unique_lock lock(mutex);
  for (;;) {
    work.wait(lock, [&] { return !pending.empty() || stopping; });
    if (pending.empty()) return;
    jobs.swap(pending);
    busy = true;
    lock.unlock();
    while (!write(jobs)) {
      if (!failing.exchange(true)) {
        log::error("THE MESSAGE LOG CANNOT WRITE: acknowledgements wait until it can; free space or mend the disk",
                   {{"directory", options.directory}, {"error", std::strerror(errno)}});
      }
      lock.lock();
      idle.notify_all();
      const bool give_up = work.wait_for(lock, pause, [&] { return stopping; });
      lock.unlock();
      if (give_up) return;
      pause = std::min(pause * 2, kLongestRetry);
    }
    if (failing.exchange(false)) log::warn("the message log writes again", {{"directory", options.directory}});
    pause = kFirstRetry;
    std::size_t bytes = 0;
    std::uint64_t end = 0;
    for (const Job& job : jobs) {
      bytes += job.frame.size();
      if (job.remove_before != 0) remove_files(job.remove_before);
      end = std::max(end, job.position);
    }
    jobs.clear();
    pending_bytes -= bytes;
    if (durable && end != 0) durable(end);
    lock.lock();
    busy = false;
    idle.notify_all();
  }
}

AppendLog::AppendLog(std::unique_ptr<State> state) : state_(std::move(state)) {}

AppendLog::~AppendLog() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->stopping = true;
  }
  state_->work.notify_one();
  if (state_->thread.joinable()) state_->thread.join();
  if (state_->fd >= 0) ::close(state_->fd);
}

Result<std::unique_ptr<AppendLog>> AppendLog::open(const AppendLogOptions& options, const Visit& visit) {
  auto state = std::make_unique<State>(options);
  if (::mkdir(options.directory.c_str(), 0700) != 0 && errno != EEXIST) return refused("make", options.directory);
  TRY(const std::vector<FileName> files, list_files(options.directory));
  for (const FileName& name : files) {
    const std::string path = state->path(name);
    TRY(const std::string bytes, read_file(path));
    visit_frames(path, name.segment, bytes, visit);
    state->files[name] = true;
  }
  if (!files.empty()) {
    state->first_segment = files.front().segment;
    state->segment = files.back().segment + 1;
  }
  state->thread = std::thread([raw = state.get()] { raw->run(); });
  return std::unique_ptr<AppendLog>(new AppendLog(std::move(state)));
}

void AppendLog::on_durable(Durable durable) {
  state_->durable = std::move(durable);
}

std::uint64_t AppendLog::append(std::string_view record) {
  State& state = *state_;
  State::Job job;
  job.frame.reserve(kHeader + record.size());
  job.frame.resize(kHeader);
  job.frame += record;
  put(job.frame.data() + 8, std::min(record.size(), kMaxRecord), 4);
  state.pending_bytes += job.frame.size();
  std::uint64_t end = 0;
  bool wake = false;
  {
    const std::lock_guard lock(state.mutex);
    if (state.in_segment >= state.options.segment_bytes) {
      ++state.segment;
      state.in_segment = 0;
    }
    job.segment = state.segment;
    state.in_segment += job.frame.size();
    state.position += job.frame.size();
    end = job.position = state.position;
    wake = state.pending.empty();
    state.pending.push_back(std::move(job));
  }
  if (wake) state.work.notify_one();
  return end;
}

std::uint64_t AppendLog::segment() const {
  const std::lock_guard lock(state_->mutex);
  return state_->in_segment >= state_->options.segment_bytes ? state_->segment + 1 : state_->segment;
}
std::uint64_t AppendLog::first_segment() const {
  const std::lock_guard lock(state_->mutex);
  return state_->first_segment;
}

void AppendLog::remove_before(std::uint64_t segment) {
  State::Job job;
  job.remove_before = segment;
  const std::lock_guard lock(state_->mutex);
  state_->first_segment = std::max(state_->first_segment, segment);
  job.segment = state_->segment;
  state_->pending.push_back(std::move(job));
  state_->work.notify_one();
}

bool AppendLog::flush() {
  std::unique_lock lock(state_->mutex);
  state_->idle.wait(lock, [&] { return state_->failing || (state_->pending.empty() && !state_->busy); });
  return !state_->failing;
}

std::size_t AppendLog::pending_bytes() const {
  return state_->pending_bytes;
}
bool AppendLog::failing() const {
  return state_->failing;
}
std::uint64_t AppendLog::syncs() const {
  return state_->syncs;
}

}  // namespace muster::store
