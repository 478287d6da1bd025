// Recursive descent over the tokens, one function a rule of the grammar in filter.h. Every
// comparison is first read without types (Path, RawValue) and then checked against the schema, so
// that a syntax error is reported as one and a type error at the token that causes it.
#include <algorithm>
#include <charconv>
#include <utility>

#include "server/domain/concat.h"
#include "server/domain/filter.h"
#include "server/domain/filter_lexer.h"
#include "server/domain/filter_text.h"

namespace relais::domain {
namespace {

struct Path {
  std::vector<Token> words;  // kWord, or kText for a quoted key

  const Token& first() const { return words.front(); }

  // For messages: the words as they stand, the quoted ones hidden.
  std::string Shown() const {
    constexpr size_t kLongest = 64;
    std::string out;
    for (const Token& word : words) {
      if (!out.empty()) out += '.';
      out += word.kind == TokenKind::kText ? "\"...\"" : word.text;
    }
    if (out.size() > kLongest) out = Concat(out.substr(0, kLongest), "...");
    return out;
  }
};

struct RawValue {
  enum class Kind { kStar, kText, kFoldedText, kNumber, kDecimal, kDuration, kWord, kNow };
  Kind kind = Kind::kStar;
  Token token;         // where it begins; its text for kText and kWord
  int64_t number = 0;  // kNumber; the offset of kNow

  std::string Describe() const {
    switch (kind) {
      case Kind::kFoldedText:
        return "fold() of a text";
      case Kind::kNow:
        return "a time";
      case Kind::kNumber:
        return "a number";
      case Kind::kDecimal:
        return "a number with decimals";
      case Kind::kWord:
        // A word on the right may be a forgotten pair of quotes around somebody's name.
        return token.text == "true" || token.text == "false" ? Concat("'", token.text, "'")
                                                             : "a word without quotes";
      default:
        return token.Describe();
    }
  }
};

constexpr std::string_view kTimeForm =
    "a time such as \"2026-01-31T09:30:00Z\", \"2026-01-31\", now() or now() - 7d";
constexpr std::string_view kMoneyForm =
    "an amount with its currency in quotes, such as \"5000 EUR\"";

std::string JoinNames(const std::vector<std::string>& names, std::string_view last_word) {
  std::string out;
  for (size_t i = 0; i < names.size(); ++i) {
    if (i > 0) out.append(i + 1 == names.size() ? last_word : std::string_view(", "));
    out += names[i];
  }
  return out;
}

class Parser {
 public:
  Parser(std::vector<Token> tokens, const FilterSchema& schema, const FilterLimits& limits)
      : tokens_(std::move(tokens)), schema_(&schema), limits_(limits) {}

  FilterResult Run() {
    if (Peek().kind == TokenKind::kEnd) return Filter();
    FilterNodePtr root = ParseExpression();
    if (root != nullptr && Peek().kind != TokenKind::kEnd) {
      Fail(Peek(), Concat("found ", Peek().Describe(), ", expected AND, OR or the end"));
      root = nullptr;
    }
    if (root == nullptr) return error_;
    return Filter(std::move(root));
  }

 private:
  // ---- tokens -------------------------------------------------------------------------------

  const Token& Peek(size_t ahead = 0) const {
    return tokens_[std::min(at_ + ahead, tokens_.size() - 1)];
  }
  const Token& Next() {
    const Token& token = Peek();
    if (at_ + 1 < tokens_.size()) ++at_;
    return token;
  }
  bool Accept(std::string_view symbol) {
    if (!Peek().Is(symbol)) return false;
    Next();
    return true;
  }

  // The first error stands: later ones only follow from it.
  std::nullptr_t Fail(const Token& where, std::string message) {
    if (!failed_) error_ = FilterError{where.line, where.column, std::move(message)};
    failed_ = true;
    return nullptr;
  }
  std::nullptr_t FailExpected(std::string_view expected) {
    return Fail(Peek(), Concat("found ", Peek().Describe(), ", expected ", expected));
  }

