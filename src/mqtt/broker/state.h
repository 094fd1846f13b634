// SPDX-License-Identifier: Apache-2.0
// Broker::State: what the broker's parts share (connecting.cc, subscribing.cc, publishing.cc, delivery.cc, loading.cc,
// broker.cc, client_link.cc). On the loop only. Nothing in here ends a connection while messages are being routed:
// broken connections and due wills wait for the end of the round.
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
#include "mqtt/broker/images.h"
#include "mqtt/broker/journal.h"
#include "mqtt/broker/retained.h"
#include "mqtt/broker/session.h"
#include "mqtt/broker/subscriptions.h"
#include "mqtt/protocol/connection.h"

namespace muster::mqtt {

enum class WillAction : std::uint8_t { kPublish, kDrop, kKeep };  // kKeep: with the record, for the next start

struct Broker::State : std::enable_shared_from_this<Broker::State> {
  State(io::Loop& on, const io::Clock& time, store::Store& records, Authorizer& who, const BrokerOptions& limits);
  ~State();

  // loading.cc
  Status load();

  // broker.cc: rounds and time
  void need_round_end();
  void end_round();
  void tick();
  void arm_tick();
  void durable(const std::vector<Journal::Waiter>& waiters);
  ClientLink* find_link(std::uint64_t id);
  ClientSummary summary_of(const Session& session) const;
  std::vector<ClientSummary> summaries(const std::string& after, std::size_t limit) const;
  LifecycleClient lifecycle_client(const ClientLink& link, std::string_view client_id);
  bool may_log();  // at most kLogLinesASecond lines about clients

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
  Session& make_session(std::string_view client_id);
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
  void drop_subscription(Session& session, std::string_view filter);

  // publishing.cc: what comes in
  void publish(ClientLink& link, const Publish& packet);
  bool offer_ingress(ClientLink& link, const Publish& packet);
  void ingress_handled(std::uint64_t link_id, std::uint32_t ack, std::uint8_t qos, bool accepted);
  void reply(std::uint64_t link_id, const std::string& topic, const std::string& payload);
  void publish_wills();
  bool set_retained(const Publish& packet);  // true when something must become durable
  void acknowledge(ClientLink& link, const Publish& packet, bool matched, bool durable_first);

  // delivery.cc: what goes out
  struct Routed {
    bool matched = false;
    bool durable = false;  // records were collected that must be durable before this message is acknowledged
  };
  Routed route(const Publish& packet, const Session* origin);
  struct Match {
    Session* session = nullptr;
    std::uint8_t qos = 0;
    bool retain_as_published = false;
    std::uint32_t first_identifier = 0;  // 1-based into identifiers_; 0 = none
  };
  void deliver(const Match& match, const Publish& packet, MessageRef& kept, Routed& routed);
  void send_now(Session& session, ClientLink& link, const PublishImage& image);  // QoS 0
  // Puts a QoS 1 message behind what waits for the session; drain() sends it when it may.
  bool owe(Session& session, const MessageRef& message, bool retain, std::vector<std::uint32_t> identifiers,
           bool durable);
  void enqueue(Session& session, Held held);
  void drain(Session& session);
  bool resend(Session& session, ClientLink& link);
  void acknowledged(Session& session, std::uint64_t number);
  void release_acks(Session& session);        // those held back for its sake
  void forget(Session& session, Held& held);  // accounting and stored copy
  void count_drop(Session& session, std::string_view why);

  io::Loop& loop;
  const io::Clock& clock;
  store::Store& store;
  Authorizer& authorizer;
  const BrokerOptions options;
  ConnectionLimits limits;
  BrokerStats stats;
  Journal journal;
  Subscriptions subscriptions;
  Retained retained;
  std::vector<IngressHook*> hooks;
  Lifecycle* lifecycle = nullptr;
  std::vector<std::string> listeners{"other"};

  std::size_t stranger_bytes = 0;  // kept for connections that are not let in yet; outlives them
  std::unordered_map<std::uint64_t, std::unique_ptr<ClientLink>> links;
  std::uint64_t last_link = 0;
  std::unordered_map<std::string, std::unique_ptr<Session>, TextHash, std::equal_to<>> sessions;
  std::set<std::pair<std::int64_t, Session*>> expiring;  // (expires_ms, disconnected session)
  std::set<std::pair<std::int64_t, Session*>> wills_due;
  std::unordered_set<Session*> holding;  // with held_acks
  Deadlines deadlines;

  // This round.
  std::int64_t now_ms = 0;  // wall
  std::int64_t steady_ms = 0;
  bool round_end_asked = false;
  std::vector<ClientLink*> dirty;
  std::vector<std::uint64_t> broken;
  std::vector<std::uint64_t> resumed;
  std::vector<std::uint64_t> ended;
  std::vector<SessionWill> wills;
  std::vector<std::uint64_t> blocked;  // waiting to write

  // Scratch.
  std::string read_buffer;
  std::vector<std::string> spare_output;  // buffers of connections that have nothing to send
  std::uint64_t match_round = 0;
  std::vector<Session*> congested;  // by the message that is being routed
  std::vector<Match> matches;
  std::vector<std::pair<std::uint32_t, std::uint32_t>> identifiers;  // (identifier, next 1-based)
  Images images;
  PublishImage single;
  PropertyWriter properties;

  std::unique_ptr<io::Loop::TimerToken> ticker;
  std::int64_t retained_look_ms = 0;
  std::int64_t log_second = 0;
  int log_lines = 0;
  bool stopping = false;
  std::function<void()> on_stopped;

  void refresh_time() {
    now_ms = clock.now_ms();
    steady_ms = clock.steady_ms();
  }
};

}  // namespace muster::mqtt
