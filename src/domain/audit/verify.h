// SPDX-License-Identifier: Apache-2.0
// Offline verification of an audit log: sequence, chain, seals, both ends. Reads files only, and nothing of the
// server's. Blocks. What it proves and what it does not: docs/audit.md.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/ed25519.h"
#include "base/result.h"
#include "domain/audit/chain.h"

namespace muster::audit {

struct VerifyInput {
  std::vector<std::string> files;       // segments in order
  std::optional<Ed25519PublicKey> key;  // without it seals are not checked
  std::optional<Head> head;             // without it the ends are not checked
};

struct Verified {
  std::uint64_t events = 0, seals = 0, files = 0;
  Position first, last;      // numbers of the first and the last line, the last one's hash
  std::uint64_t sealed = 0;  // lines up to here are signed for
  std::int64_t sealed_ms = 0;
  std::vector<std::string> remarks;  // "torn" and "dropped" notes: what the log says of itself that breaks nothing
};

// kInvalid: the log is broken; the message names file, line and reason. Other kinds: a file cannot be read.
Result<Verified> verify_log(const VerifyInput& input);

}  // namespace muster::audit
