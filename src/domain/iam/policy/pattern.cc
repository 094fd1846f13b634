// SPDX-License-Identifier: Apache-2.0
// Grammar: text of characters; '*' any run, '?' one character (a UTF-8 sequence); ${name}, ${name, 'fallback'}; and the
// escapes ${*} ${?} ${$}, which are those characters themselves.
#include "domain/iam/policy/pattern.h"

#include "base/text.h"
#include "domain/iam/policy/eval.h"

namespace muster::iam {

namespace {

constexpr std::size_t kVariableNameLimit = 256;
constexpr std::size_t kArnParts = 6;

char fold(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
}

bool same(std::string_view a, std::string_view b, bool ignore_case) {
  if (a.size() != b.size()) return false;
  if (!ignore_case) return a == b;
  for (std::size_t i = 0; i < a.size(); ++i)
    if (fold(a[i]) != fold(b[i])) return false;
  return true;
}

bool begins(std::string_view text, std::string_view with, bool ignore_case) {
  return text.size() >= with.size() && same(text.substr(0, with.size()), with, ignore_case);
}

std::size_t character_length(std::string_view text) {
  auto lead = static_cast<unsigned char>(text.front());
  std::size_t expected = lead < 0xC0 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  std::size_t length = 1;  // never swallows what is not a continuation: resources need not be valid UTF-8
  while (length < expected && length < text.size() && (static_cast<unsigned char>(text[length]) & 0xC0) == 0x80)
    ++length;
  return length;
}

bool is_variable_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view(":._-/[]@=+,#").find(c) != std::string_view::npos;
}

struct Variable {
  std::string name, fallback;
  bool has_fallback = false;
};

// `inside` is what stands between the braces.
Result<Variable> parse_variable(std::string_view inside) {
  Variable variable;
  std::string_view name = inside;
  std::size_t quote = inside.find('\'');
  if (quote != std::string_view::npos) {
    std::string_view before = trim(inside.substr(0, quote));
    std::string_view rest = trim(inside.substr(quote + 1));
    if (before.empty() || before.back() != ',' || rest.empty() || rest.back() != '\'')
      return invalid("invalid policy variable ${" + std::string(inside) + "}");
    name = trim(before.substr(0, before.size() - 1));
    variable.fallback = rest.substr(0, rest.size() - 1);
    variable.has_fallback = true;
  }
  name = trim(name);
  bool good = !name.empty() && name.size() <= kVariableNameLimit;
  for (char c : name) good = good && is_variable_character(c);
  if (!good) return invalid("invalid policy variable ${" + std::string(inside) + "}");
  variable.name = lower(name);
  return variable;
}

// The value of a variable: the single value of its key, else the fallback, else none.
const std::string* resolve(const std::string& name, const std::string* fallback, const PolicyContext* context) {
  if (context != nullptr) {
    const std::vector<std::string>* values = context->find(name);
    if (values != nullptr && values->size() == 1) return &values->front();
  }
  return fallback;
}

}  // namespace

Result<Pattern> Pattern::parse(std::string_view text, PatternSyntax syntax) {
  Pattern pattern;
  auto literal = [&](char c) {
    if (pattern.tokens_.empty() || pattern.tokens_.back().kind != Token::Kind::kLiteral) pattern.tokens_.emplace_back();
    pattern.tokens_.back().text += c;
  };
  for (std::size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (syntax.variables && c == '$' && i + 1 < text.size() && text[i + 1] == '{') {
      std::size_t end = text.find('}', i + 2);
      if (end == std::string_view::npos) return invalid("policy variable without closing brace");
      std::string_view inside = text.substr(i + 2, end - i - 2);
      if (inside == "*" || inside == "?" || inside == "$") {
        literal(inside[0]);
      } else {
        TRY(Variable variable, parse_variable(inside));
        Token token;
        token.kind = Token::Kind::kVariable;
        token.text = std::move(variable.name);
        token.fallback = std::move(variable.fallback);
        token.has_fallback = variable.has_fallback;
        pattern.tokens_.push_back(std::move(token));
        pattern.has_variables_ = true;
      }
      i = end;
    } else if (syntax.wildcards && (c == '*' || c == '?')) {
      bool repeated = c == '*' && !pattern.tokens_.empty() && pattern.tokens_.back().kind == Token::Kind::kAny;
      if (!repeated) pattern.tokens_.emplace_back().kind = c == '*' ? Token::Kind::kAny : Token::Kind::kOne;
    } else {
      literal(c);
    }
  }
  pattern.classify();
  return pattern;
}

