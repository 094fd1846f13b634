// SPDX-License-Identifier: Apache-2.0
#include "domain/fleet/group_watch.h"

#include <algorithm>

#include "base/log.h"

namespace muster::fleet {

namespace {

constexpr std::size_t kBatch = 200;  // things a transaction

// It is the store, not the thing.
bool is_passing(const Error& error) {
  return error.kind == ErrorKind::kUnavailable || error.kind == ErrorKind::kThrottled ||
         error.kind == ErrorKind::kTimeout;
}

}  // namespace

Status GroupWatch::read_queries() {
  TRY(auto all, store::run_blocking_for(store_, [](store::Tx& tx) { return registry::dynamic_queries(tx); }));
  std::erase_if(all, [](const registry::DynamicQuery& one) { return one.query.needs().registry_only(); });
  queries_ = std::move(all);
  return {};
}

bool GroupWatch::disagrees(const ThingFields& thing) const {
  return std::ranges::any_of(queries_, [&](const registry::DynamicQuery& one) {
    const bool member = std::ranges::find(thing.dynamic_groups, one.group) != thing.dynamic_groups.end();
    return one.query.matches(thing.fields) != member;
  });
}

Status GroupWatch::refresh_some(std::span<const std::string> things) {
  const std::vector<std::string> names(things.begin(), things.end());
  TRY_VOID(store::run_blocking(store_, [&](store::Tx& tx) -> Status {
    TRY_VOID(registry::refresh_things(tx, names, changed_, index_fields));
    return {};
  }));
  committed_();
  return {};
}

Status GroupWatch::refresh(const std::vector<std::string>& things) {
  for (std::size_t next = 0; next < things.size();) {
    const std::size_t count = std::min(batch_, things.size() - next);
    const Status done = refresh_some(std::span(things).subspan(next, count));
    if (done) {
      next += count;
      batch_ = std::min(batch_ * 2, kBatch);
      continue;
    }
    batch_ = std::max<std::size_t>(count / 2, 1);
    if (count > 1) continue;
    if (is_passing(done.error())) return done;
    log::warn("the dynamic groups of a thing cannot be brought up to date",
              {{"thing", things[next]}, {"reason", done.error().message}});
    ++next;
  }
  return {};
}

}  // namespace muster::fleet
