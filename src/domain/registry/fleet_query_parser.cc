// SPDX-License-Identifier: Apache-2.0
// query    = any-of
// any-of   = all-of { ("OR" | "||") all-of }
// all-of   = negation { ["AND" | "&&"] negation }          no operator means AND
// negation = { "NOT" | "-" | "!" } ( "(" any-of ")" | clause )
// clause   = [field ":"] value | field comparison value     the field may stand before a group: field:(a OR b)
// value    = range | phrase | word
// range    = ("[" | "{") bound "TO" bound ("]" | "}")       braces exclude, "*" is open
// Words end at white space, brackets, quotes, ':', '<' and '>'; '\' takes the next character as it is. Wildcards count
// in words only. The characters that the developer guide calls unsupported are refused outside quotes.
#include <algorithm>

#include "base/text.h"
#include "domain/registry/fleet_query_tree.h"

namespace muster::registry {

namespace {

constexpr std::size_t kLengthLimit = 1000;
constexpr std::size_t kLeadingWildcardLength = 100;
constexpr std::size_t kTermLimit = 12;
constexpr std::size_t kDepthLimit = 16;

using NodePtr = std::shared_ptr<const QueryNode>;
using Kind = QueryNode::Kind;

bool is_space(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}
bool ends_word(char c) {
  return is_space(c) || std::string_view("()[]{}:<>").find(c) != std::string_view::npos;
}
bool is_refused(char c) {
  return std::string_view("`@#%/';,+!&|=^~\"").find(c) != std::string_view::npos;
}

struct Word {
  std::string text;  // wildcards as kAnyRun and kAnyOne
  std::size_t at = 0;
  bool quoted = false;
  bool wildcard = false;
  bool plain = true;  // neither quoted nor escaped: may be a keyword or a number
};

using Field = std::string;  // empty: any

class Parser {
 public:
  Parser(std::string_view text, QuerySubject subject) : text_(text), subject_(subject) {}

  Result<NodePtr> parse() {
    TRY_VOID(check_text());
    TRY(NodePtr root, parse_any_of({}));
    skip_space();
    if (at_ < text_.size()) return wrong(at_, text_[at_] == ')' ? "')' without '('" : "unexpected " + shown(at_));
    if (leading_wildcards_ > 1) return wrong(leading_at_, "only one term of a query may begin with a wildcard");
    if (leading_wildcards_ > 0 && text_.size() > kLeadingWildcardLength)
      return wrong(leading_at_, "a query with a leading wildcard has at most " +
                                    std::to_string(kLeadingWildcardLength) + " characters");
    return root;
  }

 private:
  static Error wrong(std::size_t at, const std::string& what) {
    return make_error(ErrorKind::kInvalid, "Invalid query at position " + std::to_string(at + 1) + ": " + what,
                      "InvalidQueryException");
  }
  std::string shown(std::size_t at) const { return "'" + std::string(text_.substr(at, 1)) + "'"; }

  Status check_text() const {
    if (text_.size() > kLengthLimit)
      return wrong(kLengthLimit, "the query is longer than " + std::to_string(kLengthLimit) + " characters");
    if (!is_utf8(text_)) return wrong(0, "the query is not UTF-8");
    for (std::size_t i = 0; i < text_.size(); ++i) {
      auto byte = static_cast<unsigned char>(text_[i]);
      if ((byte < 0x20 && !is_space(text_[i])) || byte == 0x7F) return wrong(i, "a control character");
    }
    return {};
  }

  void skip_space() {
    while (at_ < text_.size() && is_space(text_[at_])) ++at_;
  }
  bool accept(std::string_view token) {
    skip_space();
    if (!text_.substr(at_).starts_with(token)) return false;
    at_ += token.size();
    return true;
  }
  bool at_keyword(std::string_view keyword) {
    skip_space();
    std::string_view rest = text_.substr(at_);
    if (!rest.starts_with(keyword)) return false;
    rest.remove_prefix(keyword.size());
    return rest.empty() || is_space(rest[0]) || std::string_view("()\"[{]}").find(rest[0]) != std::string_view::npos;
  }
  bool accept_keyword(std::string_view keyword) {
    if (!at_keyword(keyword)) return false;
    at_ += keyword.size();
    return true;
  }
  bool at_end_of_group() {
    skip_space();
    return at_ == text_.size() || text_[at_] == ')';
  }

