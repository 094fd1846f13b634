// SPDX-License-Identifier: Apache-2.0
// What audit/log.cc finds when it opens: keys, the end of the chain, what a crash or somebody's hand did to it. Blocks;
// used by Log::open alone.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/ed25519.h"
#include "domain/audit/chain.h"
#include "domain/audit/log.h"
#include "domain/audit/segments.h"

namespace muster::audit {

struct KeptSegment {
  Segment segment;
  std::int64_t start_ms = 0;  // of the seal that it begins with
};

struct Opened {
  FolderLock lock;
  Ed25519PrivateKey key;
  Head head;
  std::vector<KeptSegment> segments;
  Position at;                                             // behind the last good line
  std::uint64_t good_bytes = 0;                            // of the last segment
  std::vector<std::pair<std::string, std::string>> notes;  // kind, text: to be written
};

Result<Opened> open_files(const LogFiles& files, std::int64_t now_ms);

}  // namespace muster::audit
