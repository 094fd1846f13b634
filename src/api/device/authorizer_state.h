// SPDX-License-Identifier: Apache-2.0
// The inside of DeviceAuthorizer, shared by authorizer.cc (who may connect) and authorizer_reload.cc (what reaches live
// connections): its state, and the grant of a connection by certificate or by the plain listener's policy. All of it on
// the broker's loop; the state lives as long as the authorizer or any grant.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "api/device/answer_cache.h"
#include "api/device/authorizer.h"
#include "api/device/denials.h"
#include "api/device/device_calls.h"
#include "api/device/explain_access.h"
#include "api/device/iam_rights.h"
#include "api/device/token_grant.h"
#include "domain/security/device_facts.h"

namespace muster::api::device {

using security::DeviceFacts;
using security::FactsRequest;
using security::PolicyGenerations;
using security::RightsKind;

struct Refusal {
  std::string code;
  std::string reason;  // without a full stop
};

class DeviceGrant;

struct DeviceAuthorizer::State : std::enable_shared_from_this<DeviceAuthorizer::State> {
  State(io::Loop& on, store::Store& records, Realm where, security::PolicyGenerations& changes,
        AuthorizerOptions chosen)
      : loop(on),
        store(records),
        realm(std::move(where)),
        generations(changes),
        options(std::move(chosen)),
        prefix("arn:aws:iot:" + realm.region + ":" + realm.account_id + ":"),
        iam(on, records, realm, cache) {}

  TokenDoor token_door() { return {loop, realm, options.tokens, options.sys_topics, refused, token_sessions}; }
  void decide(const FactsRequest& request, int reading, const std::function<void(Decision)>& done);
  void judge(const FactsRequest& request, int reading, std::uint64_t then, DeviceFacts found,
             const std::function<void(Decision)>& done);
  void changed(RightsKind kind, const std::string& name);
  // Of one change: what is still to be read, and whom to tell.
  struct Reload {
    RightsKind kind = RightsKind::kCertificate;
    std::string name;
    std::deque<std::uint64_t> grants;  // in turn: one that must be read once more goes behind the others
    std::vector<std::string> refused;  // principals that are still to be told; more than kNamed: any
    unsigned batches = 0;
  };
  using Work = std::shared_ptr<Reload>;
  void reload(Work work);
  void reload_policy(Work work);
  void again_later(Work work);
  void tell(Work work);  // of those refused so far, without waiting for the rest
  void finish(Work work);
  // Whether there is anything to hear by a filter; says in the log why not.
  bool served(std::string_view filter, std::string_view client) const;
  iam::Principal certificate(const std::string& id) const;
  // A refusal that has one reason.
  void remember(const Refused& who, const Refusal& refusal) const;

  io::Loop& loop;
  store::Store& store;
  const Realm realm;
  security::PolicyGenerations& generations;
  const AuthorizerOptions options;
  const std::string prefix;
  iam::PolicyCache cache;
  std::function<void(std::string)> refused;
  // On the loop.
  std::unordered_map<std::uint64_t, DeviceGrant*> grants;
  std::set<std::pair<PolicyGenerations::Slot, std::uint64_t>> made_of;  // and the grants that are
  std::uint64_t last_grant = 0;
  using Change = std::pair<RightsKind, std::string>;
  std::set<Change> pending;  // changes with a reload under way, and those that came again meanwhile
  std::set<Change> again;
  std::string resource;  // scratch
  AnswerRoom room;
  IamConnections iam;
  const std::shared_ptr<TokenSessions> token_sessions = make_token_sessions();
};

// On the broker's loop, like everything that holds it.
class DeviceGrant final : public mqtt::ConnectionGrant, public KnownClient {
 public:
  DeviceGrant(std::shared_ptr<DeviceAuthorizer::State> owner, FactsRequest asked, DeviceFacts found)
      : owner_(std::move(owner)),
        id_(++owner_->last_grant),
        request_(std::move(asked)),
        facts_(std::move(found)),
        principal_(request_.certificate_id.empty() ? "plain:" + request_.plain_policy : request_.certificate_id) {
    owner_->grants.emplace(id_, this);
    watch();
    forget();
  }
  ~DeviceGrant() override {
    unwatch();
    owner_->grants.erase(id_);
  }