  static NodePtr joined(Kind kind, std::vector<NodePtr> parts) {
    if (parts.size() == 1) return std::move(parts.front());
    auto node = std::make_shared<QueryNode>();
    node->kind = kind;
    node->children = std::move(parts);
    return node;
  }

  Result<NodePtr> parse_any_of(const Field& field) {
    std::vector<NodePtr> parts;
    do {
      TRY(NodePtr part, parse_all_of(field));
      parts.push_back(std::move(part));
    } while (accept_keyword("OR") || accept("||"));
    return joined(Kind::kOr, std::move(parts));
  }

  Result<NodePtr> parse_all_of(const Field& field) {
    std::vector<NodePtr> parts;
    for (;;) {
      TRY(NodePtr part, parse_negation(field));
      parts.push_back(std::move(part));
      if (accept_keyword("AND") || accept("&&")) continue;
      if (at_end_of_group() || at_keyword("OR") || text_.substr(at_).starts_with("||")) break;
    }
    return joined(Kind::kAnd, std::move(parts));
  }

  Result<NodePtr> parse_negation(const Field& field) {
    bool negated = false;
    while (accept_keyword("NOT") || accept("-") || accept("!")) negated = !negated;
    TRY(NodePtr node, parse_primary(field));
    if (!negated) return node;
    return joined_not(std::move(node));
  }
  static NodePtr joined_not(NodePtr child) {
    auto node = std::make_shared<QueryNode>();
    node->kind = Kind::kNot;
    node->children.push_back(std::move(child));
    return node;
  }

  Result<NodePtr> parse_primary(const Field& field) {
    skip_space();
    if (at_ < text_.size() && text_[at_] == '(') return parse_group(field);
    return parse_clause(field);
  }

  Result<NodePtr> parse_group(const Field& field) {
    std::size_t opened = at_++;
    if (++depth_ > kDepthLimit) return wrong(opened, "parentheses nest deeper than " + std::to_string(kDepthLimit));
    TRY(NodePtr node, parse_any_of(field));
    if (!accept(")")) return wrong(opened, "'(' without ')'");
    --depth_;
    return node;
  }

  Result<NodePtr> parse_clause(const Field& outer) {
    if (at_ < text_.size() && (text_[at_] == '[' || text_[at_] == '{')) return parse_range(outer);
    TRY(Word word, parse_word());
    skip_space();
    char next = at_ < text_.size() ? text_[at_] : '\0';
    if (next != ':' && next != '<' && next != '>') return make_pattern(outer, std::move(word));
    if (!outer.empty()) return wrong(word.at, "a field inside the group of another field");
    TRY(Field field, field_of(word));
    if (next != ':') return parse_comparison(field);
    ++at_;
    skip_space();
    if (at_ == text_.size()) return wrong(at_, "a value is missing");
    switch (text_[at_]) {
      case '(':
        return parse_group(field);
      case '[':
      case '{':
        return parse_range(field);
      case '<':
      case '>':
        return parse_comparison(field);
      default:
        break;
    }
    TRY(Word value, parse_word());
    return make_pattern(field, std::move(value));
  }

  Status count_term(std::size_t at) {
    if (++terms_ <= kTermLimit) return {};
    return wrong(at, "the query has more than " + std::to_string(kTermLimit) + " terms");
  }

  Result<NodePtr> make_pattern(const Field& field, Word word) {
    TRY_VOID(count_term(word.at));
    if (word.text != std::string_view(&kAnyRun, 1) && !word.text.empty() &&
        (word.text[0] == kAnyRun || word.text[0] == kAnyOne)) {
      ++leading_wildcards_;
      leading_at_ = word.at;
    }
    auto node = std::make_shared<QueryNode>();
    node->field = field;
    const std::string folded = lower(word.text);
    const auto words = query_words(folded);
    if (words.empty()) return wrong(word.at, "an empty phrase");
    if (words.size() > 1) {
      node->kind = Kind::kPhrase;
      node->phrase.assign(words.begin(), words.end());
      return node;
    }
    node->pattern = words.front();
    if (word.plain && !word.wildcard) node->number = query_number(node->pattern);
    return node;
  }

