// SPDX-License-Identifier: Apache-2.0
// The operations' functions, registered by s3.cc. `parts` outlives every call.
#pragma once

#include "api/services/s3/s3.h"
#include "api/wire/operation.h"

namespace muster::api::s3 {

io::Task<Reply> create_bucket(const S3Parts& parts, Call& call);
io::Task<Reply> head_bucket(const S3Parts& parts, Call& call);
io::Task<Reply> delete_bucket(const S3Parts& parts, Call& call);
io::Task<Reply> list_buckets(const S3Parts& parts, Call& call);
io::Task<Reply> get_bucket_location(const S3Parts& parts, Call& call);

io::Task<Reply> get_object(const S3Parts& parts, Call& call);
io::Task<Reply> head_object(const S3Parts& parts, Call& call);

io::Task<Reply> put_object(const S3Parts& parts, Call& call);
io::Task<Reply> copy_object(const S3Parts& parts, Call& call);
io::Task<Reply> delete_object(const S3Parts& parts, Call& call);
io::Task<Reply> delete_objects(const S3Parts& parts, Call& call);

io::Task<Reply> list_objects(const S3Parts& parts, Call& call);
io::Task<Reply> list_objects_v2(const S3Parts& parts, Call& call);

}  // namespace muster::api::s3
