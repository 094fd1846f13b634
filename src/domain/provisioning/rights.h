// SPDX-License-Identifier: Apache-2.0
// Rights: what the one who provisions may do, asked for each call that a template stands for. RegisterThing acts as its
// caller; fleet, just-in-time and bulk provisioning act as a role that trusts iot.amazonaws.com and whose policies
// decide. For one transaction, on its thread.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "domain/iam/policy/cache.h"
#include "domain/iam/principal.h"
#include "store/store.h"

namespace muster::provisioning {

class Rights {
 public:
  virtual ~Rights() = default;
  // kAccessDenied, in AWS's words.
  virtual Status allow(store::Tx& tx, std::string_view action, const std::vector<std::string>& resources) = 0;
};

using RequestContext = std::map<std::string, std::vector<std::string>>;

class PrincipalRights final : public Rights {
 public:
  PrincipalRights(Realm realm, iam::Principal principal, RequestContext request, iam::PolicyCache* cache)
      : realm_(std::move(realm)), principal_(std::move(principal)), request_(std::move(request)), cache_(cache) {}
  Status allow(store::Tx& tx, std::string_view action, const std::vector<std::string>& resources) override;

 private:
  const Realm realm_;
  const iam::Principal principal_;
  const RequestContext request_;
  iam::PolicyCache* const cache_;
};

// Takes everything down and allows it; settle() asks for it all, an action at a time: for many lines in a transaction,
// which must not commit unless settle() succeeds.
class DeferredRights final : public Rights {
 public:
  Status allow(store::Tx& tx, std::string_view action, const std::vector<std::string>& resources) override;
  Status settle(store::Tx& tx, Rights& rights);

 private:
  std::map<std::string, std::vector<std::string>, std::less<>> asked_;
};

// The session of a role for a feature of the server. `source_arn`: the template, CA or task that asks. kAccessDenied
// when there is no such role or it does not trust iot.amazonaws.com.
Result<iam::Principal> role_principal(store::Tx& tx, const Realm& realm, std::string_view role_arn,
                                      std::string_view session_name, std::string_view source_arn);

}  // namespace muster::provisioning
