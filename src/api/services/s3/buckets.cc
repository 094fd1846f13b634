// SPDX-License-Identifier: Apache-2.0
#include "domain/objects/buckets.h"

#include "api/services/s3/handlers.h"
#include "api/services/s3/s3_shapes.h"
#include "store/transact.h"

namespace muster::api::s3 {

io::Task<Reply> create_bucket(const S3Parts& parts, Call& call) {
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

io::Task<Reply> list_buckets(const S3Parts& parts, Call&) {
  const auto list = [](store::Tx& tx) -> Result<std::vector<objects::Bucket>> { return objects::list_buckets(tx); };
  CO_TRY(const auto buckets, co_await store::transact(parts.store, list));
  json::array items;
  for (const objects::Bucket& bucket : buckets) {
    items.push_back(json::object{{"Name", bucket.name}, {"CreationDate", bucket.created_ms}});
  }
  Reply reply;
  reply.output["Owner"] = owner_shape(parts.realm);
  reply.output["Buckets"] = std::move(items);
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