  Result<NodePtr> parse_comparison(const Field& field) {
    bool low = text_[at_++] == '>';
    bool inclusive = at_ < text_.size() && text_[at_] == '=';
    if (inclusive) ++at_;
    skip_space();
    TRY(Word word, parse_word());
    TRY_VOID(count_term(word.at));
    if (word.wildcard) return wrong(word.at, "a wildcard cannot be compared");
    auto node = std::make_shared<QueryNode>();
    node->kind = Kind::kRange;
    node->field = field;
    (low ? node->low : node->high) = bound_of(word, inclusive);
    return node;
  }

  static QueryBound bound_of(const Word& word, bool inclusive) {
    QueryBound bound{.text = lower(word.text), .number = std::nullopt, .inclusive = inclusive};
    if (word.plain) bound.number = query_number(bound.text);
    return bound;
  }

  Result<NodePtr> parse_range(const Field& field) {
    std::size_t opened = at_;
    if (field.empty()) return wrong(opened, "a range needs a field");
    TRY_VOID(count_term(opened));
    auto node = std::make_shared<QueryNode>();
    node->kind = Kind::kRange;
    node->field = field;
    bool low_inclusive = text_[at_++] == '[';
    TRY(node->low, parse_bound(low_inclusive));
    if (!accept_keyword("TO")) return wrong(at_, "a range is written [a TO b]");
    TRY(node->high, parse_bound(true));
    skip_space();
    if (at_ == text_.size() || (text_[at_] != ']' && text_[at_] != '}'))
      return wrong(opened, "a range that does not end");
    bool high_inclusive = text_[at_++] == ']';
    if (node->high) node->high->inclusive = high_inclusive;
    return node;
  }

  Result<std::optional<QueryBound>> parse_bound(bool inclusive) {
    skip_space();
    if (at_keyword("TO")) return wrong(at_, "a bound of the range is missing");
    TRY(Word word, parse_word());
    if (word.text == std::string_view(&kAnyRun, 1)) return std::optional<QueryBound>();
    if (word.wildcard) return wrong(word.at, "a wildcard in a range: only * alone may stand there");
    return std::optional<QueryBound>(bound_of(word, inclusive));
  }

  // A word or a phrase; never empty.
  Result<Word> parse_word() {
    if (at_ == text_.size()) return wrong(at_, "a term is missing");
    if (text_[at_] == '"') return parse_phrase();
    Word word;
    word.at = at_;
    for (; at_ < text_.size() && !ends_word(text_[at_]); ++at_) {
      char c = text_[at_];
      if (c == '\\') {
        if (++at_ == text_.size()) return wrong(at_ - 1, "'\\' without a character after it");
        word.text += text_[at_];
        word.plain = false;
      } else if (c == '*' || c == '?') {
        word.text += c == '*' ? kAnyRun : kAnyOne;
        word.wildcard = true;
      } else if (is_refused(c)) {
        return wrong(at_, "the character " + shown(at_) + " is not supported outside quotes");
      } else {
        word.text += c;
      }
    }
    if (word.text.empty()) return wrong(at_, "expected a term, not " + shown(at_));
    if (word.plain && (word.text == "AND" || word.text == "OR" || word.text == "NOT"))
      return wrong(word.at, "expected a term, not the operator " + word.text);
    return word;
  }

  Result<Word> parse_phrase() {
    Word word;
    word.at = at_++;
    word.quoted = true;
    word.plain = false;
    for (; at_ < text_.size() && text_[at_] != '"'; ++at_) {
      if (text_[at_] == '\\' && ++at_ == text_.size()) break;
      word.text += text_[at_];
    }
    if (at_ == text_.size()) return wrong(word.at, "a quote that does not end");
    ++at_;
    if (word.text.empty()) return wrong(word.at, "an empty phrase");
    return word;
  }

  Result<Field> field_of(const Word& word) const {
    if (word.quoted || word.wildcard) return wrong(word.at, "a field's name has neither quotes nor wildcards");
    if (auto refusal = query_field_refusal(word.text, subject_)) return wrong(word.at, *refusal);
    return word.text;
  }

  std::string_view text_;
  QuerySubject subject_;
  std::size_t at_ = 0;
  std::size_t depth_ = 0;
  std::size_t terms_ = 0;
  std::size_t leading_wildcards_ = 0;
  std::size_t leading_at_ = 0;
};

}  // namespace

Result<NodePtr> parse_query(std::string_view text, QuerySubject subject) {
  return Parser(text, subject).parse();
}

}  // namespace muster::registry