void Pattern::classify() {
  auto is = [&](std::size_t i, Token::Kind kind) { return tokens_[i].kind == kind; };
  std::size_t count = tokens_.size();
  if (count == 0 || (count == 1 && is(0, Token::Kind::kLiteral)))
    shape_ = Shape::kExact;
  else if (count == 1 && is(0, Token::Kind::kAny))
    shape_ = Shape::kAnything;
  else if (count == 2 && is(0, Token::Kind::kLiteral) && is(1, Token::Kind::kAny))
    shape_ = Shape::kPrefix;
  else
    shape_ = Shape::kGeneral;
  has_variables_ = false;
  for (const Token& token : tokens_) has_variables_ = has_variables_ || token.kind == Token::Kind::kVariable;
}

std::vector<std::string> Pattern::variables() const {
  std::vector<std::string> names;
  for (const Token& token : tokens_)
    if (token.kind == Token::Kind::kVariable) names.push_back(token.text);
  return names;
}

std::string Pattern::shown(const PolicyContext* context) const {
  std::string text;
  for (const Token& token : tokens_) {
    if (token.kind == Token::Kind::kLiteral) text += token.text;
    if (token.kind == Token::Kind::kAny) text += '*';
    if (token.kind == Token::Kind::kOne) text += '?';
    if (token.kind != Token::Kind::kVariable) continue;
    const std::string* value = resolve(token.text, token.has_fallback ? &token.fallback : nullptr, context);
    text += value != nullptr ? *value : "${" + token.text + "}";
  }
  return text;
}

Match Pattern::match(std::string_view text, const PolicyContext* context, bool ignore_case) const {
  switch (shape_) {
    case Shape::kAnything:
      return Match::kYes;
    case Shape::kExact:
      if (tokens_.empty()) return text.empty() ? Match::kYes : Match::kNo;
      return same(text, tokens_[0].text, ignore_case) ? Match::kYes : Match::kNo;
    case Shape::kPrefix:
      return begins(text, tokens_[0].text, ignore_case) ? Match::kYes : Match::kNo;
    case Shape::kGeneral:
      break;
  }
  return match_general(text, context, ignore_case);
}

bool Pattern::covers(std::string_view prefix) const {
  return shape_ == Shape::kAnything || (shape_ == Shape::kPrefix && prefix.starts_with(tokens_[0].text));
}

// Greedy match with one backtracking point: the last '*' seen. Tokens are consumed whole.
Match Pattern::match_general(std::string_view text, const PolicyContext* context, bool ignore_case) const {
  auto value_of = [&](const Token& token) -> std::string_view {
    if (token.kind == Token::Kind::kLiteral) return token.text;
    return *resolve(token.text, token.has_fallback ? &token.fallback : nullptr, context);
  };
  if (has_variables_) {
    for (const Token& token : tokens_)
      if (token.kind == Token::Kind::kVariable &&
          resolve(token.text, token.has_fallback ? &token.fallback : nullptr, context) == nullptr)
        return Match::kUnresolved;
  }
  std::size_t at = 0, next = 0;
  std::size_t star = tokens_.size(), star_at = 0;  // star == size: none seen
  for (;;) {
    bool advanced = false;
    if (next < tokens_.size()) {
      const Token& token = tokens_[next];
      if (token.kind == Token::Kind::kAny) {
        star = next++;
        star_at = at;
        advanced = true;
        if (next == tokens_.size()) return Match::kYes;
      } else if (token.kind == Token::Kind::kOne) {
        if (at < text.size()) {
          at += character_length(text.substr(at));
          ++next;
          advanced = true;
        }
      } else if (std::string_view value = value_of(token); begins(text.substr(at), value, ignore_case)) {
        at += value.size();
        ++next;
        advanced = true;
      }
    } else if (at == text.size()) {
      return Match::kYes;
    }
    if (advanced) continue;
    if (star == tokens_.size() || star_at >= text.size()) return Match::kNo;
    at = ++star_at;
    next = star + 1;
  }
}

