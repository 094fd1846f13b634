// SPDX-License-Identifier: Apache-2.0
// A notice is a line "THING at_ms [L][N] [@namespace]" and a line for each entry, indented by one space; notices follow
// each other. The outbox message's topic says what it is; no client can publish to it, and the broker never sees it.
#include "domain/jobs/notices.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <iterator>
#include <mutex>
#include <span>
#include <utility>

#include "base/log.h"
#include "base/text.h"
#include "domain/jobs/device_json.h"
#include "domain/jobs/documents.h"
#include "domain/jobs/executions.h"

namespace muster::jobs {

namespace {

constexpr std::string_view kTopic = "$muster/jobs/notices";
constexpr std::size_t kPieceMessages = 500;  // handed on at once
constexpr std::size_t kPiecesUnderWay = 4;
constexpr std::size_t kNoticesARead = 200;  // expanded in one transaction
constexpr auto kRetry = std::chrono::milliseconds(200);

void append_notice(std::string& out, const Notice& notice) {
  out.append(notice.thing).append(" ").append(std::to_string(notice.at_ms)).append(" ");
  if (notice.listed) out.push_back('L');
  if (notice.next) out.push_back('N');
  if (!notice.namespace_id.empty()) out.append(" @").append(notice.namespace_id);
  out.push_back('\n');
  for (const auto& entry : notice.entries) {
    out.push_back(' ');
    append_entry(out, entry);
    out.push_back('\n');
  }
}

std::optional<Notice> parse_first_line(std::string_view line) {
  const auto parts = split(line, ' ');
  if (parts.size() < 3 || parts.size() > 4) return std::nullopt;
  const auto at = parse_int(parts[1]);
  if (parts[0].empty() || !at) return std::nullopt;
  Notice notice;
  notice.thing = parts[0];
  notice.at_ms = *at;
  notice.listed = parts[2].find('L') != std::string_view::npos;
  notice.next = parts[2].find('N') != std::string_view::npos;
  if (parts.size() == 4) notice.namespace_id = parts[3].substr(std::min<std::size_t>(1, parts[3].size()));
  return notice;
}

std::string topic_of(const Notice& notice, std::string_view name) {
  std::string suffix(name);
  if (!notice.namespace_id.empty()) suffix.append("-namespace-").append(notice.namespace_id);
  return jobs_topic(notice.thing, suffix);
}

// nullopt: there is nothing to say any more, or it cannot be said.
Result<std::optional<std::string>> next_payload(const Context& context, store::Tx& tx, const Notice& notice) {
  if (notice.entries.empty()) return std::optional(notify_next_payload(notice.at_ms, nullptr));
  const PendingEntry& entry = notice.entries.front();
  TRY(const auto job, find_job(context, tx, entry.job));
  if (!job) return std::optional<std::string>();  // deleted since; that change has a notice of its own
  TRY(auto execution, find_execution(tx, notice.thing, entry.job, entry.number));
  // REMOVED leaves the version as it was.
  const bool same = execution && execution->version == entry.version && execution->status == entry.status;
  if (!same) execution = execution_of(entry);  // the record has moved on since
  auto document = deliver_document(context, tx, *job, notice.thing, entry.number);
  if (!document) {
    // The device still learns of the execution by notify, and gets the error when it asks.
    log::warn("notify-next not sent: job document cannot be made",
              {{"thing", notice.thing}, {"job", entry.job}, {"error", document.error().message}});
    return std::optional<std::string>();
  }
  DeviceExecution view = device_view(notice.thing, entry.job, *execution, tx.now_ms());
  view.document = *std::move(document);
  return std::optional(notify_next_payload(notice.at_ms, &view));
}

}  // namespace

void announce(store::Tx& tx, const Notice& notice, Effects& effects) {
  effects.messages = true;
  append_notice(effects.notices, notice);
  if (!effects.gather) flush_notices(tx, effects);
}

void flush_notices(store::Tx& tx, Effects& effects) {
  if (effects.notices.empty()) return;
  store::enqueue(tx, {std::string(kTopic), std::move(effects.notices), 1});
  effects.notices.clear();
}

bool holds_notices(const store::OutboxMessage& message) {
  return message.topic == kTopic;
}

std::vector<Notice> parse_notices(std::string_view payload) {
  std::vector<Notice> notices;
  while (!payload.empty()) {
    const auto end = std::min(payload.find('\n'), payload.size());
    const std::string_view line = payload.substr(0, end);
    payload.remove_prefix(std::min(end + 1, payload.size()));
    if (!line.starts_with(' ')) {
      if (auto notice = parse_first_line(line)) {
        notices.push_back(*std::move(notice));
      } else {
        log::error("malformed notice in the outbox; it is dropped", {{"bytes", line.size()}});
      }
    } else if (auto entry = parse_entry(line.substr(1)); entry && !notices.empty()) {
      notices.back().entries.push_back(*std::move(entry));
    }
  }
  return notices;
}

Result<std::vector<store::OutboxMessage>> messages_of(const Context& context, store::Tx& tx, const Notice& notice,
                                                      const Wanted& wanted) {
  std::vector<store::OutboxMessage> messages;
  if (notice.listed) {
    std::string topic = topic_of(notice, "notify");
    if (wanted(topic)) messages.push_back({std::move(topic), notify_payload(notice.at_ms, notice.entries), 1});
  }
  if (!notice.next) return messages;
  std::string topic = topic_of(notice, "notify-next");
  if (!wanted(topic)) return messages;
  TRY(auto payload, next_payload(context, tx, notice));
  if (payload) messages.push_back({std::move(topic), *std::move(payload), 1});
  return messages;
}

struct NoticeExpander::State {
  store::Store& store;
  const Context context;
  const Wanted wanted;
  const store::Publisher deliver;

