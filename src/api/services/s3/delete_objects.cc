// SPDX-License-Identifier: Apache-2.0
#include "api/services/s3/handlers.h"
#include "api/services/s3/s3_shapes.h"
#include "domain/objects/buckets.h"
#include "store/transact.h"

namespace muster::api::s3 {
namespace {

constexpr std::size_t kMaxDeletes = 1000;

}  // namespace

io::Task<Reply> delete_object(const S3Parts& parts, Call& call) {
  CO_TRY_VOID(check_owner(parts, call));
  const std::string bucket(get_string(call.input, "Bucket")), key(get_string(call.input, "Key"));
  const std::string if_match(get_string(call.input, "IfMatch"));
  const auto remove = [&](store::Tx& tx) { return objects::delete_object(tx, bucket, key, if_match); };
  CO_TRY_VOID(co_await store::transact(parts.store, remove));
  co_return Reply{};
}

io::Task<Reply> delete_objects(const S3Parts& parts, Call& call) {
  CO_TRY_VOID(check_owner(parts, call));
  const json::object* request = find_object(call.input, "Delete");
  const json::array* list = request == nullptr ? nullptr : find_array(*request, "Objects");
  if (list == nullptr || list->empty() || list->size() > kMaxDeletes) {
    co_return make_error(ErrorKind::kInvalid,
                         "The XML you provided was not well-formed or did not validate against our published schema",
                         "MalformedXML");
  }
  const std::string bucket(get_string(call.input, "Bucket"));
  const bool quiet = get_bool(*request, "Quiet");
  const auto remove = [&](store::Tx& tx) -> Result<json::object> {
    TRY_VOID(objects::get_bucket(tx, bucket));
    json::array deleted, errors;
    for (const json::value& item : *list) {
      const std::string key(item.is_object() ? get_string(item.get_object(), "Key") : std::string_view{});
      if (Status status = objects::delete_object(tx, bucket, key); !status) {
        const Error& error = status.error();
        errors.push_back(json::object{{"Key", key}, {"Code", error.reason}, {"Message", error.message}});
      } else if (!quiet) {
        deleted.push_back(json::object{{"Key", key}});
      }
    }
    json::object output;
    if (!deleted.empty()) output["Deleted"] = std::move(deleted);
    if (!errors.empty()) output["Errors"] = std::move(errors);
    return output;
  };
  Reply reply;
  CO_TRY(reply.output, co_await store::transact(parts.store, remove));
  co_return reply;
}

}  // namespace muster::api::s3
