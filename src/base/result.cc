// SPDX-License-Identifier: Apache-2.0
#include "base/result.h"

namespace muster {

std::string_view to_string(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::kUnset:
      return "unset";
    case ErrorKind::kInvalid:
      return "invalid";
    case ErrorKind::kNotFound:
      return "not_found";
    case ErrorKind::kAlreadyExists:
      return "already_exists";
    case ErrorKind::kConflict:
      return "conflict";
    case ErrorKind::kVersionConflict:
      return "version_conflict";
    case ErrorKind::kInvalidStateTransition:
      return "invalid_state_transition";
    case ErrorKind::kTerminalState:
      return "terminal_state";
    case ErrorKind::kLimit:
      return "limit";
    case ErrorKind::kThrottled:
      return "throttled";
    case ErrorKind::kAccessDenied:
      return "access_denied";
    case ErrorKind::kUnauthenticated:
      return "unauthenticated";
    case ErrorKind::kNotSupported:
      return "not_supported";
    case ErrorKind::kTooLarge:
      return "too_large";
    case ErrorKind::kPrecondition:
      return "precondition";
    case ErrorKind::kUnavailable:
      return "unavailable";
    case ErrorKind::kTimeout:
      return "timeout";
    case ErrorKind::kInternal:
      return "internal";
  }
  return "unknown";
}

}  // namespace muster
