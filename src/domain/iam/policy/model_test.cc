// SPDX-License-Identifier: Apache-2.0
// The evaluator against a second, slow model written from the documentation: it works on the JSON text of the policy,
// matches by recursion over characters, and shares no code with the evaluator but the JSON parser. Random policies over
// small alphabets, so that matches are frequent. A failure prints the seed.
#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <random>

#include "base/json.h"
#include "domain/iam/policy/eval.h"

namespace muster::iam {
namespace {

using Context = std::map<std::string, std::vector<std::string>>;  // lower-case keys

namespace model {

struct Symbol {
  enum { kCharacter, kAny, kOne } kind = kCharacter;
  char character = 0;
};
using Symbols = std::vector<Symbol>;

// nullopt: a variable has no (single) value.
std::optional<Symbols> expand(const std::string& text, const Context& context, bool wildcards) {
  Symbols symbols;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text.compare(i, 2, "${") == 0) {
      std::size_t end = text.find('}', i);
      std::string name = text.substr(i + 2, end - i - 2);
      i = end;
      if (name == "*" || name == "?" || name == "$") {
        symbols.push_back({Symbol::kCharacter, name[0]});
        continue;
      }
      for (char& c : name) c = static_cast<char>(std::tolower(c));
      auto found = context.find(name);
      if (found == context.end() || found->second.size() != 1) return std::nullopt;
      for (char c : found->second[0]) symbols.push_back({Symbol::kCharacter, c});
    } else if (wildcards && text[i] == '*') {
      symbols.push_back({Symbol::kAny, 0});
    } else if (wildcards && text[i] == '?') {
      symbols.push_back({Symbol::kOne, 0});
    } else {
      symbols.push_back({Symbol::kCharacter, text[i]});
    }
  }
  return symbols;
}

bool matches(const Symbols& pattern, std::size_t p, const std::string& text, std::size_t t) {
  if (p == pattern.size()) return t == text.size();
  if (pattern[p].kind == Symbol::kAny) {
    for (std::size_t skip = t; skip <= text.size(); ++skip)
      if (matches(pattern, p + 1, text, skip)) return true;
    return false;
  }
  if (t == text.size()) return false;
  if (pattern[p].kind == Symbol::kCharacter && pattern[p].character != text[t]) return false;
  return matches(pattern, p + 1, text, t + 1);
}

enum class Answer { kNo, kYes, kUnknown };

Answer text_match(const std::string& pattern, const std::string& text, const Context& context, bool wildcards) {
  auto symbols = expand(pattern, context, wildcards);
  if (!symbols) return Answer::kUnknown;
  return matches(*symbols, 0, text, 0) ? Answer::kYes : Answer::kNo;
}

std::vector<std::string> six_parts(const std::string& text) {
  std::vector<std::string> parts(1);
  bool variable = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text.compare(i, 2, "${") == 0) variable = true;
    if (text[i] == '}') variable = false;
    if (text[i] == ':' && !variable && parts.size() < 6)
      parts.emplace_back();
    else
      parts.back() += text[i];
  }
  return parts;
}

Answer arn_match(const std::string& pattern, const std::string& arn, const Context& context) {
  if (pattern == "*") return Answer::kYes;
  std::vector<std::string> want = six_parts(pattern), have = six_parts(arn);
  if (have.size() != 6) return Answer::kNo;
  Answer all = Answer::kYes;
  for (std::size_t i = 0; i < 6; ++i) {
    Answer one = text_match(want[i], have[i], context, true);
    if (one == Answer::kNo) return one;
    if (one == Answer::kUnknown) all = one;
  }
  return all;
}

std::vector<std::string> strings(const json::value& value) {
  std::vector<std::string> list;
  if (value.is_string())
    list.emplace_back(value.as_string());
  else
    for (const json::value& item : value.as_array()) list.emplace_back(item.as_string());
  return list;
}

std::string lowered(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(c));
  return text;
}

Answer value_matches(const std::string& op, const std::string& want, const std::string& have, const Context& context) {
  auto answer = [](bool yes) { return yes ? Answer::kYes : Answer::kNo; };
  if (op == "StringEquals") return text_match(want, have, context, false);
  if (op == "StringLike") return text_match(want, have, context, true);
  if (op == "StringEqualsIgnoreCase") return text_match(lowered(want), lowered(have), context, false);
  if (op == "ArnLike") return arn_match(want, have, context);
  if (op == "NumericEquals") return answer(std::stoi(want) == std::stoi(have));
  if (op == "NumericLessThan") return answer(std::stoi(have) < std::stoi(want));
  ADD_FAILURE() << op;
  return Answer::kNo;
}

