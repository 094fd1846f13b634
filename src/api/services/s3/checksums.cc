// SPDX-License-Identifier: Apache-2.0
#include "api/services/s3/checksums.h"

#include <array>

#include "base/json.h"
#include "base/text.h"

namespace muster::api::s3 {
namespace {

struct Algorithm {
  std::string_view name, member, header;
  std::size_t bytes;
};
constexpr std::array kAlgorithms = {
    Algorithm{"CRC32", "ChecksumCRC32", "x-amz-checksum-crc32", 4},
    Algorithm{"CRC32C", "ChecksumCRC32C", "x-amz-checksum-crc32c", 4},
    Algorithm{"SHA1", "ChecksumSHA1", "x-amz-checksum-sha1", 20},
    Algorithm{"SHA256", "ChecksumSHA256", "x-amz-checksum-sha256", 32},
};

const Algorithm* find_algorithm(std::string_view name) {
  for (const Algorithm& algorithm : kAlgorithms) {
    if (algorithm.name == name) return &algorithm;
  }
  return nullptr;
}

Error invalid_request(std::string message) {
  return make_error(ErrorKind::kInvalid, std::move(message), "InvalidRequest");
}

// A checksum header that the model does not know would go unchecked.
Status refuse_unknown(const io::HttpHeaders& headers) {
  for (const auto& [name, value] : headers.items()) {
    const std::string header = lower(name);
    if (!header.starts_with("x-amz-checksum-") || header == "x-amz-checksum-mode") continue;
    if (checksum_member(header).empty()) {
      return make_error(ErrorKind::kNotSupported,
                        "A header you provided implies functionality that is not implemented: " + header,
                        "NotImplemented");
    }
  }
  return {};
}

}  // namespace

std::string checksum_member(std::string_view header) {
  for (const Algorithm& algorithm : kAlgorithms) {
    if (equals_ignore_case(algorithm.header, header)) return std::string(algorithm.member);
  }
  return {};
}

Checksums Checksums::computing(std::string_view algorithm) {
  Checksums checksums;
  checksums.algorithm_ = algorithm;
  if (algorithm == "SHA1") checksums.digest_.emplace(Digest::Kind::kSha1);
  if (algorithm == "SHA256") checksums.digest_.emplace(Digest::Kind::kSha256);
  return checksums;
}

Result<Checksums> Checksums::create(const Call& call) {
  if (call.request != nullptr) TRY_VOID(refuse_unknown(call.request->headers));
  const Algorithm* declared = nullptr;
  for (const Algorithm& algorithm : kAlgorithms) {
    if (!has(call.input, algorithm.member)) continue;
    if (declared != nullptr) {
      return invalid_request("Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.");
    }
    declared = &algorithm;
  }
  const std::string_view wanted = get_string(call.input, "ChecksumAlgorithm");
  const bool in_trailer = call.request != nullptr && call.request->headers.has("x-amz-trailer");
  if (!wanted.empty() && declared == nullptr && !in_trailer) {
    return invalid_request(
        "x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer headers were "
        "found.");
  }
  if (!wanted.empty() && declared != nullptr && declared->name != wanted) {
    return invalid_request("Value for x-amz-sdk-checksum-algorithm header is invalid.");
  }
  Checksums checksums = computing(declared != nullptr ? declared->name : std::string_view{});
  if (declared != nullptr) {
    const auto value = from_base64(get_string(call.input, declared->member));
    if (!value || value->size() != declared->bytes) {
      return invalid_request("Value for " + std::string(declared->header) + " header is invalid.");
    }
    checksums.declared_value_ = *value;
  }
  if (has(call.input, "ContentMD5")) {
    const auto value = from_base64(get_string(call.input, "ContentMD5"));
    if (!value || value->size() != 16) {
      return make_error(ErrorKind::kInvalid, "The Content-MD5 you specified is not valid.", "InvalidDigest");
    }
    checksums.declared_md5_ = *value;
  }
  return checksums;
}

void Checksums::update(std::string_view bytes) {
  md5_.update(bytes);
  if (digest_) digest_->update(bytes);
  if (algorithm_ == "CRC32") crc_ = crc32(bytes, crc_);
  if (algorithm_ == "CRC32C") crc_ = crc32c(bytes, crc_);
}

std::string Checksums::raw_value() {
  if (digest_) return digest_->finish();
  std::string bytes;
  for (int shift = 24; shift >= 0; shift -= 8) bytes.push_back(static_cast<char>(crc_ >> shift));
  return bytes;
}

Status Checksums::finish() {
  const std::string sum = md5_.finish();
  etag_ = to_hex(sum);
  if (!declared_md5_.empty() && declared_md5_ != sum) {
    Error error =
        make_error(ErrorKind::kInvalid, "The Content-MD5 you specified did not match what we received.", "BadDigest");
    error.fields["ExpectedDigest"] = to_base64(declared_md5_);
    error.fields["CalculatedDigest"] = to_base64(sum);
    return error;
  }
  const Algorithm* algorithm = find_algorithm(algorithm_);
  if (algorithm == nullptr) return {};
  const std::string value = raw_value();
  if (!declared_value_.empty() && declared_value_ != value) {
    return make_error(ErrorKind::kInvalid,
                      "The " + std::string(algorithm->name) + " you specified did not match the calculated checksum.",
                      "BadDigest");
  }
  values_[std::string(algorithm->member)] = to_base64(value);
  return {};
}

}  // namespace muster::api::s3
