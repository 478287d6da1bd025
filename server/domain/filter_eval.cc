#include "server/domain/filter_eval.h"

#include <algorithm>
#include <compare>
#include <limits>
#include <optional>
#include <string>
#include <type_traits>
#include <variant>

#include "server/domain/filter_text.h"

namespace relais::domain {
namespace {

bool Holds(FilterOp op, std::strong_ordering order) {
  switch (op) {
    case FilterOp::kEqual:
      return order == 0;
    case FilterOp::kNotEqual:
      return order != 0;
    case FilterOp::kLess:
      return order < 0;
    case FilterOp::kLessEqual:
      return order <= 0;
    case FilterOp::kGreater:
      return order > 0;
    case FilterOp::kGreaterEqual:
      return order >= 0;
    case FilterOp::kHas:
      return false;
  }
  return false;
}

std::strong_ordering Order(absl::int128 a, absl::int128 b) {
  return a < b ? std::strong_ordering::less
               : (a == b ? std::strong_ordering::equal : std::strong_ordering::greater);
}

// UTF-8 was made so that the order of bytes is the order of code points.
std::strong_ordering Order(std::string_view a, std::string_view b) { return a.compare(b) <=> 0; }

bool TextHolds(const FilterCompare& compare, std::string_view stored) {
  std::string folded;
  if (compare.fold) {
    folded = FilterFold(stored);
    stored = folded;
  }
  const std::string& literal = std::get<std::string>(compare.literal);
  return compare.op == FilterOp::kHas ? stored.find(literal) != std::string_view::npos
                                      : Holds(compare.op, Order(stored, literal));
}

bool ElementIs(const FilterCompare& compare, const Value& element) {
  const std::string* text = element.if_text();
  if (text == nullptr) return false;
  const std::string& literal = std::get<std::string>(compare.literal);
  return compare.fold ? FilterFold(*text) == literal : *text == literal;
}

const Value* Member(const Value& record, const std::string& name) {
  const ValueMap* map = record.if_map();
  if (map == nullptr) return nullptr;
  auto at = map->find(name);
  return at == map->end() || at->second.absent() ? nullptr : &at->second;
}

bool CompareHolds(const FilterCompare& n, const FilterSubject& subject, Timestamp now) {
  const Value value = subject.Get(*n.operand.field);
  switch (n.operand.field->type) {
    case FieldType::kBool: {
      const bool* v = value.if_bool();
      return v != nullptr && (*v == std::get<bool>(n.literal)) == (n.op == FilterOp::kEqual);
    }
    case FieldType::kInt:
    case FieldType::kEnum: {
      const int64_t* v = value.if_int();
      return v != nullptr && Holds(n.op, *v <=> std::get<int64_t>(n.literal));
    }
    case FieldType::kText: {
      const std::string* v = value.if_text();
      return v != nullptr && TextHolds(n, *v);
    }
    case FieldType::kTime: {
      const Timestamp* v = value.if_time();
      return v != nullptr && Holds(n.op, *v <=> std::get<FilterMoment>(n.literal).At(now));
    }
    case FieldType::kMoney: {
      const Money* v = value.if_money();
      if (v == nullptr) return false;
      if (!n.operand.member.empty()) return TextHolds(n, v->currency_code);
      const Money& literal = std::get<Money>(n.literal);
      return v->currency_code == literal.currency_code &&
             Holds(n.op, Order(v->total_nanos(), literal.total_nanos()));
    }
    case FieldType::kTextMap: {
      const Value* v = Member(value, n.operand.member);
      return v != nullptr && v->if_text() != nullptr && TextHolds(n, *v->if_text());
    }
    case FieldType::kTextList: {
      const ValueList* list = value.if_list();
      return list != nullptr && std::any_of(list->begin(), list->end(), [&](const Value& element) {
               return ElementIs(n, element);
             });
    }
    case FieldType::kRecordList: {
      const ValueList* list = value.if_list();
      return list != nullptr && std::any_of(list->begin(), list->end(), [&](const Value& element) {
               const Value* member = Member(element, n.operand.member);
               return member != nullptr && ElementIs(n, *member);
             });
    }
    case FieldType::kBlob:
      return false;
  }
  return false;
}

bool IsPresent(const FilterOperand& operand, const FilterSubject& subject) {
  const Value value = subject.Get(*operand.field);
  if (value.absent()) return false;
  if (operand.member.empty()) return true;
  switch (operand.field->type) {
    case FieldType::kTextMap:
      return Member(value, operand.member) != nullptr;
    case FieldType::kRecordList: {
      const ValueList* list = value.if_list();
      return list != nullptr && std::any_of(list->begin(), list->end(), [&](const Value& element) {
               return Member(element, operand.member) != nullptr;
             });
    }
    default:
      return true;
  }
}

bool NodeHolds(const FilterNode& node, const FilterSubject& subject, Timestamp now);

struct Evaluator {
  const FilterSubject& subject;
  Timestamp now;

  bool operator()(const FilterCompare& n) const { return CompareHolds(n, subject, now); }
  bool operator()(const FilterPresent& n) const { return IsPresent(n.operand, subject); }
  bool operator()(const FilterCount& n) const {
    int64_t count = 0;
    const Timestamp from = n.window_micros.has_value()
                               ? FilterMoment{true, -*n.window_micros}.At(now)
                               : Timestamp{std::numeric_limits<int64_t>::min()};
    subject.EachChild(n.collection->name, [&](const FilterSubject& child) {
      if (n.window_micros.has_value()) {
        const Value time = child.Get(*n.collection->time);
        const Timestamp* at = time.if_time();
        if (at == nullptr || *at <= from || *at > now) return;
      }
      if (n.where == nullptr || NodeHolds(*n.where, child, now)) ++count;
    });
    return Holds(n.op, count <=> n.number);
  }
  bool operator()(const FilterLast& n) const {
    std::optional<Timestamp> last;
    subject.EachChild(n.collection->name, [&](const FilterSubject& child) {
      const Value time = child.Get(*n.collection->time);
      const Timestamp* at = time.if_time();
      if (at == nullptr || (last.has_value() && *at <= *last)) return;
      if (n.where == nullptr || NodeHolds(*n.where, child, now)) last = *at;
    });
    if (!last.has_value()) return false;
    return !n.moment.has_value() || Holds(n.op, *last <=> n.moment->At(now));
  }
  bool operator()(const FilterNot& n) const { return !NodeHolds(*n.part, subject, now); }
  bool operator()(const FilterAll& n) const {
    return std::all_of(n.parts.begin(), n.parts.end(),
                       [&](const FilterNodePtr& part) { return NodeHolds(*part, subject, now); });
  }
  bool operator()(const FilterAny& n) const {
    return std::any_of(n.parts.begin(), n.parts.end(),
                       [&](const FilterNodePtr& part) { return NodeHolds(*part, subject, now); });
  }
};

bool NodeHolds(const FilterNode& node, const FilterSubject& subject, Timestamp now) {
  return std::visit(Evaluator{subject, now}, node.node);
}

}  // namespace

void FilterSubject::EachChild(std::string_view,
                              absl::FunctionRef<void(const FilterSubject&)>) const {}

bool Matches(const Filter& filter, const FilterSubject& subject, Timestamp now) {
  return filter.root() == nullptr || NodeHolds(*filter.root(), subject, now);
}

}  // namespace relais::domain
