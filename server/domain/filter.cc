#include "server/domain/filter.h"

#include <algorithm>
#include <limits>
#include <type_traits>

#include "server/domain/concat.h"
#include "server/domain/filter_text.h"

namespace relais::domain {
namespace {

bool Same(const FilterNodePtr& a, const FilterNodePtr& b) {
  if (a == nullptr || b == nullptr) return a == b;
  return a == b || *a == *b;
}

bool Same(const std::vector<FilterNodePtr>& a, const std::vector<FilterNodePtr>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const FilterNodePtr& x, const FilterNodePtr& y) { return Same(x, y); });
}

bool SameNode(const FilterCompare& a, const FilterCompare& b) { return a == b; }
bool SameNode(const FilterPresent& a, const FilterPresent& b) { return a == b; }
bool SameNode(const FilterCount& a, const FilterCount& b) {
  return a.collection->name == b.collection->name && Same(a.where, b.where) &&
         a.window_micros == b.window_micros && a.op == b.op && a.number == b.number;
}
bool SameNode(const FilterLast& a, const FilterLast& b) {
  return a.collection->name == b.collection->name && Same(a.where, b.where) && a.op == b.op &&
         a.moment == b.moment;
}
bool SameNode(const FilterNot& a, const FilterNot& b) { return Same(a.part, b.part); }
bool SameNode(const FilterAll& a, const FilterAll& b) { return Same(a.parts, b.parts); }
bool SameNode(const FilterAny& a, const FilterAny& b) { return Same(a.parts, b.parts); }

bool IsBareWord(std::string_view text) {
  return !text.empty() && IsWordStart(text[0]) && std::all_of(text.begin(), text.end(), IsWordByte);
}

bool IsBareEnumName(std::string_view name) {
  for (std::string_view taken : {"AND", "OR", "NOT", "true", "false", "now", "fold"}) {
    if (name == taken) return false;
  }
  return IsBareWord(name);
}

std::string PathText(const FilterOperand& operand) {
  if (operand.member.empty()) return operand.field->path;
  return Concat(operand.field->path, ".",
                IsBareWord(operand.member) ? operand.member : QuoteFilterText(operand.member));
}

std::string MomentText(const FilterMoment& moment) {
  if (!moment.from_now) return QuoteFilterText(FormatFilterTime(moment.micros));
  if (moment.micros == 0) return "now()";
  return Concat("now() ", moment.micros < 0 ? "- " : "+ ",
                FormatFilterDuration(moment.micros < 0 ? -moment.micros : moment.micros));
}

std::string LiteralText(const FilterCompare& compare) {
  struct Visitor {
    const FilterCompare& compare;
    std::string operator()(bool v) const { return v ? "true" : "false"; }
    std::string operator()(int64_t v) const {
      const EnumNames* names = compare.operand.field->enumeration;
      if (names == nullptr) return std::to_string(v);
      std::string_view name = names->Name(v);
      return IsBareEnumName(name) ? std::string(name) : QuoteFilterText(name);
    }
    std::string operator()(const std::string& v) const {
      std::string text = QuoteFilterText(v);
      return compare.fold ? Concat("fold(", text, ")") : text;
    }
    std::string operator()(const FilterMoment& v) const { return MomentText(v); }
    std::string operator()(const Money& v) const { return QuoteFilterText(FormatMoney(v)); }
  };
  return std::visit(Visitor{compare}, compare.literal);
}

std::string Spaced(FilterOp op) {
  return op == FilterOp::kHas ? ":" : Concat(" ", FilterOpText(op), " ");
}

enum class Around { kNothing, kAll, kAny, kNot };

std::string Print(const FilterNode& node, Around around);

std::string Joined(const std::vector<FilterNodePtr>& parts, std::string_view word, Around around) {
  std::string out;
  for (const FilterNodePtr& part : parts) {
    if (!out.empty()) out.append(word);
    out += Print(*part, around);
  }
  return out;
}

std::string Enclosed(bool enclosed, std::string text) {
  return enclosed ? Concat("(", text, ")") : text;
}

struct Printer {
  Around around;