  FilterNodePtr Make(const Token& where, FilterNode node) {
    if (++nodes_ > limits_.nodes) {
      return Fail(where, Concat("found more than ", std::to_string(limits_.nodes),
                                " conditions and groups, expected a shorter filter"));
    }
    return std::make_shared<const FilterNode>(std::move(node));
  }

  bool Enter(const Token& parenthesis) {
    if (++depth_ <= limits_.depth) return true;
    Fail(parenthesis, Concat("found parentheses nested more than ", std::to_string(limits_.depth),
                             " deep, expected a flatter filter"));
    return false;
  }
  void Leave() { --depth_; }

  // ---- structure ----------------------------------------------------------------------------

  // Joins parts of one AND or OR; a part that is such a group itself is dissolved into it.
  template <class Group>
  FilterNodePtr Join(const Token& where, std::vector<FilterNodePtr> parts) {
    if (parts.size() == 1) return std::move(parts.front());
    Group group;
    for (FilterNodePtr& part : parts) {
      if (const Group* inner = std::get_if<Group>(&part->node)) {
        group.parts.insert(group.parts.end(), inner->parts.begin(), inner->parts.end());
      } else {
        group.parts.push_back(std::move(part));
      }
    }
    return Make(where, FilterNode{std::move(group)});
  }

  FilterNodePtr ParseExpression() {
    const Token start = Peek();
    std::vector<FilterNodePtr> parts;
    for (;;) {
      FilterNodePtr part = ParseFactor();
      if (part == nullptr) return nullptr;
      parts.push_back(std::move(part));
      const Token& next = Peek();
      if (next.IsWord("AND")) {
        Next();
        continue;
      }
      bool side_by_side = next.kind == TokenKind::kWord || next.kind == TokenKind::kText ||
                          next.kind == TokenKind::kNumber || next.kind == TokenKind::kDecimal ||
                          next.kind == TokenKind::kDuration || next.Is("(") || next.Is("-");
      if (!side_by_side) break;
    }
    return Join<FilterAll>(start, std::move(parts));
  }

  FilterNodePtr ParseFactor() {
    const Token start = Peek();
    std::vector<FilterNodePtr> parts;
    do {
      FilterNodePtr part = ParseTerm();
      if (part == nullptr) return nullptr;
      parts.push_back(std::move(part));
    } while (Peek().IsWord("OR") && (Next(), true));
    return Join<FilterAny>(start, std::move(parts));
  }

  FilterNodePtr ParseTerm() {
    const Token start = Peek();
    if (!start.IsWord("NOT") && !start.Is("-")) return ParseSimple();
    Next();
    FilterNodePtr part = ParseSimple();
    if (part == nullptr) return nullptr;
    return Make(start, FilterNode{FilterNot{std::move(part)}});
  }

  FilterNodePtr ParseSimple() {
    const Token start = Peek();
    if (start.Is("(")) {
      if (!Enter(start)) return nullptr;
      Next();
      FilterNodePtr inner = ParseExpression();
      if (inner == nullptr) return nullptr;
      if (!Accept(")")) return FailExpected("AND, OR or ')'");
      Leave();
      return inner;
    }
    if (start.kind == TokenKind::kWord && !start.IsWord("AND") && !start.IsWord("OR") &&
        !start.IsWord("NOT")) {
      return Peek(1).Is("(") ? ParseCall() : ParseComparison();
    }
    if (start.kind == TokenKind::kText || start.kind == TokenKind::kNumber ||
        start.kind == TokenKind::kDecimal || start.kind == TokenKind::kDuration) {
      return FailExpected("a comparison: a value by itself is no condition");
    }
    return FailExpected("a comparison such as stage = PROSPECT, or '('");
  }

  FilterNodePtr ParseCall() {
    const Token name = Peek();
    if (name.text == "fold") return ParseFolded();
    if (name.text == "count" || name.text == "last") return ParseAggregate();
    if (name.text == "now") {
      return Fail(name, "found now() on the left, expected a path: now() is the value right of it");
    }
    return Fail(name, Concat("found the function ", name.Describe(),
                             ", expected count(), last() or fold()"));
  }

