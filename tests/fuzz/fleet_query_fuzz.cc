// SPDX-License-Identifier: Apache-2.0
// links: muster_domain_fleet
// Fleet queries. Input: a query, a zero byte, then values of a document separated by zero bytes, each after a character
// that chooses field and kind. What parses must say the same of the document by itself and in the index, and the
// opposite when it is negated.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "base/text.h"
#include "domain/fleet/search.h"
#include "domain/registry/fleet_query_tree.h"

namespace {

using namespace muster;
using registry::FleetQuery;

void require(bool holds) {
  if (!holds) std::abort();
}

std::string_view next_part(std::string_view& rest) {
  std::string_view part = rest.substr(0, rest.find('\0'));
  rest.remove_prefix(std::min(part.size() + 1, rest.size()));
  return part;
}

registry::FieldValue value_of(std::string_view part) {
  static constexpr const char* kFields[] = {"attributes.a", "thingTypeName", "shadow.reported.x", "jobs.status"};
  const auto choice = static_cast<unsigned char>(part.front());
  registry::FieldValue value{.field = kFields[choice % 4], .text = std::string(part.substr(1))};
  if (choice % 8 == 2 && registry::query_number(value.text)) value.kind = registry::ValueKind::kNumber;
  return value;
}

bool found(const fleet::Index& index, const FleetQuery& query) {
  return search(index, query).count() == 1;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  std::string_view rest(reinterpret_cast<const char*>(bytes), size);
  const std::string text(next_part(rest));
  const auto query = FleetQuery::parse(text);
  if (!query) {
    require(query.error().reason == "InvalidQueryException");
    return 0;
  }
  registry::FieldValues document{{.field = "thingName", .text = "thing"}};
  while (!rest.empty() && document.size() < 20)
    if (std::string_view part = next_part(rest); part.size() > 1) document.push_back(value_of(part));
  fleet::Index index(registry::QuerySubject::kThings);
  index.put("thing", fleet::kAllSources, document);
  const bool matches = query->matches(document, FleetQuery::BareTerms::kEverything);
  require(found(index, *query) == matches);
  if (const auto negated = FleetQuery::parse("NOT (" + text + ")")) require(found(index, *negated) != matches);
  index.erase("thing");
  require(index.sizes().values == 0);
  return 0;
}
