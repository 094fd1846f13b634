// SPDX-License-Identifier: Apache-2.0
// GetObject and HeadObject: conditions, ranges, and the blob's bytes streamed from the disk in pieces.
#include "api/services/s3/handlers.h"
#include "api/services/s3/s3_shapes.h"
#include "store/transact.h"

namespace muster::api::s3 {
namespace {

constexpr std::size_t kPieceBytes = 256 * 1024;

class BlobSource final : public io::HttpSource {
 public:
  BlobSource(io::BlockingPool& pool, std::unique_ptr<objects::BlobReader> reader, std::int64_t first,
             std::int64_t length)
      : pool_(pool), reader_(std::move(reader)), at_(first), left_(length) {}

  io::Task<std::string> read() override {
    const std::size_t count = static_cast<std::size_t>(std::min<std::int64_t>(left_, kPieceBytes));
    if (count == 0) co_return std::string();
    const auto job = [reader = reader_.get(), at = at_, count] { return reader->read(at, count); };
    CO_TRY(std::string piece, co_await pool_.run(job));
    if (piece.empty()) co_return internal("blob is shorter than its record says");
    at_ += static_cast<std::int64_t>(piece.size());
    left_ -= static_cast<std::int64_t>(piece.size());
    co_return piece;
  }

 private:
  io::BlockingPool& pool_;
  std::unique_ptr<objects::BlobReader> reader_;
  std::int64_t at_, left_;
};

// What GET and HEAD agree on: which object, which bytes of it, and everything said about it.
struct Selection {
  objects::Object object;
  std::int64_t first = 0;
  std::int64_t length = 0;
  bool not_modified = false;
  Reply reply;
};

Status select_range(const json::object& input, Selection& selection) {
  const objects::Object& object = selection.object;
  selection.length = object.size;
  TRY(const auto range, parse_range(get_string(input, "Range"), object.size));
  if (range) {
    selection.first = range->first;
    selection.length = range->last - range->first + 1;
    selection.reply.status = 206;
    selection.reply.headers.add("Content-Range", content_range(*range, object.size));
  }
  selection.reply.output["ContentLength"] = selection.length;
  // A checksum is of the whole object: of no use to who reads a part.
  if (get_string(input, "ChecksumMode") == "ENABLED" && !range) {
    for (const auto& [name, value] : object.checksums) selection.reply.output[name] = value;
  }
  return {};
}

io::Task<Selection> select(const S3Parts& parts, Call& call) {
  CO_TRY_VOID(check_owner(parts, call));
  const std::string bucket(get_string(call.input, "Bucket")), key(get_string(call.input, "Key"));
  const auto find = [&](store::Tx& tx) { return objects::get_object(tx, bucket, key); };
  Selection selection;
  CO_TRY(selection.object, co_await store::transact(parts.store, find));
  const objects::Conditions conditions = conditions_of(call.input);
  const objects::Verdict verdict = objects::check_conditions(conditions, selection.object);
  if (verdict == objects::Verdict::kFailed) {
    co_return precondition_failed(conditions.if_match.empty() ? "If-Unmodified-Since" : "If-Match");
  }
  selection.reply.output = object_shape(selection.object);
  if (verdict == objects::Verdict::kNotModified) {
    selection.not_modified = true;
    selection.reply.status = 304;
    co_return selection;
  }
  CO_TRY_VOID(select_range(call.input, selection));
  co_return selection;
}

// response-content-type and its like: what the URL's signer wants the browser to see.
Status override_headers(const Call& call, json::object& output) {
  for (const std::string_view name :
       {"ContentType", "CacheControl", "ContentDisposition", "ContentEncoding", "ContentLanguage", "Expires"}) {
    const std::string member = "Response" + std::string(name);
    if (!has(call.input, member)) continue;
    if (call.caller.kind == iam::PrincipalKind::kAnonymous) {
      return make_error(ErrorKind::kInvalid,
                        "Request specific response headers cannot be used for anonymous GET requests.",
                        "InvalidRequest");
    }
    output[name] = call.input.at(member);
  }
  return {};
}

}  // namespace

io::Task<Reply> get_object(const S3Parts& parts, Call& call) {
  CO_TRY(Selection selection, co_await select(parts, call));
  CO_TRY_VOID(override_headers(call, selection.reply.output));
  if (selection.not_modified || selection.length == 0) co_return std::move(selection.reply);
  const bool small = selection.length <= static_cast<std::int64_t>(kPieceBytes);
  struct Opened {
    std::unique_ptr<objects::BlobReader> reader;
    std::string bytes;
  };
  const auto open = [&]() -> Result<Opened> {
    Opened opened;
    TRY(opened.reader, parts.blobs.read(selection.object.blob));
    if (!small) return opened;
    TRY(opened.bytes, opened.reader->read(selection.first, static_cast<std::size_t>(selection.length)));
    if (static_cast<std::int64_t>(opened.bytes.size()) != selection.length) {
      return internal("blob " + selection.object.blob + " is shorter than its record says");
    }
    return opened;
  };
  CO_TRY(Opened opened, co_await parts.pool.run(open));
  Reply reply = std::move(selection.reply);
  if (small) {
    reply.payload = std::move(opened.bytes);
  } else {
    reply.source =
        std::make_unique<BlobSource>(parts.pool, std::move(opened.reader), selection.first, selection.length);
    reply.source_length = selection.length;
  }
  co_return reply;
}

io::Task<Reply> head_object(const S3Parts& parts, Call& call) {
  CO_TRY(Selection selection, co_await select(parts, call));
  co_return std::move(selection.reply);
}

}  // namespace muster::api::s3
