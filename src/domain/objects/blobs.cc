// SPDX-License-Identifier: Apache-2.0
#include "domain/objects/blobs.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <set>

#include "base/crypto.h"
#include "base/json.h"
#include "base/log.h"
#include "store/keys.h"
#include "store/schema.h"

namespace muster::objects {
namespace {

constexpr std::size_t kIdBytes = 16;
constexpr std::size_t kScanPage = 1000;

Error disk_error(std::string_view what, int code) {
  log::error("blob store", {{"what", what}, {"reason", std::strerror(code)}});
  return make_error(ErrorKind::kUnavailable, "Please reduce your request rate or try again: the disk refuses writes.",
                    "ServiceUnavailable");
}

Status sync_folder(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return disk_error("open folder", errno);
  const int outcome = ::fsync(fd);
  const int code = errno;
  ::close(fd);
  if (outcome != 0) return disk_error("sync folder", code);
  return {};
}

Status make_folder(const std::string& path) {
  if (::mkdir(path.c_str(), 0700) == 0 || errno == EEXIST) return {};
  return disk_error("make folder", errno);
}

bool is_id(std::string_view name) {
  return name.size() == 2 * kIdBytes && name.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

std::string shard_of(std::string_view id) {
  return std::string(id.substr(0, 2));
}

// Names in a folder; an unreadable folder is an error, not empty.
Result<std::vector<std::string>> names_in(const std::string& folder) {
  std::vector<std::string> names;
  std::error_code error;
  std::filesystem::directory_iterator at(folder, error);
  for (; !error && at != std::filesystem::directory_iterator(); at.increment(error)) {
    names.push_back(at->path().filename().string());
  }
  if (error) return disk_error("list folder", error.value());
  return names;
}

// Which of `candidates` a record names. Pages, so that no transaction grows with the table.
Result<std::set<std::string>> named_by_records(store::Store& store, const std::set<std::string>& candidates) {
  std::set<std::string> named;
  const std::string prefix(1, store::table::kObject);
  const std::string end = store::after_prefix(prefix);
  std::string begin = prefix;
  for (;;) {
    TRY(auto page, store::run_blocking_for(store, [&](store::Tx& tx) -> Result<std::vector<store::KeyValue>> {
          return tx.range({.begin = begin, .end = end, .limit = kScanPage, .snapshot = true});
        }));
    for (const store::KeyValue& row : page) {
      TRY(const json::object record, parse_record(row.value));
      const std::string blob(get_string(record, "blob"));
      if (candidates.contains(blob)) named.insert(blob);
    }
    if (page.size() < kScanPage) return named;
    begin = store::after_key(page.back().key);
  }
}

}  // namespace

BlobWriter::BlobWriter(const Blobs& blobs, std::string id, int fd) : blobs_(blobs), id_(std::move(id)), fd_(fd) {}

BlobWriter::~BlobWriter() {
  if (fd_ >= 0) ::close(fd_);
  if (settled_ || unknown_) return;
  if (published_) ::unlink(blobs_.path(id_).c_str());
  ::unlink(blobs_.staging_path(id_).c_str());
}

Status BlobWriter::write(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(fd_, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return disk_error("write", count < 0 ? errno : ENOSPC);
    bytes.remove_prefix(static_cast<std::size_t>(count));
  }
  return {};
}

Status BlobWriter::publish() {
  if (fd_ >= 0) {  // else a duplicate, whose bytes are on the disk
    if (::fsync(fd_) != 0) return disk_error("sync", errno);
    if (::close(std::exchange(fd_, -1)) != 0) return disk_error("close", errno);
  }
  const std::string folder = blobs_.directory() + "/" + shard_of(id_);
  if (::access(folder.c_str(), F_OK) != 0) {
    TRY_VOID(make_folder(folder));
    TRY_VOID(sync_folder(blobs_.directory()));
  }
  if (::link(blobs_.staging_path(id_).c_str(), blobs_.path(id_).c_str()) != 0) return disk_error("link", errno);
  published_ = true;
  // Staging first: a blob that survives a crash is then always still named there.
  TRY_VOID(sync_folder(blobs_.directory() + "/staging"));
  return sync_folder(folder);
}

void BlobWriter::settle() {
  settled_ = true;
  ::unlink(blobs_.staging_path(id_).c_str());  // not synced: recover() may find it again and keeps the blob
}

BlobReader::~BlobReader() {
  ::close(fd_);
}

Result<std::string> BlobReader::read(std::int64_t offset, std::size_t count) const {
  std::string out(count, '\0');
  std::size_t done = 0;
  while (done < count) {
    const ssize_t got = ::pread(fd_, out.data() + done, count - done, offset + static_cast<std::int64_t>(done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return disk_error("read", errno);
    if (got == 0) break;
    done += static_cast<std::size_t>(got);
  }
  out.resize(done);
  return out;
}

Result<std::unique_ptr<Blobs>> Blobs::open(const std::string& directory) {
  TRY_VOID(make_folder(directory));
  TRY_VOID(make_folder(directory + "/staging"));
  TRY_VOID(sync_folder(directory));
  return std::unique_ptr<Blobs>(new Blobs(directory));
}

std::string Blobs::path(std::string_view id) const {
  return directory_ + "/" + shard_of(id) + "/" + std::string(id);
}
std::string Blobs::staging_path(std::string_view id) const {
  return directory_ + "/staging/" + std::string(id);
}

Result<std::unique_ptr<BlobWriter>> Blobs::create() const {
  std::string id = random_hex(kIdBytes);
  const int fd = ::open(staging_path(id).c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) return disk_error("create", errno);
  return std::unique_ptr<BlobWriter>(new BlobWriter(*this, std::move(id), fd));
}

Result<std::unique_ptr<BlobWriter>> Blobs::duplicate(std::string_view id) const {
  if (!is_id(id)) return internal("not a blob id");
  std::string copy = random_hex(kIdBytes);
  if (::link(path(id).c_str(), staging_path(copy).c_str()) != 0) return disk_error("duplicate", errno);
  return std::unique_ptr<BlobWriter>(new BlobWriter(*this, std::move(copy), -1));
}

Result<std::unique_ptr<BlobReader>> Blobs::read(std::string_view id) const {
  if (!is_id(id)) return internal("not a blob id");
  const int fd = ::open(path(id).c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return disk_error("open", errno);
  return std::unique_ptr<BlobReader>(new BlobReader(fd));
}

Result<std::size_t> Blobs::recover(store::Store& store) const {
  TRY(const auto names, names_in(directory_ + "/staging"));
  std::set<std::string> published;
  std::size_t removed = 0;
  for (const std::string& name : names) {
    if (is_id(name) && ::access(path(name).c_str(), F_OK) == 0) {
      published.insert(name);
      continue;
    }
    ::unlink(staging_path(name).c_str());
    ++removed;
  }
  if (published.empty()) return removed;
  TRY(const auto named, named_by_records(store, published));
  for (const std::string& id : published) {
    if (!named.contains(id)) {
      // The blob before its name in staging: a crash between the two leaves something to find.
      ::unlink(path(id).c_str());
      TRY_VOID(sync_folder(directory_ + "/" + shard_of(id)));
      ++removed;
    }
    ::unlink(staging_path(id).c_str());
  }
  return removed;
}

Result<std::size_t> Blobs::sweep(store::Store& store, std::int64_t grace_ms, std::size_t limit) const {
  const std::string prefix(1, store::table::kBlobGarbage);
  TRY(auto due, store::run_blocking_for(store, [&](store::Tx& tx) -> Result<std::vector<std::string>> {
        std::vector<std::string> ids;
        std::string begin = prefix;
        for (;;) {
          const auto page =
              tx.range({.begin = begin, .end = store::after_prefix(prefix), .limit = kScanPage, .snapshot = true});
          for (const store::KeyValue& row : page) {
            TRY(const json::object record, parse_record(row.value));
            if (get_int(record, "since_ms") > tx.now_ms() - grace_ms) continue;
            if (auto id = store::KeyReader(row.key).text()) ids.push_back(std::move(*id));
            if (ids.size() >= limit) return ids;
          }
          if (page.size() < kScanPage) return ids;
          begin = store::after_key(page.back().key);
        }
      }));
  if (due.empty()) return std::size_t{0};
  std::set<std::string> folders;
  for (const std::string& id : due) {
    if (!is_id(id)) continue;
    if (::unlink(path(id).c_str()) != 0 && errno != ENOENT) return disk_error("unlink", errno);
    folders.insert(shard_of(id));
  }
  // The row goes only when the file is gone for good.
  for (const std::string& folder : folders) TRY_VOID(sync_folder(directory_ + "/" + folder));
  TRY_VOID(store::run_blocking(store, [&](store::Tx& tx) -> Status {
    for (const std::string& id : due) tx.erase(store::Key(store::table::kBlobGarbage).text(id));
    return {};
  }));
  return due.size();
}

}  // namespace muster::objects