  bool ParsePath(Path& path) {
    if (Peek().kind != TokenKind::kWord) {
      FailExpected("a path");
      return false;
    }
    path.words.push_back(Next());
    while (Accept(".")) {
      const Token& word = Peek();
      if (word.kind != TokenKind::kWord && word.kind != TokenKind::kText) {
        FailExpected(
            "a name after the dot; a key that is not a plain word is written in quotes, such as "
            "labels.\"odd key\"");
        return false;
      }
      path.words.push_back(Next());
    }
    return true;
  }

  bool ParseOp(FilterOp& op) {
    const Token& token = Peek();
    if (token.kind == TokenKind::kSymbol) {
      for (FilterOp candidate :
           {FilterOp::kEqual, FilterOp::kNotEqual, FilterOp::kLess, FilterOp::kLessEqual,
            FilterOp::kGreater, FilterOp::kGreaterEqual, FilterOp::kHas}) {
        if (token.text == FilterOpText(candidate)) {
          op = candidate;
          Next();
          return true;
        }
      }
    }
    FailExpected("an operator: = != < <= > >= or :");
    return false;
  }

  FilterNodePtr ParseComparison() {
    Path path;
    if (!ParsePath(path)) return nullptr;
    if (Peek().kind != TokenKind::kSymbol || Peek().Is("(") || Peek().Is(")") || Peek().Is(",")) {
      return FailBareWord(path);
    }
    if (Peek().Is("-") && path.words.size() > 1) {
      return FailExpected(
          "an operator; a key that is not a plain word is written in quotes, such as "
          "labels.\"odd-key\"");
    }
    return FinishComparison(path, /*fold=*/false);
  }

  std::nullptr_t FailBareWord(const Path& path) {
    std::string upper = path.first().text;
    for (char& c : upper) {
      if (IsAsciiLower(c)) c = static_cast<char>(c - 'a' + 'A');
    }
    if (path.words.size() == 1 && (upper == "AND" || upper == "OR" || upper == "NOT")) {
      return Fail(path.first(),
                  Concat("found '", path.first().text, "', expected ", upper, " in capitals"));
    }
    return Fail(path.first(),
                Concat("found '", path.Shown(), "' by itself, expected a comparison such as ",
                       path.Shown(), " = ..., or ", path.Shown(), ":* for its presence"));
  }

  // fold(path) OP fold("text")
  FilterNodePtr ParseFolded() {
    Next();
    Next();
    Path path;
    if (!ParsePath(path)) return nullptr;
    if (!Accept(")")) return FailExpected("')' after the path of fold()");
    return FinishComparison(path, /*fold=*/true);
  }

  FilterNodePtr FinishComparison(const Path& path, bool fold) {
    const Token op_token = Peek();
    FilterOp op;
    RawValue value;
    if (!ParseOp(op) || !ParseValue(value)) return nullptr;
    return Check(path, fold, op_token, op, value);
  }

  bool ParseValue(RawValue& value) {
    const Token token = Peek();
    value.token = token;
    switch (token.kind) {
      case TokenKind::kText:
        value.kind = RawValue::Kind::kText;
        Next();
        return true;
      case TokenKind::kNumber:
      case TokenKind::kDecimal:
        return ParseNumber(value, "");
      case TokenKind::kDuration:
        value.kind = RawValue::Kind::kDuration;
        Next();
        return true;
      case TokenKind::kWord:
        return ParseWordValue(value);
      case TokenKind::kSymbol:
        if (token.text == "*") {
          value.kind = RawValue::Kind::kStar;
          Next();
          return true;
        }
        if (token.text == "-" &&
            (Peek(1).kind == TokenKind::kNumber || Peek(1).kind == TokenKind::kDecimal)) {
          Next();
          return ParseNumber(value, "-");
        }
        if (token.text == "(") {
          FailExpected("one value; alternatives are written a = X OR a = Y");
          return false;
        }
        break;
      case TokenKind::kEnd:
        break;
    }
    FailExpected("a value");
    return false;
  }

  bool ParseNumber(RawValue& value, std::string_view sign) {
    const Token token = Next();
    if (token.kind == TokenKind::kDecimal) {
      value.kind = RawValue::Kind::kDecimal;
      return true;
    }
    value.kind = RawValue::Kind::kNumber;
    std::string digits = Concat(sign, token.text);
    auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value.number);
    if (error != std::errc()) {
      Fail(value.token, "found a number beyond 64 bits, expected a smaller one");
      return false;
    }
    return true;
  }

