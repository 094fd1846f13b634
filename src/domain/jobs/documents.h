// SPDX-License-Identifier: Apache-2.0
// Job documents: checked at creation, compiled into text and placeholders, expanded for a device with freshly signed
// URLs at every delivery. Compiled documents are cached by digest. Supported placeholders:
// ${aws:iot:s3-presigned-url:URL} and ${aws:iot:s3-presigned-url-v2:URL}; other ${aws:iot:...} are refused by name;
// any other ${...} is the author's own text. Source: developer guide "Create jobs with presigned URLs", jobs spec 5.
// Bounds: Limits::max_document_bytes, 10 placeholders.
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

struct Document {
  // pieces[0] url[0] pieces[1] url[1] ... pieces[n]: JSON text with holes inside string literals.
  std::vector<std::string> pieces;
  std::vector<ObjectAddress> urls;
  std::size_t text_bytes = 0;
  bool has_placeholders() const { return !urls.empty(); }
};

// kInvalid, AWS wording: too large, not UTF-8 JSON object, malformed or unknown placeholder.
Result<Document> compile_document(const Context& context, std::string_view text);
std::string digest_of(std::string_view text);

// The stored text, placeholders unexpanded.
Result<std::string> document_text(store::Tx& tx, std::string_view job_id);
// The document as a device gets it: JSON text with every placeholder signed now.
Result<std::string> deliver_document(const Context& context, store::Tx& tx, const Job& job);

}  // namespace muster::jobs
