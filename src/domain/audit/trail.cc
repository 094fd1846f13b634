// SPDX-License-Identifier: Apache-2.0
#include "domain/audit/trail.h"

#include "base/crypto.h"

namespace muster::audit {

Trail::Trail(std::unique_ptr<Log> log, const io::Clock& clock, TrailOptions options)
    : clock_(clock), options_(std::move(options)), directory_(log->directory()), log_(std::move(log)) {
  log_->on_tick([this, log = log_.get()] { summarise(*log); });
}

Trail::~Trail() {
  log_->on_tick({});
  std::vector<Event> counted;
  {
    const std::lock_guard lock(mutex_);
    counted = denials_.all();
  }
  for (const Event& event : counted) log_->append(to_text(event), false, {});
  log_.reset();  // joins its threads, one of which may be in summarise()
}

Status Trail::may_change() const {
  if (!log_->failing()) return {};
  return make_error(ErrorKind::kUnavailable, "The audit log cannot be written: changes are refused until it can.");
}

void Trail::complete(Event& event) const {
  event.region = options_.realm.region;
  event.account_id = options_.realm.account_id;
  if (event.time_ms == 0) event.time_ms = clock_.now_ms();
  if (event.id.empty()) event.id = random_uuid();
  if (event.request_id.empty()) event.request_id = random_uuid();
}

void Trail::record(Event event, Log::Done done) {
  complete(event);
  const bool durable = !event.read_only;
  log_->append(to_text(event), durable, std::move(done));
}

void Trail::record_denial(Event event, Log::Done done) {
  complete(event);
  bool is_new = false;
  {
    const std::lock_guard lock(mutex_);
    is_new = denials_.is_new(event);
  }
  if (is_new) return record(std::move(event), std::move(done));
  if (done) done({});
}

// On the log's thread.
void Trail::summarise(Log& log) {
  std::vector<Event> over;
  {
    const std::lock_guard lock(mutex_);
    over = denials_.over(clock_.now_ms());
  }
  for (const Event& event : over) log.append(to_text(event), false, {});
}

}  // namespace muster::audit
