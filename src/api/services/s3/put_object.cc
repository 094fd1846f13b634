// SPDX-License-Identifier: Apache-2.0
// PutObject and CopyObject: bytes to a durable blob first, then the record that names it, then the answer. A body is
// gathered in pieces of 256 KiB and written and hashed on the blocking pool: memory does not grow with the object, and
// an object of one piece costs one hop to the pool.
#include "api/services/s3/checksums.h"
#include "api/services/s3/handlers.h"
#include "api/services/s3/s3_shapes.h"
#include "api/wire/authorization.h"
#include "api/wire/signature/verified_body.h"
#include "base/text.h"
#include "domain/iam/authorize.h"
#include "domain/objects/buckets.h"
#include "domain/objects/object_url.h"
#include "store/transact.h"

namespace muster::api::s3 {
namespace {

constexpr std::size_t kPieceBytes = 256 * 1024;

Error too_large(std::int64_t proposed, std::int64_t allowed) {
  Error error =
      make_error(ErrorKind::kTooLarge, "Your proposed upload exceeds the maximum allowed size", "EntityTooLarge");
  error.fields["ProposedSize"] = proposed;
  error.fields["MaxSizeAllowed"] = allowed;
  return error;
}

// One object on its way to the disk. Its methods run on the pool, one at a time.
struct Upload {
  const objects::Blobs& blobs;
  Checksums checksums;
  std::unique_ptr<objects::BlobWriter> writer;
  std::int64_t size = 0;

