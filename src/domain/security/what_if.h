// SPDX-License-Identifier: Apache-2.0
// What if a principal asked: the decision of a connection's own evaluator (device_facts.h) for questions that nobody
// asks yet, with which policies decided. Of TestAuthorization. Synchronous over Tx&, writes nothing. Source: AWS IoT
// API reference, TestAuthorization.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "domain/iam/policy/cache.h"
#include "domain/iam/policy/eval.h"
#include "store/store.h"

namespace muster::security {

struct WhatIf {
  std::string principal;  // a certificate's ARN or an identity; empty: the added policies alone
  std::string client_id;
  std::vector<std::string> policies_to_add;
  std::vector<std::string> policies_to_skip;
  struct Question {
    std::string action;                  // CONNECT, PUBLISH, SUBSCRIBE, RECEIVE
    std::vector<std::string> resources;  // ARNs: all of them must be allowed
  };
  std::vector<Question> questions;
};

struct WhatIfAnswer {
  iam::Verdict verdict = iam::Verdict::kImplicitDeny;
  std::vector<std::string> allowing, denying, silent;  // policies by name
  std::vector<std::string> missing;  // policy variables that some statement needs and the question does not give
};

// One answer a question. The certificate's status does not count.
Result<std::vector<WhatIfAnswer>> what_if(store::Tx& tx, const Realm& realm, const WhatIf& asked,
                                          iam::PolicyCache& cache);

}  // namespace muster::security