  bool ParseWordValue(RawValue& value) {
    const Token word = Next();
    if (word.IsWord("AND") || word.IsWord("OR") || word.IsWord("NOT")) {
      Fail(word, Concat("found ", word.Describe(), ", expected a value"));
      return false;
    }
    if (Peek().Is(".")) {
      Fail(word,
           "found a path on the right, expected a value: paths are compared with values only");
      return false;
    }
    // "active = true (score = 1)" is a value and the next condition; "later(1)" is meant as a call.
    bool call =
        Peek().Is("(") && (word.text == "now" || word.text == "fold" ||
                           (Peek().line == word.line &&
                            Peek().column == word.column + static_cast<int>(word.text.size()) &&
                            word.text != "true" && word.text != "false"));
    if (!call) {
      value.kind = RawValue::Kind::kWord;
      return true;
    }
    Next();
    if (word.text == "now") {
      value.kind = RawValue::Kind::kNow;
      if (!Accept(")")) {
        FailExpected("')': now() takes nothing");
        return false;
      }
      return ParseNowOffset(value);
    }
    if (word.text == "fold") {
      value.kind = RawValue::Kind::kFoldedText;
      if (Peek().kind != TokenKind::kText) {
        FailExpected("a text in quotes: the right side is fold(\"text\")");
        return false;
      }
      value.token.text = Next().text;
      if (!Accept(")")) {
        FailExpected("')' after the text of fold()");
        return false;
      }
      return true;
    }
    Fail(word, Concat("found the function ", word.Describe(), " on the right, expected a value, ",
                      "now() or fold(\"text\")"));
    return false;
  }

  // "- 7d" after now(); a minus before anything but a number begins a negated condition.
  bool ParseNowOffset(RawValue& value) {
    if (!Peek().Is("-") && !Peek().Is("+")) return true;
    bool minus = Peek().Is("-");
    TokenKind after = Peek(1).kind;
    if (minus && after != TokenKind::kDuration && after != TokenKind::kNumber &&
        after != TokenKind::kDecimal) {
      return true;
    }
    Next();
    if (after != TokenKind::kDuration) {
      FailExpected("a duration such as 30d, 12h, 15m or 1.5s");
      return false;
    }
    value.number = Next().micros;
    if (minus) value.number = -value.number;
    return true;
  }

  // count(collection [, filter] [, duration]) OP number; last(collection [, filter]) OP time
  FilterNodePtr ParseAggregate() {
    const Token name = Next();
    const Token parenthesis = Next();
    bool is_count = name.text == "count";
    if (++aggregates_ > limits_.aggregates) {
      return Fail(name, Concat("found more than ", std::to_string(limits_.aggregates),
                               " count() and last(), expected fewer"));
    }
    if (!Enter(parenthesis)) return nullptr;

    const Token collection_name = Peek();
    std::vector<std::string> known = schema_->collection_names();
    if (known.empty()) {
      return Fail(name, Concat("found ", name.text, "(), but there is nothing to count here"));
    }
    std::shared_ptr<const FilterCollection> collection =
        collection_name.kind == TokenKind::kWord ? schema_->FindCollection(collection_name.text)
                                                 : nullptr;
    if (collection == nullptr) return FailExpected(JoinNames(known, " or "));
    Next();

    FilterNodePtr where;
    std::optional<int64_t> window;
    bool more = Accept(",");
    if (more && Peek().kind != TokenKind::kDuration) {
      const FilterSchema* outer = schema_;
      schema_ = collection->schema.get();
      where = ParseExpression();
      schema_ = outer;
      if (where == nullptr) return nullptr;
      more = is_count && Accept(",");
    }
    if (more) {
      const Token& duration = Peek();
      if (!is_count) return FailExpected("a filter: last() takes no duration");
      if (duration.kind != TokenKind::kDuration) return FailExpected("a duration such as 30d");
      if (duration.micros == 0) {
        return Fail(duration, "found an empty window, expected a duration above zero");
      }
      window = Next().micros;
    }
    if (!Accept(")")) {
      return FailExpected(where != nullptr ? "AND, OR, ')' or ','" : "',' or ')'");
    }
    Leave();

    const Token op_token = Peek();
    FilterOp op;
    RawValue value;
    if (!ParseOp(op) || !ParseValue(value)) return nullptr;
    if (is_count) {
      if (op == FilterOp::kHas) {
        return Fail(op_token, "found ':' after count(), expected = != < <= > or >=");
      }
      if (value.kind != RawValue::Kind::kNumber || value.number < 0) {
        return Fail(value.token,
                    Concat("found ", value.number < 0 ? "a negative number" : value.Describe(),
                           " for count(), expected a whole number from 0"));
      }
      return Make(name, FilterNode{FilterCount{std::move(collection), std::move(where), window, op,
                                               value.number}});
    }
    FilterLast last{std::move(collection), std::move(where), op, std::nullopt};
    if (op == FilterOp::kHas) {
      if (value.kind != RawValue::Kind::kStar) {
        return Fail(value.token,
                    Concat("found ", value.Describe(),
                           " after last(...):, expected * (there is one) or another operator"));
      }
    } else {
      FilterMoment moment;
      if (!CheckTime("last()", value, moment)) return nullptr;
      last.moment = moment;
    }
    return Make(name, FilterNode{std::move(last)});
  }

