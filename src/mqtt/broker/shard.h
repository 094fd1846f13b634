// SPDX-License-Identifier: Apache-2.0
// Shard: one loop's part of the broker: the connections and sessions whose client ids hash to it. Its parts are in
// connecting.cc, subscribing.cc, publishing.cc, routing.cc, delivery.cc, queueing.cc, rounds.cc and client_link.cc. On
// its loop only; it speaks to other shards by parcels (parcel.h) posted at the end of a round. Nothing in here ends a
// connection while messages are being routed: broken connections and due wills wait for the end of the round.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "mqtt/broker/broker.h"
#include "mqtt/broker/client_link.h"
#include "mqtt/broker/deadlines.h"
#include "mqtt/broker/hub.h"
#include "mqtt/broker/images.h"
#include "mqtt/broker/journal.h"
#include "mqtt/broker/message_log.h"
#include "mqtt/broker/parcel.h"
#include "mqtt/broker/routes.h"
#include "mqtt/broker/session.h"
#include "mqtt/protocol/connection.h"

namespace muster::mqtt {

enum class WillAction : std::uint8_t { kPublish, kDrop, kKeep };  // kKeep: with the record, for the next start

// What must come true before somebody is told that a message is taken.
struct Owed {
  Waiter waiter;
  bool wanted = false;  // QoS above 0
  std::uint32_t conditions = 0;
};

// A message for a session that another shard has numbered and logged.
struct Numbered {
  std::uint64_t number = 0;
  std::uint64_t segment = 0;
  std::uint64_t position = 0;
};

struct Shard : std::enable_shared_from_this<Shard> {
  Shard(Hub& shared, std::uint16_t number, io::Loop& on, const io::Clock& time, store::Store& records, Authorizer& who);
  ~Shard();

  // rounds.cc: rounds and time
  void accept(std::unique_ptr<io::Stream> stream, Arrival arrival, bool moved);
  void move_away(ClientLink& link, std::size_t to, std::string received);
  void need_round_end();
  void end_round();
  void close_ended();
  void commit_log();
  void tick();
  void check_writers();
  void arm_tick();
  void durable(const std::vector<Waiter>& waiters);
  void settle(const Waiter& waiter);  // one condition came true; of any shard
  ClientLink* find_link(std::uint64_t id);
  ListenerStats& listener_stats(std::uint16_t listener);
  bool may_log();  // at most kLogLinesASecond lines about clients
  bool connects_too_often(const std::string& client_id);
  void resume_throttled();
  void stop(std::function<void()> stopped);
  void recheck(std::string_view principal_id);
  void trim_log();

  // summaries.cc
  ClientSummary summary_of(const Session& session) const;
  std::vector<ClientSummary> summaries(const std::string& after, std::size_t limit) const;
  std::vector<ClientSummary> find_clients(const ClientQuery& query) const;
  LifecycleClient lifecycle_client(const ClientLink& link, std::string_view client_id);

  // connecting.cc: connections and sessions
  void begin_connect(ClientLink& link, const Connect& packet);
  void authorized(std::uint64_t link_id, Authorizer::Decision decision);
  void establish(ClientLink& link);
  void answer_connect(ClientLink& link, Session& session, bool session_present, std::uint32_t asked_expiry_s,
                      bool assigned_id);
  void refuse(ClientLink& link, Reason reason, std::string_view why);
  // The connection is over: its session goes on, or ends. `why` for the log and the client list.
  void end_link(ClientLink& link, std::string_view why, WillAction will, EndCause cause);
  void disconnect(ClientLink& link, Reason reason, std::string_view why,
                  EndCause cause);  // ours: DISCONNECT, then end_link
  Session* find_session(std::string_view client_id);
  Session& make_session(std::string_view client_id, std::uint64_t id);
  std::uint64_t sent_until(const Session& session) const;
  void end_session(Session& session);
  void expire_session_later(Session& session);
  void forget_times(Session& session);
  void take_will(Session& session);  // publishes it at the end of the round
  void store_session(Session& session);

  // subscribing.cc
  void subscribe(ClientLink& link, const Subscribe& packet);
  Reason subscribe_one(ClientLink& link, const SubscribeFilter& wanted, std::uint32_t identifier, bool& existed);
  void send_retained(Session& session, std::string_view filter, const Subscription& subscription);
  void unsubscribe(ClientLink& link, const Unsubscribe& packet);
  void end_oversized(ClientLink& link);
  void log_refused_filter(ClientLink& link, std::string_view filter, std::string_view why);
  void drop_subscription(Session& session, std::string_view filter);
  // The session goes on for whoever comes now: without the filters, and what waits by them alone, that it may not have.
  void hand_over(Session& session, ConnectionGrant& to);
  void keep_wanted(Session& session);  // of what waits or was sent

  // publishing.cc: what comes in
  void publish(ClientLink& link, const Publish& packet);
  bool within_limits(ClientLink& link, const Publish& packet);
  void log_refusal(ClientLink& link, std::string_view why, std::string_view topic, std::size_t value);
  bool offer_ingress(ClientLink& link, const Publish& packet);
  void ingress_handled(std::uint64_t link_id, std::uint32_t ack, std::uint8_t qos, std::uint16_t packet_id,
                       bool accepted);
  void reply(std::uint64_t link_id, const std::string& topic, const std::string& payload);
  void publish_wills();
  void publish_for_server(const Publish& packet, std::function<void()> done);
  // False: no room for a retained message.
  bool set_retained(const Publish& packet, Owed& owed);
  bool retained_fits(const Publish& packet);
  void write_retained();  // shard 0: to the store, in order
  std::uint32_t next_call() const { return last_call + 1; }

