// SPDX-License-Identifier: Apache-2.0
// What a TlsContext holds, for the rest of io. Internal to io.
#pragma once

#include <openssl/ssl.h>

#include <string>

#include "io/net.h"

namespace muster::io {

struct TlsContext::State {
  SSL_CTX* context = nullptr;
  std::string alpn_wire;  // length-prefixed names in order of preference
  bool verify_server = false;
  State() = default;
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() { SSL_CTX_free(context); }
};

}  // namespace muster::io
