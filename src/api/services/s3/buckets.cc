// SPDX-License-Identifier: Apache-2.0
#include "domain/objects/buckets.h"

#include "api/services/s3/handlers.h"
#include "api/services/s3/s3_shapes.h"
#include "store/transact.h"

namespace muster::api::s3 {

io::Task<Reply> create_bucket(const S3Parts& parts, Call& call) {
  CO_TRY_VOID(check_defaults(call));
  const std::string name(get_string(call.input, "Bucket"));
  std::string location;
  if (const json::object* configuration = find_object(call.input, "CreateBucketConfiguration")) {
    location = get_string(*configuration, "LocationConstraint");
  }
  const auto create = [&](store::Tx& tx) { return objects::create_bucket(tx, parts.realm, name, location); };
  CO_TRY(const objects::Bucket bucket, co_await store::transact(parts.store, create));
  Reply reply;
  reply.output["Location"] = "/" + bucket.name;
  co_return reply;
}

io::Task<Reply> head_bucket(const S3Parts& parts, Call& call) {
  CO_TRY_VOID(check_owner(parts, call));
  const std::string name(get_string(call.input, "Bucket"));
  const auto find = [&](store::Tx& tx) { return objects::get_bucket(tx, name); };
  CO_TRY(const objects::Bucket bucket, co_await store::transact(parts.store, find));
  Reply reply;
  reply.headers.add("x-amz-bucket-region", bucket.region);
  co_return reply;
}

io::Task<Reply> delete_bucket(const S3Parts& parts, Call& call) {
  CO_TRY_VOID(check_owner(parts, call));
  const std::string name(get_string(call.input, "Bucket"));
  const auto remove = [&](store::Tx& tx) { return objects::delete_bucket(tx, name); };
  CO_TRY_VOID(co_await store::transact(parts.store, remove));
  co_return Reply{};
}

io::Task<Reply> list_buckets(const S3Parts& parts, Call& call) {
  const auto list = [](store::Tx& tx) -> Result<std::vector<objects::Bucket>> { return objects::list_buckets(tx); };
  CO_TRY(const auto buckets, co_await store::transact(parts.store, list));
  const std::string_view prefix = get_string(call.input, "Prefix"), region = get_string(call.input, "BucketRegion");
  const auto most = static_cast<std::size_t>(get_int(call.input, "MaxBuckets", objects::kMaxBuckets));
  std::string after;
  if (has(call.input, "ContinuationToken")) {
    CO_TRY(after, read_token(get_string(call.input, "ContinuationToken")));
  }
  Reply reply;
  json::array items;
  for (const objects::Bucket& bucket : buckets) {
    if (bucket.name <= after || !bucket.name.starts_with(prefix)) continue;
    if (!region.empty() && bucket.region != region) continue;
    if (items.size() == most) {
      reply.output["ContinuationToken"] = make_token(get_string(items.back().get_object(), "Name"));
      break;
    }
    items.push_back(json::object{{"Name", bucket.name}, {"CreationDate", bucket.created_ms}});
  }
  reply.output["Owner"] = owner_shape(parts.realm);
  reply.output["Buckets"] = std::move(items);
  if (!prefix.empty()) reply.output["Prefix"] = prefix;
  co_return reply;
}

io::Task<Reply> get_bucket_location(const S3Parts& parts, Call& call) {
  CO_TRY_VOID(check_owner(parts, call));
  const std::string name(get_string(call.input, "Bucket"));
  const auto find = [&](store::Tx& tx) { return objects::get_bucket(tx, name); };
  CO_TRY(const objects::Bucket bucket, co_await store::transact(parts.store, find));
  Reply reply;
  // "Buckets in Region us-east-1 have a LocationConstraint of null."
  if (bucket.region != "us-east-1") reply.output["LocationConstraint"] = bucket.region;
  co_return reply;
}

}  // namespace muster::api::s3
