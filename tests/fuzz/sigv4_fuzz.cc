// SPDX-License-Identifier: Apache-2.0
// links: muster_api_wire muster_base
// A request as text ("METHOD target", header lines, empty line, body) through everything that reads its signature:
// credentials, payload rule, scope, canonical form, SigV2, chunk framing. Must never crash, and never hand out more
// payload than was announced, nor report an end whose announced length was not reached.
#include <cstdio>
#include <cstdlib>

#include "api/wire/signature/aws_chunked.h"
#include "api/wire/signature/sigv2.h"
#include "api/wire/signature/sigv4_verify.h"
#include "base/text.h"

namespace muster::api {
namespace {

constexpr char kSecret[] = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

void must(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "violated: %s\n", what);
  std::abort();
}

std::string_view take_line(std::string_view& text) {
  std::size_t end = text.find('\n');
  std::string_view line = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  return line;
}

io::HttpRequest read_request(std::string_view& text) {
  io::HttpRequest request;
  std::string_view first = take_line(text);
  std::size_t space = first.find(' ');
  request.method = first.substr(0, space);
  request.target = space == std::string_view::npos ? "/" : std::string(first.substr(space + 1));
  while (!text.empty()) {
    std::string_view line = take_line(text);
    if (line.empty()) break;
    std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) continue;
    request.headers.add(std::string(line.substr(0, colon)), std::string(trim(line.substr(colon + 1))));
  }
  return request;
}

void decode(const PayloadRule& rule, const SigningContext& context, std::string_view body) {
  AwsChunkedDecoder decoder(rule, context);
  std::int64_t total = 0;
  // Pieces of varying size: the framing may be cut anywhere.
  for (std::size_t size = 1; !body.empty(); size = size % 13 + 1) {
    std::string_view input = body.substr(0, size);
    body.remove_prefix(input.size());
    while (!input.empty()) {
      auto piece = decoder.next(input);
      if (!piece) return;
      total += static_cast<std::int64_t>(piece->size());
      must(total <= rule.decoded_length, "no more payload than announced");
    }
  }
  if (decoder.finish()) must(total == rule.decoded_length, "the end comes with the announced length");
}

void run(std::string_view text, const model::Service& service, const Realm& realm) {
  io::HttpRequest request = read_request(text);
  auto query = parse_form(request.raw_query(), 64 * 1024);
  if (!query) return;
  auto signature = read_signature(request, *query);
  if (!signature) return;
  bool s3 = service.protocol == model::Protocol::kRestXml;
  auto rule = read_payload_rule(request, *query, *signature, s3);
  VerifyInput verify{request, *query, *signature, service, realm, "bucket", 1'700'000'000'000};
  bool in_scope = check_scope(verify).has_value();
  if (signature->kind != SignatureKind::kNone) {
    auto context = verify_signature(verify, kSecret, rule ? rule->declared : "");
    if (context && in_scope) must(!signature->access_key_id.empty(), "who signed is known");
    if (signature->kind == SignatureKind::kQueryV2) string_to_sign_v2(verify);
    auto nobody = verify_signature(verify, "", rule ? rule->declared : "");
    must(!nobody, "an empty secret verifies nothing");
    if (rule && rule->mode >= PayloadMode::kSignedChunks) decode(*rule, context ? *context : SigningContext{}, text);
  } else if (rule && rule->mode >= PayloadMode::kSignedChunks) {
    decode(*rule, {}, text);
  }
  if (auto path = canonical_path(request.raw_path(), s3)) must(path->starts_with('/'), "canonical paths are absolute");
  std::string normal = normalize_path(request.raw_path());
  must(normalize_path(normal) == normal, "normal paths stay as they are");
}

}  // namespace
}  // namespace muster::api

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace muster::api;
  static const muster::Realm realm{"123456789012", "eu-west-1"};
  if (size == 0) return 0;
  std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  auto services = model::services();
  run(text, *services[data[0] % services.size()], realm);
  return 0;
}
