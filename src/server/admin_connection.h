// SPDX-License-Identifier: Apache-2.0
// AdminConnection: the command line as a client of the server's own administration API: signs with the root key of the
// data directory and asks. Each call blocks, on a connection of its own; no server runs in the same process.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/json.h"
#include "base/result.h"
#include "base/sigv4.h"
#include "server/data_dir.h"

namespace muster::server {

class AdminConnection {
 public:
  // kNotFound when no server has served from the directory.
  static Result<AdminConnection> open(const DataDir& data);
  // The answer's JSON object. kInvalid with the server's words for what it refuses, kUnavailable when it is not there.
  Result<json::object> ask(std::string_view method, std::string_view path, const sigv4::Pairs& query = {}) const;

 private:
  struct Target {
    std::string host;  // as in the Host header
    std::string address;
    std::uint16_t port = 0;
    bool tls = false;
    std::string ca_pem, region, key_id, secret;
  };
  std::string signed_request(std::string_view method, std::string_view path, const sigv4::Pairs& query) const;

  Target target_;
};

}  // namespace muster::server
