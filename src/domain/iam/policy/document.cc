// SPDX-License-Identifier: Apache-2.0
// document = { Version?, Id?, Statement: statement | [statement] }
// statement = { Sid?, Effect, Action | NotAction, Resource | NotResource, Principal | NotPrincipal, Condition? }
// Every list may be a single string.
#include "domain/iam/policy/document.h"

#include <algorithm>
#include <set>

#include "base/json.h"
#include "base/text.h"
#include "domain/iam/policy/compiled.h"
#include "domain/iam/policy/condition_keys.h"

namespace muster::iam {

namespace {

constexpr std::size_t kDocumentLimit = 131072;
constexpr std::size_t kDepthLimit = 16;
constexpr std::size_t kStatementLimit = 500;
constexpr std::size_t kListLimit = 1000;

Error syntax_error() {
  return invalid("Syntax errors in policy.");
}

// A string or a list of strings, at least one.
Result<std::vector<std::string_view>> string_list(const json::value& value) {
  std::vector<std::string_view> list;
  if (const json::string* text = value.if_string()) {
    list.emplace_back(*text);
    return list;
  }
  const json::array* array = value.if_array();
  if (array == nullptr || array->size() > kListLimit) return syntax_error();
  for (const json::value& item : *array) {
    const json::string* text = item.if_string();
    if (text == nullptr) return syntax_error();
    list.emplace_back(*text);
  }
  return list;
}

bool is_word(std::string_view text, std::string_view extra) {
  return std::ranges::all_of(text, [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           extra.find(c) != std::string_view::npos;
  });
}

// arn:aws:iam::A:oidc-provider/HOST[:PORT][/PATH]. The providers that AWS knows by their host alone need an account
// with AWS.
bool is_oidc_provider(std::string_view name) {
  constexpr std::string_view kKind = ":oidc-provider/";
  const std::size_t at = name.find(kKind);
  return name.starts_with("arn:aws:iam::") && at == 13 + 12 && name.size() > at + kKind.size() &&
         is_word(name.substr(13, 12), "") && name.find_first_of("*?$") == std::string_view::npos;
}

class Compiler {
 public:
  explicit Compiler(PolicyUse use) : use_(use) {}
  Result<PolicyPtr> compile(std::string_view text);

 private:
  Status read_version(const json::object& document);
  Status read_statement(const json::value& value);
  Status read_members(const json::object& object);
  Status read_sid(const json::object& object, Statement& statement);
  Status read_actions(const json::object& object, Statement& statement);
  Status check_action(std::string_view action) const;
  Status read_resources(const json::object& object, Statement& statement);
  Status read_principals(const json::object& object, Statement& statement);
  Status add_account_principal(std::string_view value, PrincipalSet& set);
  Status read_conditions(const json::object& object, Statement& statement);
  Status check_variables(const std::vector<std::string>& names) const;
  bool has_principals() const { return use_ == PolicyUse::kResource || use_ == PolicyUse::kTrust; }

