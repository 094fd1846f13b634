// SPDX-License-Identifier: Apache-2.0
// ListObjects and ListObjectsV2: the same pages, said in two ways.
#include "api/services/s3/handlers.h"
#include "api/services/s3/s3_shapes.h"
#include "base/text.h"
#include "store/transact.h"

namespace muster::api::s3 {
namespace {

constexpr std::int64_t kMaxKeys = 1000;

Error invalid_argument(std::string message, std::string_view name, std::string value) {
  Error error = make_error(ErrorKind::kInvalid, std::move(message), "InvalidArgument");
  error.fields["ArgumentName"] = std::string(name);
  error.fields["ArgumentValue"] = std::move(value);
  return error;
}

// What both versions ask and answer alike.
class Page {
 public:
  static Result<Page> create(const json::object& input) {
    Page page;
    page.request.prefix = get_string(input, "Prefix");
    page.request.delimiter = get_string(input, "Delimiter");
    page.max_keys = get_int(input, "MaxKeys", kMaxKeys);
    if (page.max_keys < 0) {
      return invalid_argument("Argument maxKeys must be an integer between 0 and 2147483647", "maxKeys",
                              std::to_string(page.max_keys));
    }
    page.max_keys = std::min(page.max_keys, kMaxKeys);
    page.request.max_keys = static_cast<std::size_t>(page.max_keys);
    const std::string_view encoding = get_string(input, "EncodingType");
    if (!encoding.empty() && encoding != "url") {
      return invalid_argument("Invalid Encoding Method specified in Request", "encoding-type", std::string(encoding));
    }
    page.encode = !encoding.empty();
    return page;
  }

  // XML 1.0 cannot carry every character that a key can: encoding-type=url is the way out.
  std::string text(std::string_view key) const { return encode ? percent_encode(key, true) : std::string(key); }

  json::object answer(const std::string& bucket, const objects::Listing& listing, const json::object* owner) const {
    json::array contents, prefixes;
    for (const objects::Object& object : listing.objects) {
      json::object item{{"Key", text(object.key)},
                        {"LastModified", object.modified_ms},
                        {"ETag", quoted(object.etag)},
                        {"Size", object.size},
                        {"StorageClass", "STANDARD"}};
      json::array algorithms;
      for (const auto& checksum : object.checksums) algorithms.push_back(json::value(checksum.first.substr(8)));
      if (!algorithms.empty()) item["ChecksumAlgorithm"] = std::move(algorithms);
      if (owner != nullptr) item["Owner"] = *owner;
      contents.push_back(std::move(item));
    }
    for (const std::string& prefix : listing.common_prefixes) {
      prefixes.push_back(json::object{{"Prefix", text(prefix)}});
    }
    json::object output{
        {"Name", bucket}, {"Prefix", text(request.prefix)}, {"MaxKeys", max_keys}, {"IsTruncated", listing.truncated}};
    if (!request.delimiter.empty()) output["Delimiter"] = text(request.delimiter);
    if (encode) output["EncodingType"] = "url";
    if (!contents.empty()) output["Contents"] = std::move(contents);
    if (!prefixes.empty()) output["CommonPrefixes"] = std::move(prefixes);
    return output;
  }

  objects::ListRequest request;
  std::int64_t max_keys = kMaxKeys;
  bool encode = false;
};

}  // namespace

io::Task<Reply> list_objects(const S3Parts& parts, Call& call) {
  CO_TRY_VOID(check_owner(parts, call));
  CO_TRY(Page page, Page::create(call.input));
  const std::string bucket(get_string(call.input, "Bucket"));
  page.request.start_after = get_string(call.input, "Marker");
  const auto list = [&](store::Tx& tx) { return objects::list_objects(tx, bucket, page.request); };
  CO_TRY(const objects::Listing listing, co_await store::transact(parts.store, list));
  const json::object owner = owner_shape(parts.realm);
  Reply reply;
  reply.output = page.answer(bucket, listing, &owner);
  reply.output["Marker"] = page.text(page.request.start_after);
  // "This element is returned only if you have the delimiter request parameter specified."
  if (listing.truncated && !page.request.delimiter.empty()) reply.output["NextMarker"] = page.text(listing.last);
  co_return reply;
}

io::Task<Reply> list_objects_v2(const S3Parts& parts, Call& call) {
  CO_TRY_VOID(check_owner(parts, call));
  CO_TRY(Page page, Page::create(call.input));
  const std::string bucket(get_string(call.input, "Bucket"));
  const std::string token(get_string(call.input, "ContinuationToken"));
  const std::string start_after(get_string(call.input, "StartAfter"));
  page.request.start_after = start_after;
  if (has(call.input, "ContinuationToken")) {
    CO_TRY(page.request.start_after, read_token(token));
  }
  const auto list = [&](store::Tx& tx) { return objects::list_objects(tx, bucket, page.request); };
  CO_TRY(const objects::Listing listing, co_await store::transact(parts.store, list));
  const json::object owner = owner_shape(parts.realm);
  Reply reply;
  reply.output = page.answer(bucket, listing, get_bool(call.input, "FetchOwner") ? &owner : nullptr);
  reply.output["KeyCount"] = static_cast<std::int64_t>(listing.objects.size() + listing.common_prefixes.size());
  if (!start_after.empty()) reply.output["StartAfter"] = page.text(start_after);
  if (!token.empty()) reply.output["ContinuationToken"] = token;
  if (listing.truncated) reply.output["NextContinuationToken"] = make_token(listing.last);
  co_return reply;
}

}  // namespace muster::api::s3
