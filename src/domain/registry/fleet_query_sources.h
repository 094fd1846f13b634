// SPDX-License-Identifier: Apache-2.0
// What the fleet index covers, as the account's indexing configuration says (kIndexingConfiguration, written by
// domain/fleet/settings.h): which fields may stand in a query. Nothing is indexed until somebody turns it on.
#pragma once

#include <set>
#include <string>

#include "base/result.h"
#include "domain/registry/fleet_query.h"
#include "store/store.h"

namespace muster::registry {

struct IndexedSources {
  bool things = false;  // the registry, and jobs
  bool shadow = false;
  bool connectivity = false;
  std::set<std::string> named_shadows;
  bool thing_groups = false;

  bool operator==(const IndexedSources&) const = default;
};

std::string indexing_configuration_key();
// Serialisable: who decides by it is run again when it changes.
IndexedSources indexed_sources(store::Tx& tx);

// kInvalid with reason InvalidQueryException: the first source that is needed and not indexed, by name.
Status check_indexed(const QueryNeeds& needs, const IndexedSources& sources);

}  // namespace muster::registry
