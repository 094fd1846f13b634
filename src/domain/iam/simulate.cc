// SPDX-License-Identifier: Apache-2.0
#include "domain/iam/simulate.h"

#include <algorithm>
#include <map>

#include "base/json.h"
#include "base/text.h"
#include "domain/iam/entities.h"
#include "domain/iam/groups.h"
#include "domain/iam/managed_policies.h"
#include "domain/iam/policy/compiled.h"

namespace muster::iam {

namespace {

Error invalid_input(std::string message) {
  return make_error(ErrorKind::kInvalid, std::move(message), "InvalidInput");
}

void append_policies(std::vector<SourcePolicy>& out, store::Tx& tx, const Realm& realm, const Entity& entity) {
  for (const auto& [name, document] : entity.policies) out.push_back({name, std::string(word(entity.kind)), document});
  for (const std::string& arn : entity.attached) {
    auto policy = find_managed_policy(tx, realm, arn);
    const PolicyVersion* version = policy ? policy->find(policy->default_version) : nullptr;
    if (version == nullptr) continue;
    out.push_back({policy->name, policy->by_aws ? "aws-managed" : "user-managed", version->document});
  }
}

// Where the objects of the Statement element stand in a text that is known to be JSON: [begin, end) offsets.
class StatementFinder {
 public:
  explicit StatementFinder(std::string_view text) : text_(text) {}

  std::vector<std::pair<std::size_t, std::size_t>> find() {
    skip_space();
    ++at_;  // {
    while (at_ < text_.size()) {
      skip_space();
      if (text_[at_] == '}') return found_;
      if (text_[at_] == ',') {
        ++at_;
        continue;
      }
      const std::size_t name = at_;
      skip_value();
      // A later member of the same name wins, as in the parser.
      const bool statements = text_.substr(name, at_ - name) == "\"Statement\"";
      skip_space();
      ++at_;  // :
      skip_space();
      if (statements) found_.clear();
      if (statements && text_[at_] == '[') {
        read_array();
      } else {
        const std::size_t begin = at_;
        skip_value();
        if (statements) found_.emplace_back(begin, at_);
      }
    }
    return found_;
  }

