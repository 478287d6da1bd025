#include "storage/sql/filter_sql.h"

#include <cstdint>
#include <optional>
#include <utility>
#include <variant>

#include "server/domain/concat.h"

namespace relais::storage {

using domain::FieldType;
using domain::FilterAll;
using domain::FilterAny;
using domain::FilterCollection;
using domain::FilterCompare;
using domain::FilterCount;
using domain::FilterLast;
using domain::FilterMoment;
using domain::FilterNode;
using domain::FilterNodePtr;
using domain::FilterNot;
using domain::FilterOp;
using domain::FilterOperand;
using domain::FilterPresent;
using domain::Money;
using domain::Timestamp;

class FilterCompiler {
 public:
  FilterCompiler(Dialect dialect, Timestamp now, const FilterSqlNames& names)
      : dialect_(dialect), now_(now), names_(names), alias_(names.alias) {}

  FilterSql Run(const FilterNode* root) {
    if (root == nullptr) {
      Put("TRUE");
    } else {
      Node(*root);
    }
    sql_.segments_.push_back(std::move(text_));
    return std::move(sql_);
  }

  void operator()(const FilterCompare& n) { Compare(n); }
  void operator()(const FilterPresent& n) { Present(n.operand); }
  void operator()(const FilterCount& n) {
    Put("(SELECT COUNT(*)");
    FromChildren(*n.collection, n.where, n.window_micros);
    Put(")", Op(n.op));
    Bind(n.number);
  }
  void operator()(const FilterLast& n) {
    if (!n.moment.has_value()) {
      Put("EXISTS (SELECT 1");
      FromChildren(*n.collection, n.where, std::nullopt);
      Put(")");
      return;
    }
    Put("(SELECT MAX(c.", n.collection->time->column, ")");
    FromChildren(*n.collection, n.where, std::nullopt);
    Put(")", Op(n.op));
    Bind(n.moment->At(now_).micros);
  }
  void operator()(const FilterNot& n) {
    // Not a bare NOT: the negation of an absent value's comparison is true.
    Put("(");
    Node(*n.part);
    Put(") IS NOT TRUE");
  }
  void operator()(const FilterAll& n) { Group(n.parts, " AND "); }
  void operator()(const FilterAny& n) { Group(n.parts, " OR "); }

 private:
  template <class... T>
  void Put(const T&... parts) {
    Append(text_, parts...);
  }

  void Bind(Cell value) {
    sql_.segments_.push_back(std::exchange(text_, std::string()));
    sql_.binds_.push_back(std::move(value));
  }

  // A text whose type the statement does not tell PostgreSQL by itself.
  void BindText(std::string value) {
    Put("CAST(");
    Bind(std::move(value));
    Put(" AS TEXT)");
  }

  bool postgres() const { return dialect_ == Dialect::kPostgres; }

  static std::string_view Op(FilterOp op) {
    switch (op) {
      case FilterOp::kNotEqual:
        return " <> ";
      case FilterOp::kLess:
        return " < ";
      case FilterOp::kLessEqual:
        return " <= ";
      case FilterOp::kGreater:
        return " > ";
      case FilterOp::kGreaterEqual:
        return " >= ";
      case FilterOp::kEqual:
      case FilterOp::kHas:
        break;
    }
    return " = ";
  }

  void Node(const FilterNode& node) {
    std::visit([this](const auto& n) { (*this)(n); }, node.node);
  }

  void Group(const std::vector<FilterNodePtr>& parts, std::string_view word) {
    Put("(");
    for (size_t i = 0; i < parts.size(); ++i) {
      if (i > 0) Put(word);
      Node(*parts[i]);
    }
    Put(")");
  }

  std::string Column(const FilterOperand& operand, std::string_view suffix = "") const {
    return Concat(alias_, ".", operand.field->column, suffix);
  }

  // The column of a comparison. SQLite takes any range for selective: it would rather read by the
  // range's index and sort what may be most of the table than read in the order of the list and
  // stop after a page. A unary plus keeps the index of a range out of it.
  std::string Compared(const FilterCompare& n) const {
    const bool range = n.op == FilterOp::kLess || n.op == FilterOp::kLessEqual ||
                       n.op == FilterOp::kGreater || n.op == FilterOp::kGreaterEqual;
    return Concat(range && !postgres() ? "+" : "", Column(n.operand));
  }

  // " FROM touchpoints AS c WHERE ..." of the main row. Collections do not nest, so one alias will
  // do.
  void FromChildren(const FilterCollection& collection, const FilterNodePtr& where,
                    std::optional<int64_t> window) {
    Put(" FROM ", collection.name, " AS c WHERE c.tenant_id = ", alias_, ".tenant_id AND c.",
        names_.id_column, " = ", alias_, ".", names_.id_column);
    if (window.has_value()) {
      Put(" AND c.", collection.time->column, " > ");
      Bind(FilterMoment{true, -*window}.At(now_).micros);
      Put(" AND c.", collection.time->column, " <= ");
      Bind(now_.micros);
    }
    if (where == nullptr) return;
    Put(" AND ");
    std::string outer = std::exchange(alias_, "c");
    Node(*where);
    alias_ = std::move(outer);
  }

