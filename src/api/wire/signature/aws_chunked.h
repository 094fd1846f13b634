// SPDX-License-Identifier: Apache-2.0
// AwsChunkedDecoder: the aws-chunked framing without I/O: bytes in, pieces of payload out, chunk signatures and
// trailers verified as they complete. One object a request. Bounds: framing lines 1 KiB, trailers 8 KiB; payload is not
// copied. After an error it stays failed. Source: S3 API reference, "Signature calculations for the Authorization
// header: transferring payload in multiple chunks" and "... including trailing headers".
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "api/wire/signature/sigv4_verify.h"
#include "base/crypto.h"

namespace muster::api {

// A checksum by the name of its S3 header (x-amz-checksum-crc32, ...); text() is the header's value.
class PayloadChecksum {
 public:
  static std::optional<PayloadChecksum> create(std::string_view header_name);
  void update(std::string_view bytes);
  std::string text();              // once
  std::string_view label() const;  // "CRC32", for messages

 private:
  enum class Kind : std::uint8_t { kCrc32, kCrc32c, kCrc64Nvme, kSha1, kSha256 };
  explicit PayloadChecksum(Kind kind);
  Kind kind_;
  std::uint64_t crc_ = 0;
  std::optional<Digest> digest_;
};

class AwsChunkedDecoder {
 public:
  // `rule.mode` is one of the streaming modes; `context` is used by the signed ones.
  AwsChunkedDecoder(const PayloadRule& rule, const SigningContext& context);

  // Takes from the front of `input` (which shrinks) and returns the next piece of payload, a view into it; empty when
  // `input` is used up without one.
  Result<std::string_view> next(std::string_view& input);
  // At the end of the input: success when everything was there and verified.
  Status finish() const;
  const Pairs& trailers() const { return trailers_; }

 private:
  enum class At : std::uint8_t { kHeader, kData, kDataEnd, kTrailer, kDone };
  bool take_line(std::string_view& input, std::size_t limit);
  Status read_header();
  Status end_chunk();
  Status read_trailer();
  Status end_trailers();
  bool is_signed() const { return rule_.mode != PayloadMode::kUnsignedChunksTrailer; }

  PayloadRule rule_;
  SigningContext context_;
  std::optional<PayloadChecksum> checksum_;
  At at_ = At::kHeader;
  std::string line_;  // without CRLF once take_line() is true
  bool line_too_long_ = false;
  std::int64_t chunk_left_ = 0;
  std::int64_t decoded_ = 0;
  std::string chunk_signature_;  // of the chunk that is read
  std::string previous_signature_;
  std::optional<Digest> chunk_hash_;
  Pairs trailers_;
  std::size_t trailer_bytes_ = 0;
  std::string trailer_signature_;
  std::optional<Error> failed_;
};

}  // namespace muster::api
