// SPDX-License-Identifier: Apache-2.0
// Buckets: create, find, delete, list. Functions over a transaction; records are JSON under table::kBucket. One
// account, so a bucket that exists is always "yours". Error reasons are S3's codes (S3 API reference, "Error
// responses"). Bounds: names as S3's general purpose bucket naming rules, 1,000 buckets (S3's limit before a raise was
// 100).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "store/store.h"

namespace muster::objects {

inline constexpr std::size_t kMaxBuckets = 1000;

struct Bucket {
  std::string name;
  std::string region;
  std::int64_t created_ms = 0;
};

Status check_bucket_name(std::string_view name);  // InvalidBucketName
// `location`: the LocationConstraint, empty when absent. IllegalLocationConstraintException unless it is this realm's
// region (absent means us-east-1). BucketAlreadyOwnedByYou, but in us-east-1 the existing bucket.
Result<Bucket> create_bucket(store::Tx& tx, const Realm& realm, std::string_view name, std::string_view location);
std::optional<Bucket> find_bucket(store::Tx& tx, std::string_view name);
Result<Bucket> get_bucket(store::Tx& tx, std::string_view name);  // NoSuchBucket
Status delete_bucket(store::Tx& tx, std::string_view name);       // NoSuchBucket, BucketNotEmpty
std::vector<Bucket> list_buckets(store::Tx& tx);                  // by name

}  // namespace muster::objects
