#include "clients/cli/expression.h"

#include <algorithm>
#include <cctype>
#include <chrono>
#include <cstdio>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace relais::cli {
namespace {

constexpr __int128 kNanos = 1'000'000'000;

std::string Trim(std::string_view text) {
  size_t from = text.find_first_not_of(" \t\r\n");
  if (from == std::string_view::npos) return "";
  return std::string(text.substr(from, text.find_last_not_of(" \t\r\n") - from + 1));
}

bool Digits(std::string_view text, size_t at, size_t count, int& out) {
  if (at + count > text.size()) return false;
  out = 0;
  for (size_t i = at; i < at + count; ++i) {
    if (text[i] < '0' || text[i] > '9') return false;
    out = out * 10 + (text[i] - '0');
  }
  return true;
}

struct Moment {
  int year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0;
};

bool Match(std::string_view text, std::string_view pattern, Moment& m) {
  size_t at = 0;
  bool hour_seen = false;
  for (size_t i = 0; i < pattern.size();) {
    std::string_view rest = pattern.substr(i);
    int* target = nullptr;
    size_t width = 2;
    if (rest.starts_with("YYYY")) {
      target = &m.year;
      width = 4;
    } else if (rest.starts_with("MM")) {
      target = hour_seen ? &m.minute : &m.month;
    } else if (rest.starts_with("DD")) {
      target = &m.day;
    } else if (rest.starts_with("HH")) {
      target = &m.hour;
      hour_seen = true;
    } else if (rest.starts_with("SS")) {
      target = &m.second;
    }
    if (target == nullptr) {
      if (at >= text.size() || text[at] != pattern[i]) return false;
      ++at;
      ++i;
      continue;
    }
    if (!Digits(text, at, width, *target)) return false;
    at += width;
    i += width;
  }
  return at == text.size();
}

bool IsCalendarMoment(const Moment& m) {
  std::chrono::year_month_day day{std::chrono::year(m.year),
                                  std::chrono::month(static_cast<unsigned>(m.month)),
                                  std::chrono::day(static_cast<unsigned>(m.day))};
  return m.year >= 1 && day.ok() && m.hour < 24 && m.minute < 60 && m.second < 60;
}

std::string Write(const Moment& m) {
  char out[48];
  std::snprintf(out, sizeof out, "%04d-%02d-%02dT%02d:%02d:%02dZ", m.year, m.month, m.day, m.hour,
                m.minute, m.second);
  return out;
}

// RFC 3339 with any fraction and offset; returned as it is, for protobuf's own parser to read.
bool LooksLikeRfc3339(std::string_view text) {
  Moment m;
  if (text.size() < 20 || (text[10] != 'T' && text[10] != 't') ||
      !Match(text.substr(0, 10), "YYYY-MM-DD", m) || !Match(text.substr(11, 8), "HH:MM:SS", m) ||
      !IsCalendarMoment(m)) {
    return false;
  }
  size_t at = 19;
  if (text[at] == '.') {
    size_t digits = 0;
    while (++at < text.size() && text[at] >= '0' && text[at] <= '9') ++digits;
    if (digits == 0 || digits > 9) return false;
  }
  std::string_view zone = text.substr(std::min(at, text.size()));
  int hours = 0, minutes = 0;
  return zone == "Z" ||
         (zone.size() == 6 && (zone[0] == '+' || zone[0] == '-') && zone[3] == ':' &&
          Digits(zone, 1, 2, hours) && Digits(zone, 4, 2, minutes) && hours < 24 && minutes < 60);
}

}  // namespace

std::optional<std::string> ParseMoment(std::string_view text, std::string_view pattern) {
  if (!pattern.empty()) {
    Moment m;
    if (!Match(text, pattern, m) || !IsCalendarMoment(m)) return std::nullopt;
    return Write(m);
  }
  if (LooksLikeRfc3339(text)) return std::string(text);
  for (std::string_view known :
       {"YYYY-MM-DD", "YYYY-MM-DD HH:MM:SS", "YYYY-MM-DD HH:MM", "YYYYMMDD"}) {
    Moment m;
    if (Match(text, known, m) && IsCalendarMoment(m)) return Write(m);
  }
  return std::nullopt;
}