  // A comparison of the text expression `stored`. Equality is bytewise under every deterministic
  // collation, and without a COLLATE of its own it can use any index of the column.
  void CompareText(const FilterCompare& n, std::string_view stored, FilterOp op) {
    const std::string& literal = std::get<std::string>(n.literal);
    std::string text(stored);
    if (n.fold)
      text =
          postgres() ? Concat("lower(", stored, " COLLATE \"C\")") : Concat("lower(", stored, ")");
    if (op == FilterOp::kHas) {
      Put(postgres() ? "strpos(" : "instr(", text, ", ");
      BindText(literal);
      Put(") > 0");
      return;
    }
    bool ordered = op != FilterOp::kEqual && op != FilterOp::kNotEqual;
    Put(text, postgres() && ordered && !n.fold ? " COLLATE \"C\"" : "", Op(op));
    BindText(literal);
  }

  // The value of a map's key, as text; NULL without one. SQLite's JSON paths cannot spell every
  // key, so the key is compared instead. `condition` writes what must hold for the value it is
  // given.
  template <class Condition>
  void MapValue(const FilterOperand& operand, const Condition& condition) {
    if (postgres()) {
      // The key is bound before the condition's own literal, but the value may be named only once.
      Put("EXISTS (SELECT 1 FROM (SELECT ", Column(operand), " ->> ");
      BindText(operand.member);
      Put(" AS v) AS j WHERE ");
      condition("j.v");
    } else {
      Put("EXISTS (SELECT 1 FROM json_each(", Column(operand), ") AS j WHERE j.key = ");
      Bind(operand.member);
      Put(" AND ");
      condition("j.value");
    }
    Put(")");
  }

  // An element of a list, or the member of one.
  template <class Condition>
  void AnyElement(const FilterOperand& operand, const Condition& condition) {
    bool records = operand.field->type == FieldType::kRecordList;
    Put("EXISTS (SELECT 1 FROM ");
    if (postgres()) {
      Put(records ? "jsonb_array_elements(" : "jsonb_array_elements_text(", Column(operand),
          ") AS j(v) WHERE ");
      condition(records ? Concat("(j.v ->> '", operand.member, "')") : "j.v");
    } else {
      Put("json_each(", Column(operand), ") AS j WHERE ");
      condition(records ? Concat("json_extract(j.value, '$.", operand.member, "')") : "j.value");
    }
    Put(")");
  }

  void Compare(const FilterCompare& n) {
    switch (n.operand.field->type) {
      case FieldType::kBool:
        Put(Column(n.operand), Op(n.op));
        Bind(int64_t{std::get<bool>(n.literal)});
        return;
      case FieldType::kInt:
      case FieldType::kEnum:
        Put(Compared(n), Op(n.op));
        Bind(std::get<int64_t>(n.literal));
        return;
      case FieldType::kTime:
        Put(Compared(n), Op(n.op));
        Bind(std::get<FilterMoment>(n.literal).At(now_).micros);
        return;
      case FieldType::kText:
        CompareText(n, Compared(n), n.op);
        return;
      case FieldType::kMoney:
        CompareMoney(n);
        return;
      case FieldType::kTextMap:
        MapValue(n.operand, [&](std::string_view value) { CompareText(n, value, n.op); });
        return;
      case FieldType::kTextList:
      case FieldType::kRecordList:
        AnyElement(n.operand,
                   [&](std::string_view element) { CompareText(n, element, FilterOp::kEqual); });
        return;
      case FieldType::kBlob:
        break;
    }
    Put("FALSE");
  }

  void CompareMoney(const FilterCompare& n) {
    if (!n.operand.member.empty()) {
      CompareText(n, Column(n.operand, "_currency_code"), n.op);
      return;
    }
    const Money& money = std::get<Money>(n.literal);
    Put("(", Column(n.operand, "_currency_code"), " = ");
    Bind(money.currency_code);
    // Units and nanos have one sign, so the pair is ordered as the amount is.
    Put(" AND (", Column(n.operand, "_units"), ", ", Column(n.operand, "_nanos"), ")", Op(n.op),
        "(");
    Bind(money.units);
    Put(", ");
    Bind(int64_t{money.nanos});
    Put("))");
  }

  void Present(const FilterOperand& operand) {
    auto is_there = [&](std::string_view value) { Put(value, " IS NOT NULL"); };
    switch (operand.field->type) {
      case FieldType::kMoney:
        is_there(Column(operand, "_currency_code"));
        return;
      case FieldType::kTextMap:
        if (operand.member.empty()) break;
        MapValue(operand, is_there);
        return;
      case FieldType::kRecordList:
        if (operand.member.empty()) break;
        AnyElement(operand, is_there);
        return;
      default:
        break;
    }
    is_there(Column(operand));
  }

  Dialect dialect_;
  Timestamp now_;
  const FilterSqlNames& names_;
  std::string alias_;
  std::string text_;
  FilterSql sql_;
};

std::string FilterSql::Text(std::string_view prefix, size_t first) const {
  std::string out = segments_.front();
  for (size_t i = 0; i < binds_.size(); ++i) Append(out, prefix, first + i, segments_[i + 1]);
  return out;
}

FilterSql CompileFilter(const domain::Filter& filter, Dialect dialect, domain::Timestamp now,
                        const FilterSqlNames& names) {
  return FilterCompiler(dialect, now, names).Run(filter.root());
}

}  // namespace relais::storage