  std::string operator()(const FilterCompare& n) const {
    std::string path = PathText(n.operand);
    return Concat(n.fold ? Concat("fold(", path, ")") : path, Spaced(n.op), LiteralText(n));
  }
  std::string operator()(const FilterPresent& n) const { return Concat(PathText(n.operand), ":*"); }
  std::string operator()(const FilterCount& n) const {
    return Concat("count(", n.collection->name, n.where ? ", " : "",
                  n.where ? Print(*n.where, Around::kNothing) : "", n.window_micros ? ", " : "",
                  n.window_micros ? FormatFilterDuration(*n.window_micros) : "", ")", Spaced(n.op),
                  std::to_string(n.number));
  }
  std::string operator()(const FilterLast& n) const {
    return Concat("last(", n.collection->name, n.where ? ", " : "",
                  n.where ? Print(*n.where, Around::kNothing) : "", ")", Spaced(n.op),
                  n.moment ? MomentText(*n.moment) : "*");
  }
  std::string operator()(const FilterNot& n) const {
    return Enclosed(around == Around::kNot, Concat("NOT ", Print(*n.part, Around::kNot)));
  }
  std::string operator()(const FilterAll& n) const {
    return Enclosed(around == Around::kAny || around == Around::kNot,
                    Joined(n.parts, " AND ", Around::kAll));
  }
  std::string operator()(const FilterAny& n) const {
    // Within AND no parentheses are needed: OR binds tighter.
    return Enclosed(around == Around::kNot, Joined(n.parts, " OR ", Around::kAny));
  }
};

std::string Print(const FilterNode& node, Around around) {
  return std::visit(Printer{around}, node.node);
}

// Whether `test` holds for any condition of the tree, those of counted children included.
template <class Test>
bool AnyCondition(const FilterNodePtr& node, const Test& test) {
  if (node == nullptr) return false;
  return std::visit(
      [&](const auto& n) {
        using N = std::decay_t<decltype(n)>;
        if constexpr (std::is_same_v<N, FilterNot>) {
          return AnyCondition(n.part, test);
        } else if constexpr (std::is_same_v<N, FilterAll> || std::is_same_v<N, FilterAny>) {
          return std::any_of(n.parts.begin(), n.parts.end(),
                             [&](const FilterNodePtr& part) { return AnyCondition(part, test); });
        } else if constexpr (std::is_same_v<N, FilterCount> || std::is_same_v<N, FilterLast>) {
          return test(n) || AnyCondition(n.where, test);
        } else {
          return test(n);
        }
      },
      node->node);
}

}  // namespace

std::string FilterError::ToString() const {
  return Concat("line ", std::to_string(line), ", column ", std::to_string(column), ": ", message);
}

std::string_view FilterOpText(FilterOp op) {
  switch (op) {
    case FilterOp::kEqual:
      return "=";
    case FilterOp::kNotEqual:
      return "!=";
    case FilterOp::kLess:
      return "<";
    case FilterOp::kLessEqual:
      return "<=";
    case FilterOp::kGreater:
      return ">";
    case FilterOp::kGreaterEqual:
      return ">=";
    case FilterOp::kHas:
      return ":";
  }
  return "";
}

Timestamp FilterMoment::At(Timestamp now) const {
  if (!from_now) return Timestamp{micros};
  int64_t out = 0;
  if (__builtin_add_overflow(now.micros, micros, &out)) {
    out = micros < 0 ? std::numeric_limits<int64_t>::min() : std::numeric_limits<int64_t>::max();
  }
  return Timestamp{out};
}

bool operator==(const FilterNode& a, const FilterNode& b) {
  return std::visit(
      [](const auto& x, const auto& y) {
        if constexpr (std::is_same_v<decltype(x), decltype(y)>) {
          return SameNode(x, y);
        } else {
          return false;
        }
      },
      a.node, b.node);
}

bool operator==(const Filter& a, const Filter& b) { return Same(a.root_, b.root_); }

std::string Filter::Canonical() const {
  return root_ == nullptr ? std::string() : Print(*root_, Around::kNothing);
}

bool Filter::names_personal() const {
  return AnyCondition(root_, [](const auto& n) {
    if constexpr (requires { n.operand; }) {
      return n.operand.field->personal;
    } else {
      return n.collection->time->personal;
    }
  });
}

bool Filter::names(std::string_view path) const {
  return AnyCondition(root_, [path](const auto& n) {
    if constexpr (requires { n.operand; }) {
      return n.operand.field->path == path;
    } else {
      return false;
    }
  });
}

bool Filter::depends_on_now() const {
  return AnyCondition(root_, [](const auto& n) {
    using N = std::decay_t<decltype(n)>;
    if constexpr (std::is_same_v<N, FilterCompare>) {
      const FilterMoment* moment = std::get_if<FilterMoment>(&n.literal);
      return moment != nullptr && moment->from_now;
    } else if constexpr (std::is_same_v<N, FilterCount>) {
      return n.window_micros.has_value();
    } else if constexpr (std::is_same_v<N, FilterLast>) {
      return n.moment.has_value() && n.moment->from_now;
    } else {
      return false;
    }
  });
}

absl::StatusOr<Filter> FilterResult::status_or() const {
  if (ok()) return *filter_;
  return absl::InvalidArgumentError(error_.ToString());
}

}  // namespace relais::domain
