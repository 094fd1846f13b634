// SPDX-License-Identifier: Apache-2.0
// Amazon S3: buckets and objects. One handler an operation, over domain/objects. Bodies stream between the socket and
// the disk with bounded memory; a PUT answers 200 after bytes and record are on stable storage.
#pragma once

#include "api/wire/operation.h"
#include "base/ids.h"
#include "domain/objects/blobs.h"
#include "io/files.h"
#include "store/store.h"

namespace muster::api {

// All outlive the operations.
struct S3Parts {
  store::Store& store;
  const objects::Blobs& blobs;
  io::BlockingPool& pool;
  Realm realm;
  std::int64_t max_object_bytes = std::int64_t{5} << 30;
};

void register_s3(Operations& operations, const S3Parts& parts);

}  // namespace muster::api
