// SPDX-License-Identifier: Apache-2.0
// The audit log, opened before anything can be changed through an API.
#include "server/audit/audit_files.h"
#include "server/audit/audit_port.h"
#include "server/parts.h"

namespace muster::server {

Status Server::Parts::open_audit() {
  audit::LogOptions options;
  options.files = audit_files(data.path());
  options.keep_days = config.audit_keep_days;
  options.keep_bytes = static_cast<std::uint64_t>(config.audit_max_bytes);
  TRY(auto log, audit::Log::open(std::move(options), clock));
  audit::TrailOptions trail_options{.realm = account.realm, .data_events = config.audit_data_events};
  trail = std::make_unique<audit::Trail>(std::move(log), clock, std::move(trail_options));
  denials.on_refused([this](const api::device::Refused& refused) { record_refusal(*trail, account.realm, refused); });
  device_calls = muster::server::device_calls(*trail, account.realm);
  const audit::Log& recorded = trail->log();
  metrics.observed_counter("muster_audit_events_total", "Events recorded in the audit log.",
                           [&recorded] { return recorded.events(); });
  metrics.observed_counter("muster_audit_syncs_total", "Syncs of the audit log.",
                           [&recorded] { return recorded.syncs(); });
  metrics.observed_gauge("muster_audit_failing", "1 while the audit log cannot be written and changes are refused.",
                         [&recorded] { return recorded.failing() ? 1 : 0; });
  return {};
}

}  // namespace muster::server
