#include "storage/sql/rows.h"

#include <cstdint>
#include <limits>
#include <utility>

#include "absl/status/status.h"
#include "server/domain/concat.h"
#include "server/domain/directory.h"
#include "server/domain/fields.h"
#include "server/domain/history.h"
#include "server/domain/lead.h"
#include "server/domain/operation.h"
#include "server/domain/opportunity.h"
#include "server/domain/status_macros.h"
#include "storage/sql/json.h"

namespace relais::storage {
namespace {

using domain::Assessment;
using domain::Consent;
using domain::Field;
using domain::FieldsOf;
using domain::FieldSpec;
using domain::FieldType;
using domain::Import;
using domain::Lead;
using domain::Money;
using domain::Operation;
using domain::Opportunity;
using domain::Team;
using domain::TenantId;
using domain::Timestamp;
using domain::Touchpoint;
using domain::User;
using domain::Value;

template <class E>
struct Names;
template <>
struct Names<Lead> {
  static constexpr const char *kTable = "leads", *kId = "lead_id";
};
template <>
struct Names<Touchpoint> {
  static constexpr const char *kTable = "touchpoints", *kId = "touchpoint_id";
};
template <>
struct Names<Consent> {
  static constexpr const char *kTable = "consents", *kId = "consent_id";
};
template <>
struct Names<Assessment> {
  static constexpr const char *kTable = "assessments", *kId = "assessment_id";
};
template <>
struct Names<Opportunity> {
  static constexpr const char *kTable = "opportunities", *kId = "opportunity_id";
};
template <>
struct Names<User> {
  static constexpr const char *kTable = "users", *kId = "user_id";
};
template <>
struct Names<Team> {
  static constexpr const char *kTable = "teams", *kId = "team_id";
};
template <>
struct Names<Import> {
  static constexpr const char *kTable = "imports", *kId = "import_id";
};
template <>
struct Names<Operation> {
  static constexpr const char *kTable = "operations", *kId = "operation_id";
};

template <class E>
constexpr bool kHasLead = requires(E e) {
  e.lead.value;
};
template <class E>
constexpr bool kHasRevision = requires(E e) {
  e.revision;
};

ColumnType TypeOf(FieldType type) {
  switch (type) {
    case FieldType::kBool:
    case FieldType::kInt:
    case FieldType::kTime:
    case FieldType::kEnum:
    case FieldType::kMoney:
      return ColumnType::kInteger;
    case FieldType::kText:
    case FieldType::kBlob:
      return ColumnType::kText;
    case FieldType::kTextList:
    case FieldType::kTextMap:
    case FieldType::kRecordList:
      return ColumnType::kJson;
  }
  return ColumnType::kText;
}

template <class E>
Table MakeTable() {
  Table table{Names<E>::kTable, {"tenant_id", Names<E>::kId}, {}};
  table.columns.push_back({"tenant_id", ColumnType::kText});
  table.columns.push_back({Names<E>::kId, ColumnType::kUuid});
  if constexpr (kHasLead<E>) table.columns.push_back({"lead_id", ColumnType::kUuid});
  if constexpr (kHasRevision<E>) table.columns.push_back({"revision", ColumnType::kInteger});
  for (const Field<E>& field : FieldsOf<E>()) {
    std::string column = ColumnOf(field.spec.path);
    if (field.spec.type == FieldType::kMoney) {
      table.columns.push_back({column + "_units", ColumnType::kInteger});
      table.columns.push_back({column + "_nanos", ColumnType::kInteger});
      table.columns.push_back({column + "_currency_code", ColumnType::kText});
    } else {
      table.columns.push_back({std::move(column), TypeOf(field.spec.type)});
    }
  }
  return table;
}

void Push(const FieldSpec& spec, Value value, Row& row) {
  switch (spec.type) {
    case FieldType::kMoney:
      if (const Money* money = value.if_money()) {
        row.emplace_back(money->units);
        row.emplace_back(int64_t{money->nanos});
        row.emplace_back(money->currency_code);
      } else {
        row.resize(row.size() + 3);
      }
      return;
    case FieldType::kTextList:
    case FieldType::kTextMap:
    case FieldType::kRecordList:
      if (value.absent()) {
        row.emplace_back();
      } else {
        row.emplace_back(ToPlainJson(value));
      }
      return;
    default:
      break;
  }
  if (const bool* flag = value.if_bool()) {
    row.emplace_back(int64_t{*flag});
  } else if (const int64_t* number = value.if_int()) {
    row.emplace_back(*number);
  } else if (const Timestamp* time = value.if_time()) {
    row.emplace_back(time->micros);
  } else if (const std::string* text = value.if_text()) {
    row.emplace_back(*text);
  } else {
    row.emplace_back();
  }
}

// Walks a row from left to right; the first surprise is kept and everything after it reads as
// absent.
class Reader {
 public:
  Reader(const Table& table, const Row& row) : table_(table), row_(row) {
    if (row.size() != table.columns.size()) {
      status_ = absl::InternalError(Concat("a row of ", table.name, " has another width"));
    }
  }

  std::string Text() {
    const Cell& cell = Next();
    if (const std::string* text = std::get_if<std::string>(&cell)) return *text;
    if (!IsNull(cell)) Fail();
    return {};
  }

