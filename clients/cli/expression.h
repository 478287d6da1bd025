// What a mapping file says about one value: templates such as "${won_date|date:YYYY-MM-DD}" and
// conditions such as "deal_stage in [Won, Lost]". MAPPING.md is the reference.
//
// Both are compiled once, against the names that are in reach, and are then immutable: evaluation
// is const and thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace relais::cli {

// A translation of values, such as the origins of a file to channels.
struct ValueMap {
  std::string name;
  std::unordered_map<std::string, std::string> values;
  std::optional<std::string> otherwise;  // for values that are not listed; absent: they are refused
};

// The names an expression may use.
struct Names {
  struct Table {
    std::string name;
    std::map<std::string, size_t> columns;
  };
  std::map<std::string, size_t> columns;         // ${column}
  std::vector<Table> tables;                     // ${table.column}
  std::map<std::string, std::string> constants;  // ${const.name}, and ${file.name}
  std::map<std::string, ValueMap> maps;          // ${column|map:name}
};

// The record an expression is evaluated over.
struct Scope {
  const std::vector<std::string>* fields = nullptr;
  // One entry a table of Names, null where no row of it matched: its columns are then empty.
  const std::vector<const std::vector<std::string>*>* joined = nullptr;
  int64_t line = 0;  // ${file.line}
};

// A moment as RFC 3339 text in UTC. `pattern` is made of YYYY, MM, DD, HH, MM (after HH), SS and
// literal characters; empty: one of YYYY-MM-DD, YYYY-MM-DD HH:MM[:SS], YYYYMMDD, RFC 3339.
// nullopt when the text is no such moment.
std::optional<std::string> ParseMoment(std::string_view text, std::string_view pattern);

// A decimal number in units of 10^-9; nullopt for anything else, or more than nine decimals.
std::optional<__int128> ParseDecimal(std::string_view text);
std::string FormatDecimal(__int128 nanos);

class Template {
 public:
  // INVALID_ARGUMENT: an unknown name, filter or map, or an open brace.
  static absl::StatusOr<Template> Compile(const std::string& text, const Names& names);

  // INVALID_ARGUMENT: a filter refused the value; the message says why.
  absl::StatusOr<std::string> Evaluate(const Scope& scope) const;
  // The text, when it is the same for every record.
  std::optional<std::string> constant() const;

 private:
  enum class FilterKind {
    kTrim,
    kLower,
    kUpper,
    kDefault,
    kBlankIf,
    kInteger,
    kTimes,
    kDate,
    kDay,
    kMap,
    kRequired
  };
  struct Filter {
    FilterKind kind = FilterKind::kTrim;
    std::string argument;
    ValueMap map;         // kMap
    __int128 factor = 0;  // kTimes, in 10^-9
  };
  enum class Source { kLiteral, kColumn, kTable, kLine };
  struct Part {
    Source source = Source::kLiteral;
    std::string text;  // the literal, or the name for messages
    size_t table = 0, column = 0;
    std::vector<Filter> filters;
  };
  static absl::StatusOr<Filter> CompileFilter(const std::string& text, const Names& names);
  static absl::Status Apply(const Filter& filter, std::string& value);

  std::vector<Part> parts_;
};

class Condition {
 public:
  // `OPERAND is [not] empty`, `OPERAND [not] in [A, B]`, `OPERAND == VALUE` and != < <= > >=.
  // The left operand is a column's name or a template, the right one a word, a quoted text or a
  // template. Order compares two numbers as numbers and anything else by byte.
  static absl::StatusOr<Condition> Compile(const std::string& text, const Names& names);
  absl::StatusOr<bool> Holds(const Scope& scope) const;

 private:
  enum class Operation { kEmpty, kIn, kEqual, kLess, kLessEqual, kGreater, kGreaterEqual };
  Operation operation_ = Operation::kEmpty;
  bool negated_ = false;
  Template left_;
  std::vector<Template> right_;
};

}  // namespace relais::cli