  // routing.cc: who gets it
  const Route& route_of(std::string_view topic);
  void begin_message();
  void finish_message(Owed& owed);
  // True when there was somebody; `owed` counts what must come true.
  bool route(const Publish& packet, const Session* origin, Owed& owed);
  void pack(const Route& found, const Publish& packet, std::size_t shard, Owed& owed);
  Parcel& parcel_for(std::size_t shard);
  void hold_for_congested(Owed& owed);
  void send_parcels();
  // A shard, or the disk, is so far behind that publishers have to wait: what is under way is bounded.
  bool backlogged() const;
  void take_parcel(const Parcel& parcel);

  // delivery.cc: what goes out
  void deliver(Session& session, std::uint8_t granted, bool retain_as_published,
               std::span<const std::uint32_t> identifiers, const Publish& packet, const Numbered* numbered);
  void send_now(Session& session, ClientLink& link, const PublishImage& image);  // QoS 0
  void log_message(const Publish& packet);
  void log_entry(Session& session, Held& held, const Publish& packet);
  void drain(Session& session);
  bool drain_one(Session& session, ClientLink& link);
  bool is_durable(const Held& held);
  void await_log(Session& session);
  bool resend(Session& session, ClientLink& link);
  void acknowledged(Session& session, std::uint64_t number);
  bool released(Session& session, std::uint64_t number);  // true: must become durable

  // queueing.cc: what waits
  // Puts a QoS 1 or 2 message behind what waits for the session; drain() sends it when it may.
  void owe(Session& session, const MessageRef& message, std::uint8_t qos, bool retain,
           std::vector<std::uint32_t> identifiers, bool durable);
  void enqueue(Session& session, Held held);
  static Held pop_queue(Session& session);
  void release_acks(Session& session);        // those held back for its sake
  void forget(Session& session, Held& held);  // accounting and stored copy
  void count_drop(Session& session, std::string_view why);
  // Writes what lives in `segment` (0: all) to the message log again.
  void rewrite_entries(std::uint64_t segment);

  Hub& hub;
  const std::uint16_t index;
  io::Loop& loop;
  const io::Clock& clock;
  store::Store& store;
  Authorizer& authorizer;
  BrokerStats stats;
  std::vector<std::unique_ptr<ListenerStats>> by_listener;
  Journal journal;
  std::unique_ptr<MessageLog> log;
  std::vector<IngressHook*> hooks;

  std::unordered_map<std::uint64_t, std::unique_ptr<ClientLink>> links;
  std::uint64_t last_link = 0;
  std::unordered_map<std::string, std::unique_ptr<Session>, TextHash, std::equal_to<>> sessions;
  std::unordered_map<std::uint64_t, Session*> sessions_by_id;
  std::set<std::pair<std::int64_t, Session*>> expiring;  // (expires_ms, disconnected session)
  std::set<std::pair<std::int64_t, Session*>> wills_due;
  std::unordered_set<Session*> holding;  // with held_acks
  Deadlines deadlines;
  // Calls of the server that wait for conditions, by number.
  struct Call {
    std::uint32_t conditions = 0;
    std::function<void()> done;
  };
  std::unordered_map<std::uint32_t, Call> calls;
  std::uint32_t last_call = 0;

  // This round.
  std::int64_t now_ms = 0;  // wall
  std::int64_t steady_ms = 0;
  bool round_end_asked = false;
  std::vector<ClientLink*> dirty;
  std::vector<std::uint64_t> broken;
  std::vector<std::uint64_t> resumed;
  std::vector<std::uint64_t> ended;
  std::vector<SessionWill> wills;
  std::vector<std::uint64_t> blocked;             // waiting to write
  std::vector<std::uint64_t> awaiting_log;        // sessions whose next message is not durable yet
  std::vector<std::unique_ptr<Parcel>> outgoing;  // by shard; null: empty
  std::uint64_t log_position = 0;                 // behind the last record of this shard
  std::atomic<bool> retained_poked{false};
  std::atomic<std::size_t> inbound_bytes{0};  // parcels on their way to this shard

  // Scratch.
  std::string read_buffer;
  std::vector<std::string> spare_output;  // buffers of connections that have nothing to send
  Routes routes;
  std::vector<Session*> congested;  // by the message that is being routed
  MessageRef kept;                  // the message that is being routed, once somebody keeps it
  bool logged = false;              // it is in this round's record of the message log
  bool durable_owed = false;        // an entry of it is
  Images images;
  PublishImage single;
  PropertyWriter properties;

  std::unique_ptr<io::Loop::TimerToken> ticker;
  std::int64_t retained_look_ms = 0;
  std::int64_t log_second = 0;
  int log_lines = 0;
  std::uint64_t log_left_out = 0;
  // CONNECTs of this second by client id, when mqtt.max_connects_per_second is set.
  std::unordered_map<std::string, std::uint32_t> recent_connects;
  std::int64_t recent_second = 0;
  std::vector<std::uint64_t> throttled;  // not read until the next second
  bool stopping = false;
  std::function<void()> on_stopped;

  void refresh_time() {
    now_ms = clock.now_ms();
    steady_ms = clock.steady_ms();
  }
};

// loading.cc: what earlier processes left goes to its shards. Blocks; before the loops run.
Status load_shards(Hub& hub);

}  // namespace muster::mqtt
