// SPDX-License-Identifier: Apache-2.0
// A second, slow model of policies written from the documentation: it works on the JSON text of the policy, matches by
// recursion over characters, and shares no code with the evaluator but the JSON parser. And a generator of random
// policies and requests over small alphabets, so that matches are frequent.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "base/json.h"
#include "domain/iam/policy/decide.h"

namespace muster::iam {

using Context = std::map<std::string, std::vector<std::string>>;  // lower-case keys

namespace model {

struct Symbol {
  enum { kCharacter, kAny, kOne } kind = kCharacter;
  char character = 0;
};
using Symbols = std::vector<Symbol>;

// nullopt: a variable has no (single) value.
inline std::optional<Symbols> expand(const std::string& text, const Context& context, bool wildcards) {
  Symbols symbols;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text.compare(i, 2, "${") == 0) {
      std::size_t end = text.find('}', i);
      std::string name = text.substr(i + 2, end - i - 2);
      i = end;
      std::optional<std::string> fallback;
      if (std::size_t comma = name.find(", '"); comma != std::string::npos) {
        fallback = name.substr(comma + 3, name.size() - comma - 4);
        name.resize(comma);
      }
      if (name == "*" || name == "?" || name == "$") {
        symbols.push_back({Symbol::kCharacter, name[0]});
        continue;
      }
      for (char& c : name) c = static_cast<char>(std::tolower(c));
      auto found = context.find(name);
      const bool single = found != context.end() && found->second.size() == 1;
      if (!single && !fallback) return std::nullopt;
      for (char c : single ? found->second[0] : *fallback) symbols.push_back({Symbol::kCharacter, c});
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

inline bool matches(const Symbols& pattern, std::size_t p, const std::string& text, std::size_t t) {
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

inline Answer text_match(const std::string& pattern, const std::string& text, const Context& context, bool wildcards) {
  auto symbols = expand(pattern, context, wildcards);
  if (!symbols) return Answer::kUnknown;
  return matches(*symbols, 0, text, 0) ? Answer::kYes : Answer::kNo;
}

inline std::vector<std::string> six_parts(const std::string& text) {
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

inline Answer arn_match(const std::string& pattern, const std::string& arn, const Context& context) {
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

inline std::vector<std::string> strings(const json::value& value) {
  std::vector<std::string> list;
  if (value.is_string())
    list.emplace_back(value.as_string());
  else
    for (const json::value& item : value.as_array()) list.emplace_back(item.as_string());
  return list;
}

inline std::string lowered(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(c));
  return text;
}

// "10.0.0.0/9": bit by bit.
inline bool in_network(const std::string& network, const std::string& address) {
  auto bits = [](const std::string& text) {
    std::string out;
    int number = 0;
    for (char c : text + '.') {
      if (c != '.') {
        number = number * 10 + (c - '0');
        continue;
      }
      for (int bit = 7; bit >= 0; --bit) out += ((number >> bit) & 1) != 0 ? '1' : '0';
      number = 0;
    }
    return out;
  };
  const std::size_t slash = network.find('/');
  const std::size_t length =
      slash == std::string::npos ? 32 : static_cast<std::size_t>(std::stoi(network.substr(slash + 1)));
  return bits(network.substr(0, slash)).substr(0, length) == bits(address).substr(0, length);
}

inline Answer value_matches(const std::string& op, const std::string& want, const std::string& have,
                            const Context& context) {
  auto answer = [](bool yes) { return yes ? Answer::kYes : Answer::kNo; };
  if (op == "StringEquals") return text_match(want, have, context, false);
  if (op == "StringLike") return text_match(want, have, context, true);
  if (op == "StringEqualsIgnoreCase") return text_match(lowered(want), lowered(have), context, false);
  if (op == "ArnLike") return arn_match(want, have, context);
  if (op == "NumericEquals") return answer(std::stoi(want) == std::stoi(have));
  if (op == "NumericLessThan") return answer(std::stoi(have) < std::stoi(want));
  if (op == "NumericGreaterThanEquals") return answer(std::stoi(have) >= std::stoi(want));
  if (op == "DateLessThan") return answer(have < want);  // of one form and zone: the order of their texts
  if (op == "DateGreaterThanEquals") return answer(have >= want);
  if (op == "DateEquals") return answer(have == want);
  if (op == "Bool") return answer(lowered(want) == lowered(have));
  if (op == "BinaryEquals") return answer(want == have);
  if (op == "IpAddress") return answer(in_network(want, have));
  ADD_FAILURE() << op;
  return Answer::kNo;
}

inline bool condition_holds(std::string op, const std::string& key, const json::value& wanted, const Context& context,
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

inline bool statement_applies(const json::object& statement, const std::string& action, const std::string& resource,
                              const Context& context) {
  bool allow = statement.at("Effect").as_string() == "Allow";
  bool not_action = statement.contains("NotAction");
  bool listed = false;
  for (const std::string& pattern : strings(statement.at(not_action ? "NotAction" : "Action")))
    listed = listed || text_match(lowered(pattern), lowered(action), {}, true) == Answer::kYes;
  if (listed == not_action) return false;
  if (!statement.contains("Resource") && !statement.contains("NotResource")) return false;
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

// How the Principal element names somebody: not, by the account alone, or as such (by the session, last).
enum class Named { kNo, kAccount, kYes, kSession };

struct Who {
  std::string arn, role_arn, account;
};

inline Named named(const json::object& statement, const Who& who) {
  if (!statement.contains("Principal") && !statement.contains("NotPrincipal")) return Named::kYes;
  const bool negated = statement.contains("NotPrincipal");
  const json::value& element = statement.at(negated ? "NotPrincipal" : "Principal");
  Named best = Named::kNo;
  auto improve = [&](Named to) { best = std::max(best, to); };
  if (element.is_string()) {
    improve(Named::kYes);
  } else {
    for (const std::string& name : strings(element.as_object().at("AWS"))) {
      if (name == "*" || (!who.role_arn.empty() && name == who.role_arn)) improve(Named::kYes);
      if (!who.arn.empty() && name == who.arn) improve(who.role_arn.empty() ? Named::kYes : Named::kSession);
      if (!who.account.empty() && (name == who.account || name == "arn:aws:iam::" + who.account + ":root"))
        improve(Named::kAccount);
    }
  }
  if (!negated) return best;
  return best == Named::kNo ? Named::kYes : Named::kNo;
}

struct Sum {
  bool denied = false, allowed = false, delegated = false, session = false;
};

inline Sum sum(const std::vector<json::value>& policies, const std::string& action, const std::string& resource,
               const Context& context, const Who& who) {
  Sum sum;
  for (const json::value& policy : policies)
    for (const json::value& item : policy.as_object().at("Statement").as_array()) {
      const json::object& statement = item.as_object();
      const Named how = named(statement, who);
      if (how == Named::kNo || !statement_applies(statement, action, resource, context)) continue;
      const bool allow = statement.at("Effect").as_string() == "Allow";
      if (!allow) sum.denied = true;
      if (allow && how == Named::kAccount) sum.delegated = true;
      if (allow && how != Named::kAccount) sum.allowed = true;
      if (allow && how == Named::kSession) sum.session = true;
    }
  return sum;
}

struct Everything {
  std::vector<json::value> identity, resource, boundary, session;
  bool bounded = false, has_session = false;
};

// The flow chart of the user guide, from top to bottom.
inline Verdict judge(const Everything& all, const std::string& action, const std::string& resource,
                     const Context& context, const Who& who) {
  const Sum identity = sum(all.identity, action, resource, context, who);
  const Sum by_resource = sum(all.resource, action, resource, context, who);
  const Sum boundary = sum(all.boundary, action, resource, context, who);
  const Sum session = sum(all.session, action, resource, context, who);
  if (identity.denied || by_resource.denied || boundary.denied || session.denied) return Verdict::kExplicitDeny;
  const bool is_role = !who.role_arn.empty();
  if (by_resource.allowed && !is_role) return Verdict::kAllow;
  if (by_resource.session) return Verdict::kAllow;
  if (all.bounded && !boundary.allowed) return Verdict::kImplicitDeny;
  if (all.has_session && !session.allowed) return Verdict::kImplicitDeny;
  return identity.allowed || by_resource.allowed ? Verdict::kAllow : Verdict::kImplicitDeny;
}

inline Verdict decide(const json::value& policy, const std::string& action, const std::string& resource,
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
    if (chance(2))
      for (int count = between(1, 3); count > 0; --count) context["aws:tagkeys"].push_back(text("ab*", 1, 2));
    if (chance(2)) context["aws:currenttime"].push_back(date());
    if (chance(2)) context["aws:securetransport"].push_back(chance(2) ? "true" : "false");
    if (chance(2)) context["aws:sourceip"].push_back(address());
    return context;
  }

  // A policy of a resource: with Principal, or NotPrincipal where that is allowed.
  json::value resource_policy(const model::Who& who) {
    json::value document = policy();
    for (json::value& item : document.as_object().at("Statement").as_array()) {
      json::object& statement = item.as_object();
      const bool deny = statement.at("Effect").as_string() == "Deny";
      const bool negated = deny && chance(2);
      const std::vector<std::string> names{who.account.empty() ? "*" : who.account,
                                           "999999999999",
                                           "arn:aws:iam::999999999999:root",
                                           who.arn.empty() ? "*" : who.arn,
                                           who.role_arn.empty() ? "arn:aws:iam::123456789012:role/other" : who.role_arn,
                                           "arn:aws:iam::123456789012:user/other"};
      json::value principal =
          chance(4) ? json::value("*") : json::value(json::object{{"AWS", one_or_list([&] { return pick(names); })}});
      statement[negated ? "NotPrincipal" : "Principal"] = std::move(principal);
    }
    return document;
  }
  model::Who who() {
    const int kind = between(1, 3);
    const std::string account = "123456789012";
    if (kind == 1) return {"arn:aws:iam::" + account + ":user/a", "", account};
    if (kind == 2)
      return {"arn:aws:sts::" + account + ":assumed-role/r/s", "arn:aws:iam::" + account + ":role/r", account};
    return {};
  }
  bool chance(int one_in) { return between(1, one_in) == 1; }
  int between(int low, int high) { return std::uniform_int_distribution<int>(low, high)(random_); }

 private:
  std::string pick(const std::vector<std::string>& from) {
    return from[static_cast<std::size_t>(between(0, static_cast<int>(from.size()) - 1))];
  }
  std::string date() { return "2026-01-0" + std::to_string(between(1, 4)) + "T00:00:00Z"; }
  std::string address() { return "10." + std::to_string(between(0, 255)) + ".0." + std::to_string(between(0, 3)); }
  std::string text(std::string_view alphabet, int low, int high) {
    std::string text;
    for (int count = between(low, high); count > 0; --count)
      text += alphabet[static_cast<std::size_t>(between(0, static_cast<int>(alphabet.size()) - 1))];
    return text;
  }
  // Text with wildcards, variables and escapes among its characters.
  std::string pattern(std::string_view alphabet) {
    static constexpr std::string_view kSpecial[] = {
        "*", "?", "${aws:username}", "${aws:UserId}", "**", "${*}", "${?}", "${$}", "${aws:username, 'b'}"};
    std::string text_of_pattern;
    for (int count = between(0, 4); count > 0; --count) {
      if (chance(3))
        text_of_pattern += kSpecial[static_cast<std::size_t>(between(0, 8))];
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
      static constexpr std::string_view kNumber[] = {"NumericEquals", "NumericNotEquals", "NumericLessThan",
                                                     "NumericGreaterThanEquals"};
      static constexpr std::string_view kArn[] = {"ArnLike", "ArnNotLike"};
      std::string op = chance(4) ? (chance(2) ? "ForAllValues:" : "ForAnyValue:") : "";
      json::object keys;
      int family = between(1, 8);
      if (family == 1) {
        op += kNumber[static_cast<std::size_t>(between(0, 3))];
        keys["s3:max-keys"] = one_or_list([&] { return std::to_string(between(0, 4)); });
      } else if (family == 2) {
        op += kArn[static_cast<std::size_t>(between(0, 1))];
        keys["aws:PrincipalArn"] = one_or_list([&] { return arn_pattern(); });
      } else if (family == 5) {
        op += pick({"DateLessThan", "DateGreaterThanEquals", "DateEquals", "DateNotEquals"});
        keys["aws:CurrentTime"] = one_or_list([&] { return date(); });
      } else if (family == 6) {
        op += "Bool";
        keys["aws:SecureTransport"] = chance(2) ? "true" : "false";
      } else if (family == 7) {
        op += chance(2) ? "IpAddress" : "NotIpAddress";
        keys["aws:SourceIp"] = one_or_list([&] { return address() + (chance(2) ? "/9" : chance(2) ? "/31" : ""); });
      } else if (family == 8) {
        op += pick({"StringEquals", "StringLike", "StringNotLike", "BinaryEquals"});
        const bool binary = op.ends_with("BinaryEquals");
        keys["aws:TagKeys"] = one_or_list([&] { return binary ? text("ab", 1, 2) : pattern("ab"); });
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

}  // namespace muster::iam
