// SPDX-License-Identifier: Apache-2.0
#include "api/wire/patterns.h"

#include <re2/re2.h>

#include <map>
#include <string>

#include "api/wire/predicates.h"
#include "base/assert.h"

namespace muster::api {

struct Patterns::Compiled {
  std::unique_ptr<re2::RE2> expression;  // or
  Predicate predicate = nullptr;
  std::string_view source;
};

Patterns::Patterns(const model::Service& service) {
  compiled_.resize(service.pattern_count);
  re2::RE2::Options options;
  options.set_log_errors(false);
  options.set_max_mem(1 << 20);
  for (const model::Shape& shape : service.shapes) {
    if (shape.pattern_id == model::kNone || compiled_[shape.pattern_id] != nullptr) continue;
    auto compiled = std::make_unique<Compiled>();
    compiled->source = shape.pattern;
    if (shape.pattern.starts_with('@')) {
      compiled->predicate = find_predicate(shape.pattern.substr(1));
    } else {
      const re2::StringPiece text(shape.pattern.data(), shape.pattern.size());
      compiled->expression = std::make_unique<re2::RE2>(text, options);
    }
    compiled_[shape.pattern_id] = std::move(compiled);
  }
}

Patterns::~Patterns() = default;

bool Patterns::matches(const model::Shape& shape, std::string_view value) const {
  const Compiled& compiled = *compiled_[shape.pattern_id];
  if (compiled.predicate != nullptr) return compiled.predicate(value);
  if (compiled.expression == nullptr) return false;
  return re2::RE2::FullMatch(re2::StringPiece(value.data(), value.size()), *compiled.expression);
}

Status Patterns::check() const {
  for (const auto& compiled : compiled_) {
    if (compiled->predicate != nullptr) continue;
    if (compiled->expression == nullptr || !compiled->expression->ok()) {
      return internal("pattern does not compile: " + std::string(compiled->source));
    }
  }
  return {};
}

const Patterns& Patterns::of(const model::Service& service) {
  // Built for all services at once: a few milliseconds, and then no lock on the way of a request.
  static const std::map<const model::Service*, std::unique_ptr<Patterns>>* const all = [] {
    auto* map = new std::map<const model::Service*, std::unique_ptr<Patterns>>();
    for (const model::Service* known : model::services()) map->emplace(known, std::make_unique<Patterns>(*known));
    return map;
  }();
  const auto it = all->find(&service);
  CHECK(it != all->end());
  return *it->second;
}

}  // namespace muster::api
