// SPDX-License-Identifier: Apache-2.0
// What a shard shows of its clients.
#include <algorithm>
#include <unordered_set>

#include "mqtt/broker/shard.h"

namespace muster::mqtt {

std::vector<ClientSummary> Shard::summaries(const std::string& after, std::size_t limit) const {
  std::vector<const Session*> chosen;
  for (const auto& [client_id, owned] : sessions) {
    if (client_id > after) chosen.push_back(owned.get());
  }
  const auto by_id = [](const Session* a, const Session* b) { return a->client_id < b->client_id; };
  if (chosen.size() > limit) {
    std::nth_element(chosen.begin(), chosen.begin() + static_cast<std::ptrdiff_t>(limit), chosen.end(), by_id);
    chosen.resize(limit);
  }
  std::sort(chosen.begin(), chosen.end(), by_id);
  std::vector<ClientSummary> list;
  list.reserve(chosen.size());
  for (const Session* session : chosen) list.push_back(summary_of(*session));
  return list;
}

std::vector<ClientSummary> Shard::find_clients(const ClientQuery& query) const {
  const std::unordered_set<std::string_view> certificates(query.certificate_ids.begin(), query.certificate_ids.end());
  std::unordered_set<const Session*> chosen;
  for (const std::string& id : query.client_ids) {
    if (const auto at = sessions.find(id); at != sessions.end()) chosen.insert(at->second.get());
  }
  if (!certificates.empty()) {
    for (const auto& [client_id, owned] : sessions) {
      if (owned->principal_kind == PrincipalKind::kCertificate && certificates.contains(owned->principal_id))
        chosen.insert(owned.get());
    }
  }
  std::vector<ClientSummary> list;
  list.reserve(chosen.size());
  for (const Session* session : chosen) list.push_back(summary_of(*session));
  return list;
}

ClientSummary Shard::summary_of(const Session& session) const {
  ClientSummary row;
  row.client_id = session.client_id;
  row.protocol = static_cast<std::uint8_t>(session.version);
  row.principal_id = session.principal_id;
  row.principal_kind = session.principal_kind;
  row.session_expiry_s = session.expiry_s;
  row.subscriptions = session.filters.size();
  row.inflight = session.inflight.outgoing.size();
  row.queued = session.queue.size();
  row.queued_bytes = session.held_bytes;
  row.dropped = session.dropped;
  row.disconnected_ms = session.disconnected_ms;
  row.last_disconnect = session.last_disconnect;
  if (session.link != nullptr) {
    row.connected = session.link->ready;
    row.keep_alive_s = session.link->connection.keep_alive_s();
    row.connected_ms = session.link->connected_ms;
    row.listener = hub.listeners[session.link->listener];
    const io::PeerInfo& peer = session.link->stream->peer();
    row.address = peer.address;
    row.port = peer.port;
    row.tls = peer.tls;
  }
  return row;
}

LifecycleClient Shard::lifecycle_client(const ClientLink& link, std::string_view client_id) {
  LifecycleClient client;
  client.client_id = client_id;
  if (link.grant) {
    client.principal_id = link.grant->principal_id();
  } else if (link.pending) {
    client.principal_id = link.pending->principal_id;
  }
  client.session_identifier = link.session_identifier;
  client.address = link.stream->peer().address;
  client.now_ms = now_ms;
  return client;
}

}  // namespace muster::mqtt
