// SPDX-License-Identifier: Apache-2.0
// Pages over index tables of two text components (owner, member): the members of one owner, by name.
#pragma once

#include <string>
#include <string_view>

#include "domain/registry/page.h"
#include "store/store.h"

namespace muster::registry {

struct IndexOwner {
  char table;
  std::string_view owner;
  std::string_view listing;  // of the page token
};
Result<Page<std::string>> second_components(store::Tx& tx, const IndexOwner& index, const PageRequest& page);

}  // namespace muster::registry