  Status absorb(std::string_view bytes) {
    if (!writer) {
      TRY(writer, blobs.create());
    }
    checksums.update(bytes);
    size += static_cast<std::int64_t>(bytes.size());
    return writer->write(bytes);
  }
  Status complete(std::string_view last) {
    TRY_VOID(absorb(last));
    TRY_VOID(checksums.finish());
    return writer->publish();
  }
};

io::Task<std::int64_t> receive(const S3Parts& parts, io::HttpBody& body, Upload& upload) {
  std::string gathered;
  std::int64_t total = 0;
  for (;;) {
    CO_TRY(const std::string_view piece, co_await body.read());
    if (piece.empty()) break;
    total += static_cast<std::int64_t>(piece.size());
    if (total > parts.max_object_bytes) co_return too_large(total, parts.max_object_bytes);
    gathered.append(piece);
    if (gathered.size() < kPieceBytes) continue;
    const auto write = [&] { return upload.absorb(gathered); };
    CO_TRY_VOID(co_await parts.pool.run(write));
    gathered.clear();
  }
  if (body.content_length() >= 0 && total != body.content_length()) {
    co_return make_error(ErrorKind::kInvalid,
                         "You did not provide the number of bytes specified by the Content-Length HTTP header.",
                         "IncompleteBody");
  }
  const auto complete = [&] { return upload.complete(gathered); };
  CO_TRY_VOID(co_await parts.pool.run(complete));
  co_return total;
}

objects::Conditions write_conditions(const Call& call) {
  objects::Conditions conditions;
  conditions.if_match = get_string(call.input, "IfMatch");
  conditions.if_none_match = get_string(call.input, "IfNoneMatch");
  return conditions;
}

// The record's transaction; the blob stays only when the record does. An error of which nobody knows whether it was
// committed leaves the decision to the next start (objects::Blobs::recover).
io::Task<objects::Object> record(const S3Parts& parts, const std::string& bucket, objects::Object object,
                                 const objects::Conditions& conditions, objects::BlobWriter& writer) {
  object.blob = writer.id();
  const auto put = [&](store::Tx& tx) { return objects::put_object(tx, bucket, object, conditions); };
  Result<objects::Object> stored = co_await store::transact(parts.store, put);
  if (stored) {
    writer.settle();
  } else if (stored.error().kind == ErrorKind::kUnavailable || stored.error().kind == ErrorKind::kInternal ||
             stored.error().kind == ErrorKind::kTimeout || stored.error().kind == ErrorKind::kUnset) {
    writer.keep_for_recovery();
  }
  co_return stored;
}

Status check_put(const S3Parts& parts, const Call& call, std::string_view key) {
  TRY_VOID(check_owner(parts, call));
  TRY_VOID(check_defaults(call));
  TRY_VOID(objects::check_key(key));
  if (call.body == nullptr) return internal("PutObject without a body");
  const std::int64_t length = call.body->content_length();
  if (length < 0) {
    return make_error(ErrorKind::kInvalid, "You must provide the Content-Length HTTP header.", "MissingContentLength");
  }
  if (length > parts.max_object_bytes) return too_large(length, parts.max_object_bytes);
  return {};
}

void take_trailers(const Call& call, objects::Object& object) {
  const auto* verified = dynamic_cast<const VerifiedBody*>(call.body);
  if (verified == nullptr) return;
  for (const auto& [name, value] : verified->trailers()) {
    const std::string member = checksum_member(name);
    if (!member.empty()) object.checksums[member] = value;  // compared while it was read
  }
}

json::object put_output(const objects::Object& object) {
  json::object output{{"ETag", quoted(object.etag)}};
  for (const auto& [name, value] : object.checksums) output[name] = value;
  return output;
}

}  // namespace

io::Task<Reply> put_object(const S3Parts& parts, Call& call) {
  const std::string bucket(get_string(call.input, "Bucket"));
  objects::Object object;
  object.key = get_string(call.input, "Key");
  CO_TRY_VOID(check_put(parts, call, object.key));
  CO_TRY_VOID(read_object_headers(call.input, object));
  CO_TRY(Checksums checksums, Checksums::create(call));
  // Said before the client sends gigabytes, and before it is told to continue.
  const auto find = [&](store::Tx& tx) { return objects::get_bucket(tx, bucket); };
  CO_TRY_VOID(co_await store::transact(parts.store, find));
  Upload upload{parts.blobs, std::move(checksums), nullptr};
  CO_TRY(object.size, co_await receive(parts, *call.body, upload));
  object.etag = upload.checksums.etag();
  object.checksums = upload.checksums.values();
  take_trailers(call, object);
  const objects::Conditions conditions = write_conditions(call);
  CO_TRY(const objects::Object stored, co_await record(parts, bucket, std::move(object), conditions, *upload.writer));
  Reply reply;
  reply.output = put_output(stored);
  co_return reply;
}

namespace {

struct Source {
  std::string bucket, key;
};

// x-amz-copy-source: [/]bucket/key, URL-encoded, with ?versionId= that is not served.
Result<Source> parse_copy_source(std::string_view text) {
  const Error malformed =
      make_error(ErrorKind::kInvalid, "Copy Source must mention the source bucket and key: sourcebucket/sourcekey",
                 "InvalidArgument");
  if (const std::size_t mark = text.find("?versionId="); mark != std::string_view::npos) {
    if (text.substr(mark + 11) != "null") {
      return make_error(ErrorKind::kNotSupported, "A version of the copy source was named: versioning is not served",
                        "NotImplemented");
    }
    text = text.substr(0, mark);
  }
  auto decoded = percent_decode(text);
  if (!decoded) return malformed;
  std::string_view path = *decoded;
  if (path.starts_with('/')) path.remove_prefix(1);
  const std::size_t slash = path.find('/');
  if (slash == 0 || slash == std::string_view::npos || slash + 1 == path.size()) return malformed;
  return Source{std::string(path.substr(0, slash)), std::string(path.substr(slash + 1))};
}

// Reading the source is the caller's right to prove: the pipeline has asked, of what it took the source to be.
Result<objects::Object> find_source(store::Tx& tx, const S3Parts& parts, const Call& call, const Source& source) {
  iam::AuthorizationRequest request;
  request.action = "s3:GetObject";
  request.resources = {"arn:aws:s3:::" + source.bucket + "/" + source.key};
  if (call.request != nullptr) request.context = request_context(*call.request, parts.realm, call.now_ms);
  TRY_VOID(iam::authorize(tx, parts.realm, call.caller, request));
  TRY(objects::Object object, objects::get_object(tx, source.bucket, source.key));
  const objects::Conditions conditions = conditions_of(call.input, "CopySource");
  if (objects::check_conditions(conditions, object) != objects::Verdict::kProceed) {
    return precondition_failed("x-amz-copy-source-if-");
  }
  return object;
}

Status describe_copy(const Call& call, const Source& source, objects::Object& copy) {
  const bool replace = get_string(call.input, "MetadataDirective") == "REPLACE";
  const bool onto_itself =
      source.bucket == get_string(call.input, "Bucket") && source.key == get_string(call.input, "Key");
  if (onto_itself && !replace) {
    return make_error(ErrorKind::kInvalid,
                      "This copy request is illegal because it is trying to copy an object to itself without changing "
                      "the object's metadata, storage class, website redirect location or encryption attributes.",
                      "InvalidRequest");
  }
  if (!replace) return {};
  copy.headers.clear();
  copy.metadata.clear();
  return read_object_headers(call.input, copy);
}

// The bytes under a new name, and the checksum that was asked for where the source has none of that kind.
Result<std::unique_ptr<objects::BlobWriter>> copy_blob(const objects::Blobs& blobs, std::string_view algorithm,
                                                       objects::Object& object) {
  if (!algorithm.empty() && !object.checksums.contains("Checksum" + std::string(algorithm))) {
    Checksums checksums = Checksums::computing(algorithm);
    TRY(const auto reader, blobs.read(object.blob));
    for (std::int64_t at = 0; at < object.size;) {
      TRY(const std::string piece, reader->read(at, kPieceBytes));
      if (piece.empty()) return internal("blob " + object.blob + " is shorter than its record says");
      checksums.update(piece);
      at += static_cast<std::int64_t>(piece.size());
    }
    TRY_VOID(checksums.finish());
    object.checksums = checksums.values();
  }
  TRY(auto writer, blobs.duplicate(object.blob));
  TRY_VOID(writer->publish());
  return writer;
}

}  // namespace

io::Task<Reply> copy_object(const S3Parts& parts, Call& call) {
  CO_TRY_VOID(check_owner(parts, call));
  CO_TRY_VOID(check_owner(parts, call, "ExpectedSourceBucketOwner"));
  CO_TRY_VOID(check_defaults(call));
  const std::string bucket(get_string(call.input, "Bucket")), key(get_string(call.input, "Key"));
  CO_TRY_VOID(objects::check_key(key));
  CO_TRY(const Source source, parse_copy_source(get_string(call.input, "CopySource")));
  const auto find = [&](store::Tx& tx) -> Result<objects::Object> {
    TRY_VOID(objects::get_bucket(tx, bucket));
    return find_source(tx, parts, call, source);
  };
  CO_TRY(objects::Object object, co_await store::transact(parts.store, find));
  object.key = key;
  CO_TRY_VOID(describe_copy(call, source, object));
  const std::string_view algorithm = get_string(call.input, "ChecksumAlgorithm");
  const auto copy = [&] { return copy_blob(parts.blobs, algorithm, object); };
  CO_TRY(const auto writer, co_await parts.pool.run(copy));
  const objects::Conditions conditions = write_conditions(call);
  CO_TRY(const objects::Object stored, co_await record(parts, bucket, std::move(object), conditions, *writer));
  json::object result = put_output(stored);
  result["LastModified"] = stored.modified_ms;
  Reply reply;
  reply.output["CopyObjectResult"] = std::move(result);
  co_return reply;
}

}  // namespace muster::api::s3