std::optional<__int128> ParseDecimal(std::string_view text) {
  bool negative = !text.empty() && text[0] == '-';
  if (negative || (!text.empty() && text[0] == '+')) text.remove_prefix(1);
  size_t point = text.find('.');
  std::string_view whole = text.substr(0, point);
  std::string_view fraction = point == std::string_view::npos ? "" : text.substr(point + 1);
  if (whole.empty() || whole.size() > 18 || (point != std::string_view::npos && fraction.empty())) {
    return std::nullopt;
  }
  while (fraction.size() > 9 && fraction.back() == '0') fraction.remove_suffix(1);
  if (fraction.size() > 9) return std::nullopt;
  __int128 value = 0;
  for (char c : whole) {
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + (c - '0');
  }
  for (size_t i = 0; i < 9; ++i) {
    char c = i < fraction.size() ? fraction[i] : '0';
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + (c - '0');
  }
  return negative ? -value : value;
}

std::string FormatDecimal(__int128 nanos) {
  bool negative = nanos < 0;
  if (negative) nanos = -nanos;
  std::string digits;
  for (__int128 rest = nanos / kNanos; rest > 0 || digits.empty(); rest /= 10) {
    digits.insert(digits.begin(), static_cast<char>('0' + static_cast<int>(rest % 10)));
  }
  auto fraction = static_cast<int64_t>(nanos % kNanos);
  if (fraction != 0) {
    std::string text = std::to_string(fraction);
    text.insert(0, 9 - text.size(), '0');
    text.erase(text.find_last_not_of('0') + 1);
    digits += '.';
    digits += text;
  }
  return negative ? '-' + digits : digits;
}

absl::StatusOr<Template::Filter> Template::CompileFilter(const std::string& text,
                                                         const Names& names) {
  size_t colon = text.find(':');
  std::string name = Trim(text.substr(0, colon));
  bool with_argument = colon != std::string::npos;
  Filter filter;
  if (with_argument) filter.argument = text.substr(colon + 1);
  struct Known {
    const char* name;
    FilterKind kind;
    int arguments;  // 0: none, 1: one, 2: optional
  };
  static constexpr Known kKnown[] = {
      {"trim", FilterKind::kTrim, 0},        {"lower", FilterKind::kLower, 0},
      {"upper", FilterKind::kUpper, 0},      {"default", FilterKind::kDefault, 1},
      {"blank_if", FilterKind::kBlankIf, 1}, {"integer", FilterKind::kInteger, 0},
      {"times", FilterKind::kTimes, 1},      {"date", FilterKind::kDate, 2},
      {"day", FilterKind::kDay, 2},          {"map", FilterKind::kMap, 1},
      {"required", FilterKind::kRequired, 0}};
  const Known* known = std::find_if(std::begin(kKnown), std::end(kKnown),
                                    [&](const Known& candidate) { return name == candidate.name; });
  if (known == std::end(kKnown)) {
    return absl::InvalidArgumentError(absl::StrCat("unknown filter \"", name, "\""));
  }
  if (known->arguments == (with_argument ? 0 : 1)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "filter \"", name, "\" ", with_argument ? "takes no" : "needs an", " argument"));
  }
  filter.kind = known->kind;
  if (filter.kind == FilterKind::kMap) {
    auto map = names.maps.find(Trim(filter.argument));
    if (map == names.maps.end()) {
      return absl::InvalidArgumentError(absl::StrCat("no map \"", Trim(filter.argument), "\""));
    }
    filter.map = map->second;
  }
  if (filter.kind == FilterKind::kTimes) {
    std::optional<__int128> factor = ParseDecimal(Trim(filter.argument));
    if (!factor.has_value() || *factor % kNanos != 0) {
      return absl::InvalidArgumentError("filter \"times\" takes a whole number");
    }
    filter.factor = *factor / kNanos;
  }
  return filter;
}