  // ---- types --------------------------------------------------------------------------------

  std::nullptr_t FailUnknownPath(const Path& path) {
    std::vector<std::string> close = schema_->CloseMatches(path.Shown());
    return Fail(path.first(),
                Concat("found the unknown path '", path.Shown(), "', expected ",
                       close.empty() ? "a field that can be filtered"
                                     : Concat("a field that can be filtered; did you mean ",
                                              JoinNames(close, " or "), "?")));
  }

  // The longest beginning of the path that is a field; what follows must suit its type.
  bool Resolve(const Path& path, FilterOperand& operand) {
    size_t used = 0;
    std::string prefix;
    for (size_t i = 0; i < path.words.size() && path.words[i].kind == TokenKind::kWord; ++i) {
      if (i > 0) prefix += '.';
      prefix += path.words[i].text;
      if (auto field = schema_->Find(prefix)) {
        operand.field = std::move(field);
        used = i + 1;
      }
    }
    if (used == 0) {
      FailUnknownPath(path);
      return false;
    }
    const FilterField& field = *operand.field;
    if (used == path.words.size()) return true;
    const Token& rest = path.words[used];
    bool one = used + 1 == path.words.size();
    switch (field.type) {
      case FieldType::kTextMap:
        if (!one) {
          Fail(path.words[used + 1],
               Concat("found a second name below ", field.path,
                      ", expected one key; a key with a dot is written in quotes"));
          return false;
        }
        if (rest.text.empty()) {
          Fail(rest, "found an empty key, expected a name");
          return false;
        }
        operand.member = rest.text;
        return true;
      case FieldType::kRecordList:
        if (one && std::find(field.members.begin(), field.members.end(), rest.text) !=
                       field.members.end()) {
          operand.member = rest.text;
          return true;
        }
        Fail(rest,
             Concat("found ", one && rest.kind == TokenKind::kWord ? rest.Describe() : "a name",
                    " below ", field.path, ", expected ", JoinNames(field.members, " or ")));
        return false;
      case FieldType::kMoney:
        if (one && rest.text == "currency_code") {
          operand.member = rest.text;
          return true;
        }
        Fail(rest, Concat("found a name below ", field.path, ", expected currency_code or none"));
        return false;
      default:
        FailUnknownPath(path);
        return false;
    }
  }

