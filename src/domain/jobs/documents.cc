// SPDX-License-Identifier: Apache-2.0
#include "domain/jobs/documents.h"

#include <algorithm>
#include <array>

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

// ---- the key of an upload

struct Local {
  std::string_view name;  // as written
  std::size_t longest;    // bytes it can become
};
constexpr Local kLocals[] = {{"${thingName}", 128}, {"${jobId}", 64}, {"${executionNumber}", 19}};
constexpr std::size_t kMaxOfEach = 2;
constexpr std::size_t kMaxKeyBytes = 1024;
constexpr std::string_view kGeneratedKey = "${jobId}/${thingName}/${executionNumber}";

// Calls text(piece) and local(index in kLocals) in order; the name of an unknown ${...} ends it.
template <class Text, class OnLocal>
std::optional<std::string_view> walk_key(std::string_view key, Text text, OnLocal local) {
  while (true) {
    const auto open = key.find("${");
    text(key.substr(0, open));
    if (open == std::string_view::npos) return std::nullopt;
    key.remove_prefix(open);
    const std::string_view name = key.substr(0, key.find('}') + 1);
    const auto* known = std::ranges::find(kLocals, name, &Local::name);
    if (known == std::end(kLocals)) return name;
    local(static_cast<std::size_t>(known - std::begin(kLocals)));
    key.remove_prefix(name.size());
  }
}

Status check_locals(std::string_view key) {
  std::array<std::size_t, std::size(kLocals)> uses{};
  std::size_t longest = 0;
  const auto unknown = walk_key(
      key, [&](std::string_view text) { longest += text.size(); },
      [&](std::size_t local) {
        ++uses[local];
        longest += kLocals[local].longest;
      });
  if (unknown) {
    return bad_document("undefined placeholder, " + std::string(*unknown) +
                        ", inside of presign url upload parameter.");
  }
  for (std::size_t i = 0; i < uses.size(); ++i) {
    if (uses[i] <= kMaxOfEach) continue;
    return bad_document("the occurrence of local placeholder " + std::string(kLocals[i].name) +
                        " within S3 presigned url upload placeholder exceeds limit of " + std::to_string(kMaxOfEach) +
                        ".");
  }
  if (longest <= kMaxKeyBytes) return {};
  return bad_document("the key of a s3-presigned-url-upload placeholder can become longer than " +
                      std::to_string(kMaxKeyBytes) + " bytes.");
}

std::string fill_key(std::string_view key, const std::array<std::string_view, std::size(kLocals)>& values) {
  std::string filled;
  walk_key(
      key, [&](std::string_view text) { filled.append(text); },
      [&](std::size_t local) { filled.append(values[local]); });
  return filled;
}

// ---- placeholders

Result<ObjectAddress> parse_url(const Context& context, std::string_view url, bool encoded) {
  auto address = context.parse_url(url, encoded);
  if (!address && address.error().kind == ErrorKind::kInvalid) return bad_document(address.error().message);
  return address;
}

// A URL without a key is one that a key makes whole.
Result<ObjectAddress> parse_upload_url(const Context& context, std::string_view url) {
  auto address = parse_url(context, url, false);
  if (address || address.error().kind != ErrorKind::kInvalid) return address;
  const std::string_view slash = url.ends_with('/') ? "" : "/";
  if (auto bucket = context.parse_url(std::string(url).append(slash).append(kGeneratedKey), false)) return bucket;
  if (url.find("${") == std::string_view::npos) return address;
  std::string without;
  const auto unknown = walk_key(
      url, [&](std::string_view text) { without.append(text); }, [&](std::size_t) { without.append("local"); });
  if (unknown || !context.parse_url(without, false)) return address;
  return bad_document("S3 bucket name in presigned url upload is not allowed to contain any placeholders.");
}

Result<Placeholder> parse_upload(const Context& context, std::string_view url) {
  TRY(ObjectAddress address, parse_upload_url(context, url));
  if (!address.version.empty()) return bad_document("a s3-presigned-url-upload placeholder cannot name a version.");
  TRY_VOID(check_locals(address.key));
  return Placeholder{std::move(address), true};
}

Error refused(std::string_view name) {
  const std::string shown = "the placeholder ${aws:iot:" + std::string(name) + ":...} ";
  if (name == "parameter") return bad_document(shown + "is of managed job templates only.");
  if (name == "package") {
    return bad_document(shown + "is not supported by Muster: the Software Package Catalog is not served.");
  }
  return bad_document("unknown placeholder ${aws:iot:" + std::string(name) + "}.");
}