bool condition_holds(std::string op, const std::string& key, const json::value& wanted, const Context& context,
                     bool allow) {
  auto found = context.find(lowered(key));
  bool absent = found == context.end();
  if (op == "Null") return (strings(wanted)[0] == "true") == absent;
  bool all_values = op.starts_with("ForAllValues:"), any_value = op.starts_with("ForAnyValue:");
  if (all_values || any_value) op = op.substr(op.find(':') + 1);
  bool if_exists = op.ends_with("IfExists");
  if (if_exists) op = op.substr(0, op.size() - 8);
  bool negated = op.find("Not") != std::string::npos;
  if (negated) op.erase(op.find("Not"), 3);
  if (absent) return if_exists || all_values || (negated && !any_value);
  std::size_t satisfied = 0;
  for (const std::string& have : found->second) {
    bool yes = false, unknown = false;
    for (const std::string& want : strings(wanted)) {
      Answer one = value_matches(op, want, have, context);
      yes = yes || one == Answer::kYes;
      unknown = unknown || one == Answer::kUnknown;
    }
    if (!yes && unknown)
      satisfied += negated && !allow;
    else
      satisfied += yes != negated;
  }
  return any_value ? satisfied > 0 : satisfied == found->second.size();
}

bool statement_applies(const json::object& statement, const std::string& action, const std::string& resource,
                       const Context& context) {
  bool allow = statement.at("Effect").as_string() == "Allow";
  bool not_action = statement.contains("NotAction");
  bool listed = false;
  for (const std::string& pattern : strings(statement.at(not_action ? "NotAction" : "Action")))
    listed = listed || text_match(lowered(pattern), lowered(action), {}, true) == Answer::kYes;
  if (listed == not_action) return false;
  bool not_resource = statement.contains("NotResource");
  bool yes = false, unknown = false;
  for (const std::string& pattern : strings(statement.at(not_resource ? "NotResource" : "Resource"))) {
    Answer one = arn_match(pattern, resource, context);
    yes = yes || one == Answer::kYes;
    unknown = unknown || one == Answer::kUnknown;
  }
  if (not_resource && (yes || (unknown && allow))) return false;
  if (!not_resource && !yes) return false;
  if (!statement.contains("Condition")) return true;
  for (const auto& op : statement.at("Condition").as_object())
    for (const auto& key : op.value().as_object())
      if (!condition_holds(std::string(op.key()), std::string(key.key()), key.value(), context, allow)) return false;
  return true;
}

Verdict decide(const json::value& policy, const std::string& action, const std::string& resource,
               const Context& context) {
  bool allowed = false, denied = false;
  for (const json::value& item : policy.as_object().at("Statement").as_array()) {
    const json::object& statement = item.as_object();
    if (!statement_applies(statement, action, resource, context)) continue;
    (statement.at("Effect").as_string() == "Allow" ? allowed : denied) = true;
  }
  return denied ? Verdict::kExplicitDeny : allowed ? Verdict::kAllow : Verdict::kImplicitDeny;
}

}  // namespace model

class Generator {
 public:
  explicit Generator(std::uint64_t seed) : random_(seed) {}

  json::value policy() {
    json::array statements;
    for (int count = between(1, 4); count > 0; --count) statements.push_back(statement());
    return json::object{{"Version", "2012-10-17"}, {"Statement", std::move(statements)}};
  }
  std::string action() { return "iot:" + text("aAb", 1, 3); }
  std::string resource() {
    return "arn:aws:iot:" + text("ab", 1, 2) + ":" + text("12", 1, 2) + ":" + text("ab/*?:", 0, 5);
  }
  Context context() {
    Context context;
    for (const char* key : {"aws:username", "aws:userid"}) {
      if (chance(4)) continue;
      std::vector<std::string>& values = context[key];
      for (int count = chance(5) ? 2 : 1; count > 0; --count) values.push_back(text("ab*?", 0, 3));
    }
    if (chance(2)) context["s3:max-keys"].push_back(std::to_string(between(0, 4)));
    if (chance(2)) context["aws:principalarn"].push_back(resource());
    return context;
  }