  static std::string Expected(const FilterOperand& operand) {
    const FilterField& field = *operand.field;
    if (operand.is_text() || field.type == FieldType::kTextList ||
        (field.type == FieldType::kRecordList && !operand.member.empty())) {
      return "a text in quotes";
    }
    switch (field.type) {
      case FieldType::kBool:
        return "true or false";
      case FieldType::kInt:
        return "a whole number";
      case FieldType::kTime:
        return std::string(kTimeForm);
      case FieldType::kMoney:
        return std::string(kMoneyForm);
      case FieldType::kEnum: {
        std::vector<std::string> names;
        for (size_t i = 1; i < field.enumeration->names.size(); ++i) {
          if (!field.enumeration->names[i].empty()) names.emplace_back(field.enumeration->names[i]);
        }
        return Concat(names.size() > 1 ? "one of " : "", JoinNames(names, ", "));
      }
      case FieldType::kTextMap:
        return "a key";
      default:
        return "*";
    }
  }

  std::nullptr_t FailValue(std::string_view path, const RawValue& value,
                           std::string_view expected) {
    return Fail(value.token,
                Concat("found ", value.Describe(), " for ", path, ", expected ", expected));
  }

  bool CheckTime(std::string_view path, const RawValue& value, FilterMoment& moment) {
    if (value.kind == RawValue::Kind::kNow) {
      moment = FilterMoment{true, value.number};
      return true;
    }
    if (value.kind != RawValue::Kind::kText) {
      FailValue(path, value, kTimeForm);
      return false;
    }
    std::string problem;
    if (ParseFilterTime(value.token.text, moment.micros, problem)) return true;
    Fail(value.token, Concat("found no time for ", path, ": ", problem));
    return false;
  }

  static bool Allows(const FilterOperand& operand, FilterOp op) {
    if (operand.is_text()) return true;
    switch (operand.field->type) {
      case FieldType::kTextList:
      case FieldType::kTextMap:
      case FieldType::kRecordList:
        return op == FilterOp::kHas;
      case FieldType::kBool:
      case FieldType::kEnum:
        return op == FilterOp::kEqual || op == FilterOp::kNotEqual;
      default:
        return op != FilterOp::kHas;
    }
  }

  static std::string AllowedOps(const FilterOperand& operand) {
    switch (operand.field->type) {
      case FieldType::kTextMap:
        return "':' with a key, or one of its keys after a dot";
      case FieldType::kTextList:
      case FieldType::kRecordList:
        return "':', as for every list";
      case FieldType::kBool:
      case FieldType::kEnum:
        return "= or !=, or :* for its presence";
      default:
        return "= != < <= > or >=, or :* for its presence";
    }
  }

