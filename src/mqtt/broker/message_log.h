// SPDX-License-Identifier: Apache-2.0
// SharedLog and MessageLog: what persistent sessions must not lose, on disk: messages owed to them, how far each got,
// and the QoS 2 packet ids received. There is one SharedLog (a store/append_log) for the broker and a MessageLog for
// each shard, which collects a round of its shard into one record. The shard of a publisher writes a message once, for
// all its receivers of all shards, together with the packet id it came under: one record, there whole or not at all.
// Only read at start: while the server runs, the sessions have it all in memory.
//
// An entry is one message for one session, by (session id, number); numbers are never used twice. It lives in the
// segment where it was written last. Segments are dropped oldest first once nothing lives in them; when too many have
// piled up behind a session that is long absent, the shards write the oldest one's entries again. Records may be
// repeated (append_log.h), and are read in order.
//
// A record is a sequence of items, little-endian:
//   'M' flags 1 (QoS 2 bits) | expires_ms 8 | created_ms 8 | property mask 8 | topic 4+n | properties 4+n | payload 4+n
//   'T' session 8 | number 8 | flags 1 (QoS 2 bits, retain, released) | identifiers 1+4n     of the last 'M'
//   'D' session 8 | number 8       done: acknowledged, expired or dropped
//   'R' session 8 | number 8       QoS 2: the client has it (PUBREC)
//   'I' session 8 | packet id 2    QoS 2: received from the client
//   'O' session 8 | packet id 2    released by the client (PUBREL)
//   'E' session 8                  the session has ended
//   'V' version 8 | topic 4+n | stored form 4+n (empty: cleared)    the retained message of a topic, until the store
//   has it
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "io/loop.h"
#include "mqtt/broker/message.h"
#include "mqtt/broker/waiter.h"
#include "store/append_log.h"

namespace muster::mqtt {

// What earlier processes left, by session id.
struct RestoredEntry {
  MessageRef message;
  std::uint8_t qos = 1;
  bool retain = false;
  bool released = false;
  std::vector<std::uint32_t> identifiers;
};
struct RestoredSession {
  std::map<std::uint64_t, RestoredEntry> entries;  // by number
  std::set<std::uint16_t> received;
  std::uint64_t last_number = 0;  // of all that the log speaks of
};
struct RestoredRetained {
  std::uint64_t version = 0;  // the largest of the topic
  std::string stored;
};
struct RestoredLog {
  std::unordered_map<std::uint64_t, RestoredSession> sessions;
  std::unordered_map<std::string, RestoredRetained> retained;  // by topic
};

// Applies one record. kInternal when a part of it cannot be read; that and what follows it is left out.
Status restore_record(std::string_view record, RestoredLog& into);

struct MessageEntry {
  std::uint64_t session = 0;
  std::uint64_t number = 0;
  std::uint8_t qos = 1;
  bool retain = false;
  bool released = false;
};

class MessageLog;

// Thread-safe. Outlives its MessageLogs' use.
class SharedLog {
 public:
  explicit SharedLog(std::unique_ptr<store::AppendLog> log);
  ~SharedLog();

  std::uint64_t durable_position() const { return durable_; }
  bool failing() const { return log_->failing(); }
  std::uint64_t syncs() const { return log_->syncs(); }
  std::uint64_t segment() const { return log_->segment(); }
  std::size_t pending_bytes() const { return log_->pending_bytes(); }
  Status wait_until_durable();  // blocks
  // Everything before this segment goes, once what was appended by now is durable (at start).
  void drop_before(std::uint64_t segment) { log_->remove_before(segment); }
  // Drops segments in which nothing lives. 0, or the oldest segment when too many are left: what lives in it is to be
  // written again, by every shard.
  std::uint64_t trim(std::size_t max_segments);

 private:
  friend class MessageLog;
  using Living = std::map<std::uint64_t, std::int64_t>;  // segment -> entries, or their change
  std::uint64_t append(std::string_view record, Living& changes, std::uint64_t pinned);
  std::uint64_t pin();  // the present segment, kept until append() releases it
  void add(MessageLog* reader);
  void remove(MessageLog* reader);

  std::unique_ptr<store::AppendLog> log_;
  std::atomic<std::uint64_t> durable_{0};
  std::mutex mutex_;
  Living living_;
  std::vector<MessageLog*> readers_;
};

// A shard's, on its loop.
class MessageLog {
 public:
  using OnDurable = std::function<void(const std::vector<Waiter>&)>;

  MessageLog(io::Loop& loop, SharedLog& shared, OnDurable on_durable);
  ~MessageLog();

  // --- collected into this round's record
  void message(const Publish& packet, std::int64_t expires_ms, std::int64_t created_ms);
  // Of the last message(). Returns the segment it lives in.
  std::uint64_t entry(const MessageEntry& entry, std::span<const std::uint32_t> identifiers);
  void released(std::uint64_t session, std::uint64_t number);
  std::uint64_t received(std::uint64_t session, std::uint16_t packet_id);  // the segment it lives in
  void completed(std::uint64_t session, std::uint16_t packet_id, std::uint64_t segment);
  // Lives in the returned segment until lost_place().
  std::uint64_t retained(std::uint64_t version, std::string_view topic, std::string_view stored);
  // These need not be there soon: they go with the next record, at the latest with flush_lazy().
  void done(std::uint64_t session, std::uint64_t number, std::uint64_t segment);
  void ended(std::uint64_t session);
  void lost_place(std::uint64_t segment) { --changes_[segment]; }  // what lived there is gone or lives elsewhere

  // Called when what was collected until now is durable, and everything before it.
  void wait(Waiter waiter);
  void wait(std::function<void()> durable);
  // What is collected now belongs to this round; durable(round) says when it is on disk.
  std::uint64_t round() const { return round_; }
  bool durable(std::uint64_t round) const { return round <= durable_round_; }
  // The shard wants to hear when everything up to this position of the SharedLog is durable.
  bool durable_position(std::uint64_t position);

  // At the end of a round: appends the record, or releases who waits for nothing. Returns the position behind it, 0
  // when there was nothing to append.
  std::uint64_t commit();
  void flush_lazy();  // then commit()

  std::size_t open_bytes() const { return open_.size(); }
  bool idle() const { return !urgent_ && flying_.empty() && waiters_.empty() && callbacks_.empty(); }
  bool failing() const { return shared_.failing(); }

 private:
  friend class SharedLog;
  struct Flying {
    std::uint64_t round = 0;
    std::uint64_t position = 0;
    std::vector<Waiter> waiters;
    std::vector<std::function<void()>> callbacks;
  };
  struct Posted;
  void reached();
  void release(Flying& batch);
  void header(char kind, std::uint64_t session);
  std::uint64_t segment();

  SharedLog& shared_;
  OnDurable on_durable_;
  std::shared_ptr<Posted> posted_;
  std::string open_;
  SharedLog::Living changes_;
  std::uint64_t segment_ = 0;  // of this round's record, or an earlier one; 0: not asked yet
  bool urgent_ = false;
  bool wants_news_ = false;
  std::uint64_t round_ = 1;
  std::uint64_t durable_round_ = 0;
  std::vector<Waiter> waiters_;
  std::vector<std::function<void()>> callbacks_;
  std::deque<Flying> flying_;
};

}  // namespace muster::mqtt
