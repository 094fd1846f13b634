// SPDX-License-Identifier: Apache-2.0
#include "domain/jobs/context.h"

#include <algorithm>

#include "domain/jobs/caches.h"

namespace muster::jobs {

Context make_context(Realm realm, UrlParser parse_url, UrlSigner sign_url, Limits limits) {
  if (!parse_url) {
    parse_url = [](std::string_view, bool) -> Result<ObjectAddress> {
      return make_error(ErrorKind::kNotSupported, "Pre-signed URLs are not available on this server.");
    };
  }
  if (!sign_url) {
    sign_url = [](store::Tx&, const PresignRequest&) -> Result<std::string> {
      return make_error(ErrorKind::kNotSupported, "Pre-signed URLs are not available on this server.");
    };
  }
  auto caches = std::make_shared<Caches>(limits);
  return Context{std::move(realm), std::move(parse_url), std::move(sign_url), limits, std::move(caches)};
}

void Effects::touch(std::string_view job_id) {
  if (std::ranges::find(jobs, job_id) == jobs.end()) jobs.emplace_back(job_id);
}

void Signals::send(const Effects& effects) const {
  if (effects.messages && outbox) outbox();
  if (!engine) return;
  for (const auto& job : effects.jobs) engine(job);
}

}  // namespace muster::jobs