// What stands between "${aws:iot:" and "}".
Result<Placeholder> parse_placeholder(const Context& context, std::string_view content) {
  const auto colon = content.find(':');
  const std::string_view name = content.substr(0, colon);
  const bool v2 = name == "s3-presigned-url-v2", upload = name == "s3-presigned-url-upload";
  if (!v2 && !upload && name != "s3-presigned-url") return refused(name);
  if (colon == std::string_view::npos || content.size() == colon + 1) {
    return bad_document("the placeholder ${aws:iot:" + std::string(name) + "} has no URL.");
  }
  const std::string_view url = content.substr(colon + 1);
  if (url.find("${aws:") != std::string_view::npos) return bad_document("placeholders cannot be nested.");
  if (upload) return parse_upload(context, url);
  if (const auto local = url.find("${"); local != std::string_view::npos) {
    const std::string_view shown = url.substr(local, url.find('}', local) + 1 - local);
    return bad_document("local placeholder, " + std::string(shown) + ", is only valid inside of presign url upload.");
  }
  if (!v2) {
    TRY(ObjectAddress address, parse_url(context, url, false));
    return Placeholder{std::move(address)};
  }
  const auto decoded = percent_decode(url);
  if (!decoded) return bad_document("the URL of a s3-presigned-url-v2 placeholder must be URL-encoded.");
  TRY(ObjectAddress address, parse_url(context, *decoded, false));
  return Placeholder{std::move(address)};
}

// The brace that closes a placeholder, where `text` is what follows its "${".
std::size_t closing_brace(std::string_view text) {
  std::size_t depth = 1;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '}' && --depth == 0) return i;
    if (text[i] == '$' && text.substr(i).starts_with("${")) ++depth;
  }
  return std::string_view::npos;
}

// Appends to a document under construction.
struct Compiler {
  const Context& context;
  Document document;
  std::string piece;

  void hole(Placeholder placeholder) {
    document.text_bytes += piece.size();
    document.pieces.push_back(std::move(piece));
    document.urls.push_back(std::move(placeholder));
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
      const auto close = closing_brace(text);
      if (close == std::string_view::npos) {
        return bad_document("one or more parameters or placeholders are not terminated.");
      }
      TRY(Placeholder placeholder, parse_placeholder(context, text.substr(0, close)));
      if (document.urls.size() == context.limits.max_placeholders) {
        return bad_document("it has more than " + std::to_string(context.limits.max_placeholders) + " placeholders.");
      }
      hole(std::move(placeholder));
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

namespace {

Result<std::shared_ptr<const Document>> compiled_document(const Context& context, store::Tx& tx, const Job& job) {
  if (auto cached = context.caches->documents.find(job.document_digest)) return cached;
  TRY(const std::string text, document_text(tx, job.id));
  TRY(Document compiled, compile_document(context, text));
  auto document = std::make_shared<const Document>(std::move(compiled));
  context.caches->documents.insert(job.document_digest, document);
  return document;
}

struct Recipient {
  std::string_view thing;
  std::string number;
};

Result<std::string> sign(const Context& context, store::Tx& tx, const Job& job, const Placeholder& placeholder,
                         const Recipient& recipient) {
  if (!job.presign) return internal("job " + job.id + " has placeholders, but no role to sign with");
  PresignRequest request{placeholder, job.presign->role_arn, job.id, "GET", job.presign->expires_seconds};
  if (placeholder.upload) {
    request.method = "PUT";
    request.object.key = fill_key(placeholder.key, {recipient.thing, job.id, recipient.number});
  }
  auto url = context.sign_url(tx, request);
  if (url) return url;
  return make_error(ErrorKind::kUnavailable, "A URL of the job document cannot be signed: " + url.error().message);
}

}  // namespace

Result<std::string> deliver_document(const Context& context, store::Tx& tx, const Job& job, std::string_view thing,
                                     std::int64_t number) {
  TRY(const auto document, compiled_document(context, tx, job));
  if (!document->has_placeholders()) return document->pieces.back();
  std::string out;
  const Recipient recipient{thing, std::to_string(number)};
  out.reserve(document->text_bytes + document->urls.size() * 1024);
  for (std::size_t i = 0; i < document->urls.size(); ++i) {
    out.append(document->pieces[i]);
    TRY(const std::string url, sign(context, tx, job, document->urls[i], recipient));
    std::string quoted;
    append_json_string(quoted, url);
    out.append(quoted, 1, quoted.size() - 2);
  }
  out.append(document->pieces.back());
  return out;
}

}  // namespace muster::jobs