 private:
  int between(int low, int high) { return std::uniform_int_distribution<int>(low, high)(random_); }
  bool chance(int one_in) { return between(1, one_in) == 1; }
  std::string text(std::string_view alphabet, int low, int high) {
    std::string text;
    for (int count = between(low, high); count > 0; --count)
      text += alphabet[static_cast<std::size_t>(between(0, static_cast<int>(alphabet.size()) - 1))];
    return text;
  }
  // Text with wildcards, variables and escapes among its characters.
  std::string pattern(std::string_view alphabet) {
    static constexpr std::string_view kSpecial[] = {"*",    "?",   "${aws:username}", "${aws:UserId}", "**", "${*}",
                                                    "${?}", "${$}"};
    std::string text_of_pattern;
    for (int count = between(0, 4); count > 0; --count) {
      if (chance(3))
        text_of_pattern += kSpecial[static_cast<std::size_t>(between(0, 7))];
      else
        text_of_pattern += text(alphabet, 1, 1);
    }
    return text_of_pattern;
  }
  std::string arn_pattern() {
    if (chance(8)) return "*";
    auto part = [&](std::string_view alphabet) { return chance(2) ? std::string("*") : text(alphabet, 1, 2); };
    std::string region = chance(6) ? std::string("${aws:username}") : part("ab");
    return "arn:aws:iot:" + region + ":" + part("12") + ":" + pattern("ab/:");
  }
  template <class Make>
  json::value one_or_list(Make&& make) {
    if (chance(2)) return json::value(make());
    json::array list;
    for (int count = between(1, 3); count > 0; --count) list.emplace_back(make());
    return list;
  }
  json::object statement() {
    json::object statement{{"Effect", chance(3) ? "Deny" : "Allow"}};
    auto action_pattern = [&] { return chance(6) ? std::string("*") : "iot:" + text("aAb*?", 1, 3); };
    statement[chance(6) ? "NotAction" : "Action"] = one_or_list(action_pattern);
    statement[chance(5) ? "NotResource" : "Resource"] = one_or_list([&] { return arn_pattern(); });
    if (chance(2)) statement["Condition"] = conditions();
    return statement;
  }
  json::object conditions() {
    json::object conditions;
    for (int count = between(1, 2); count > 0; --count) {
      if (chance(6)) {
        conditions["Null"] = json::object{{"aws:username", chance(2) ? "true" : "false"}};
        continue;
      }
      static constexpr std::string_view kText[] = {
          "StringEquals",  "StringNotEquals",        "StringLike",
          "StringNotLike", "StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase"};
      static constexpr std::string_view kNumber[] = {"NumericEquals", "NumericNotEquals", "NumericLessThan"};
      static constexpr std::string_view kArn[] = {"ArnLike", "ArnNotLike"};
      std::string op = chance(4) ? (chance(2) ? "ForAllValues:" : "ForAnyValue:") : "";
      json::object keys;
      int family = between(1, 4);
      if (family == 1) {
        op += kNumber[static_cast<std::size_t>(between(0, 2))];
        keys["s3:max-keys"] = one_or_list([&] { return std::to_string(between(0, 4)); });
      } else if (family == 2) {
        op += kArn[static_cast<std::size_t>(between(0, 1))];
        keys["aws:PrincipalArn"] = one_or_list([&] { return arn_pattern(); });
      } else {
        op += kText[static_cast<std::size_t>(between(0, 5))];
        keys[chance(2) ? "aws:username" : "AWS:userid"] = one_or_list([&] { return pattern("abAB"); });
      }
      if (chance(5)) op += "IfExists";
      conditions[op] = std::move(keys);
    }
    return conditions;
  }

  std::mt19937_64 random_;
};

TEST(PolicyModel, EvaluatorAgreesWithTheModelOnRandomPolicies) {
  std::map<Verdict, int> seen;
  for (std::uint64_t seed = 1; seed <= 20000; ++seed) {
    Generator generator(seed);
    json::value document = generator.policy();
    std::string text = to_text(document);
    auto compiled = compile_policy(text, PolicyUse::kIdentity);
    ASSERT_TRUE(compiled) << "seed " << seed << ": " << compiled.error().message << "\n" << text;
    std::vector<PolicyPtr> policies{*compiled};
    for (int round = 0; round < 5; ++round) {
      std::string action = generator.action(), resource = generator.resource();
      Context keys = generator.context();
      PolicyContext context;
      for (const auto& [key, values] : keys) context.set(key, values);
      Verdict expected = model::decide(document, action, resource, keys);
      Verdict actual = evaluate(policies, {action, resource, &context, nullptr}).verdict;
      ++seen[expected];
      ASSERT_EQ(actual, expected) << "seed " << seed << " round " << round << " " << action << " " << resource << "\n"
                                  << text;
    }
  }
  // The generator must not drift into policies that decide nothing.
  EXPECT_GT(seen[Verdict::kAllow], 3000);
  EXPECT_GT(seen[Verdict::kExplicitDeny], 3000);
  EXPECT_GT(seen[Verdict::kImplicitDeny], 3000);
}

}  // namespace
}  // namespace muster::iam
