// SPDX-License-Identifier: Apache-2.0
// UnknownCertificates: told of client certificates with which nobody could connect, so that a CA's certificates
// register at their first connection (domain/provisioning/just_in_time.h). The port that the authorizer calls, and what
// stands behind it: each certificate at most once in ten seconds, at most 64 under way, the rest is forgotten, since
// devices try again. What they register is recorded, and nothing is while it cannot be (device_calls.h). Work is done
// on the blocking pool. Owned by server/wiring; thread-safe.
#pragma once

#include <memory>
#include <string>

#include "api/device/device_calls.h"
#include "domain/provisioning/context.h"
#include "io/env.h"
#include "io/files.h"
#include "store/store.h"

namespace muster::api::device {

class UnknownCertificates {
 public:
  virtual ~UnknownCertificates() = default;
  // `der`: a certificate whose key the handshake proved, and that was refused. Cheap; any thread.
  virtual void refused(const std::string& der, const std::string& source_ip) = 0;
};

class FirstConnections final : public UnknownCertificates {
 public:
  // References outlive it and the pool's work.
  FirstConnections(store::Store& store, io::BlockingPool& pool, const io::Clock& clock,
                   const provisioning::Context& context, const DeviceCalls& calls);
  ~FirstConnections() override;
  void refused(const std::string& der, const std::string& source_ip) override;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace muster::api::device