  FilterNodePtr Check(const Path& path, bool fold, const Token& op_token, FilterOp op,
                      const RawValue& value) {
    FilterOperand operand;
    if (!Resolve(path, operand)) return nullptr;
    const FilterField& field = *operand.field;
    const std::string shown = path.Shown();
    const Token& first = path.first();

    if (value.kind == RawValue::Kind::kStar) {
      if (op != FilterOp::kHas) {
        return Fail(value.token, Concat("found '*' after ", FilterOpText(op), ", expected ",
                                        Expected(operand), "; presence is written ", shown, ":*"));
      }
      if (fold) {
        return Fail(value.token, Concat("found '*' after fold(), expected fold(\"text\")"));
      }
      return Make(first, FilterNode{FilterPresent{std::move(operand)}});
    }
    if (!Allows(operand, op)) {
      return Fail(op_token, Concat("found ", FilterOpText(op), " after ", shown, ", expected ",
                                   AllowedOps(operand)));
    }
    bool member_of_list = field.type == FieldType::kRecordList && !operand.member.empty();
    bool texts = operand.is_text() || field.type == FieldType::kTextList || member_of_list;
    if (fold && !texts) {
      return Fail(first, Concat("found fold() of ", shown, ", expected a path that holds text"));
    }
    if (fold != (value.kind == RawValue::Kind::kFoldedText)) {
      return fold ? FailValue(shown, value, "fold(\"text\"): fold() stands on both sides")
                  : FailValue(shown, value,
                              texts ? "the path in fold() too: fold() stands on both sides"
                                    : std::string_view(Expected(operand)));
    }

    FilterCompare compare{std::move(operand), op, false, fold};
    if (texts) {
      if (value.kind == RawValue::Kind::kFoldedText) {
        compare.literal = FilterFold(value.token.text);
      } else if (value.kind == RawValue::Kind::kText) {
        compare.literal = value.token.text;
      } else {
        return FailValue(shown, value, Expected(compare.operand));
      }
      return Make(first, FilterNode{std::move(compare)});
    }
    switch (field.type) {
      case FieldType::kTextMap:
        if (value.kind != RawValue::Kind::kText && value.kind != RawValue::Kind::kWord) {
          return FailValue(shown, value, "a key, in quotes unless it is a plain word");
        }
        if (value.token.text.empty())
          return Fail(value.token, "found an empty key, expected a name");
        // `labels:key` and `labels.key:*` are one condition, and have one canonical form.
        compare.operand.member = value.token.text;
        return Make(first, FilterNode{FilterPresent{std::move(compare.operand)}});
      case FieldType::kRecordList:
        return Fail(op_token,
                    Concat("found a value after ", shown, ", expected ", shown, ":*, or ':' ",
                           "after one of its members: ", JoinNames(field.members, ", ")));
      case FieldType::kBool:
        if (value.kind != RawValue::Kind::kWord ||
            (value.token.text != "true" && value.token.text != "false")) {
          return FailValue(shown, value, Expected(compare.operand));
        }
        compare.literal = value.token.text == "true";
        break;
      case FieldType::kInt:
        if (value.kind != RawValue::Kind::kNumber) {
          return FailValue(shown, value, Expected(compare.operand));
        }
        compare.literal = value.number;
        break;
      case FieldType::kTime: {
        FilterMoment moment;
        if (!CheckTime(shown, value, moment)) return nullptr;
        compare.literal = moment;
        break;
      }
      case FieldType::kMoney: {
        if (value.kind != RawValue::Kind::kText) return FailValue(shown, value, kMoneyForm);
        absl::StatusOr<Money> money = ParseMoney(value.token.text);
        if (!money.ok()) {
          // The parser's own message may repeat the text.
          return Fail(value.token,
                      Concat("found no amount for ", shown, ", expected ", kMoneyForm));
        }
        compare.literal = *std::move(money);
        break;
      }
      case FieldType::kEnum:
        if (!CheckEnum(shown, value, compare)) return nullptr;
        break;
      default:
        return Fail(first, Concat("found ", shown, ", which cannot be filtered"));
    }
    return Make(first, FilterNode{std::move(compare)});
  }

  bool CheckEnum(const std::string& shown, const RawValue& value, FilterCompare& compare) {
    const EnumNames& names = *compare.operand.field->enumeration;
    std::string expected = Expected(compare.operand);
    if (value.kind != RawValue::Kind::kWord && value.kind != RawValue::Kind::kText) {
      FailValue(shown, value, expected);
      return false;
    }
    std::optional<int64_t> number;
    if (!value.token.text.empty()) number = names.Number(value.token.text);
    if (number.has_value()) {
      compare.literal = *number;
      return true;
    }
    if (value.token.text == names.Name(0)) {
      Fail(value.token, Concat("found ", names.Name(0), " for ", shown, ", expected NOT ", shown,
                               ":*, since an unspecified value is absent"));
      return false;
    }
    // A bare word in the place of an enum name is one; what stands in quotes may be anything.
    Fail(value.token,
         Concat("found ", value.kind == RawValue::Kind::kWord ? value.token.Describe() : "a text",
                " for ", shown, ", which is no ", names.type, ", expected ", expected));
    return false;
  }

  std::vector<Token> tokens_;
  size_t at_ = 0;
  const FilterSchema* schema_;
  FilterLimits limits_;
  int nodes_ = 0;
  int depth_ = 0;
  int aggregates_ = 0;
  bool failed_ = false;
  FilterError error_;
};

}  // namespace

FilterResult ParseFilter(std::string_view text, const FilterSchema& schema,
                         const FilterLimits& limits) {
  if (text.size() > limits.bytes) {
    return FilterError{1, 1,
                       Concat("found a filter of ", std::to_string(text.size()),
                              " bytes, expected at most ", std::to_string(limits.bytes))};
  }
  std::vector<Token> tokens;
  FilterError error;
  if (!LexFilter(text, tokens, error)) return error;
  return Parser(std::move(tokens), schema, limits).Run();
}

}  // namespace relais::domain
