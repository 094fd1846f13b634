// SPDX-License-Identifier: Apache-2.0
// Pages through a table whose keys are names, in byte order of the name: policies, role aliases, authorisers. Over Tx&;
// a snapshot.
#pragma once

#include <string>
#include <string_view>

#include "domain/registry/page.h"
#include "store/store.h"

namespace muster::security {

// `listing` names the listing in its tokens. The empty name is left out: some tables keep a setting there.
Result<registry::Page<std::string>> list_names(store::Tx& tx, char table, std::string_view listing,
                                               const registry::PageRequest& request, bool ascending);

}  // namespace muster::security
