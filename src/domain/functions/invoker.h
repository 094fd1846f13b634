// SPDX-License-Identifier: Apache-2.0
// FunctionInvoker: the one way by which features call a function (custom authorisers, provisioning hooks; later rules).
// Who runs the function is behind it: today an endpoint that speaks Lambda's Invoke (http_invoker.h). Owned by
// server/wiring. Thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace muster::functions {

struct Invocation {
  std::string function_arn;  // full ARN, or the name alone
  std::string payload;       // JSON
  std::int64_t timeout_ms = 5000;
};

class FunctionInvoker {
 public:
  virtual ~FunctionInvoker() = default;
  // Whether there is anybody to call for it; true without knowing better. Resources that name a function ask.
  virtual bool knows(std::string_view) const { return true; }

  // The function's answer, JSON. kNotFound: no such function is known here; kTimeout; kUnavailable: it could not be
  // reached or, with reason "FunctionError", it ended in an error (the message is its own).
  using Done = std::function<void(Result<std::string>)>;
  // Calls `done` exactly once, on any thread, within timeout_ms.
  virtual void invoke(Invocation invocation, Done done) = 0;
};

}  // namespace muster::functions
