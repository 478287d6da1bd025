#include "storage/sql/rows.h"

#include <algorithm>
#include <utility>

#include "absl/status/status.h"
#include "server/domain/concat.h"
#include "server/domain/configuration.h"
#include "server/domain/directory.h"
#include "server/domain/fields.h"
#include "server/domain/handoff.h"
#include "server/domain/history.h"
#include "server/domain/lead.h"
#include "server/domain/operation.h"
#include "server/domain/opportunity.h"
#include "server/domain/segment.h"
#include "server/domain/status_macros.h"
#include "storage/sql/json.h"

namespace relais::storage {
namespace {

using domain::Assessment;
using domain::Calendar;
using domain::ConfigDocument;
using domain::Consent;
using domain::Field;
using domain::FieldsOf;
using domain::FieldType;
using domain::Handoff;
using domain::Import;
using domain::Lead;
using domain::Operation;
using domain::Opportunity;
using domain::Team;
using domain::TenantId;
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
struct Names<Calendar> {
  static constexpr const char *kTable = "calendars", *kId = "calendar_id";
};
template <>
struct Names<domain::Segment> {
  static constexpr const char *kTable = "segments", *kId = "segment_id";
};
template <>
struct Names<Handoff> {
  static constexpr const char *kTable = "handoffs", *kId = "handoff_id";
};
template <>
struct Names<Operation> {
  static constexpr const char *kTable = "operations", *kId = "operation_id";
};
template <>
struct Names<ConfigDocument> {
  static constexpr const char *kTable = "config_documents", *kId = "config_document_id";
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
Table MakeTable(absl::Span<const Field<E>* const> fields) {
  Table table{Names<E>::kTable, {"tenant_id", Names<E>::kId}, {}};
  table.columns.push_back({"tenant_id", ColumnType::kText});
  table.columns.push_back({Names<E>::kId, ColumnType::kUuid});
  if constexpr (kHasLead<E>) table.columns.push_back({"lead_id", ColumnType::kUuid});
  if constexpr (kHasRevision<E>) table.columns.push_back({"revision", ColumnType::kInteger});
  for (const Field<E>* field : fields) {
    std::string column = ColumnOf(field->spec.path);
    if (field->spec.type == FieldType::kMoney) {
      table.columns.push_back({column + "_units", ColumnType::kInteger});
      table.columns.push_back({column + "_nanos", ColumnType::kInteger});
      table.columns.push_back({column + "_currency_code", ColumnType::kText});
    } else {
      table.columns.push_back({std::move(column), TypeOf(field->spec.type)});
    }
  }
  return table;
}

// The JSON column of a field; false when it holds another kind of value.
template <class E>
bool TakeJson(const Field<E>& field, const Cell& cell, E& entity) {
  if (IsNull(cell)) {
    field.set(entity, Value());
    return true;
  }
  if (field.spec.type == FieldType::kBlob) {
    absl::StatusOr<Value> document = FromJson(TextOf(cell));
    if (!document.ok()) return false;
    field.set(entity, *document);
    return true;
  }
  absl::StatusOr<Value> value = FromPlainJson(TextOf(cell));
  if (!value.ok() || (field.spec.type == FieldType::kTextMap ? value->if_map() == nullptr
                                                             : value->if_list() == nullptr)) {
    return false;
  }
  field.set(entity, *value);
  return true;
}

// Takes a row apart from left to right; the first surprise is kept and nothing is read after it.
class Reader {
 public:
  Reader(const Table& table, Row& row) : table_(table), row_(row) {
    if (row.size() != table.columns.size()) {
      status_ = absl::InternalError(Concat("a row of ", table.name, " has another width"));
    }
  }

