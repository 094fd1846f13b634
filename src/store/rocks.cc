// SPDX-License-Identifier: Apache-2.0
#include "store/rocks.h"

#include <rocksdb/filter_policy.h>
#include <rocksdb/table.h>
#include <rocksdb/utilities/checkpoint.h>
#include <rocksdb/utilities/table_properties_collectors.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include "base/text.h"
#include "store/buffered_tx.h"

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
// Debian's RocksDB is not instrumented: its atomics are not seen, and its lock-free lists look like races.
extern "C" const char* __tsan_default_suppressions() {
  return "race:rocksdb::\nrace:librocksdb\nrace:liblz4\n";
}
#endif
#endif

namespace muster::store {

namespace {

constexpr std::size_t kMiB = std::size_t{1} << 20;
constexpr std::string_view kFormatKey = "format";
constexpr std::string_view kFormat = "muster-1";
constexpr std::string_view kCommitKey = "last_commit";
constexpr std::array<std::string_view, 5> kFamilyNames{"record", "index", "queue", "timer", "counter"};

rocksdb::DBOptions database_options() {
  rocksdb::DBOptions options;
  options.create_if_missing = true;
  options.create_missing_column_families = true;
  options.paranoid_checks = true;
  // Commits are small and each group waits for one fdatasync. A recycled log does not grow, so that the sync has no
  // metadata to write.
  options.recycle_log_file_num = 4;
  options.wal_bytes_per_sync = 0;
  options.max_total_wal_size = 160 * kMiB;          // bounds the replay at the next start
  options.allow_concurrent_memtable_write = false;  // there is one writer, the flusher
  options.enable_write_thread_adaptive_yield = false;
  options.bytes_per_sync = kMiB;
  options.max_background_jobs = 2;
  options.max_open_files = 512;
  options.stats_dump_period_sec = 0;
  options.stats_persist_period_sec = 0;
  options.info_log_level = rocksdb::WARN_LEVEL;
  options.keep_log_file_num = 4;
  options.max_log_file_size = 4 * kMiB;
  return options;
}

rocksdb::ColumnFamilyOptions family_options(std::optional<Kind> kind, const std::shared_ptr<rocksdb::Cache>& cache) {
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = cache;
  table.block_size = 8 * 1024;
  table.format_version = 5;
  table.cache_index_and_filter_blocks = true;
  // In parts: a whole filter of a large file would not fit a shard of the cache, and be read anew at every look.
  table.index_type = rocksdb::BlockBasedTableOptions::kTwoLevelIndexSearch;
  table.partition_filters = true;
  table.metadata_block_size = 8 * 1024;
  table.pin_l0_filter_and_index_blocks_in_cache = true;
  rocksdb::ColumnFamilyOptions options;
  options.compression = rocksdb::kLZ4Compression;
  options.level_compaction_dynamic_level_bytes = true;
  options.write_buffer_size = 4 * kMiB;
  if (kind == Kind::kRecord || kind == Kind::kIndex) {
    table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
    options.write_buffer_size = 48 * kMiB;
    options.memtable_whole_key_filtering = true;
    options.memtable_prefix_bloom_size_ratio = 0.02;
  }
  if (kind == Kind::kQueue) options.write_buffer_size = 32 * kMiB;
  if (kind == Kind::kIndex || kind == Kind::kQueue || kind == Kind::kTimer) {
    // Entries that come and go leave tombstones that every range over them would step on.
    options.table_properties_collector_factories.push_back(
        rocksdb::NewCompactOnDeletionCollectorFactory(16'384, 4'096, 0.5));
  }
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  return options;
}

Error open_error(const std::string& directory, const rocksdb::Status& status) {
  const std::string text = status.ToString();
  if (status.IsIOError() && text.find("lock") != std::string::npos) {
    return make_error(ErrorKind::kUnavailable, "The store in " + directory + " is in use by another process: " + text);
  }
  if (status.IsCorruption()) {
    return internal("The store in " + directory + " is damaged (" + text +
                    "). Nothing was changed. Restore it from a backup, or keep a copy before trying anything else.");
  }
  return internal("The store in " + directory + " cannot be opened: " + text);
}

Status make_directory(const std::string& directory) {
  std::error_code error;
  const auto parent = std::filesystem::path(directory).parent_path();
  if (!parent.empty()) std::filesystem::create_directories(parent, error);
  // Only the owner: values hold keys' secrets. An existing directory is tightened.
  if (::mkdir(directory.c_str(), 0700) == 0) return {};
  if (errno == EEXIST && ::chmod(directory.c_str(), 0700) == 0) return {};
  return internal("The directory " + directory + " cannot be used: " + std::string(std::strerror(errno)));
}

Error read_error(const rocksdb::Status& status) {
  return make_error(ErrorKind::kUnavailable, "The store cannot be read: " + status.ToString());
}

}  // namespace

Result<std::unique_ptr<Rocks>> Rocks::open(const std::string& directory, std::size_t cache_bytes) {
  TRY_VOID(make_directory(directory));
  const auto cache = rocksdb::NewLRUCache(cache_bytes);
  std::vector<rocksdb::ColumnFamilyDescriptor> descriptors;
  descriptors.emplace_back(rocksdb::kDefaultColumnFamilyName, family_options(std::nullopt, cache));
  for (std::size_t i = 0; i < kFamilyNames.size(); ++i)
    descriptors.emplace_back(std::string(kFamilyNames[i]), family_options(static_cast<Kind>(i), cache));
  std::unique_ptr<Rocks> rocks(new Rocks);
  rocks->directory_ = directory;
  rocksdb::DB* database = nullptr;
  const auto status = rocksdb::DB::Open(database_options(), directory, descriptors, &rocks->families_, &database);
  if (!status.ok()) return open_error(directory, status);
  rocks->database_.reset(database);
  TRY_VOID(rocks->read_identity());
  return rocks;
}

Rocks::~Rocks() {
  for (auto* family : families_) database_->DestroyColumnFamilyHandle(family);
  if (database_) database_->Close();
}

Status Rocks::read_identity() {
  std::string format;
  auto status = database_->Get({}, rocksdb::Slice(kFormatKey), &format);
  if (status.IsNotFound()) {
    // Fresh only when nothing was ever written: a store without its mark is not one of ours.
    if (database_->GetLatestSequenceNumber() != 0) {
      return internal("The directory " + directory_ + " holds a RocksDB database that is not a Muster store");
    }
    rocksdb::WriteOptions durable;
    durable.sync = true;
    status = database_->Put(durable, rocksdb::Slice(kFormatKey), rocksdb::Slice(kFormat));
    if (!status.ok()) return open_error(directory_, status);
    return {};
  }
  if (!status.ok()) return open_error(directory_, status);
  if (format != kFormat) {
    return make_error(ErrorKind::kNotSupported, "The store in " + directory_ + " has format '" + format +
                                                    "', which this version of Muster does not know");
  }
  std::string last;
  status = database_->Get({}, rocksdb::Slice(kCommitKey), &last);
  if (status.IsNotFound()) return {};
  if (!status.ok()) return open_error(directory_, status);
  const auto number = parse_int(last);
  if (!number || *number < 0)
    return internal("The store in " + directory_ + " is damaged: its commit number is broken");
  last_commit_ = static_cast<std::uint64_t>(*number);
  return {};
}

Result<std::optional<std::string>> Rocks::get(Kind kind, std::string_view key) const {
  rocksdb::PinnableSlice value;
  const auto status = database_->Get(rocksdb::ReadOptions(), family(kind), rocksdb::Slice(key), &value);
  if (status.ok()) return std::optional<std::string>(value.ToString());
  if (status.IsNotFound()) return std::optional<std::string>();
  return read_error(status);
}

std::vector<Rocks::Piece> Rocks::pieces(std::string_view begin, std::string_view end) const {
  std::vector<Piece> made;
  const unsigned first = begin.empty() ? 0 : static_cast<unsigned char>(begin[0]);
  for (unsigned tag = first; tag < 256; ++tag) {
    const char byte = static_cast<char>(tag);
    const auto kind = kind_of(std::string_view(&byte, 1));
    if (!kind || *kind == Kind::kCounter) continue;
    auto bounds = std::make_unique<Piece::Bounds>();
    bounds->begin = tag == first && !begin.empty() ? std::string(begin) : std::string(1, byte);
    const std::string table_end = tag == 255 ? std::string(end) : std::string(1, static_cast<char>(tag + 1));
    bounds->end = std::min(table_end, std::string(end));
    if (bounds->begin >= bounds->end) {
      if (bounds->begin >= end) break;
      continue;
    }
    bounds->lower = bounds->begin;
    bounds->upper = bounds->end;
    rocksdb::ReadOptions options;
    options.iterate_lower_bound = &bounds->lower;
    options.iterate_upper_bound = &bounds->upper;
    std::unique_ptr<rocksdb::Iterator> iterator(database_->NewIterator(options, family(*kind)));
    made.push_back({std::move(bounds), std::move(iterator)});
  }
  return made;
}

namespace {

// What a batch holds, without copying it.
struct BatchEntry {
  std::uint32_t family = 0;
  rocksdb::Slice key, value;
  bool erased = false;
  std::size_t place = 0;
};
class BatchReader : public rocksdb::WriteBatch::Handler {
 public:
  rocksdb::Status PutCF(std::uint32_t family, const rocksdb::Slice& key, const rocksdb::Slice& value) override {
    entries.push_back({family, key, value, false, entries.size()});
    return rocksdb::Status::OK();
  }
  rocksdb::Status DeleteCF(std::uint32_t family, const rocksdb::Slice& key) override {
    entries.push_back({family, key, {}, true, entries.size()});
    return rocksdb::Status::OK();
  }
  std::vector<BatchEntry> entries;
};

bool is_same_key(const BatchEntry& a, const BatchEntry& b) {
  return a.family == b.family && a.key == b.key;
}

}  // namespace

Status Rocks::write(const rocksdb::WriteBatch& batch, std::uint64_t last_commit) {
  BatchReader reader;
  reader.entries.reserve(batch.Count());
  auto status = batch.Iterate(&reader);
  auto& entries = reader.entries;
  std::ranges::sort(entries, [](const BatchEntry& a, const BatchEntry& b) {
    if (a.family != b.family) return a.family < b.family;
    const int order = a.key.compare(b.key);
    return order != 0 ? order < 0 : a.place < b.place;
  });
  sorted_.Clear();
  for (std::size_t i = 0; i < entries.size() && status.ok(); ++i) {
    const BatchEntry& entry = entries[i];
    if (i + 1 < entries.size() && is_same_key(entry, entries[i + 1])) continue;
    auto* family = *std::ranges::find(families_, entry.family, [](const auto* one) { return one->GetID(); });
    status = entry.erased ? sorted_.Delete(family, entry.key) : sorted_.Put(family, entry.key, entry.value);
  }
  rocksdb::WriteOptions durable;
  durable.sync = true;
  durable.memtable_insert_hint_per_batch = true;
  if (status.ok()) status = sorted_.Put(rocksdb::Slice(kCommitKey), std::to_string(last_commit));
  if (status.ok()) status = database_->Write(durable, &sorted_);
  if (!status.ok()) return make_error(ErrorKind::kUnavailable, status.ToString());
  return {};
}

Status Rocks::resume() {
  auto status = database_->Resume();
  if (status.ok()) {
    rocksdb::WriteOptions durable;
    durable.sync = true;
    status = database_->Put(durable, rocksdb::Slice(kFormatKey), rocksdb::Slice(kFormat));
  }
  if (!status.ok()) return make_error(ErrorKind::kUnavailable, status.ToString());
  return {};
}

Status Rocks::compact() {
  rocksdb::CompactRangeOptions options;
  options.bottommost_level_compaction = rocksdb::BottommostLevelCompaction::kForce;
  for (auto* family : families_) {
    const auto status = database_->CompactRange(options, family, nullptr, nullptr);
    if (!status.ok()) return make_error(ErrorKind::kUnavailable, "The compaction failed: " + status.ToString());
  }
  return {};
}

Status Rocks::checkpoint(const std::string& directory) {
  std::error_code error;
  const auto kind = std::filesystem::status(directory, error).type();
  const bool empty = kind == std::filesystem::file_type::directory && std::filesystem::is_empty(directory, error);
  if (kind != std::filesystem::file_type::not_found && !(empty && std::filesystem::remove(directory, error))) {
    return invalid("The directory " + directory + " exists and is not empty");
  }
  rocksdb::Checkpoint* made = nullptr;
  auto status = rocksdb::Checkpoint::Create(database_.get(), &made);
  const std::unique_ptr<rocksdb::Checkpoint> checkpoint(made);
  if (status.ok()) status = checkpoint->CreateCheckpoint(directory);
  if (!status.ok()) return make_error(ErrorKind::kUnavailable, "The checkpoint failed: " + status.ToString());
  if (::chmod(directory.c_str(), 0700) != 0) return internal("The checkpoint's directory cannot be made private");
  return {};
}

}  // namespace muster::store