namespace {

// Splits at the colons that stand outside of ${...}, at most into `limit` parts.
std::vector<std::string_view> split_outside_variables(std::string_view text, std::size_t limit, bool variables) {
  std::vector<std::string_view> parts;
  std::size_t begin = 0;
  for (std::size_t i = 0; i < text.size() && parts.size() + 1 < limit; ++i) {
    if (variables && text.substr(i, 2) == "${") {
      std::size_t end = text.find('}', i);
      if (end == std::string_view::npos) break;
      i = end;
    } else if (text[i] == ':') {
      parts.push_back(text.substr(begin, i - begin));
      begin = i + 1;
    }
  }
  parts.push_back(text.substr(begin));
  return parts;
}

}  // namespace

Result<ArnPattern> ArnPattern::parse(std::string_view text, PatternSyntax syntax) {
  ArnPattern arn;
  if (text == "*") return arn;
  std::vector<std::string_view> parts = split_outside_variables(text, kArnParts, syntax.variables);
  bool open_end = parts.size() < kArnParts && !parts.back().empty() && parts.back().back() == '*';
  if (parts[0] != "arn" || parts.size() < 3 || (parts.size() < kArnParts && !open_end))
    return invalid("Resource " + std::string(text) + " must be in ARN format or \"*\".");
  bool literal = !open_end;
  for (std::size_t i = 0; i + 1 < parts.size(); ++i) {
    TRY(Pattern part, Pattern::parse(parts[i], syntax));
    literal = literal && part.shape_ == Pattern::Shape::kExact;
    arn.parts_.push_back(std::move(part));
  }
  TRY(arn.tail_, Pattern::parse(parts.back(), syntax));
  arn.shape_ = open_end ? Shape::kOpenEnd : literal ? Shape::kLiteralHead : Shape::kParts;
  if (literal) {
    for (std::size_t i = 0; i + 1 < parts.size(); ++i) {
      const Pattern& part = arn.parts_[i];
      if (!part.tokens_.empty()) arn.head_ += part.tokens_[0].text;
      arn.head_ += ':';
    }
    arn.parts_.clear();
  }
  return arn;
}

std::vector<std::string> ArnPattern::variables() const {
  std::vector<std::string> names = tail_.variables();
  for (const Pattern& part : parts_)
    for (std::string& name : part.variables()) names.push_back(std::move(name));
  return names;
}

std::string ArnPattern::shown(const PolicyContext* context) const {
  if (shape_ == Shape::kAnything) return "*";
  std::string text = head_;
  for (const Pattern& part : parts_) text += part.shown(context) + ":";
  return text + tail_.shown(context);
}

Match ArnPattern::match(std::string_view arn, const PolicyContext* context) const {
  if (shape_ == Shape::kAnything) return Match::kYes;
  if (shape_ == Shape::kLiteralHead) {
    if (!arn.starts_with(head_)) return Match::kNo;
    return tail_.match(arn.substr(head_.size()), context);
  }
  Match all = Match::kYes;  // kUnresolved wins only when nothing else says no
  for (const Pattern& part : parts_) {
    std::size_t colon = arn.find(':');
    if (colon == std::string_view::npos) return Match::kNo;
    Match match = part.match(arn.substr(0, colon), context);
    if (match == Match::kNo) return Match::kNo;
    if (match == Match::kUnresolved) all = Match::kUnresolved;
    arn.remove_prefix(colon + 1);
  }
  Match match = tail_.match(arn, context);
  if (match == Match::kNo) return Match::kNo;
  return match == Match::kUnresolved ? match : all;
}

bool ArnPattern::covers(std::string_view prefix, const PolicyContext* context) const {
  if (shape_ == Shape::kAnything) return true;
  if (shape_ == Shape::kLiteralHead) return prefix.starts_with(head_) && tail_.covers(prefix.substr(head_.size()));
  for (const Pattern& part : parts_) {
    const std::size_t colon = prefix.find(':');
    if (colon == std::string_view::npos) return false;
    if (part.match(prefix.substr(0, colon), context) != Match::kYes) return false;
    prefix.remove_prefix(colon + 1);
  }
  return tail_.covers(prefix);
}

}  // namespace muster::iam
