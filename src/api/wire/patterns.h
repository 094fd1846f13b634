// SPDX-License-Identifier: Apache-2.0
// The compiled patterns of one service, by Shape::pattern_id. Built once a service at the first use and shared by all
// threads; immutable. Memory: RE2 bounds each pattern's automaton (1 MiB here), time is linear in the value.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "api/wire/model.h"
#include "base/result.h"

namespace muster::api {

class Patterns {
 public:
  explicit Patterns(const model::Service& service);
  ~Patterns();
  // Whole match. A pattern that did not compile matches nothing (and check() says so at the start).
  bool matches(const model::Shape& shape, std::string_view value) const;
  Status check() const;

  static const Patterns& of(const model::Service& service);  // one of model::services()

 private:
  struct Compiled;
  std::vector<std::unique_ptr<Compiled>> compiled_;
};

}  // namespace muster::api
