// SPDX-License-Identifier: Apache-2.0
// Checksums of an object's bytes: the MD5 that is its ETag, what the client declared (Content-MD5, x-amz-checksum-*),
// and what it asked to be computed. Incremental; used by one upload at a time. Source: S3 user guide, "Checking object
// integrity". Bounds: one x-amz-checksum-* a request, as S3.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "api/wire/operation.h"
#include "base/crypto.h"
#include "base/result.h"

namespace muster::api::s3 {

class Checksums {
 public:
  // From the request's headers: InvalidDigest, InvalidRequest for values that cannot be right, kNotSupported for an
  // algorithm that cannot be checked.
  static Result<Checksums> create(const Call& call);
  // `algorithm` ("SHA256", ...) is computed, nothing is compared.
  static Checksums computing(std::string_view algorithm);

  void update(std::string_view bytes);
  // After the last bytes: BadDigest when one that was declared differs.
  Status finish();

  const std::string& etag() const { return etag_; }  // hex
  // ChecksumCRC32, ...: base64, of what was declared or asked for. A trailer's value is taken over by the upload.
  const std::map<std::string, std::string>& values() const { return values_; }

 private:
  std::string raw_value();

  Digest md5_{Digest::Kind::kMd5};
  std::optional<Digest> digest_;
  std::string algorithm_;  // "CRC32", "CRC32C", "SHA1", "SHA256", or empty
  std::uint32_t crc_ = 0;
  std::string declared_md5_, declared_value_;  // raw bytes, or empty
  std::string etag_;
  std::map<std::string, std::string> values_;
};

// The member of a checksum header or trailer ("x-amz-checksum-crc32c" -> "ChecksumCRC32C"); empty when it is none.
std::string checksum_member(std::string_view header);

}  // namespace muster::api::s3
