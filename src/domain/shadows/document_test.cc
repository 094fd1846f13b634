// SPDX-License-Identifier: Apache-2.0
// Documents: validation, merging, times, deltas; and the same by a second model that knows no trees.
#include "domain/shadows/document.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>

namespace muster::shadows {
namespace {

json::object object(std::string_view text) {
  const auto parsed = parse_json(text);
  EXPECT_TRUE(parsed) << text;
  return parsed ? parsed->as_object() : json::object();
}

Result<Update> read(std::string_view payload) {
  TRY(auto body, parse_update_body(payload));
  return read_update(std::move(body));
}

std::string refusal(std::string_view payload) {
  const auto update = read(payload);
  return update ? "accepted" : update.error().message;
}

Document after(Document document, std::string_view payload, std::int64_t now_s) {
  const auto update = read(payload);
  EXPECT_TRUE(update) << payload;
  if (!update) return document;
  auto applied = apply(document, *update, now_s * 1000 + 999);
  EXPECT_TRUE(applied) << payload;
  return applied ? *applied : document;
}

std::string nested(int levels, std::string_view inside) {
  std::string text(inside);
  for (int i = 0; i < levels; ++i) text = R"({"a":)" + text + "}";
  return text;
}

TEST(ShadowNames, are_of_the_documented_characters_and_length) {
  for (const auto* name : {"a", "$package", "A:b_c-9"}) EXPECT_TRUE(is_shadow_name(name)) << name;
  for (const auto* name : {"", "a/b", "a+", "a#", "ä", "a b", "a.b"}) EXPECT_FALSE(is_shadow_name(name)) << name;
  EXPECT_TRUE(is_shadow_name(std::string(64, 'x')));
  EXPECT_FALSE(is_shadow_name(std::string(65, 'x')));
  EXPECT_FALSE(is_shadow_name(std::string_view("a\0b", 3)));
}

TEST(UpdateBody, is_refused_with_the_documented_words) {
  EXPECT_EQ(refusal(""), "Invalid JSON");
  EXPECT_EQ(refusal("{"), "Invalid JSON");
  EXPECT_EQ(refusal("[]"), "Invalid JSON");
  EXPECT_EQ(refusal("null"), "Invalid JSON");
  EXPECT_EQ(refusal(R"({"state":{"desired":{"a":1}}} x)"), "Invalid JSON");
  EXPECT_EQ(refusal(R"({"state":{"desired":{"a":1e999}}})"), "Invalid JSON");
  EXPECT_EQ(refusal("{}"), "Missing required node: state");
  EXPECT_EQ(refusal(R"({"desired":{}})"), "Missing required node: state");
  EXPECT_EQ(refusal(R"({"state":[]})"), "State node must be an object");
  EXPECT_EQ(refusal(R"({"state":"x"})"), "State node must be an object");
  EXPECT_EQ(refusal(R"({"state":{"desired":1}})"), "Desired node must be an object");
  EXPECT_EQ(refusal(R"({"state":{"reported":[{}]}})"), "Reported node must be an object");
  EXPECT_EQ(refusal(R"({"state":{"delta":{}}})"), "State contains an invalid node: 'delta'");
  EXPECT_EQ(refusal(R"({"state":{"desired":{"c":[1,null]}}})"), "State contains an invalid node: 'c'");
  EXPECT_EQ(refusal(R"({"state":{"desired":{"c":[{"d":[[null]]}]}}})"), "State contains an invalid node: 'd'");
  for (const auto* version : {"1.0", "\"1\"", "-1", "{}", "18446744073709551615", "true"}) {
    EXPECT_EQ(refusal(R"({"state":{},"version":)" + std::string(version) + "}"), "Invalid version") << version;
  }
}

TEST(UpdateBody, may_hold_more_than_is_stored) {
  EXPECT_EQ(refusal(R"({"state":{}})"), "accepted");
  EXPECT_EQ(refusal(R"({"state":null,"version":null})"), "accepted");
  EXPECT_EQ(refusal(R"({"state":{"desired":null,"reported":{}},"metadata":[null],"other":1})"), "accepted");
  EXPECT_EQ(refusal(R"({"state":{"desired":{"a":[{"b":null}]}}})"), "accepted");
}

TEST(UpdateBody, of_another_encoding_is_unsupported) {
  const auto update = read("{\"state\":{\"desired\":{\"a\":\"\xe4\"}}}");
  ASSERT_FALSE(update);
  EXPECT_EQ(update.error().reason, "UnsupportedDocumentEncodingException");
}

TEST(UpdateBody, has_eight_levels_a_section) {
  const std::string refused = "JSON contains too many levels of nesting; maximum is 8";
  const auto state = [](const std::string& desired) { return R"({"state":{"desired":)" + desired + "}}"; };
  EXPECT_EQ(refusal(state(nested(8, "1"))), "accepted");
  EXPECT_EQ(refusal(state(nested(9, "1"))), refused);
  EXPECT_EQ(refusal(state(nested(7, "[1]"))), "accepted");
  EXPECT_EQ(refusal(state(nested(8, "[]"))), refused);
  EXPECT_EQ(refusal(state(nested(200, "null"))), refused);
  EXPECT_EQ(refusal(state(nested(2000, "1"))), refused);
  EXPECT_EQ(refusal(std::string(60'000, '[')), refused);
  EXPECT_EQ(refusal(R"({"state":{"reported":{"a":")" + std::string(9'00, '[') + R"(\"[["}}})"), "accepted");
}

TEST(UpdateBody, is_bounded) {
  const auto update = read(std::string(kMaxRequestBytes + 1, ' '));
  ASSERT_FALSE(update);
  EXPECT_EQ(update.error().kind, ErrorKind::kTooLarge);
}

TEST(ClientToken, is_a_string_of_at_most_64_bytes) {
  const auto token = [](std::string_view text) { return client_token(object(text)); };
  EXPECT_EQ(token(R"({"clientToken":"t"})"), "t");
  EXPECT_EQ(token(R"({"clientToken":null})"), std::nullopt);
  EXPECT_EQ(token("{}"), std::nullopt);
  EXPECT_EQ(token(R"({"clientToken":1})").error().message, "Invalid clientToken");
  EXPECT_TRUE(token(R"({"clientToken":")" + std::string(64, 'x') + "\"}"));
  EXPECT_FALSE(token(R"({"clientToken":")" + std::string(65, 'x') + "\"}"));
  EXPECT_EQ(client_token(parse_other_body("not json")), std::nullopt);
  EXPECT_EQ(client_token(parse_other_body(R"({"clientToken":"t","more":[]})")), "t");
}

TEST(Merging, changes_what_is_named_and_stamps_it) {
  Document document = after({}, R"({"state":{"desired":{"a":{"x":1,"y":2},"l":[1,{"z":2}]},"reported":{"a":5}}})", 10);
  document = after(document, R"({"state":{"desired":{"a":{"y":3,"w":{}}}}})", 20);
  EXPECT_EQ(to_text(document.desired.state), R"({"a":{"x":1,"y":3,"w":{}},"l":[1,{"z":2}]})");
  EXPECT_EQ(to_text(document.desired.times), R"({"a":{"x":10,"y":20,"w":{}},"l":[10,{"z":10}]})");
  EXPECT_EQ(to_text(document.reported.state), R"({"a":5})");
  EXPECT_EQ(document.version, 2);
}

TEST(Merging, replaces_arrays_whole_and_values_of_another_type) {
  Document document = after({}, R"({"state":{"desired":{"a":[1,2,3],"b":{"c":1},"d":1}}})", 10);
  document = after(document, R"({"state":{"desired":{"a":[9],"b":"x","d":{"e":null,"f":2}}}})", 20);
  EXPECT_EQ(to_text(document.desired.state), R"({"a":[9],"b":"x","d":{"f":2}})");
  EXPECT_EQ(to_text(document.desired.times), R"({"a":[20],"b":20,"d":{"f":20}})");
}

TEST(Merging, removes_what_is_null) {
  Document document = after({}, R"({"state":{"desired":{"a":{"x":1},"b":2},"reported":{"c":1}}})", 10);
  document = after(document, R"({"state":{"desired":{"a":{"x":null},"b":null,"n":null,"o":{"p":{"q":null}}}}})", 20);
  EXPECT_EQ(to_text(document.desired.state), R"({"a":{}})");
  EXPECT_EQ(to_text(document.desired.times), R"({"a":{}})");
  Document cleared = after(document, R"({"state":{"desired":null}})", 30);
  EXPECT_TRUE(cleared.desired.state.empty());
  EXPECT_EQ(to_text(cleared.reported.state), R"({"c":1})");
  cleared = after(document, R"({"state":null})", 30);
  EXPECT_TRUE(cleared.desired.state.empty() && cleared.reported.state.empty());
  EXPECT_EQ(cleared.version, 3);
  EXPECT_EQ(to_text(after(document, R"({"state":{}})", 30).reported.state), R"({"c":1})");
}

TEST(Versions, must_match_when_they_are_given) {
  Document document = after({}, R"({"state":{},"version":0})", 10);
  document = after(document, R"({"state":{},"version":1})", 10);
  for (const auto* version : {"0", "1", "3"}) {
    const auto update = read(R"({"state":{},"version":)" + std::string(version) + "}");
    const auto applied = apply(document, *update, 1);
    ASSERT_FALSE(applied);
    EXPECT_EQ(applied.error().kind, ErrorKind::kVersionConflict);
    EXPECT_EQ(applied.error().message, "Version conflict");
  }
}

TEST(Sizes, count_the_state_without_its_metadata) {
  const auto update = [](std::size_t bytes) {
    const std::string frame = R"({"desired":{"a":""}})";
    return *read(R"({"state": {"desired":  {"a":")" + std::string(bytes - frame.size(), 'x') + R"("}}})");
  };
  EXPECT_TRUE(apply({}, update(kMaxStateBytes), 1));
  const auto larger = apply({}, update(kMaxStateBytes + 1), 1);
  ASSERT_FALSE(larger);
  EXPECT_EQ(larger.error().kind, ErrorKind::kTooLarge);
  EXPECT_EQ(larger.error().message, "The payload exceeds the maximum size allowed");
  // Both sections together, and what is removed does not count.
  const auto full = *apply({}, update(kMaxStateBytes), 1);
  EXPECT_FALSE(apply(full, *read(R"({"state":{"reported":{"b":1}}})"), 2));
  EXPECT_TRUE(apply(full, *read(R"({"state":{"desired":{"a":null},"reported":{"b":1}}})"), 2));
}

TEST(Deltas, are_what_is_desired_and_not_reported) {
  const auto difference = [](std::string_view desired, std::string_view reported) {
    Document document;
    merge(document.desired, object(desired), 7);
    merge(document.reported, object(reported), 8);
    const Section section = delta(document);
    return to_text(section.state) + " " + to_text(section.times);
  };
  EXPECT_EQ(difference(R"({"a":1})", R"({"a":1})"), "{} {}");
  EXPECT_EQ(difference(R"({"a":1})", R"({"a":2,"b":3})"), R"({"a":1} {"a":7})");
  EXPECT_EQ(difference(R"({"a":1})", "{}"), R"({"a":1} {"a":7})");
  EXPECT_EQ(difference("{}", R"({"a":1})"), "{} {}");
  EXPECT_EQ(difference(R"({"a":[1,2]})", R"({"a":[1,3]})"), R"({"a":[1,2]} {"a":[7,7]})");
  EXPECT_EQ(difference(R"({"a":{"b":1,"c":2}})", R"({"a":{"b":1,"c":3}})"), R"({"a":{"c":2}} {"a":{"c":7}})");
  EXPECT_EQ(difference(R"({"a":{"b":1}})", R"({"a":1})"), R"({"a":{"b":1}} {"a":{"b":7}})");
  EXPECT_EQ(difference(R"({"a":1,"b":"1","c":[{"x":1,"y":2}]})", R"({"a":1.0,"b":1,"c":[{"y":2,"x":1}]})"),
            R"({"b":"1"} {"b":7})");
  EXPECT_EQ(difference(R"({"a":9223372036854775807})", R"({"a":9223372036854775806})"),
            R"({"a":9223372036854775807} {"a":7})");
}

TEST(Records, come_back_as_they_were_and_broken_ones_are_errors) {
  Document document = after({}, R"({"state":{"desired":{"a":[1,{"b":true}],"c":{}},"reported":{"t":1.50}}})", 10);
  document.deleted = false;
  const auto again = decode(encode(document));
  ASSERT_TRUE(again);
  EXPECT_EQ(encode(*again), encode(document));
  EXPECT_EQ(again->desired.state, document.desired.state);
  EXPECT_EQ(again->desired.times, document.desired.times);
  EXPECT_EQ(again->updated_ms, 10'999);
  for (const auto* record : {"", "[]", "{\"v\":1,\"d\":1}", R"({"v":1,"d":{"a":1}})", R"({"v":1,"d":{"a":1},"dt":{}})",
                             R"({"v":1,"d":{"a":{}},"dt":{"a":1}})", R"({"v":1,"d":{"a":[1]},"dt":{"a":[]}})"}) {
    EXPECT_FALSE(decode(record)) << record;
  }
}

// The second model: a section is a set of paths with the text of their values; no trees, no recursion over two at once.
// Objects appear as paths of their own, so that empty ones are seen. '/' is in no generated key.
struct Flat {
  std::map<std::string, std::string> values;  // leaves and arrays
  std::map<std::string, std::int64_t> times;  // of those
  std::set<std::string> objects;
};

void erase_below(Flat& flat, const std::string& path) {
  const auto below = [&](const std::string& other) { return other == path || other.starts_with(path + "/"); };
  std::erase_if(flat.values, [&](const auto& entry) { return below(entry.first); });
  std::erase_if(flat.times, [&](const auto& entry) { return below(entry.first); });
  std::erase_if(flat.objects, below);
}

struct Step {
  std::string path;
  const json::value* value;
};

std::vector<Step> steps(const json::object& patch) {
  std::vector<Step> all;
  for (const auto& [key, value] : patch) all.push_back({std::string(key), &value});
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (!all[i].value->is_object()) continue;
    const std::string path = all[i].path;
    for (const auto& [key, value] : all[i].value->get_object()) all.push_back({path + "/" + std::string(key), &value});
  }
  return all;
}

// Whether an object of the patch leaves something behind where nothing was.
bool leaves_something(const json::object& patch) {
  if (patch.empty()) return true;
  for (const Step& step : steps(patch)) {
    if (step.value->is_object() ? step.value->get_object().empty() : !step.value->is_null()) return true;
  }
  return false;
}

void merge_flat(Flat& flat, const json::object& patch, std::int64_t now_s) {
  for (const Step& step : steps(patch)) {
    if (step.value->is_object()) {
      if (flat.objects.contains(step.path)) continue;
      erase_below(flat, step.path);
      if (leaves_something(step.value->get_object())) flat.objects.insert(step.path);
      continue;
    }
    erase_below(flat, step.path);
    if (step.value->is_null()) continue;
    flat.values[step.path] = to_text(*step.value);
    flat.times[step.path] = now_s;
  }
}

Flat flatten(const Section& section) {
  Flat flat;
  for (const Step& step : steps(section.state)) {
    if (step.value->is_object()) {
      flat.objects.insert(step.path);
    } else {
      flat.values[step.path] = to_text(*step.value);
    }
  }
  for (const Step& step : steps(section.times)) {
    if (step.value->is_object()) {
      EXPECT_TRUE(flat.objects.contains(step.path));
    } else if (step.value->is_int64()) {
      flat.times[step.path] = step.value->get_int64();
    } else if (!step.value->get_array().empty()) {
      flat.times[step.path] = step.value->get_array().front().get_int64();  // generated arrays hold no containers
    }
  }
  return flat;
}

class Random {
 public:
  explicit Random(std::uint64_t seed) : engine_(seed) {}
  std::uint64_t below(std::uint64_t bound) { return engine_() % bound; }
  json::value value(int depth) {
    switch (below(depth > 0 ? 8 : 5)) {
      case 0:
        return nullptr;
      case 1:
        return json::value(below(2) == 0);
      case 2:
        return json::value(std::string(1, static_cast<char>('p' + below(3))));
      case 3:
        return json::array{static_cast<std::int64_t>(below(3)), static_cast<std::int64_t>(below(3))};
      case 4:
        return json::value(static_cast<std::int64_t>(below(3)));
      default:
        return object(depth - 1);
    }
  }
  json::object object(int depth) {
    json::object made;
    for (std::uint64_t i = below(4); i > 0; --i) made[std::string(1, static_cast<char>('a' + below(4)))] = value(depth);
    return made;
  }