  PolicyUse use_;
  bool variables_ = true;
  std::set<std::string, std::less<>> sids_;
  std::shared_ptr<CompiledPolicy> policy_ = std::make_shared<CompiledPolicy>();
};

Result<PolicyPtr> Compiler::compile(std::string_view text) {
  if (text.size() > kDocumentLimit)
    return invalid("Policy document exceeds " + std::to_string(kDocumentLimit) + " bytes.");
  auto parsed = parse_json(text, JsonLimits{.max_bytes = kDocumentLimit, .max_depth = kDepthLimit});
  if (!parsed || !parsed->is_object()) return syntax_error();
  const json::object& document = parsed->as_object();
  for (const auto& member : document)
    if (member.key() != "Version" && member.key() != "Id" && member.key() != "Statement") return syntax_error();
  if (const json::value* id = document.if_contains("Id"); id != nullptr && !id->is_string()) return syntax_error();
  TRY_VOID(read_version(document));
  const json::value* statements = document.if_contains("Statement");
  if (statements == nullptr) return syntax_error();
  if (const json::array* list = statements->if_array()) {
    if (list->empty() || list->size() > kStatementLimit) return syntax_error();
    for (const json::value& statement : *list) TRY_VOID(read_statement(statement));
  } else {
    TRY_VOID(read_statement(*statements));
  }
  return PolicyPtr(std::move(policy_));
}

Status Compiler::read_version(const json::object& document) {
  const json::value* version = document.if_contains("Version");
  if (version != nullptr && !version->is_string()) return syntax_error();
  std::string_view text = version == nullptr ? "2008-10-17" : std::string_view(version->as_string());
  if (text != "2012-10-17" && text != "2008-10-17") return invalid("The policy must contain a valid version string");
  variables_ = text == "2012-10-17";
  if (!variables_ && !has_principals()) return invalid("Policy document must be version 2012-10-17 or greater.");
  return {};
}

Status Compiler::read_statement(const json::value& value) {
  const json::object* object = value.if_object();
  if (object == nullptr) return syntax_error();
  TRY_VOID(read_members(*object));
  Statement statement;
  std::string_view effect = get_string(*object, "Effect");
  if (effect != "Allow" && effect != "Deny") return syntax_error();
  statement.allow = effect == "Allow";
  TRY_VOID(read_sid(*object, statement));
  TRY_VOID(read_actions(*object, statement));
  TRY_VOID(read_resources(*object, statement));
  TRY_VOID(read_principals(*object, statement));
  TRY_VOID(read_conditions(*object, statement));
  policy_->statements.push_back(std::move(statement));
  return {};
}

Status Compiler::read_members(const json::object& object) {
  static constexpr std::string_view kMembers[] = {"Sid",         "Effect",    "Action",       "NotAction", "Resource",
                                                  "NotResource", "Principal", "NotPrincipal", "Condition"};
  for (const auto& member : object)
    if (std::ranges::find(kMembers, std::string_view(member.key())) == std::end(kMembers)) return syntax_error();
  return {};
}

Status Compiler::read_sid(const json::object& object, Statement& statement) {
  const json::value* sid = object.if_contains("Sid");
  if (sid == nullptr) return {};
  if (!sid->is_string()) return syntax_error();
  statement.sid = std::string(sid->as_string());
  if (use_ == PolicyUse::kIdentity && !is_word(statement.sid, ""))
    return invalid(
        "Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the regular expression "
        "[0-9A-Za-z]*");
  if (!statement.sid.empty() && !sids_.insert(statement.sid).second)
    return invalid("Statement IDs (SID) in a single policy must be unique.");
  return {};
}

Status Compiler::read_actions(const json::object& object, Statement& statement) {
  const json::value* action = object.if_contains("Action");
  const json::value* not_action = object.if_contains("NotAction");
  if (action != nullptr && not_action != nullptr) return syntax_error();
  if (action == nullptr && not_action == nullptr) return invalid("Policy statement must contain actions.");
  statement.not_action = not_action != nullptr;
  TRY(auto list, string_list(action != nullptr ? *action : *not_action));
  if (list.empty()) return invalid("Policy statement must contain actions.");
  for (std::string_view text : list) {
    TRY_VOID(check_action(text));
    TRY(Pattern pattern, Pattern::parse(text, PatternSyntax{.wildcards = true, .variables = false}));
    statement.actions.push_back(std::move(pattern));
  }
  return {};
}

Status Compiler::check_action(std::string_view action) const {
  if (action == "*" && use_ != PolicyUse::kTrust) return {};
  std::size_t colon = action.find(':');
  if (colon == std::string_view::npos || colon == 0)
    return invalid("Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.");
  std::string_view vendor = action.substr(0, colon), name = action.substr(colon + 1);
  if (!is_word(vendor, "-")) return invalid("Vendor " + std::string(vendor) + " is not valid");
  if (name.empty() || !is_word(name, "*?_-")) return invalid("Actions/Condition can contain only one colon.");
  if (use_ == PolicyUse::kTrust && !equals_ignore_case(vendor, "sts"))
    return invalid("AssumeRole policy may only specify STS AssumeRole actions.");
  if (use_ == PolicyUse::kIot && !equals_ignore_case(vendor, "iot") && !equals_ignore_case(vendor, "iotjobsdata"))
    return invalid("Action " + std::string(action) + " is not valid in an IoT policy.");
  return {};
}

Status Compiler::check_variables(const std::vector<std::string>& names) const {
  for (const std::string& name : names)
    if (!is_supplied_condition_key(name, use_)) return invalid("Policy variable ${" + name + "} is not supported.");
  return {};
}

Status Compiler::read_resources(const json::object& object, Statement& statement) {
  const json::value* resource = object.if_contains("Resource");
  const json::value* not_resource = object.if_contains("NotResource");
  if (use_ == PolicyUse::kTrust) {
    if (resource != nullptr || not_resource != nullptr) return invalid("Has prohibited field Resource");
    statement.any_resource = true;
    return {};
  }
  if (resource != nullptr && not_resource != nullptr) return syntax_error();
  if (resource == nullptr && not_resource == nullptr) return invalid("Policy statement must contain resources.");
  statement.not_resource = not_resource != nullptr;
  TRY(auto list, string_list(resource != nullptr ? *resource : *not_resource));
  if (list.empty()) return invalid("Policy statement must contain resources.");
  for (std::string_view text : list) {
    TRY(ArnPattern pattern, ArnPattern::parse(text, PatternSyntax{.wildcards = true, .variables = variables_}));
    TRY_VOID(check_variables(pattern.variables()));
    statement.resources.push_back(std::move(pattern));
  }
  return {};
}

Status Compiler::add_account_principal(std::string_view value, PrincipalSet& set) {
  auto is_account = [](std::string_view text) {
    return text.size() == 12 && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
  };
  if (value == "*") {
    set.any = true;
    return {};
  }
  if (is_account(value)) {
    set.accounts.emplace_back(value);
    return {};
  }
  std::vector<std::string_view> parts = split(value, ':');
  bool good = parts.size() == 6 && parts[0] == "arn" && (parts[2] == "iam" || parts[2] == "sts") && parts[3].empty() &&
              is_account(parts[4]) && value.find_first_of("*?$") == std::string_view::npos;
  std::string_view name = good ? parts[5] : std::string_view();
  if (good && name == "root") {
    set.accounts.emplace_back(parts[4]);
    return {};
  }
  good = good && (name.starts_with("user/") || name.starts_with("role/") || name.starts_with("assumed-role/"));
  if (!good) return invalid("Invalid principal in policy: \"AWS\":\"" + std::string(value) + "\"");
  set.arns.emplace_back(value);
  return {};
}

Status Compiler::read_principals(const json::object& object, Statement& statement) {
  const json::value* principal = object.if_contains("Principal");
  const json::value* not_principal = object.if_contains("NotPrincipal");
  if (!has_principals()) {
    if (principal != nullptr || not_principal != nullptr)
      return invalid("Policy document should not specify a principal.");
    return {};
  }
  if (principal != nullptr && not_principal != nullptr) return syntax_error();
  if (principal == nullptr && not_principal == nullptr) return invalid("Missing required field Principal");
  PrincipalSet& set = statement.principals;
  set.present = true;
  set.negated = not_principal != nullptr;
  if (set.negated && (statement.allow || use_ == PolicyUse::kTrust))
    return invalid(use_ == PolicyUse::kTrust ? "Has prohibited field NotPrincipal"
                                             : "Allow with NotPrincipal is not supported.");
  const json::value& value = set.negated ? *not_principal : *principal;
  if (value.is_string()) {
    if (value.as_string() != "*") return invalid("Invalid principal in policy");
    set.any = true;
    return {};
  }
  const json::object* kinds = value.if_object();
  if (kinds == nullptr || kinds->empty()) return invalid("Invalid principal in policy");
  for (const auto& kind : *kinds) {
    TRY(auto names, string_list(kind.value()));
    if (names.empty()) return invalid("Invalid principal in policy");
    for (std::string_view name : names) {
      if (kind.key() == "AWS") {
        TRY_VOID(add_account_principal(name, set));
      } else if (kind.key() == "Service" && name.ends_with(".amazonaws.com") && is_word(name, ".-")) {
        set.services.emplace_back(name);
      } else if (kind.key() == "Federated" && use_ == PolicyUse::kTrust && is_oidc_provider(name)) {
        set.federated.emplace_back(name);
      } else {
        return invalid("Invalid principal in policy: \"" + std::string(kind.key()) + "\":\"" + std::string(name) +
                       "\"");
      }
    }
  }
  return {};
}

Status Compiler::read_conditions(const json::object& object, Statement& statement) {
  const json::value* condition = object.if_contains("Condition");
  if (condition == nullptr) return {};
  const json::object* operators = condition->if_object();
  if (operators == nullptr) return syntax_error();
  for (const auto& op : *operators) {
    const json::object* keys = op.value().if_object();
    if (keys == nullptr || statement.conditions.size() + keys->size() > kListLimit) return syntax_error();
    for (const auto& key : *keys) {
      TRY(Condition compiled, Condition::compile(op.key(), key.key(), key.value(), use_, variables_));
      statement.conditions.push_back(std::move(compiled));
    }
  }
  return {};
}

}  // namespace

Result<PolicyPtr> compile_policy(std::string_view text, PolicyUse use) {
  Result<PolicyPtr> policy = Compiler(use).compile(text);
  if (policy) return policy;
  Error error = std::move(policy).error();
  error.kind = ErrorKind::kInvalid;
  error.reason = use == PolicyUse::kIot ? "MalformedPolicyException" : "MalformedPolicyDocument";
  return error;
}

PolicyPtr deny_all_policy() {
  auto policy = std::make_shared<CompiledPolicy>();
  Statement& statement = policy->statements.emplace_back();
  statement.any_resource = true;
  statement.not_action = true;  // no action is exempt
  return policy;
}

std::size_t policy_size_without_white_space(std::string_view text) {
  auto counts = [](char c) { return c != ' ' && c != '\t' && c != '\n' && c != '\r'; };
  return static_cast<std::size_t>(std::ranges::count_if(text, counts));
}

}  // namespace muster::iam
