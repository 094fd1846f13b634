// SPDX-License-Identifier: Apache-2.0
// CloudTrail's LookupEvents over this server's audit log (domain/audit/search.h). Reads files on the pool of queries.
// Errors: InvalidLookupAttributesException, InvalidTimeRangeException, InvalidMaxResultsException,
// InvalidNextTokenException. Source: AWS CloudTrail API reference, LookupEvents.
#pragma once

#include <string>

#include "api/wire/operation.h"
#include "io/files.h"

namespace muster::api::audit_service {

struct AuditServices {
  std::string directory;  // of the segments
  io::BlockingPool* queries = nullptr;
};

void register_audit(Operations& operations, const AuditServices& services);

}  // namespace muster::api::audit_service
