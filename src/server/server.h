// SPDX-License-Identifier: Apache-2.0
// Server: the whole program, constructed in order in wiring.cc: store, account, broker, services, ports. Owned by
// main(). create() opens and checks everything and binds the ports; start() accepts; stop() drains and ends every
// thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/result.h"
#include "server/config.h"
#include "server/data_dir.h"

namespace muster::server {

// Where a running server is, as `muster env` and people need it; kept in endpoints.json.
struct Endpoints {
  std::string api_origin;  // http://127.0.0.1:4566
  std::string device_host;
  std::uint16_t device_port = 0;
  std::uint16_t device_https_port = 0;  // 0: none
  std::uint16_t plain_mqtt_port = 0;    // 0: none
  std::string region;
  std::string account_id;
  std::string ca_file;
};

std::string to_json(const Endpoints& endpoints);
Result<Endpoints> endpoints_from_json(std::string_view text);

class Server {
 public:
  static Result<std::unique_ptr<Server>> create(const Config& config, const DataDir& data);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  void start();
  // Stops accepting, waits for running requests up to drain_s, flushes, ends all threads. Once.
  void stop();

  const Endpoints& endpoints() const;
  bool first_start() const;  // the account was made by this create()

  struct Parts;
  explicit Server(std::unique_ptr<Parts> parts);

 private:
  std::unique_ptr<Parts> parts_;
};

}  // namespace muster::server