  Value Integer() {
    const Cell& cell = Next();
    if (const int64_t* number = std::get_if<int64_t>(&cell)) return Value(*number);
    if (!IsNull(cell)) Fail();
    return {};
  }

  Value Read(const FieldSpec& spec) {
    switch (spec.type) {
      case FieldType::kBool: {
        Value number = Integer();
        return number.absent() ? Value() : Value(*number.if_int() != 0);
      }
      case FieldType::kInt:
        return Integer();
      case FieldType::kTime: {
        Value number = Integer();
        return number.absent() ? Value() : Value(Timestamp{*number.if_int()});
      }
      case FieldType::kEnum: {
        Value number = Integer();
        if (number.absent()) return {};
        // Casting a number that the enum does not have would make a value nobody handles.
        if (*number.if_int() < 1 ||
            *number.if_int() >= static_cast<int64_t>(spec.enumeration->names.size())) {
          Fail();
          return {};
        }
        return number;
      }
      case FieldType::kMoney: {
        Value units = Integer(), nanos = Integer();
        std::string currency = Text();
        if (units.absent()) return {};
        if (nanos.absent() || *nanos.if_int() <= -domain::kNanosPerUnit ||
            *nanos.if_int() >= domain::kNanosPerUnit) {
          Fail();
          return {};
        }
        return Value(
            Money{std::move(currency), *units.if_int(), static_cast<int32_t>(*nanos.if_int())});
      }
      case FieldType::kTextList:
      case FieldType::kTextMap:
      case FieldType::kRecordList: {
        const Cell& cell = Next();
        if (IsNull(cell)) return {};
        absl::StatusOr<Value> value = FromPlainJson(TextOf(cell));
        bool right_kind =
            value.ok() && (spec.type == FieldType::kTextMap ? value->if_map() != nullptr
                                                            : value->if_list() != nullptr);
        if (!right_kind) {
          Fail();
          return {};
        }
        return *std::move(value);
      }
      case FieldType::kText:
      case FieldType::kBlob: {
        std::string text = Text();
        return text.empty() ? Value() : Value(std::move(text));
      }
    }
    return {};
  }

  const absl::Status& status() const { return status_; }

 private:
  const Cell& Next() {
    static const Cell kNull;
    if (!status_.ok()) return kNull;
    return row_[at_++];
  }
  void Fail() {
    status_ = absl::InternalError(Concat("column ", table_.columns[at_ - 1].name, " of ",
                                         table_.name, " holds what it should not"));
  }

  const Table& table_;
  const Row& row_;
  size_t at_ = 0;
  absl::Status status_;
};

}  // namespace

template <class E>
const Table& TableOf() {
  static const Table* const kTable = new Table(MakeTable<E>());
  return *kTable;
}

template <class E>
Row ToRow(const TenantId& tenant, const E& entity) {
  Row row;
  row.reserve(TableOf<E>().columns.size());
  row.emplace_back(tenant.value);
  row.emplace_back(entity.id.value);
  if constexpr (kHasLead<E>) row.emplace_back(entity.lead.value);
  if constexpr (kHasRevision<E>) row.emplace_back(entity.revision);
  for (const Field<E>& field : FieldsOf<E>()) Push(field.spec, field.get(entity), row);
  return row;
}

template <class E>
absl::StatusOr<E> FromRow(const Row& row) {
  Reader reader(TableOf<E>(), row);
  E entity;
  reader.Text();  // tenant_id: the caller asked for it
  entity.id.value = reader.Text();
  if constexpr (kHasLead<E>) entity.lead.value = reader.Text();
  if constexpr (kHasRevision<E>) domain::FromValue(reader.Integer(), entity.revision);
  for (const Field<E>& field : FieldsOf<E>()) field.set(entity, reader.Read(field.spec));
  RETURN_IF_ERROR(reader.status());
  return entity;
}

#define RELAIS_ROWS_OF(E)                           \
  template const Table& TableOf<E>();               \
  template Row ToRow<E>(const TenantId&, const E&); \
  template absl::StatusOr<E> FromRow<E>(const Row&)
RELAIS_ROWS_OF(Lead);
RELAIS_ROWS_OF(Touchpoint);
RELAIS_ROWS_OF(Consent);
RELAIS_ROWS_OF(Assessment);
RELAIS_ROWS_OF(Opportunity);
RELAIS_ROWS_OF(User);
RELAIS_ROWS_OF(Team);
RELAIS_ROWS_OF(Import);
RELAIS_ROWS_OF(Operation);
#undef RELAIS_ROWS_OF

std::string ColumnOf(std::string_view path) {
  std::string column(path);
  for (char& c : column) {
    if (c == '.') c = '_';
  }
  return column;
}

size_t ColumnIndex(const Table& table, std::string_view column) {
  size_t i = 0;
  while (i < table.columns.size() && table.columns[i].name != column) ++i;
  return i;
}

std::vector<size_t> ChangedColumns(const Row& before, const Row& after) {
  std::vector<size_t> changed;
  for (size_t i = 0; i < after.size(); ++i) {
    if (i >= before.size() || before[i] != after[i]) changed.push_back(i);
  }
  return changed;
}

}  // namespace relais::storage
