// SPDX-License-Identifier: Apache-2.0
// Notices: what devices hear of a change of their pending list (notify, notify-next), kept in the outbox as compact
// lines, many things to a record, and put into topics and payloads only when they leave and only where somebody
// subscribes: most of a million things are absent, and a document's URLs are signed at delivery, not at commit.
// A subscriber that came after the commit reads the list itself, as on AWS. Owned by nobody: values and functions.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "domain/jobs/context.h"
#include "domain/jobs/pending.h"
#include "store/outbox.h"
#include "store/store.h"

namespace muster::jobs {

struct Notice {
  std::string thing;
  std::string namespace_id;
  std::int64_t at_ms = 0;
  bool listed = false;                // notify, with these entries
  bool next = false;                  // notify-next, with the first of them, or nothing when there is none
  std::vector<PendingEntry> entries;  // at most Limits::notify_entries
};

// At once, or gathered in effects.notices when effects.gather is set; then flush_notices() writes them.
void announce(store::Tx& tx, const Notice& notice, Effects& effects);
void flush_notices(store::Tx& tx, Effects& effects);

// Is this outbox message one of ours?
bool holds_notices(const store::OutboxMessage& message);
std::vector<Notice> parse_notices(std::string_view payload);

using Wanted = std::function<bool(std::string_view topic)>;
// The messages of a notice that somebody wants: notify, then notify-next.
Result<std::vector<store::OutboxMessage>> messages_of(const Context& context, store::Tx& tx, const Notice& notice,
                                                      const Wanted& wanted);

// Sits between the outbox and who delivers: expands notices, hands on everything else as it is, in order and in bounded
// pieces, and waits for pieces to be handled before it makes more.
class NoticeExpander {
 public:
  // The store outlives it. `deliver` is the outbox's former publisher.
  NoticeExpander(store::Store& store, Context context, Wanted wanted, store::Publisher deliver);
  // The outbox's publisher. Blocks its thread while much is under way; stop() releases it.
  void publish(std::vector<store::OutboxMessage> batch, std::function<void()> handled);
  void stop();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace muster::jobs
