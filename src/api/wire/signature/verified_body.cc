// SPDX-License-Identifier: Apache-2.0
#include "api/wire/signature/verified_body.h"

#include "api/wire/signature/aws_chunked.h"
#include "base/crypto.h"
#include "base/text.h"

namespace muster::api {
namespace {

const Pairs kNoTrailers;

Error too_large() {
  return make_error(ErrorKind::kTooLarge, "Your proposed upload exceeds the maximum allowed size", "EntityTooLarge");
}

// A body without framing, whose SHA-256 may have been declared.
class PlainBody final : public VerifiedBody {
 public:
  PlainBody(io::HttpBody& upstream, const PayloadRule& rule, std::int64_t max_bytes)
      : upstream_(upstream), max_bytes_(max_bytes) {
    if (rule.mode != PayloadMode::kDeclaredHash) return;
    expected_ = lower(rule.declared);
    digest_.emplace(Digest::Kind::kSha256);
  }

  io::Task<std::string_view> read() override {
    if (failed_) co_return *failed_;
    if (ended_) co_return std::string_view();
    if (upstream_.content_length() > max_bytes_) co_return fail(too_large());
    auto piece = co_await upstream_.read();
    if (!piece) co_return fail(piece.error());
    total_ += static_cast<std::int64_t>(piece->size());
    if (total_ > max_bytes_) co_return fail(too_large());
    if (!piece->empty()) {
      if (digest_) digest_->update(*piece);
      co_return *piece;
    }
    ended_ = true;
    if (digest_ && !equal_constant_time(to_hex(digest_->finish()), expected_)) {
      co_return fail(make_error(ErrorKind::kInvalid,
                                "The provided 'x-amz-content-sha256' header does not match what was computed.",
                                "XAmzContentSHA256Mismatch"));
    }
    co_return std::string_view();
  }
  std::int64_t content_length() const override { return upstream_.content_length(); }
  const Pairs& trailers() const override { return kNoTrailers; }

 private:
  Error fail(Error error) {
    failed_ = std::move(error);
    return *failed_;
  }

  io::HttpBody& upstream_;
  std::int64_t max_bytes_;
  std::int64_t total_ = 0;
  std::string expected_;
  std::optional<Digest> digest_;
  std::optional<Error> failed_;
  bool ended_ = false;
};

class ChunkedBody final : public VerifiedBody {
 public:
  ChunkedBody(io::HttpBody& upstream, const PayloadRule& rule, const SigningContext& context, std::int64_t max_bytes)
      : upstream_(upstream), decoder_(rule, context), length_(rule.decoded_length) {
    if (length_ > max_bytes) failed_ = too_large();
  }

  io::Task<std::string_view> read() override {
    while (!failed_ && !ended_) {
      if (pending_.empty()) {
        auto piece = co_await upstream_.read();
        if (!piece) {
          failed_ = piece.error();
          break;
        }
        pending_ = *piece;
        if (pending_.empty()) {
          ended_ = true;
          if (Status whole = decoder_.finish(); !whole) failed_ = whole.error();
          break;
        }
      }
      auto payload = decoder_.next(pending_);
      if (!payload)
        failed_ = payload.error();
      else if (!payload->empty())
        co_return *payload;
    }
    if (failed_) co_return *failed_;
    co_return std::string_view();
  }
  std::int64_t content_length() const override { return length_; }
  const Pairs& trailers() const override { return decoder_.trailers(); }

 private:
  io::HttpBody& upstream_;
  AwsChunkedDecoder decoder_;
  std::int64_t length_;
  std::string_view pending_;  // into the upstream's last piece
  std::optional<Error> failed_;
  bool ended_ = false;
};

}  // namespace

std::unique_ptr<VerifiedBody> make_verified_body(io::HttpBody& upstream, const PayloadRule& rule,
                                                 const SigningContext& context, std::int64_t max_bytes) {
  if (rule.mode >= PayloadMode::kSignedChunks) {
    return std::make_unique<ChunkedBody>(upstream, rule, context, max_bytes);
  }
  return std::make_unique<PlainBody>(upstream, rule, max_bytes);
}

}  // namespace muster::api
