// SPDX-License-Identifier: Apache-2.0
// list_objects(): reads the object table by range and leaps over what a delimiter folds into one common prefix.
#include <algorithm>

#include "base/json.h"
#include "domain/objects/buckets.h"
#include "domain/objects/objects.h"
#include "store/keys.h"
#include "store/schema.h"

namespace muster::objects {
namespace {

// With a delimiter most of a page may be leapt over: begin with little and read more while nothing folds.
constexpr std::size_t kFirstFoldingPage = 16;
constexpr std::size_t kLargestPage = 1000;

// The key of `text` without its terminator: what all keys that begin with `text` begin with.
std::string open_key(std::string_view bucket, std::string_view text) {
  std::string key = store::Key(store::table::kObject).text(bucket).text(text).str();
  key.pop_back();
  return key;
}

// The common prefix that `key` folds into, or empty.
std::string_view folded(const ListRequest& request, std::string_view key) {
  if (request.delimiter.empty() || key.size() < request.prefix.size()) return {};
  const std::size_t at = key.find(request.delimiter, request.prefix.size());
  if (at == std::string_view::npos) return {};
  return key.substr(0, at + request.delimiter.size());
}

std::string first_key(std::string_view bucket, const ListRequest& request) {
  std::string begin = open_key(bucket, request.prefix);
  if (request.start_after.empty()) return begin;
  const bool is_common_prefix =
      request.start_after.starts_with(request.prefix) && folded(request, request.start_after) == request.start_after;
  std::string after =
      is_common_prefix
          ? store::after_prefix(open_key(bucket, request.start_after))
          : store::after_key(store::Key(store::table::kObject).text(bucket).text(request.start_after).str());
  return std::max(begin, after);
}

// One listing in progress.
class Lister {
 public:
  Lister(std::string_view bucket, const ListRequest& request)
      : bucket_(bucket),
        request_(request),
        begin_(first_key(bucket, request)),
        end_(store::after_prefix(open_key(bucket, request.prefix))),
        page_(request.delimiter.empty() ? kLargestPage : kFirstFoldingPage) {}

  Result<Listing> run(store::Tx& tx) {
    while (!listing_.truncated && begin_ < end_) {
      const std::size_t wanted = std::min(page_, request_.max_keys + 1 - taken_);
      const auto rows = tx.range({.begin = begin_, .end = end_, .limit = wanted, .snapshot = true});
      TRY(const bool leapt, take(rows));
      if (leapt) continue;
      if (rows.size() < wanted) break;
      begin_ = store::after_key(rows.back().key);
      page_ = std::min(page_ * 4, kLargestPage);
    }
    return std::move(listing_);
  }

 private:
  // True when it set begin_ behind a common prefix, or the listing is full: the rest of the rows is not of use.
  Result<bool> take(const std::vector<store::KeyValue>& rows) {
    for (const store::KeyValue& row : rows) {
      store::KeyReader reader(row.key);
      reader.text();
      const auto key = reader.text();
      if (!key) return internal("malformed object key");
      if (taken_ == request_.max_keys) {
        listing_.truncated = true;
        return true;
      }
      ++taken_;
      const std::string_view common = folded(request_, *key);
      if (!common.empty()) {
        listing_.common_prefixes.emplace_back(common);
        listing_.last = common;
        begin_ = store::after_prefix(open_key(bucket_, common));
        page_ = kFirstFoldingPage;
        return true;
      }
      TRY(const json::object record, parse_record(row.value));
      Object object;
      object.key = *key;
      object.size = get_int(record, "size");
      object.etag = get_string(record, "etag");
      object.modified_ms = get_int(record, "modified_ms");
      if (const json::object* checksums = find_object(record, "checksums")) {
        for (const auto& item : *checksums) object.checksums.emplace(item.key(), get_string(*checksums, item.key()));
      }
      listing_.last = *key;
      listing_.objects.push_back(std::move(object));
    }
    return false;
  }

  std::string_view bucket_;
  const ListRequest& request_;
  std::string begin_;
  std::string end_;
  std::size_t page_;
  std::size_t taken_ = 0;
  Listing listing_;
};

}  // namespace

Result<Listing> list_objects(store::Tx& tx, std::string_view bucket, const ListRequest& request) {
  TRY_VOID(get_bucket(tx, bucket));
  if (request.max_keys == 0) return Listing{};
  return Lister(bucket, request).run(tx);
}

}  // namespace muster::objects
