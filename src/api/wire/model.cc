// SPDX-License-Identifier: Apache-2.0
#include "api/wire/model.h"

#include <algorithm>
#include <array>

namespace muster::api::model {

// Defined in the generated <service>_model.cc.
extern const Service kIotService;
extern const Service kIotDataService;
extern const Service kIotJobsDataService;
extern const Service kS3Service;
extern const Service kIamService;
extern const Service kStsService;
extern const Service kMusterService;
extern const Service kCloudtrailService;

namespace {
constexpr std::array<const Service*, 8> kServices = {&kIotService,    &kIotDataService,   &kIotJobsDataService,
                                                     &kS3Service,     &kIamService,       &kStsService,
                                                     &kMusterService, &kCloudtrailService};
}  // namespace

std::span<const Service* const> services() {
  return kServices;
}

const Service* find_service(std::string_view id) {
  const auto it = std::ranges::find(kServices, id, [](const Service* s) { return s->id; });
  return it == kServices.end() ? nullptr : *it;
}

// The generator sorts operations by name.
const Operation* find_operation(const Service& service, std::string_view name) {
  const auto it = std::ranges::lower_bound(service.operations, name, {}, &Operation::name);
  return it == service.operations.end() || it->name != name ? nullptr : &*it;
}

}  // namespace muster::api::model
