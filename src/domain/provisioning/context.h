// SPDX-License-Identifier: Apache-2.0
// Context: what provisioning needs from outside, made once by server/wiring: the realm, the device CA, and who must
// follow when a thing joins or leaves groups. Const and thread-safe after it is made. Effects: what a transaction did
// that somebody must hear of once it is durable; a body makes a fresh one each run.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "base/x509.h"
#include "domain/iam/policy/cache.h"
#include "domain/registry/groups.h"
#include "store/store.h"

namespace muster::provisioning {

struct Effects {
  bool messages = false;                         // the outbox has something new
  std::vector<std::function<void()>> committed;  // of followers
};

// Within the transaction that changes the memberships.
using MembershipFollower = std::function<Status(store::Tx&, const registry::MembershipChange&, Effects&)>;

struct Context {
  Realm realm;
  const x509::CertificateAuthority* authority = nullptr;  // the device CA
  iam::PolicyCache* policies = nullptr;                   // may be null
  MembershipFollower follow;                              // may be empty
  std::function<void(const Effects&)> announce;           // after the commit, any thread; may be empty

  void tell(const Effects& effects) const {
    if (announce) announce(effects);
  }
};

}  // namespace muster::provisioning
