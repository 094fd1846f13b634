// SPDX-License-Identifier: Apache-2.0
// Job documents: checked at creation, compiled into text and placeholders, expanded for a device with freshly signed
// URLs at every delivery. Compiled documents are cached by digest. Supported placeholders:
//   ${aws:iot:s3-presigned-url:URL}         a download; the URL stands unencoded
//   ${aws:iot:s3-presigned-url-v2:URL}      a download; the URL is percent-encoded and may name a version
//   ${aws:iot:s3-presigned-url-upload:URL}  an upload (PUT); ${thingName}, ${jobId} and ${executionNumber} in the key
//                                           stand for the execution's, at most two of each; a URL of a bucket alone
//                                           gets a key made of the three
// Other ${aws:iot:...} are refused by name; any other ${...} is the author's own text. Source: developer guide
// "Managing jobs", "Software Package Catalog Troubleshooting" (wording of errors), jobs spec 5. Bounds:
// Limits::max_document_bytes, Limits::max_placeholders, keys of 1024 bytes.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "domain/jobs/context.h"
#include "domain/jobs/job.h"
#include "store/store.h"

namespace muster::jobs {

// An object that a device gets a signed URL of.
struct Placeholder : ObjectAddress {
  bool upload = false;  // its key may hold ${thingName}, ${jobId} and ${executionNumber}
};

struct Document {
  // pieces[0] url[0] pieces[1] url[1] ... pieces[n]: JSON text with holes inside string literals.
  std::vector<std::string> pieces;
  std::vector<Placeholder> urls;
  std::size_t text_bytes = 0;
  bool has_placeholders() const { return !urls.empty(); }
};

// kInvalid, AWS wording: too large, not UTF-8 JSON object, malformed or unknown placeholder.
Result<Document> compile_document(const Context& context, std::string_view text);
std::string digest_of(std::string_view text);

// The stored text, placeholders unexpanded.
Result<std::string> document_text(store::Tx& tx, std::string_view job_id);
// The document as the thing gets it for its execution of that number: JSON text with every placeholder signed now.
// kUnavailable when one cannot be signed.
Result<std::string> deliver_document(const Context& context, store::Tx& tx, const Job& job, std::string_view thing,
                                     std::int64_t number);

}  // namespace muster::jobs
