// SPDX-License-Identifier: Apache-2.0
#include "api/services/s3/s3.h"

#include "api/services/s3/handlers.h"

namespace muster::api {

void register_s3(Operations& operations, const S3Parts& parts) {
  using Function = io::Task<Reply> (*)(const S3Parts&, Call&);
  const auto shared = std::make_shared<const S3Parts>(parts);
  auto add = [&](std::string_view name, Function function) {
    // Not a coroutine itself: the parts live as long as the handler, not as long as one call of it.
    operations.add("s3", name, [shared, function](Call& call) { return function(*shared, call); });
  };
  add("CreateBucket", s3::create_bucket);
  add("HeadBucket", s3::head_bucket);
  add("DeleteBucket", s3::delete_bucket);
  add("ListBuckets", s3::list_buckets);
  add("GetBucketLocation", s3::get_bucket_location);
  add("PutObject", s3::put_object);
  add("GetObject", s3::get_object);
  add("HeadObject", s3::head_object);
  add("DeleteObject", s3::delete_object);
  add("DeleteObjects", s3::delete_objects);
  add("ListObjects", s3::list_objects);
  add("ListObjectsV2", s3::list_objects_v2);
  add("CopyObject", s3::copy_object);
}

}  // namespace muster::api