 private:
  void skip_space() {
    while (at_ < text_.size() && std::string_view(" \t\r\n").find(text_[at_]) != std::string_view::npos) ++at_;
  }
  void skip_string() {
    for (++at_; at_ < text_.size() && text_[at_] != '"'; ++at_)
      if (text_[at_] == '\\') ++at_;
    ++at_;
  }
  void skip_value() {
    if (text_[at_] == '"') return skip_string();
    if (text_[at_] != '{' && text_[at_] != '[') {
      while (at_ < text_.size() && std::string_view(",]} \t\r\n").find(text_[at_]) == std::string_view::npos) ++at_;
      return;
    }
    int depth = 0;
    do {
      const char c = text_[at_];
      if (c == '"') {
        skip_string();
        continue;
      }
      depth += c == '{' || c == '[';
      depth -= c == '}' || c == ']';
      ++at_;
    } while (depth > 0 && at_ < text_.size());
  }
  void read_array() {
    ++at_;  // [
    while (at_ < text_.size()) {
      skip_space();
      if (text_[at_] == ']') {
        ++at_;
        return;
      }
      if (text_[at_] == ',') {
        ++at_;
        continue;
      }
      const std::size_t begin = at_;
      skip_value();
      found_.emplace_back(begin, at_);
    }
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::vector<std::pair<std::size_t, std::size_t>> found_;
};

TextPosition position(std::string_view text, std::size_t offset) {
  const std::string_view before = text.substr(0, offset);
  TextPosition at;
  at.line = 1 + std::ranges::count(before, '\n');
  const std::size_t line_begin = before.rfind('\n');
  at.column =
      1 + static_cast<std::int64_t>(before.size() - (line_begin == std::string_view::npos ? 0 : line_begin + 1));
  return at;
}

using Keys = std::map<std::string, std::string>;  // lower case -> as written

void add_variables(std::string_view text, Keys& keys) {
  for (std::size_t at = text.find("${"); at != std::string_view::npos; at = text.find("${", at + 2)) {
    const std::size_t end = text.find('}', at);
    if (end == std::string_view::npos) return;
    std::string_view name = text.substr(at + 2, end - at - 2);
    name = trim(name.substr(0, name.find(',')));
    if (name != "*" && name != "?" && name != "$") keys.emplace(lower(name), std::string(name));
  }
}

void add_variables(const json::value& value, Keys& keys) {
  if (value.is_string()) return add_variables(std::string_view(value.get_string()), keys);
  if (const json::array* items = value.if_array())
    for (const json::value& item : *items) add_variables(item, keys);
}

void add_statement_keys(const json::object& statement, Keys& keys) {
  for (const char* member : {"Resource", "NotResource"})
    if (const json::value* value = statement.if_contains(member)) add_variables(*value, keys);
  const json::object* condition = find_object(statement, "Condition");
  if (condition == nullptr) return;
  for (const auto& op : *condition) {
    const json::object* tested = op.value().if_object();
    if (tested == nullptr) continue;
    for (const auto& key : *tested) {
      keys.emplace(lower(key.key()), std::string(key.key()));
      add_variables(key.value(), keys);
    }
  }
}

void add_document_keys(std::string_view document, Keys& keys) {
  auto parsed = parse_json(document);
  const json::object* object = parsed ? parsed->if_object() : nullptr;
  const json::value* statements = object != nullptr ? object->if_contains("Statement") : nullptr;
  if (statements == nullptr) return;
  if (const json::object* one = statements->if_object()) add_statement_keys(*one, keys);
  if (const json::array* list = statements->if_array())
    for (const json::value& item : *list)
      if (const json::object* statement = item.if_object()) add_statement_keys(*statement, keys);
}

std::vector<std::string> names_of(const Keys& keys) {
  std::vector<std::string> names;
  for (const auto& [key, name] : keys) names.push_back(name);
  std::ranges::sort(names);
  return names;
}

bool is_value_of(std::string_view type, const std::string& value) {
  auto compiles = [&](std::string_view op, std::string_view key) {
    return Condition::compile(op, key, json::value(value), PolicyUse::kIdentity, false).has_value();
  };
  if (type == "string") return true;
  if (type == "numeric") return compiles("NumericEquals", "s3:max-keys");
  if (type == "boolean") return compiles("Bool", "aws:SecureTransport");
  if (type == "ip") return compiles("IpAddress", "aws:SourceIp");
  if (type == "date") return compiles("DateEquals", "aws:CurrentTime");
  return type == "binary" && from_base64(value).has_value();
}

}  // namespace

Result<std::vector<SourcePolicy>> policies_of_entity(store::Tx& tx, const Realm& realm, std::string_view arn,
                                                     std::vector<SourcePolicy>* boundary) {
  const std::string prefix = "arn:aws:iam::" + realm.account_id + ":";
  for (EntityKind kind : {EntityKind::kUser, EntityKind::kRole, EntityKind::kGroup}) {
    if (!arn.starts_with(prefix + std::string(word(kind)) + "/")) continue;
    const std::string_view name = arn.substr(arn.rfind('/') + 1);
    TRY(Entity entity, get_entity(tx, kind, name));
    if (entity_arn(realm, entity) != arn)
      return make_error(ErrorKind::kNotFound, "Entity " + std::string(arn) + " does not exist.", "NoSuchEntity");
    std::vector<SourcePolicy> policies;
    append_policies(policies, tx, realm, entity);
    if (kind == EntityKind::kUser)
      for (const std::string& group_name : groups_of_user(tx, entity.name))
        if (auto group = find_entity(tx, EntityKind::kGroup, group_name)) append_policies(policies, tx, realm, *group);
    auto document = entity.boundary.empty() ? std::nullopt : managed_document(tx, realm, entity.boundary);
    if (document && boundary != nullptr)
      boundary->push_back({entity.boundary.substr(entity.boundary.rfind('/') + 1), "user-managed", *document});
    return policies;
  }
  return invalid_input("Invalid Entity Arn: " + std::string(arn) + " does not clearly define entity type and name.");
}

Result<std::vector<Simulation::One>> Simulation::split(const std::vector<SourcePolicy>& policies, PolicyUse use) {
  std::vector<One> out;
  for (const SourcePolicy& source : policies) {
    auto compiled = compile_policy(source.document, use);
    if (!compiled) return invalid_input(source.id + ": " + compiled.error().message);
    const auto places = StatementFinder(source.document).find();
    const std::vector<Statement>& statements = (*compiled)->statements;
    if (places.size() != statements.size()) return internal("statements were not found in their document");
    for (std::size_t i = 0; i < statements.size(); ++i) {
      auto single = std::make_shared<CompiledPolicy>();
      single->statements.push_back(statements[i]);
      out.push_back({std::move(single),
                     {source.id, source.type, position(source.document, places[i].first),
                      position(source.document, places[i].second)}});
    }
  }
  return out;
}

Result<Simulation> Simulation::make(std::vector<SourcePolicy> identity, std::vector<SourcePolicy> boundary,
                                    std::vector<SourcePolicy> resource) {
  if (boundary.size() > 1) return invalid_input("Only one permissions boundary policy can be simulated.");
  Simulation simulation;
  TRY(simulation.identity_, split(identity, PolicyUse::kIdentity));
  TRY(simulation.boundary_, split(boundary, PolicyUse::kIdentity));
  TRY(simulation.resource_, split(resource, PolicyUse::kResource));
  simulation.has_boundary_ = !boundary.empty();
  Keys keys;
  for (const auto* list : {&identity, &boundary, &resource})
    for (const SourcePolicy& source : *list) add_document_keys(source.document, keys);
  simulation.keys_ = names_of(keys);
  return simulation;
}

Simulation::Group Simulation::evaluate_all(const std::vector<One>& statements, const PolicyRequest& asked) {
  Group group;
  for (const One& one : statements) {
    const Decision decision = evaluate({&one.policy, 1}, asked);
    if (decision.delegated) group.delegated = true;
    if (decision.verdict == Verdict::kAllow || decision.delegated) group.allows.push_back(one.where);
    if (decision.verdict == Verdict::kExplicitDeny) group.denies.push_back(one.where);
    if (decision.verdict == Verdict::kAllow) group.verdict = Verdict::kAllow;
  }
  if (!group.denies.empty()) group.verdict = Verdict::kExplicitDeny;
  return group;
}

SimulationResult Simulation::decide(std::string_view action, std::string_view resource_arn,
                                    const PolicyContext& context, const PolicyPrincipal& principal) const {
  SimulationResult result;
  for (const std::string& key : keys_)
    if (context.find(lower(key)) == nullptr) result.missing.push_back(key);
  const PolicyRequest asked{action, resource_arn, &context, &principal};
  const Group identity = evaluate_all(identity_, asked);
  const Group boundary = evaluate_all(boundary_, asked);
  const Group resource = evaluate_all(resource_, asked);
  if (has_boundary_) result.allowed_by_boundary = boundary.verdict == Verdict::kAllow;
  for (const Group* group : {&identity, &boundary, &resource}) {
    if (group->verdict == Verdict::kExplicitDeny) result.verdict = Verdict::kExplicitDeny;
    result.matched.insert(result.matched.end(), group->denies.begin(), group->denies.end());
  }
  if (result.verdict == Verdict::kExplicitDeny) return result;
  const bool by_identity = identity.verdict == Verdict::kAllow && (!has_boundary_ || *result.allowed_by_boundary);
  if (!by_identity && resource.verdict != Verdict::kAllow) return result;
  result.verdict = Verdict::kAllow;
  if (by_identity) result.matched = identity.allows;
  result.matched.insert(result.matched.end(), resource.allows.begin(), resource.allows.end());
  return result;
}

Result<std::vector<std::string>> context_keys(const std::vector<SourcePolicy>& policies) {
  Keys keys;
  for (const SourcePolicy& source : policies) {
    auto compiled = compile_policy(source.document, PolicyUse::kIdentity);
    if (!compiled) return invalid_input(source.id + ": " + compiled.error().message);
    add_document_keys(source.document, keys);
  }
  return names_of(keys);
}

Status add_context_entry(PolicyContext& context, std::string_view key, std::string_view type,
                         std::vector<std::string> values) {
  const bool list = type.ends_with("List");
  const std::string_view single = list ? type.substr(0, type.size() - 4) : type;
  if (!list && values.size() > 1)
    return invalid_input("Context key " + std::string(key) + " of type " + std::string(type) + " has several values.");
  for (const std::string& value : values)
    if (!is_value_of(single, value))
      return invalid_input("Invalid value for context key " + std::string(key) + " of type " + std::string(type) +
                           ": " + value);
  context.set(key, std::move(values));
  return {};
}

}  // namespace muster::iam