absl::StatusOr<Template> Template::Compile(const std::string& text, const Names& names) {
  Template out;
  std::string literal;
  auto flush = [&] {
    if (literal.empty()) return;
    Part part;
    part.text = std::move(literal);
    out.parts_.push_back(std::move(part));
    literal.clear();
  };
  for (size_t i = 0; i < text.size();) {
    if (text.compare(i, 3, "$${") == 0) {
      literal += "${";
      i += 3;
      continue;
    }
    if (text.compare(i, 2, "${") != 0) {
      literal += text[i++];
      continue;
    }
    size_t end = text.find('}', i);
    if (end == std::string::npos) {
      return absl::InvalidArgumentError(absl::StrCat("\"", text, "\": ${ is never closed"));
    }
    flush();
    std::string inside = text.substr(i + 2, end - i - 2);
    i = end + 1;
    std::vector<std::string> words;
    for (size_t from = 0; from <= inside.size();) {
      size_t bar = std::min(inside.find('|', from), inside.size());
      words.push_back(inside.substr(from, bar - from));
      from = bar + 1;
    }
    Part part;
    part.text = Trim(words[0]);
    auto column = names.columns.find(part.text);
    size_t dot = part.text.find('.');
    if (column != names.columns.end()) {
      part.source = Source::kColumn;
      part.column = column->second;
    } else if (part.text == "file.line") {
      part.source = Source::kLine;
    } else if (auto constant = names.constants.find(part.text); constant != names.constants.end()) {
      part.text = constant->second;
    } else {
      std::string table_name = dot == std::string::npos ? "" : part.text.substr(0, dot);
      bool found = false;
      for (size_t t = 0; t < names.tables.size() && !found; ++t) {
        if (names.tables[t].name != table_name) continue;
        auto joined = names.tables[t].columns.find(part.text.substr(dot + 1));
        if (joined == names.tables[t].columns.end()) break;
        part.source = Source::kTable;
        part.table = t;
        part.column = joined->second;
        found = true;
      }
      if (!found) {
        std::string columns;
        for (const auto& [name, index] : names.columns) {
          absl::StrAppend(&columns, columns.empty() ? "" : ", ", name);
        }
        return absl::InvalidArgumentError(absl::StrCat("no column, table column or constant \"",
                                                       part.text, "\"; the columns are ", columns));
      }
    }
    for (size_t w = 1; w < words.size(); ++w) {
      absl::StatusOr<Filter> filter = CompileFilter(words[w], names);
      if (!filter.ok()) return filter.status();
      part.filters.push_back(*std::move(filter));
    }
    out.parts_.push_back(std::move(part));
  }
  flush();
  return out;
}

std::optional<std::string> Template::constant() const {
  std::string out;
  for (const Part& part : parts_) {
    if (part.source != Source::kLiteral || !part.filters.empty()) return std::nullopt;
    out += part.text;
  }
  return out;
}

