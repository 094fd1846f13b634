// SPDX-License-Identifier: Apache-2.0
#include "api/wire/signature/aws_chunked.h"

#include <algorithm>
#include <charconv>

#include "base/text.h"

namespace muster::api {
namespace {

constexpr std::size_t kMaxLine = 1024;
constexpr std::size_t kMaxTrailers = 8 * 1024;
constexpr std::string_view kTrailerSignature = "x-amz-trailer-signature";

Error broken(std::string message) {
  return make_error(ErrorKind::kInvalid, std::move(message), "InvalidRequest");
}
Error incomplete() {
  return make_error(ErrorKind::kInvalid,
                    "You did not provide the number of bytes specified by the Content-Length HTTP header",
                    "IncompleteBody");
}
Error wrong_signature() {
  return make_error(ErrorKind::kUnauthenticated,
                    "The request signature we calculated does not match the signature you provided. Check your key and "
                    "signing method.",
                    "SignatureDoesNotMatch");
}

bool is_signature(std::string_view text) {
  return text.size() == 64 &&
         std::all_of(text.begin(), text.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

std::string big_endian(std::uint64_t value, int bytes) {
  std::string out;
  for (int i = bytes - 1; i >= 0; --i) out += static_cast<char>((value >> (8 * i)) & 0xFF);
  return out;
}

}  // namespace

PayloadChecksum::PayloadChecksum(Kind kind) : kind_(kind) {
  if (kind == Kind::kSha1) digest_.emplace(Digest::Kind::kSha1);
  if (kind == Kind::kSha256) digest_.emplace(Digest::Kind::kSha256);
}

std::optional<PayloadChecksum> PayloadChecksum::create(std::string_view name) {
  if (name == "x-amz-checksum-crc32") return PayloadChecksum(Kind::kCrc32);
  if (name == "x-amz-checksum-crc32c") return PayloadChecksum(Kind::kCrc32c);
  if (name == "x-amz-checksum-crc64nvme") return PayloadChecksum(Kind::kCrc64Nvme);
  if (name == "x-amz-checksum-sha1") return PayloadChecksum(Kind::kSha1);
  if (name == "x-amz-checksum-sha256") return PayloadChecksum(Kind::kSha256);
  return std::nullopt;
}

void PayloadChecksum::update(std::string_view bytes) {
  switch (kind_) {
    case Kind::kCrc32:
      crc_ = crc32(bytes, static_cast<std::uint32_t>(crc_));
      break;
    case Kind::kCrc32c:
      crc_ = crc32c(bytes, static_cast<std::uint32_t>(crc_));
      break;
    case Kind::kCrc64Nvme:
      crc_ = crc64_nvme(bytes, crc_);
      break;
    case Kind::kSha1:
    case Kind::kSha256:
      digest_->update(bytes);
      break;
  }
}

std::string PayloadChecksum::text() {
  if (digest_) return to_base64(digest_->finish());
  return to_base64(big_endian(crc_, kind_ == Kind::kCrc64Nvme ? 8 : 4));
}

std::string_view PayloadChecksum::label() const {
  switch (kind_) {
    case Kind::kCrc32:
      return "CRC32";
    case Kind::kCrc32c:
      return "CRC32C";
    case Kind::kCrc64Nvme:
      return "CRC64NVME";
    case Kind::kSha1:
      return "SHA1";
    case Kind::kSha256:
      return "SHA256";
  }
  return "";
}

AwsChunkedDecoder::AwsChunkedDecoder(const PayloadRule& rule, const SigningContext& context)
    : rule_(rule), context_(context), previous_signature_(context.seed_signature) {
  if (!rule_.trailers.empty()) checksum_ = PayloadChecksum::create(rule_.trailers.front());
}

// Gathers one CRLF-ended line across pieces. A bare LF is content: AWS's own example ends a trailer in LF CRLF.
bool AwsChunkedDecoder::take_line(std::string_view& input, std::size_t limit) {
  while (!input.empty()) {
    std::size_t end = input.find('\n');
    bool found = end != std::string_view::npos;
    std::string_view part = input.substr(0, found ? end + 1 : input.size());
    if (line_.size() + part.size() > limit) {
      line_too_long_ = true;
      return true;
    }
    line_ += part;
    input.remove_prefix(part.size());
    if (found && line_.ends_with("\r\n")) {
      line_.resize(line_.size() - 2);
      return true;
    }
  }
  return false;
}

Status AwsChunkedDecoder::read_header() {
  std::string_view line = line_;
  std::size_t semicolon = line.find(';');
  std::string_view size_text = line.substr(0, semicolon);
  std::uint64_t size = 0;
  auto [end, ec] = std::from_chars(size_text.data(), size_text.data() + size_text.size(), size, 16);
  if (size_text.empty() || ec != std::errc() || end != size_text.data() + size_text.size()) {
    return broken("The chunk size is not a hexadecimal number");
  }
  std::string_view extension = semicolon == std::string_view::npos ? std::string_view() : line.substr(semicolon + 1);
  if (is_signed()) {
    constexpr std::string_view kName = "chunk-signature=";
    if (!extension.starts_with(kName) || !is_signature(extension.substr(kName.size()))) return wrong_signature();
    chunk_signature_ = extension.substr(kName.size());
    chunk_hash_.emplace(Digest::Kind::kSha256);
  } else if (semicolon != std::string_view::npos) {
    return broken("A chunk of an unsigned payload has no extension");
  }
  if (size > static_cast<std::uint64_t>(rule_.decoded_length - decoded_)) return incomplete();
  chunk_left_ = static_cast<std::int64_t>(size);
  if (size > 0) {
    at_ = At::kData;
    return {};
  }
  if (decoded_ != rule_.decoded_length) return incomplete();
  at_ = At::kTrailer;
  return end_chunk();
}

Status AwsChunkedDecoder::end_chunk() {
  if (!is_signed()) return {};
  static const std::string kEmptyHash = sha256_hex("");
  std::string text = "AWS4-HMAC-SHA256-PAYLOAD\n" + context_.amz_date + '\n' + context_.scope + '\n' +
                     previous_signature_ + '\n' + kEmptyHash + '\n' + to_hex(chunk_hash_->finish());
  chunk_hash_.reset();
  if (!equal_constant_time(sigv4::sign(context_.key, text), chunk_signature_)) return wrong_signature();
  previous_signature_ = chunk_signature_;
  return {};
}

Status AwsChunkedDecoder::read_trailer() {
  std::string_view line = trim(line_);
  std::size_t colon = line.find(':');
  if (colon == std::string_view::npos) return broken("A trailing header is malformed");
  std::string name = lower(trim(line.substr(0, colon)));
  std::string value(trim(line.substr(colon + 1)));
  if (!trailer_signature_.empty()) return broken("x-amz-trailer-signature must be the last trailing header");
  if (name == kTrailerSignature && rule_.mode == PayloadMode::kSignedChunksTrailer) {
    if (!is_signature(value)) return wrong_signature();
    trailer_signature_ = value;
    return {};
  }
  bool announced = std::find(rule_.trailers.begin(), rule_.trailers.end(), name) != rule_.trailers.end();
  for (const auto& [known, ignored] : trailers_) announced = announced && known != name;
  if (!announced) return broken("The trailing header '" + name + "' was not announced in x-amz-trailer");
  trailers_.emplace_back(std::move(name), std::move(value));
  return {};
}

Status AwsChunkedDecoder::end_trailers() {
  if (trailers_.size() != rule_.trailers.size()) return broken("An announced trailing header is missing");
  if (rule_.mode == PayloadMode::kSignedChunksTrailer) {
    std::string canonical;
    for (const auto& [name, value] : trailers_) canonical += name + ':' + value + '\n';
    std::string text = "AWS4-HMAC-SHA256-TRAILER\n" + context_.amz_date + '\n' + context_.scope + '\n' +
                       previous_signature_ + '\n' + sha256_hex(canonical);
    if (!equal_constant_time(sigv4::sign(context_.key, text), trailer_signature_)) return wrong_signature();
  }
  if (checksum_ && !equal_constant_time(checksum_->text(), trailers_.front().second)) {
    return make_error(
        ErrorKind::kInvalid,
        "The " + std::string(checksum_->label()) + " you specified did not match the calculated checksum.",
        "BadDigest");
  }
  at_ = At::kDone;
  return {};
}

Result<std::string_view> AwsChunkedDecoder::next(std::string_view& input) {
  Status status;
  while (status && !failed_ && !input.empty()) {
    if (at_ == At::kDone) {
      status = broken("There is data after the last chunk");
    } else if (at_ == At::kData) {
      auto take = std::min(input.size(), static_cast<std::size_t>(chunk_left_));
      std::string_view piece = input.substr(0, take);
      input.remove_prefix(take);
      chunk_left_ -= static_cast<std::int64_t>(take);
      decoded_ += static_cast<std::int64_t>(take);
      if (chunk_hash_) chunk_hash_->update(piece);
      if (checksum_) checksum_->update(piece);
      if (chunk_left_ == 0) at_ = At::kDataEnd;
      return piece;
    } else if (take_line(input, at_ == At::kTrailer ? kMaxTrailers : kMaxLine)) {
      if (line_too_long_) {
        status = broken("A line of the chunk framing is too long");
      } else if (at_ == At::kHeader) {
        status = read_header();
      } else if (at_ == At::kDataEnd) {
        at_ = At::kHeader;
        if (line_.empty())
          status = end_chunk();
        else
          status = broken("A chunk is longer than its size");
      } else {
        trailer_bytes_ += line_.size() + 2;
        bool last = trim(line_).empty() && (trailers_.size() == rule_.trailers.size()) &&
                    (rule_.mode != PayloadMode::kSignedChunksTrailer || !trailer_signature_.empty());
        if (trailer_bytes_ > kMaxTrailers)
          status = broken("The trailing headers are too long");
        else if (last)
          status = end_trailers();
        else
          status = read_trailer();
      }
      line_.clear();
    }
  }
  if (!status) failed_ = status.error();
  if (failed_) return *failed_;
  return std::string_view();
}

Status AwsChunkedDecoder::finish() const {
  if (failed_) return *failed_;
  if (at_ != At::kDone) return incomplete();
  return {};
}

}  // namespace muster::api
