// The filter language: one expression for lists, segments, scoring rules, routing and feeds.
//
// It is AIP-160 with our changes. A filter is parsed and checked once against a FilterSchema into a
// typed tree; the tree is evaluated in memory (filter_eval.h) or compiled to SQL
// (storage/sql/filter_sql.h), with the same result.
//
//   filter      = [ sequence { "AND" sequence } ]           empty: everything matches
//   sequence    = factor { factor }                         side by side means AND
//   factor      = term { "OR" term }                        OR binds tighter than AND (AIP-160)
//   term        = [ "NOT" | "-" ] simple
//   simple      = "(" filter ")" | comparison
//   comparison  = path OP value | "fold(" path ")" OP "fold(" text ")" | path ":" "*"
//               | "count(" collection [ "," filter ] [ "," duration ] ")" OP whole number
//               | "last(" collection [ "," filter ] ")" OP time | "last(" ... ")" ":" "*"
//   OP          = "=" | "!=" | "<" | "<=" | ">" | ">=" | ":"
//
// A word by itself is refused: every condition names a path and a value.
//
//   type        operators                values
//   bool        = !=                     true, false
//   integer     = != < <= > >=           -12, 40
//   text        = != < <= > >= :         "in \"these\" quotes" or 'these'; `:` contains the text
//   time        = != < <= > >=           "2026-01-31T09:30:00+01:00", "2026-01-31" (midnight UTC),
//                                        now(), now() - 7d, now() + 1h   (d, h, m, s; 1.5s)
//   enum        = !=                     PROSPECT or "PROSPECT"
//   money       = != < <= > >=           "5000 EUR"; another currency compares false
//   text list   :                        "x": an element is x
//   record list : on a member            person.emails.address:"x": an element's address is x
//   text map    on labels.key: as text;  labels."odd key" = "v"; labels:"key" has the key
//   any         :*                       is present
//
// An absent value compares false, also with `!=`; NOT of that is true. Text compares by code point,
// case counts. fold() lowers the letters A-Z and nothing else on both sides: that is what SQLite's
// lower() and PostgreSQL's lower(... COLLATE "C") do, so all back ends agree to the letter.
// `money.currency_code` of a money field is text. count() without a duration counts all; with one,
// those whose time is in (now - duration, now]. last() is the time of the latest one, absent
// without.
//
// Pure values, cheap to copy, safe to share between threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "server/domain/filter_schema.h"
#include "server/domain/money.h"
#include "server/domain/value.h"

namespace relais::domain {

// The limits of one filter; the numbers are those of the input limits in design/trust.md, the last
// two are ours. Work is linear in the text, and recursion never exceeds the depth.
inline constexpr size_t kMaxFilterBytes = 4096;
inline constexpr int kMaxFilterNodes = 100;     // comparisons, AND groups, OR groups, NOTs
inline constexpr int kMaxFilterDepth = 32;      // parentheses within parentheses
inline constexpr int kMaxFilterAggregates = 4;  // count() and last(): each may read all children
inline constexpr int64_t kMaxFilterSpan = 36'500 * kMicrosPerDay;  // microseconds, a hundred years

struct FilterLimits {
  size_t bytes = kMaxFilterBytes;
  int nodes = kMaxFilterNodes;
  int depth = kMaxFilterDepth;
  int aggregates = kMaxFilterAggregates;
};

// For canonical texts, which spell out what their source abbreviated: never refused for length when
// the source was accepted. (Escapes at most double a text; dates and ANDs add less.)
inline constexpr FilterLimits kCanonicalFilterLimits = {.bytes = 4 * kMaxFilterBytes};

// Line and column count from 1, the column in code points. The message says what was found and what
// was expected; it names paths, operators and enum names, never the text of a literal.
struct FilterError {
  int line = 1;
  int column = 1;
  std::string message;

  std::string ToString() const;  // "line 1, column 5: ..."
};

enum class FilterOp : uint8_t {
  kEqual,
  kNotEqual,
  kLess,
  kLessEqual,
  kGreater,
  kGreaterEqual,
  kHas
};

std::string_view FilterOpText(FilterOp op);

// A path of the schema and, below it, the member of a record list, the key of a text map or
// "currency_code" of money. `member` is empty for the field itself: no key is empty.
struct FilterOperand {
  std::shared_ptr<const FilterField> field;
  std::string member;

