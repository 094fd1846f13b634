// SPDX-License-Identifier: Apache-2.0
#include "api/wire/operation.h"

#include "base/assert.h"

namespace muster::api {
namespace {

std::string handler_key(std::string_view service, std::string_view operation) {
  std::string key(service);
  key += '.';
  key += operation;
  return key;
}

}  // namespace

void Operations::add(std::string_view service, std::string_view operation, Handler handler) {
  // A name that the models do not have would be a handler that nothing ever calls.
  const model::Service* known = model::find_service(service);
  CHECK(known != nullptr && model::find_operation(*known, operation) != nullptr);
  bool added = handlers_.emplace(handler_key(service, operation), std::move(handler)).second;
  CHECK(added);
}

const Handler* Operations::find(std::string_view service, std::string_view operation) const {
  auto found = handlers_.find(handler_key(service, operation));
  return found == handlers_.end() ? nullptr : &found->second;
}

}  // namespace muster::api