 private:
  std::mt19937_64 engine_;
};

TEST(Merging, agrees_with_a_model_without_trees) {
  for (std::uint64_t seed = 1; seed <= 400; ++seed) {
    Random random(seed);
    Section section;
    Flat model;
    for (std::int64_t now = 1; now <= 12; ++now) {
      const json::object patch = random.object(3);
      merge(section, patch, now);
      merge_flat(model, patch, now);
      const Flat got = flatten(section);
      ASSERT_EQ(got.values, model.values) << "seed " << seed << " " << to_text(patch);
      ASSERT_EQ(got.times, model.times) << "seed " << seed << " " << to_text(patch);
      ASSERT_EQ(got.objects, model.objects) << "seed " << seed << " " << to_text(patch);
    }
  }
}

// Whatever bytes come: refused, or a document within the bounds that its record gives back.
TEST(UpdateBody, of_mutated_bytes_leaves_a_sound_document) {
  const std::string sound = R"({"state":{"desired":{"a":[1,{"b":null,"c":"\u00e4\ud83d\ude00"}],"d":{"e":1.5e3}},)"
                            R"("reported":null},"version":0})";
  Random random(7);
  int accepted = 0;
  for (int i = 0; i < 30'000; ++i) {
    std::string payload = sound;
    for (std::uint64_t changes = 1 + random.below(3); changes > 0; --changes) {
      const std::size_t at = random.below(payload.size());
      switch (random.below(4)) {
        case 0:
          payload[at] = static_cast<char>(random.below(256));
          break;
        case 1:
          payload.erase(at, 1 + random.below(8));
          break;
        case 2:
          payload.insert(at, payload.substr(random.below(payload.size()), 1 + random.below(12)));
          break;
        default:
          payload.insert(at, 1, R"({}[]",:0-e\n)"[random.below(13)]);
      }
      if (payload.empty()) break;
    }
    const auto update = read(payload);
    if (!update) {
      ASSERT_EQ(update.error().kind, ErrorKind::kInvalid) << payload;
      continue;
    }
    const auto document = apply({}, *update, 1'000);
    if (!document) continue;
    ++accepted;
    const auto again = decode(encode(*document));
    ASSERT_TRUE(again) << payload;
    ASSERT_EQ(encode(*again), encode(*document)) << payload;
    ASSERT_TRUE(same_value(again->desired.state, document->desired.state)) << payload;
  }
  EXPECT_GT(accepted, 500);
}

TEST(Deltas, applied_to_what_is_reported_leave_no_delta) {
  int some = 0;
  for (std::uint64_t seed = 1; seed <= 1000; ++seed) {
    Random random(seed);
    Document document;
    for (int i = 0; i < 3; ++i) {
      merge(document.desired, random.object(3), i);
      merge(document.reported, random.object(3), i);
    }
    const Flat desired = flatten(document.desired), reported = flatten(document.reported);
    const Section difference = delta(document);
    // By paths: a value that is desired differs where it is reported otherwise or not at all.
    const Flat got = flatten(difference);
    for (const auto& [path, value] : desired.values) {
      const auto held = reported.values.find(path);
      const bool differs = held == reported.values.end() || held->second != value;
      ASSERT_EQ(got.values.contains(path), differs) << "seed " << seed << " " << path;
      if (differs) ASSERT_EQ(got.times.at(path), desired.times.at(path));
    }
    for (const auto& [path, value] : got.values) ASSERT_EQ(value, desired.values.at(path));
    some += difference.state.empty() ? 0 : 1;
    merge(document.reported, difference.state, 9);
    ASSERT_TRUE(delta(document).state.empty()) << "seed " << seed;
  }
  EXPECT_GT(some, 500);
}

}  // namespace
}  // namespace muster::shadows