  // Text by itself: a text field, the value of a map key, a currency code.
  bool is_text() const {
    return field->type == FieldType::kText ||
           (!member.empty() && field->type != FieldType::kRecordList);
  }
  friend bool operator==(const FilterOperand& a, const FilterOperand& b) {
    return a.field->path == b.field->path && a.member == b.member;
  }
};

// A moment: fixed, or an offset from the evaluation's now().
struct FilterMoment {
  bool from_now = false;
  int64_t micros = 0;

  Timestamp At(Timestamp now) const;  // saturates at the ends of 64 bits
  friend bool operator==(const FilterMoment&, const FilterMoment&) = default;
};

// The value compared with; enum: its number.
using FilterLiteral = std::variant<bool, int64_t, std::string, FilterMoment, Money>;

struct FilterNode;
using FilterNodePtr = std::shared_ptr<const FilterNode>;

struct FilterCompare {
  FilterOperand operand;
  FilterOp op = FilterOp::kEqual;
  FilterLiteral literal;
  bool fold = false;  // the literal is folded already
  friend bool operator==(const FilterCompare&, const FilterCompare&) = default;
};
struct FilterPresent {
  FilterOperand operand;
  friend bool operator==(const FilterPresent&, const FilterPresent&) = default;
};
struct FilterCount {
  std::shared_ptr<const FilterCollection> collection;
  FilterNodePtr where;                   // null: all
  std::optional<int64_t> window_micros;  // > 0
  FilterOp op = FilterOp::kEqual;
  int64_t number = 0;  // >= 0
};
struct FilterLast {
  std::shared_ptr<const FilterCollection> collection;
  FilterNodePtr where;
  FilterOp op = FilterOp::kEqual;      // kHas: is there one
  std::optional<FilterMoment> moment;  // absent with kHas only
};
struct FilterNot {
  FilterNodePtr part;
};
struct FilterAll {  // AND of two or more, none of them an AND
  std::vector<FilterNodePtr> parts;
};
struct FilterAny {  // OR of two or more, none of them an OR
  std::vector<FilterNodePtr> parts;
};

struct FilterNode {
  std::variant<FilterCompare, FilterPresent, FilterCount, FilterLast, FilterNot, FilterAll,
               FilterAny>
      node;
};

bool operator==(const FilterNode& a, const FilterNode& b);

class Filter {
 public:
  Filter() = default;  // everything matches
  explicit Filter(FilterNodePtr root) : root_(std::move(root)) {}

  const FilterNode* root() const { return root_.get(); }  // null: everything matches

  // The one spelling of this filter: equal filters have equal texts, and the text parses (under
  // kCanonicalFilterLimits, against the same schema) to an equal filter. For hashes and page
  // tokens.
  std::string Canonical() const;

  // Whether a personal field is named anywhere in it.
  bool names_personal() const;

  // Whether the field at `path` is compared anywhere in it.
  bool names(std::string_view path) const;

  // Whether the result can change with time alone: now() or a window.
  bool depends_on_now() const;

  friend bool operator==(const Filter& a, const Filter& b);

 private:
  FilterNodePtr root_;
};

// A filter, or why not.
class FilterResult {
 public:
  // NOLINTBEGIN(google-explicit-constructor): returned as either.
  FilterResult(Filter filter) : filter_(std::move(filter)) {}
  FilterResult(FilterError error) : error_(std::move(error)) {}
  // NOLINTEND(google-explicit-constructor)

  bool ok() const { return filter_.has_value(); }
  const Filter& filter() const { return *filter_; }    // only when ok()
  const FilterError& error() const { return error_; }  // only when not

  // INVALID_ARGUMENT with the error's ToString().
  absl::StatusOr<Filter> status_or() const;

 private:
  std::optional<Filter> filter_;
  FilterError error_;
};

FilterResult ParseFilter(std::string_view text, const FilterSchema& schema,
                         const FilterLimits& limits = {});

}  // namespace relais::domain
