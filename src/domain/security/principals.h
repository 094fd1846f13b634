// SPDX-License-Identifier: Apache-2.0
// Thing <-> principal attachments, kept in both directions. A principal is a certificate's ARN. Synchronous over Tx&.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "domain/registry/page.h"
#include "store/store.h"

namespace muster::security {

// Attaching twice is a success.
Status attach_thing_principal(store::Tx& tx, const Realm& realm, std::string_view thing, std::string_view principal);
Status detach_thing_principal(store::Tx& tx, const Realm& realm, std::string_view thing, std::string_view principal);
Result<registry::Page<std::string>> list_thing_principals(store::Tx& tx, std::string_view thing,
                                                          const registry::PageRequest& page);
Result<registry::Page<std::string>> list_principal_things(store::Tx& tx, const Realm& realm, std::string_view principal,
                                                          const registry::PageRequest& page);
// Things of a certificate, at most `limit`, by name: for policy variables and effective policies.
std::vector<std::string> things_of_certificate(store::Tx& tx, const Realm& realm, std::string_view certificate_id,
                                               std::size_t limit = 50);
bool is_attached(store::Tx& tx, const Realm& realm, std::string_view thing, std::string_view certificate_id);

}  // namespace muster::security
