// SPDX-License-Identifier: Apache-2.0
#include "api/services/fleet/fleet.h"

#include "domain/fleet/aggregate.h"
#include "domain/fleet/document.h"
#include "domain/registry/page.h"

namespace muster::api::fleet_service {

namespace {

using fleet::FieldType;
using registry::QuerySubject;

constexpr std::size_t kPageDefault = 100, kPageLimit = 500;
constexpr std::int64_t kSearchTime = 5000;  // ms; ThrottlingException after it
constexpr std::int64_t kBucketsDefault = 10, kBucketsLimit = 10'000;
constexpr std::string_view kQueryVersion = "2017-09-30";
constexpr std::string_view kDefaultField = "registry.version";
constexpr double kDefaultPercents[] = {1, 5, 25, 50, 75, 95, 99};

struct Question {
  QuerySubject subject = QuerySubject::kThings;
  registry::FleetQuery query;
  registry::IndexedSources sources;
  fleet::IndexingConfiguration configuration;
};

Result<QuerySubject> subject_of(const json::object& input) {
  const std::string_view name = get_string(input, "indexName", fleet::kThingsIndex);
  if (name == fleet::kThingsIndex) return QuerySubject::kThings;
  if (name == fleet::kThingGroupsIndex) return QuerySubject::kThingGroups;
  return not_found("Index " + std::string(name) +
                   " does not exist. Please enable index by calling UpdateIndexingConfiguration");
}

// What every search has: index, query, and what the configuration makes of them.
Result<Question> read_question(const FleetServices& services, const json::object& input) {
  Question question;
  TRY(question.subject, subject_of(input));
  const std::string_view version = get_string(input, "queryVersion");
  if (!version.empty() && version != kQueryVersion)
    return invalid("Query version " + std::string(version) + " is not supported: " + std::string(kQueryVersion) +
                   " is the only one");
  TRY_VOID(store::run_blocking(*services.store, [&](store::Tx& tx) -> Status {
    question.sources = registry::indexed_sources(tx);
    question.configuration = fleet::indexing_configuration(tx);
    return {};
  }));
  const bool of_things = question.subject == QuerySubject::kThings;
  if (!(of_things ? question.sources.things : question.sources.thing_groups))
    return not_found("Index " + std::string(of_things ? fleet::kThingsIndex : fleet::kThingGroupsIndex) +
                     " does not exist. Please enable index by calling UpdateIndexingConfiguration");
  TRY(question.query, registry::FleetQuery::parse(get_string(input, "queryString"), question.subject));
  TRY_VOID(registry::check_indexed(question.query.needs(), question.sources));
  return question;
}

fleet::IsLate late_after(const io::Clock& clock, std::int64_t ms) {
  return [&clock, until = clock.steady_ms() + ms] { return clock.steady_ms() >= until; };
}

Result<json::object> search_index(const FleetServices& services, const json::object& input) {
  TRY(const Question question, read_question(services, input));
  const bool of_things = question.subject == QuerySubject::kThings;
  const std::string listing =
      registry::listing_of(of_things ? "search-things" : "search-thing-groups", {get_string(input, "queryString")});
  TRY(const std::string after, registry::page_position(listing, get_string(input, "nextToken")));
  const std::int64_t wanted = get_int(input, "maxResults", kPageDefault);
  const std::size_t limit = wanted < 1 ? kPageDefault : std::min(static_cast<std::size_t>(wanted), kPageLimit);
  fleet::NamePage page;
  Status searched;
  TRY_VOID(services.indexer->with_index(question.subject, [&](const fleet::Index& index) {
    auto found = fleet::search_in_time(index, question.query, late_after(*services.clock, kSearchTime));
    if (found)
      page = fleet::page_of(index, *found, after, limit);
    else
      searched = found.error();
  }));
  TRY_VOID(std::move(searched));
  json::array documents;
  // What went since is left out: a page may be short.
  TRY_VOID(store::run_blocking(*services.store, [&](store::Tx& tx) -> Status {
    documents.clear();
    for (const std::string& name : page.names) {
      auto document = of_things ? fleet::thing_document(tx, name, question.sources) : fleet::group_document(tx, name);
      if (document) documents.push_back(*std::move(document));
    }
    return {};
  }));
  json::object output;
  output[of_things ? "things" : "thingGroups"] = std::move(documents);
  if (page.more) output["nextToken"] = registry::page_token(listing, page.names.back());
  return output;
}

struct Aggregated {
  FieldType type = FieldType::kString;
  std::size_t documents = 0;  // that match
  std::vector<fleet::Tally> tallies;
};

// `use` is called while the tallies are valid.
Result<json::object> aggregate(const FleetServices& services, const json::object& input,
                               const std::function<Result<json::object>(const Aggregated&)>& use) {
  TRY(const Question question, read_question(services, input));
  std::string_view name = get_string(input, "aggregationField");
  if (name.empty()) name = question.subject == QuerySubject::kThings ? kDefaultField : "version";
  TRY(const auto field, fleet::aggregated_field(question.configuration, name, question.subject));
  Result<json::object> output;
  TRY_VOID(services.indexer->with_index(question.subject, [&](const fleet::Index& index) {
    auto found = fleet::search_in_time(index, question.query, late_after(*services.clock, kSearchTime));
    if (!found) {
      output = found.error();
      return;
    }
    output = use({.type = field.type,
                  .documents = found->count(),
                  .tallies = fleet::tally(index, *found, field.name, field.type)});
  }));
  return output;
}

Result<json::object> get_cardinality(const FleetServices& services, const json::object& input) {
  return aggregate(services, input, [](const Aggregated& found) -> Result<json::object> {
    return json::object{{"cardinality", fleet::cardinality(found.tallies, found.type)}};
  });
}

Result<json::object> get_statistics(const FleetServices& services, const json::object& input) {
  return aggregate(services, input, [](const Aggregated& found) -> Result<json::object> {
    const fleet::Statistics statistics = fleet::statistics(found.tallies, found.type);
    json::object shape{{"count", statistics.count}};
    if (statistics.moments) {
      shape["average"] = statistics.moments->average;
      shape["sum"] = statistics.moments->sum;
      shape["minimum"] = statistics.moments->minimum;
      shape["maximum"] = statistics.moments->maximum;
      shape["sumOfSquares"] = statistics.moments->sum_of_squares;
      shape["variance"] = statistics.moments->variance;
      shape["stdDeviation"] = statistics.moments->standard_deviation;
    }
    return json::object{{"statistics", std::move(shape)}};
  });
}

double number_of(const json::value& value) {
  if (value.is_double()) return value.get_double();
  if (value.is_uint64()) return static_cast<double>(value.get_uint64());
  return value.is_int64() ? static_cast<double>(value.get_int64()) : -1;
}

Result<std::vector<double>> percents_of(const json::object& input) {
  std::vector<double> percents;
  const json::array* list = find_array(input, "percents");
  if (list == nullptr || list->empty())
    return std::vector<double>(std::begin(kDefaultPercents), std::end(kDefaultPercents));
  for (const json::value& item : *list) {
    percents.push_back(number_of(item));
    if (!(percents.back() >= 0 && percents.back() <= 100)) return invalid("percents must be between 0 and 100");
  }
  return percents;
}

Result<json::object> get_percentiles(const FleetServices& services, const json::object& input) {
  TRY(const std::vector<double> percents, percents_of(input));
  return aggregate(services, input, [&](const Aggregated& found) -> Result<json::object> {
    if (found.type != FieldType::kNumber)
      return make_error(ErrorKind::kInvalid, "Percentiles need an aggregation field of type Number",
                        "InvalidAggregationException");
    const std::vector<double> values = fleet::percentiles(found.tallies, percents);
    json::array pairs;
    for (std::size_t i = 0; i < values.size(); ++i)
      pairs.push_back(json::object{{"percent", percents[i]}, {"value", values[i]}});
    return json::object{{"percentiles", std::move(pairs)}};
  });
}

Result<json::object> get_buckets(const FleetServices& services, const json::object& input) {
  const json::object* kind = find_object(input, "bucketsAggregationType");
  const json::object* terms = kind == nullptr ? nullptr : find_object(*kind, "termsAggregation");
  if (terms == nullptr)
    return make_error(ErrorKind::kInvalid, "bucketsAggregationType needs a termsAggregation",
                      "InvalidAggregationException");
  const std::int64_t limit = std::clamp(get_int(*terms, "maxBuckets", kBucketsDefault), std::int64_t{1}, kBucketsLimit);
  return aggregate(services, input, [&](const Aggregated& found) -> Result<json::object> {
    json::array shapes;
    for (const fleet::Tally& bucket : fleet::buckets(found.tallies, static_cast<std::size_t>(limit)))
      shapes.push_back(json::object{{"keyValue", bucket.text}, {"count", bucket.count}});
    return json::object{{"totalCount", found.documents}, {"buckets", std::move(shapes)}};
  });
}

using Search = Result<json::object> (*)(const FleetServices& services, const json::object& input);

Handler on_pool(const SharedFleet& services, Search search) {
  return [services, search](Call& call) -> io::Task<Reply> {
    auto job = [&] { return search(*services, call.input); };
    CO_TRY(json::object output, co_await services->queries->run_or_refuse(job));
    Reply reply;
    reply.output = std::move(output);
    co_return reply;
  };
}

}  // namespace

void register_fleet(Operations& operations, const FleetServices& services) {
  auto shared = std::make_shared<const FleetServices>(services);
  operations.add("iot", "SearchIndex", on_pool(shared, search_index));
  operations.add("iot", "GetCardinality", on_pool(shared, get_cardinality));
  operations.add("iot", "GetStatistics", on_pool(shared, get_statistics));
  operations.add("iot", "GetPercentiles", on_pool(shared, get_percentiles));
  operations.add("iot", "GetBucketsAggregation", on_pool(shared, get_buckets));
  register_index_settings(operations, shared);
}

}  // namespace muster::api::fleet_service