  std::mutex mutex;
  std::condition_variable changed;
  std::size_t under_way = 0;
  bool stopping = false;

  // Counts the pieces of one batch, and tells its end to the outbox.
  struct Batch {
    std::mutex mutex;
    std::size_t left = 1;  // the expander itself
    bool whole = true;
    std::function<void()> handled;
    void done() {
      std::function<void()> tell;
      {
        const std::lock_guard lock(mutex);
        if (--left == 0 && whole) tell = std::move(handled);
      }
      if (tell) tell();
    }
  };

  bool hand_on(const std::shared_ptr<State>& self, std::vector<store::OutboxMessage>& piece,
               const std::shared_ptr<Batch>& batch);
  std::optional<std::vector<store::OutboxMessage>> expand(std::span<const Notice> notices);
  std::vector<Notice> wanted_of(std::vector<Notice> notices) const;
};

// False when stopping: the batch then stays in the outbox for the next start.
bool NoticeExpander::State::hand_on(const std::shared_ptr<State>& self, std::vector<store::OutboxMessage>& piece,
                                    const std::shared_ptr<Batch>& batch) {
  if (piece.empty()) return true;
  {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return stopping || under_way < kPiecesUnderWay; });
    if (stopping) return false;
    ++under_way;
  }
  {
    const std::lock_guard lock(batch->mutex);
    ++batch->left;
  }
  deliver(std::exchange(piece, {}), [self, batch] {
    {
      const std::lock_guard lock(self->mutex);
      --self->under_way;
      self->changed.notify_all();
    }
    batch->done();
  });
  return true;
}

// Waits for a store that refuses; gives up only when stopping.
std::optional<std::vector<store::OutboxMessage>> NoticeExpander::State::expand(std::span<const Notice> notices) {
  using Messages = std::vector<store::OutboxMessage>;
  while (true) {
    auto messages = store::run_blocking_for(store, [&](store::Tx& tx) -> Result<Messages> {
      Messages all;
      for (const auto& notice : notices) {
        TRY(auto some, messages_of(context, tx, notice, wanted));
        std::move(some.begin(), some.end(), std::back_inserter(all));
      }
      return all;
    });
    if (messages) return *std::move(messages);
    log::warn("notices of jobs cannot be expanded", {{"error", messages.error().message}});
    if (messages.error().kind == ErrorKind::kInternal) {  // a corrupt record stays corrupt
      if (notices.size() == 1) return Messages();
      Messages all;
      for (std::size_t i = 0; i < notices.size(); ++i) {
        auto some = expand(notices.subspan(i, 1));
        if (!some) return std::nullopt;
        std::move(some->begin(), some->end(), std::back_inserter(all));
      }
      return all;
    }
    std::unique_lock lock(mutex);
    changed.wait_for(lock, kRetry, [&] { return stopping; });
    if (stopping) return std::nullopt;
  }
}

// Most things are absent: asking for subscribers first spares the reading.
std::vector<Notice> NoticeExpander::State::wanted_of(std::vector<Notice> notices) const {
  std::erase_if(notices, [&](const Notice& notice) {
    return !(notice.listed && wanted(topic_of(notice, "notify"))) &&
           !(notice.next && wanted(topic_of(notice, "notify-next")));
  });
  return notices;
}

NoticeExpander::NoticeExpander(store::Store& store, Context context, Wanted wanted, store::Publisher deliver)
    : state_(new State{.store = store,
                       .context = std::move(context),
                       .wanted = std::move(wanted),
                       .deliver = std::move(deliver),
                       .mutex = {},
                       .changed = {}}) {}

void NoticeExpander::publish(std::vector<store::OutboxMessage> batch, std::function<void()> handled) {
  auto tally = std::make_shared<State::Batch>();
  tally->handled = std::move(handled);
  std::vector<store::OutboxMessage> piece;
  const auto give_up = [&] {
    const std::lock_guard lock(tally->mutex);
    tally->whole = false;
  };
  const auto hand_on = [&](bool all) {
    if (all || piece.size() >= kPieceMessages) return state_->hand_on(state_, piece, tally);
    return true;
  };
  for (auto& message : batch) {
    if (!holds_notices(message)) {
      piece.push_back(std::move(message));
      if (!hand_on(false)) return give_up();
      continue;
    }
    const auto notices = state_->wanted_of(parse_notices(message.payload));
    for (std::size_t at = 0; at < notices.size(); at += kNoticesARead) {
      const auto count = std::min(kNoticesARead, notices.size() - at);
      auto messages = state_->expand(std::span(notices).subspan(at, count));
      if (!messages) return give_up();
      std::move(messages->begin(), messages->end(), std::back_inserter(piece));
      if (!hand_on(false)) return give_up();
    }
  }
  if (!hand_on(true)) return give_up();
  tally->done();
}

void NoticeExpander::stop() {
  const std::lock_guard lock(state_->mutex);
  state_->stopping = true;
  state_->changed.notify_all();
}

}  // namespace muster::jobs