  template <class T>
  void Take(T& member) {
    if (!status_.ok()) return;
    if (domain::TakeScalar(&row_[at_], member) != domain::kAllTaken) Fail(at_);
    ++at_;
  }
  template <class E>
  void Take(const Field<E>& field, E& entity) {
    if (!status_.ok()) return;
    if (field.take == nullptr) {
      if (!TakeJson(field, row_[at_], entity)) Fail(at_);
      ++at_;
      return;
    }
    const int wrong = field.take(&row_[at_], entity);
    if (wrong != domain::kAllTaken) Fail(at_ + static_cast<size_t>(wrong));
    at_ += field.spec.type == FieldType::kMoney ? 3 : 1;
  }

  const absl::Status& status() const { return status_; }

 private:
  void Fail(size_t column) {
    status_ = absl::InternalError(Concat("column ", table_.columns[column].name, " of ",
                                         table_.name, " holds what it should not"));
  }

  const Table& table_;
  Row& row_;
  size_t at_ = 0;
  absl::Status status_;
};

}  // namespace

template <class E>
PartOfRow<E>::PartOfRow(absl::Span<const std::string_view> paths) {
  for (const Field<E>& field : FieldsOf<E>()) {
    if (std::find(paths.begin(), paths.end(), field.spec.path) != paths.end()) {
      fields.push_back(&field);
    }
  }
  table = MakeTable<E>(fields);
}

template <class E>
absl::Status PartOfRow<E>::Read(Row& row, E& entity) const {
  Reader reader(table, row);
  std::string tenant;  // the caller asked for it
  reader.Take(tenant);
  reader.Take(entity.id.value);
  if constexpr (kHasLead<E>) reader.Take(entity.lead.value);
  if constexpr (kHasRevision<E>) reader.Take(entity.revision);
  for (const Field<E>* field : fields) reader.Take(*field, entity);
  return reader.status();
}

template <class E>
const PartOfRow<E>& WholeRow() {
  static const auto* const kWhole = [] {
    std::vector<std::string_view> paths;
    for (const Field<E>& field : FieldsOf<E>()) paths.push_back(field.spec.path);
    return new PartOfRow<E>(paths);
  }();
  return *kWhole;
}

template <class E>
const Table& TableOf() {
  return WholeRow<E>().table;
}

template <class E>
Row ToRow(const TenantId& tenant, const E& entity) {
  Row row;
  row.reserve(TableOf<E>().columns.size());
  row.emplace_back(tenant.value);
  row.emplace_back(entity.id.value);
  if constexpr (kHasLead<E>) row.emplace_back(entity.lead.value);
  if constexpr (kHasRevision<E>) row.emplace_back(entity.revision);
  for (const Field<E>& field : FieldsOf<E>()) {
    if (field.append != nullptr) {
      field.append(entity, row);
    } else if (Value value = field.get(entity); value.absent()) {
      row.emplace_back();
    } else {
      row.emplace_back(field.spec.type == FieldType::kBlob ? ToJson(value) : ToPlainJson(value));
    }
  }
  return row;
}

template <class E>
absl::StatusOr<E> FromRow(Row row) {
  E entity;
  RETURN_IF_ERROR(WholeRow<E>().Read(row, entity));
  return entity;
}

#define RELAIS_ROWS_OF(E)                           \
  template const Table& TableOf<E>();               \
  template Row ToRow<E>(const TenantId&, const E&); \
  template absl::StatusOr<E> FromRow<E>(Row);       \
  template struct PartOfRow<E>;                     \
  template const PartOfRow<E>& WholeRow<E>()
RELAIS_ROWS_OF(Lead);
RELAIS_ROWS_OF(Touchpoint);
RELAIS_ROWS_OF(Consent);
RELAIS_ROWS_OF(Assessment);
RELAIS_ROWS_OF(Opportunity);
RELAIS_ROWS_OF(User);
RELAIS_ROWS_OF(Team);
RELAIS_ROWS_OF(Import);
RELAIS_ROWS_OF(Operation);
RELAIS_ROWS_OF(ConfigDocument);
RELAIS_ROWS_OF(Calendar);
RELAIS_ROWS_OF(Handoff);
RELAIS_ROWS_OF(domain::Segment);
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