  iam::Principal caller() const override {
    return request_.certificate_id.empty() ? iam::Principal() : owner_->certificate(request_.certificate_id);
  }
  const std::string& source_ip() const override { return request_.source_ip; }
  bool may_publish(std::string_view topic, bool retain) override {
    if (publish_all_ && !retain) return true;
    AnswerCache& known = retain ? known_retain_ : known_publish_;
    const bool may = known.answer(topic, [&] {
      return allowed("iot:Publish", "topic/", topic) && (!retain || allowed("iot:RetainPublish", "topic/", topic));
    });
    if (!may) remember(retain && allowed("iot:Publish", "topic/", topic) ? "iot:RetainPublish" : "iot:Publish", topic);
    return may;
  }
  bool may_subscribe(std::string_view filter) override {
    const bool may = filter_allowed(filter);
    if (!may) remember("iot:Subscribe", filter);
    return may;
  }
  // Asked for every message: only the first refusal of a topic is worth a memory.
  bool may_receive(std::string_view topic) override {
    if (receive_all_) return true;
    return known_receive_.answer(topic, [&] {
      const bool may = allowed("iot:Receive", "topic/", topic);
      if (!may) remember("iot:Receive", topic);
      return may;
    });
  }
  bool is_valid() const { return facts_.valid; }
  bool still_valid() override { return facts_.valid && allowed("iot:Connect", "client/", request_.client_id); }
  std::string_view principal_id() const override { return principal_; }
  mqtt::PrincipalKind principal_kind() const override {
    return request_.certificate_id.empty() ? mqtt::PrincipalKind::kPlain : mqtt::PrincipalKind::kCertificate;
  }
  std::int64_t expires_ms() const override { return facts_.not_after_ms; }

  void replace(DeviceFacts facts) {
    unwatch();
    facts_ = std::move(facts);
    watch();
    forget();
  }
  void replace_policy(std::string_view name, std::string_view document) {
    security::replace_policy(facts_, name, document, owner_->cache);
    forget();
  }
  bool changed_since(std::uint64_t then) const { return owner_->generations.changed_since(then, facts_.made_of); }
  const FactsRequest& request() const { return request_; }
  void remember(std::string_view action, std::string_view name) {
    if (owner_->options.denials == nullptr) return;
    iam::Principal who;
    if (!request_.certificate_id.empty()) who = owner_->certificate(request_.certificate_id);
    const Refused refused{request_.client_id,
                          request_.source_ip,
                          action,
                          name,
                          principal_,
                          principal_kind(),
                          request_.certificate_id.empty() ? nullptr : &who};
    owner_->options.denials->record(refused, [&] {
      const AccessQuestion question{action, name, {request_.client_id}, owner_->options.sys_topics};
      return explain_access(owner_->realm, facts_, question);
    });
  }

 private:
  void watch() {
    owner_->generations.watch(facts_.made_of);
    for (const PolicyGenerations::Slot slot : facts_.made_of) owner_->made_of.emplace(slot, id_);
  }
  void unwatch() {
    owner_->generations.unwatch(facts_.made_of);
    for (const PolicyGenerations::Slot slot : facts_.made_of) owner_->made_of.erase({slot, id_});
  }
  // What was answered before does not count any more.
  void forget() {
    const std::string below = owner_->prefix + "topic/";
    publish_all_ = allows_all_below(facts_, "iot:Publish", below);
    receive_all_ = allows_all_below(facts_, "iot:Receive", below);
    known_publish_.forget();
    known_retain_.forget();
    known_receive_.forget();
  }
  bool filter_allowed(std::string_view filter) {
    if (!owner_->served(filter, request_.client_id)) return false;
    std::string& resource = owner_->resource;
    resource.assign(owner_->prefix).append("topicfilter/").append(filter);
    return allows_filter(facts_, resource, filter);
  }
  bool allowed(std::string_view action, std::string_view kind, std::string_view name) {
    std::string& resource = owner_->resource;
    resource.assign(owner_->prefix).append(kind).append(name);
    return allows(facts_, action, resource);
  }

  std::shared_ptr<DeviceAuthorizer::State> owner_;
  std::uint64_t id_;
  FactsRequest request_;
  DeviceFacts facts_;
  std::string principal_;
  bool publish_all_ = false, receive_all_ = false;  // whatever the topic
  AnswerCache known_publish_{&owner_->room}, known_retain_{&owner_->room}, known_receive_{&owner_->room};
};

}  // namespace muster::api::device
