// SPDX-License-Identifier: Apache-2.0
// links: muster_api_device
// Jobs: what operators and devices may write. First byte even: a job document; what compiles must deliver as a JSON
// object, with a URL in every hole. Odd: a topic, a line end and a payload; every outcome must print as JSON.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "api/device/jobs_requests.h"
#include "api/device/jobs_topics.h"
#include "base/json.h"
#include "domain/jobs/documents.h"

namespace {

using namespace muster;

void require(bool condition) {
  if (!condition) std::abort();
}

const jobs::Context& context() {
  static const jobs::Context made = jobs::make_context(
      Realm{"123456789012", "us-east-1"},
      [](std::string_view url, bool) -> Result<jobs::ObjectAddress> {
        if (url.size() > 100) return invalid("too long");
        return jobs::ObjectAddress{"b", std::string(url), {}};
      },
      [](store::Tx&, const jobs::PresignRequest&) -> Result<std::string> { return std::string("u\"\\"); });
  return made;
}

void try_document(std::string_view text) {
  const auto document = jobs::compile_document(context(), text);
  if (!document) return;
  require(document->pieces.size() == document->urls.size() + 1);
  require(document->urls.size() <= context().limits.max_placeholders);
  std::string delivered;
  for (std::size_t i = 0; i < document->urls.size(); ++i) delivered += document->pieces[i] + "u\\\"\\\\";
  delivered += document->pieces.back();
  const auto parsed = parse_json(delivered, JsonLimits{1u << 20, 64});
  require(parsed && parsed->is_object());
  require(!document->has_placeholders() || delivered != text);
}

void require_json(const std::string& payload) {
  require(parse_json(payload, JsonLimits{1u << 20, 64}).has_value());
}

template <class T>
void try_outcome(const std::optional<std::string>& token, const Result<T>& outcome) {
  require_json(outcome ? api::device::accepted_payload(token, 1, {})
                       : api::device::rejected_payload(token, 1, outcome.error()));
}

void try_request(std::string_view topic, std::string_view payload) {
  const auto parsed = api::device::parse_jobs_topic(topic);
  if (!parsed) return;
  const auto body = api::device::parse_jobs_request(payload);
  if (!body) return try_outcome({}, body);
  const auto token = api::device::client_token(*body);
  if (!token) return try_outcome({}, token);
  try_outcome(*token, api::device::parse_start_next(parsed->thing, *body));
  try_outcome(*token, api::device::parse_describe(parsed->thing, parsed->job, *body));
  try_outcome(*token, api::device::parse_update(parsed->thing, parsed->job, *body));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view input(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (data[0] % 2 == 0) {
    try_document(input);
    return 0;
  }
  const auto end = std::min(input.find('\n'), input.size());
  try_request(input.substr(0, end), input.substr(std::min(end + 1, input.size())));
  return 0;
}
