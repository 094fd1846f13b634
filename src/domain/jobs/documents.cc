// SPDX-License-Identifier: Apache-2.0
#include "domain/jobs/documents.h"

#include "base/crypto.h"
#include "base/json.h"
#include "base/text.h"
#include "domain/jobs/caches.h"
#include "store/keys.h"
#include "store/schema.h"

namespace muster::jobs {

namespace {

constexpr std::string_view kOpen = "${aws:iot:";
constexpr std::size_t kMaxDepth = 64;

Error bad_document(std::string_view reason) {
  return invalid("Invalid job document: " + std::string(reason));
}

// What stands between "${aws:iot:" and "}".
Result<ObjectAddress> parse_placeholder(const Context& context, std::string_view content) {
  const auto colon = content.find(':');
  const std::string name(content.substr(0, colon));
  const bool v2 = name == "s3-presigned-url-v2";
  if (name == "parameter" || name == "package" || name == "s3-presigned-url-upload") {
    return bad_document("the placeholder ${aws:iot:" + name + ":...} is not supported by Muster.");
  }
  if (!v2 && name != "s3-presigned-url") return bad_document("unknown placeholder ${aws:iot:" + name + "}.");
  if (colon == std::string_view::npos || content.size() == colon + 1) {
    return bad_document("the placeholder ${aws:iot:" + name + "} has no URL.");
  }
  const std::string_view url = content.substr(colon + 1);
  if (url.find("${") != std::string_view::npos) return bad_document("placeholders cannot be nested.");
  Result<ObjectAddress> address = Error{};
  if (v2) {
    auto decoded = percent_decode(url);
    if (!decoded) return bad_document("the URL of a s3-presigned-url-v2 placeholder must be URL-encoded.");
    address = context.parse_url(*decoded, false);
  } else {
    address = context.parse_url(url, false);
  }
  if (!address && address.error().kind == ErrorKind::kInvalid) return bad_document(address.error().message);
  return address;
}

// Appends to a document under construction.
struct Compiler {
  const Context& context;
  Document document;
  std::string piece;

  void hole(ObjectAddress address) {
    document.text_bytes += piece.size();
    document.pieces.push_back(std::move(piece));
    document.urls.push_back(std::move(address));
    piece.clear();
  }

  // The text of a string literal, as it goes between its quotes.
  void escaped(std::string_view text) {
    std::string quoted;
    append_json_string(quoted, text);
    piece.append(quoted, 1, quoted.size() - 2);
  }

  Status literal(std::string_view raw) {
    // An escape may hide the '$' or the brace: only such literals need decoding to be sure.
    if (raw.find(kOpen) == std::string_view::npos && raw.find("\\u") == std::string_view::npos) {
      piece.append(raw);
      return {};
    }
    TRY(const json::value decoded, parse_json(raw));
    std::string_view text = decoded.get_string();
    if (text.find(kOpen) == std::string_view::npos) {
      piece.append(raw);
      return {};
    }
    piece.push_back('"');
    while (true) {
      const auto open = text.find(kOpen);
      escaped(text.substr(0, open));
      if (open == std::string_view::npos) break;
      text.remove_prefix(open + kOpen.size());
      const auto close = text.find('}');
      if (close == std::string_view::npos) return bad_document("a placeholder is not terminated.");
      TRY(ObjectAddress address, parse_placeholder(context, text.substr(0, close)));
      if (document.urls.size() == context.limits.max_placeholders) {
        return bad_document("it has more than " + std::to_string(context.limits.max_placeholders) + " placeholders.");
      }
      hole(std::move(address));
      text.remove_prefix(close + 1);
    }
    piece.push_back('"');
    return {};
  }
};

}  // namespace

Result<Document> compile_document(const Context& context, std::string_view text) {
  if (text.size() > context.limits.max_document_bytes) {
    return bad_document("it has " + std::to_string(text.size()) + " bytes, more than " +
                        std::to_string(context.limits.max_document_bytes) + ".");
  }
  const auto parsed = parse_json(text, JsonLimits{context.limits.max_document_bytes, kMaxDepth});
  if (!parsed) return bad_document(parsed.error().message);
  if (!parsed->is_object()) return bad_document("it must be a JSON object.");
  Compiler compiler{context, {}, {}};
  std::size_t at = 0;
  while (at < text.size()) {
    const auto quote = text.find('"', at);
    compiler.piece.append(text.substr(at, quote - at));
    if (quote == std::string_view::npos) break;
    std::size_t end = quote + 1;
    while (text[end] != '"') end += text[end] == '\\' ? 2 : 1;  // valid JSON: every literal ends
    TRY_VOID(compiler.literal(text.substr(quote, end + 1 - quote)));
    at = end + 1;
  }
  compiler.document.text_bytes += compiler.piece.size();
  compiler.document.pieces.push_back(std::move(compiler.piece));
  return std::move(compiler.document);
}

std::string digest_of(std::string_view text) {
  return sha256_hex(text).substr(0, 32);
}

Result<std::string> document_text(store::Tx& tx, std::string_view job_id) {
  // Written once with the job: nothing to conflict with.
  auto text = tx.get_snapshot(store::Key(store::table::kJobDocument).text(job_id));
  if (!text) return internal("the document of job " + std::string(job_id) + " is missing");
  return *std::move(text);
}

Result<std::string> deliver_document(const Context& context, store::Tx& tx, const Job& job) {
  auto document = context.caches->documents.find(job.document_digest);
  if (!document) {
    TRY(const std::string text, document_text(tx, job.id));
    TRY(Document compiled, compile_document(context, text));
    document = std::make_shared<const Document>(std::move(compiled));
    context.caches->documents.insert(job.document_digest, document);
  }
  std::string out;
  out.reserve(document->text_bytes + document->urls.size() * 1024);
  for (std::size_t i = 0; i < document->urls.size(); ++i) {
    out.append(document->pieces[i]);
    if (!job.presign) return internal("job " + job.id + " has placeholders, but no role to sign with");
    const PresignRequest request{document->urls[i], job.presign->role_arn, job.id, "GET", job.presign->expires_seconds};
    auto url = context.sign_url(tx, request);
    if (!url) {
      return make_error(ErrorKind::kUnavailable, "A URL of the job document cannot be signed: " + url.error().message);
    }
    std::string quoted;
    append_json_string(quoted, *url);
    out.append(quoted, 1, quoted.size() - 2);
  }
  out.append(document->pieces.back());
  return out;
}

}  // namespace muster::jobs