absl::Status Template::Apply(const Filter& filter, std::string& value) {
  switch (filter.kind) {
    case FilterKind::kTrim:
      value = Trim(value);
      return absl::OkStatus();
    case FilterKind::kLower:
      absl::AsciiStrToLower(&value);
      return absl::OkStatus();
    case FilterKind::kUpper:
      absl::AsciiStrToUpper(&value);
      return absl::OkStatus();
    case FilterKind::kDefault:
      if (value.empty()) value = filter.argument;
      return absl::OkStatus();
    case FilterKind::kBlankIf:
      if (value == filter.argument) value.clear();
      return absl::OkStatus();
    case FilterKind::kRequired:
      if (value.empty()) return absl::InvalidArgumentError("is empty and must not be");
      return absl::OkStatus();
    case FilterKind::kMap: {
      auto found = filter.map.values.find(value);
      if (found != filter.map.values.end()) {
        value = found->second;
      } else if (value.empty()) {
        return absl::OkStatus();
      } else if (filter.map.otherwise.has_value()) {
        value = *filter.map.otherwise;
      } else {
        return absl::InvalidArgumentError(
            absl::StrCat("value is not in the map \"", filter.map.name, "\""));
      }
      return absl::OkStatus();
    }
    case FilterKind::kInteger:
    case FilterKind::kTimes: {
      if (value.empty()) return absl::OkStatus();
      std::optional<__int128> number = ParseDecimal(Trim(value));
      if (!number.has_value()) return absl::InvalidArgumentError("is not a number");
      if (filter.kind == FilterKind::kTimes) {
        __int128 product = 0;
        // 10^18 units of nine decimals is the most that ParseDecimal reads back.
        if (__builtin_mul_overflow(*number, filter.factor, &product) ||
            product / kNanos >= 1'000'000'000'000'000'000 ||
            product / kNanos <= -1'000'000'000'000'000'000) {
          return absl::InvalidArgumentError("is too large");
        }
        value = FormatDecimal(product);
        return absl::OkStatus();
      }
      if (*number % kNanos != 0) return absl::InvalidArgumentError("is not a whole number");
      value = FormatDecimal(*number);
      return absl::OkStatus();
    }
    case FilterKind::kDate:
    case FilterKind::kDay: {
      if (value.empty()) return absl::OkStatus();
      std::optional<std::string> moment = ParseMoment(Trim(value), filter.argument);
      if (!moment.has_value()) {
        return absl::InvalidArgumentError(
            filter.argument.empty() ? std::string("is not a date")
                                    : absl::StrCat("is not a date written ", filter.argument));
      }
      value = filter.kind == FilterKind::kDay ? moment->substr(0, 10) : *std::move(moment);
      return absl::OkStatus();
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> Template::Evaluate(const Scope& scope) const {
  std::string out;
  for (const Part& part : parts_) {
    std::string value;
    switch (part.source) {
      case Source::kLiteral:
        value = part.text;
        break;
      case Source::kColumn:
        value = (*scope.fields)[part.column];
        break;
      case Source::kTable:
        if (const std::vector<std::string>* row = (*scope.joined)[part.table]) {
          value = (*row)[part.column];
        }
        break;
      case Source::kLine:
        value = std::to_string(scope.line);
        break;
    }
    for (const Filter& filter : part.filters) {
      absl::Status status = Apply(filter, value);
      if (!status.ok()) {
        return absl::InvalidArgumentError(
            absl::StrCat("column ", part.text, " ", std::string(status.message())));
      }
    }
    out += value;
  }
  return out;
}

absl::StatusOr<Condition> Condition::Compile(const std::string& text, const Names& names) {
  std::string rest = Trim(text);
  auto broken = [&](const char* what) {
    return absl::InvalidArgumentError(absl::StrCat("condition \"", text, "\": ", what));
  };
  // A column, a template, a bare word or a quoted text. Bare words on the left are columns.
  auto operand = [&](bool left, bool in_list) -> absl::StatusOr<Template> {
    rest = Trim(rest);
    if (rest.empty()) return broken("an operand is missing");
    if (rest.starts_with("${")) {
      size_t end = rest.find('}');
      if (end == std::string::npos) return broken("${ is never closed");
      std::string inside = rest.substr(0, end + 1);
      rest = rest.substr(end + 1);
      return Template::Compile(inside, names);
    }
    if (!left && (rest[0] == '"' || rest[0] == '\'')) {
      size_t end = rest.find(rest[0], 1);
      if (end == std::string::npos) return broken("a quote is never closed");
      std::string inside = rest.substr(1, end - 1);
      rest = rest.substr(end + 1);
      return Template::Compile(inside, names);
    }
    size_t end = left      ? rest.find_first_of(" \t=!<>")
                 : in_list ? rest.find_first_of(",]")
                           : rest.size();
    std::string word = Trim(rest.substr(0, end));
    rest = end >= rest.size() ? std::string() : rest.substr(end);
    return Template::Compile(left ? absl::StrCat("${", word, "}") : word, names);
  };

  Condition out;
  absl::StatusOr<Template> left = operand(true, false);
  if (!left.ok()) return left.status();
  out.left_ = *std::move(left);
  rest = Trim(rest);
  auto take = [&](const char* word) {
    std::string_view w = word;
    if (!rest.starts_with(w)) return false;
    bool letters = std::isalpha(static_cast<unsigned char>(w.back())) != 0;
    if (letters && rest.size() > w.size() && rest[w.size()] != ' ' && rest[w.size()] != '[') {
      return false;
    }
    rest = Trim(std::string_view(rest).substr(w.size()));
    return true;
  };

  if (take("is")) {
    out.negated_ = take("not");
    if (!take("empty") || !rest.empty()) return broken("after \"is\" stands \"[not] empty\"");
    return out;
  }
  bool negated = take("not");
  if (take("in")) {
    out.operation_ = Operation::kIn;
    out.negated_ = negated;
    if (rest.empty() || rest[0] != '[') return broken("after \"in\" stands a list in [ ]");
    rest = rest.substr(1);
    while (true) {
      absl::StatusOr<Template> item = operand(false, true);
      if (!item.ok()) return item.status();
      out.right_.push_back(*std::move(item));
      rest = Trim(rest);
      if (rest == "]") return out;
      if (rest.empty() || rest[0] != ',') return broken("the list is never closed");
      rest = rest.substr(1);
    }
  }
  if (negated) return broken("after \"not\" stands \"in\"");
  if (take("==")) {
    out.operation_ = Operation::kEqual;
  } else if (take("!=")) {
    out.operation_ = Operation::kEqual;
    out.negated_ = true;
  } else if (take("<=")) {
    out.operation_ = Operation::kLessEqual;
  } else if (take(">=")) {
    out.operation_ = Operation::kGreaterEqual;
  } else if (take("<")) {
    out.operation_ = Operation::kLess;
  } else if (take(">")) {
    out.operation_ = Operation::kGreater;
  } else {
    return broken("expected one of: is, is not, in, not in, ==, !=, <, <=, >, >=");
  }
  absl::StatusOr<Template> right = operand(false, false);
  if (!right.ok()) return right.status();
  out.right_.push_back(*std::move(right));
  if (!Trim(rest).empty()) return broken("something follows the last operand");
  return out;
}

absl::StatusOr<bool> Condition::Holds(const Scope& scope) const {
  absl::StatusOr<std::string> left = left_.Evaluate(scope);
  if (!left.ok()) return left.status();
  if (operation_ == Operation::kEmpty) return left->empty() != negated_;
  bool found = false;
  for (const Template& item : right_) {
    absl::StatusOr<std::string> right = item.Evaluate(scope);
    if (!right.ok()) return right.status();
    if (operation_ == Operation::kIn || operation_ == Operation::kEqual) {
      found = found || *left == *right;
      continue;
    }
    // Nothing is before or after a value that is not there.
    if (left->empty() || right->empty()) return false;
    std::optional<__int128> a = ParseDecimal(*left), b = ParseDecimal(*right);
    int order = a.has_value() && b.has_value() ? (*a < *b   ? -1
                                                  : *a > *b ? 1
                                                            : 0)
                                               : left->compare(*right);
    switch (operation_) {
      case Operation::kLess:
        return order < 0;
      case Operation::kLessEqual:
        return order <= 0;
      case Operation::kGreater:
        return order > 0;
      default:
        return order >= 0;
    }
  }
  return found != negated_;
}

}  // namespace relais::cli
