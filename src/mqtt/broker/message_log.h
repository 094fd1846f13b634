// SPDX-License-Identifier: Apache-2.0
// MessageLog: what persistent sessions must not lose, on disk: messages owed to them, how far each got, and the QoS 2
// packet ids received. One record of store/append_log a round, so one sync serves everybody; a message is written once
// for all its receivers of the shard. Only read at start: while the server runs, the sessions have it all in memory.
//
// An entry is one message for one session, by (session id, number). It lives in the segment where it was written last;
// segments are dropped oldest first once nothing lives in them, and when too many have piled up behind a session that
// is long absent, the owner writes the oldest one's entries again (relocate). Records may be repeated (append_log.h),
// and are read in order.
//
// A record is a sequence of items, little-endian:
//   'M' flags 1 (QoS 2 bits) | expires_ms 8 | created_ms 8 | property mask 8 | topic 4+n | properties 4+n | payload 4+n
//   'T' session 8 | number 8 | flags 1 (QoS 2 bits, retain, released, shared) | identifiers 1+4n   of the last 'M'
//   'D' session 8 | number 8       done: acknowledged, expired or dropped
//   'R' session 8 | number 8       QoS 2: the client has it (PUBREC)
//   'I' session 8 | packet id 2    QoS 2: received from the client
//   'O' session 8 | packet id 2    released by the client (PUBREL)
//   'E' session 8                  the session has ended
//
// Owned by a shard, on its loop.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

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
};
using RestoredQueues = std::unordered_map<std::uint64_t, RestoredSession>;

// Applies one record; what it cannot read is logged and left out.
void restore_record(std::string_view record, RestoredQueues& into);

struct MessageEntry {
  std::uint64_t session = 0;
  std::uint64_t number = 0;
  std::uint8_t qos = 1;
  bool retain = false;
  bool released = false;
};

class MessageLog {
 public:
  using OnDurable = std::function<void(const std::vector<Waiter>&)>;

  // `log` without anything appended to it. `on_durable` on the loop.
  MessageLog(io::Loop& loop, std::unique_ptr<store::AppendLog> log, OnDurable on_durable);
  ~MessageLog();

  // --- collected into this round's record
  void message(const Publish& packet, std::int64_t expires_ms, std::int64_t created_ms);
  // Of the last message(). Returns the segment it lives in.
  std::uint64_t entry(const MessageEntry& entry, const std::vector<std::uint32_t>& identifiers);
  void released(std::uint64_t session, std::uint64_t number);
  void received(std::uint64_t session, std::uint16_t packet_id);
  void completed(std::uint64_t session, std::uint16_t packet_id);
  // These need not be there soon: they go with the next record, at the latest with flush_lazy().
  void done(std::uint64_t session, std::uint64_t number, std::uint64_t segment);
  void ended(std::uint64_t session);

  // Called when what was collected until now is durable, and everything before it.
  void wait(Waiter waiter);
  void wait(std::function<void()> durable);
  // What is collected now belongs to this round; durable(round) says when it is on disk.
  std::uint64_t round() const { return round_; }
  bool durable(std::uint64_t round) const { return round <= durable_round_; }

  // At the end of a round: appends the record, or releases who waits for nothing.
  void commit();
  void flush_lazy();  // then commit()

  bool idle() const { return open_.empty() && flying_.empty() && waiters_.empty() && callbacks_.empty(); }
  bool failing() const { return log_->failing(); }
  std::uint64_t syncs() const { return log_->syncs(); }

  // Drops segments in which nothing lives. Returns true when too many are left: relocate the entries of first_segment()
  // by message(), entry() and lost_place().
  bool trim(std::size_t max_segments);
  std::uint64_t first_segment() const { return log_->first_segment(); }
  std::uint64_t segment() const { return log_->segment(); }
  // Packet ids received live in no segment: before one is dropped that had some, all of them are written again.
  void on_rewrite_received(std::function<void()> rewrite) { rewrite_received_ = std::move(rewrite); }
  void lost_place(std::uint64_t segment);  // an entry lives elsewhere now
  Status wait_until_durable();             // blocks; before the loop runs
  // Everything before what was appended by now goes, once that is durable (at start).
  void drop_before(std::uint64_t segment) { log_->remove_before(segment); }

 private:
  struct Segment {
    std::uint64_t live = 0;
    bool received = false;
  };
  struct Flying {
    std::uint64_t round = 0;
    std::uint64_t position = 0;
    std::vector<Waiter> waiters;
    std::vector<std::function<void()>> callbacks;
  };
  struct Posted;
  void reached(std::uint64_t position);
  void release(Flying& batch);
  void header(char kind, std::uint64_t session);

  std::unique_ptr<store::AppendLog> log_;
  OnDurable on_durable_;
  std::shared_ptr<Posted> posted_;
  std::string open_;
  bool urgent_ = false;
  std::uint64_t round_ = 1;
  std::uint64_t durable_round_ = 0;
  std::vector<Waiter> waiters_;
  std::vector<std::function<void()>> callbacks_;
  std::deque<Flying> flying_;
  std::map<std::uint64_t, Segment> segments_;
  std::function<void()> rewrite_received_;
};

}  // namespace muster::mqtt
