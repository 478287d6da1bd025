#include "storage/engine/read_txn.h"

#include <algorithm>
#include <map>
#include <set>
#include <unordered_map>
#include <utility>

#include "server/domain/calendar.h"
#include "server/domain/concat.h"
#include "server/domain/faults.h"
#include "server/domain/fields.h"
#include "server/domain/merge.h"
#include "server/domain/status_macros.h"
#include "storage/engine/event_rows.h"
#include "storage/engine/person_keys.h"
#include "storage/engine/search.h"
#include "storage/sql/bulk.h"
#include "storage/sql/filter_sql.h"
#include "storage/sql/rows.h"
#include "storage/sql/tables.h"

namespace relais::storage {
namespace {

// Builds a statement and its parameters together, so that numbers and values cannot part.
class Statement {
 public:
  Statement& operator<<(std::string_view text) {
    text_.append(text);
    return *this;
  }
  Statement& Bind(Cell value) {
    params_.push_back(std::move(value));
    Append(text_, ":p", params_.size());
    return *this;
  }
  // " = id", or " IN (id, ...)" with those that were merged into it.
  Statement& OneOf(const domain::LeadId& id, const std::vector<domain::LeadId>& merged,
                   bool postgres) {
    auto bind = [&](const domain::LeadId& one) {
      if (postgres) text_ += "CAST(";
      Bind(one.value);
      if (postgres) text_ += " AS UUID)";
    };
    text_ += merged.empty() ? " = " : " IN (";
    bind(id);
    for (const domain::LeadId& one : merged) {
      text_ += ", ";
      bind(one);
    }
    if (!merged.empty()) text_ += ")";
    return *this;
  }
  Statement& Where(const FilterSql& filter) {
    text_ += filter.Text(":p", params_.size() + 1);
    params_.insert(params_.end(), filter.binds().begin(), filter.binds().end());
    return *this;
  }
  const std::string& text() const { return text_; }
  const std::vector<Cell>& params() const { return params_; }

 private:
  std::string text_;
  std::vector<Cell> params_;
};

// The second column of every entity's table is its own id.
const std::string& IdColumn(const Table& table) { return table.columns[1].name; }

constexpr int kUsualPage = 50;

// What a list is ordered by: the column itself, or a stand-in that puts absent values first.
struct Ordering {
  std::string expression;
  bool text = false;
};

template <class E>
absl::StatusOr<Ordering> OrderingOf(const std::string& path) {
  // Money is ordered by its units, which callers name: "amount.units".
  constexpr std::string_view kUnits = ".units";
  const std::string whole =
      path.ends_with(kUnits) ? path.substr(0, path.size() - kUnits.size()) : path;
  const domain::Field<E>* field = domain::FindField<E>(whole);
  if (field == nullptr) return domain::InternalFault("a list is ordered by an unknown field");
  const std::string column = Concat("t.", ColumnOf(whole));
  switch (field->spec.type) {
    case domain::FieldType::kText:
      return Ordering{Concat("COALESCE(", column, ", '')"), true};
    case domain::FieldType::kMoney:
      return Ordering{Concat("COALESCE(", column, "_units, 0)"), false};
    case domain::FieldType::kInt:
    case domain::FieldType::kTime:
    case domain::FieldType::kEnum:
      if (field->spec.always) return Ordering{column, false};
      return Ordering{Concat("COALESCE(", column, ", 0)"), false};
    default:
      return domain::InternalFault("a list is ordered by a field without an order");
  }
}

Cell OrderCell(const domain::Value& value, bool text) {
  if (text) return value.if_text() ? *value.if_text() : std::string();
  if (value.if_int()) return *value.if_int();
  if (value.if_time()) return value.if_time()->micros;
  if (value.if_money()) return value.if_money()->units;
  return int64_t{0};
}

}  // namespace

const domain::Config& SqlReadTxn::config() const {
  if (config_ == nullptr) {
    auto current = configs_.Current(session_, call_.tenant);
    config_status_ = current.status();
    config_ = current.ok() ? *std::move(current) : configs_.shipped();
  }
  return *config_;
}

absl::StatusOr<domain::ConfigDocuments> SqlReadTxn::Configurations(domain::ConfigKind kind) {
  return ReadConfigurations(session_, call_.tenant, kind);
}

absl::StatusOr<bool> SqlReadTxn::HasFewMembers(const domain::SegmentId& segment) {
  constexpr int64_t kFew = 20'000;
  static constexpr ColumnType kTypes[] = {ColumnType::kInteger};
  ASSIGN_OR_RETURN(std::vector<Row> rows,
                   session_.Query("SELECT COUNT(*) FROM (SELECT 1 FROM segment_members WHERE "
                                  "tenant_id = :p1 AND segment_id = :p2 LIMIT :p3)",
                                  Row{call_.tenant.value, segment.value, kFew}, kTypes));
  return !rows.empty() && IntOr(rows[0][0]) < kFew;
}

template <class E>
absl::StatusOr<std::vector<E>> SqlReadTxn::List(const ListQuery& query) {
  const Table& table = TableOf<E>();
  ASSIGN_OR_RETURN(Ordering order, OrderingOf<E>(query.order_path));
  const bool postgres = session_.dialect() == Dialect::kPostgres;
  const std::string id = Concat("t.", IdColumn(table));
  // SQLite looks for the members among all leads in the order of the list. Those of a small segment
  // are quicker read and sorted: the plus keeps the index of the order out of it.
  bool few_members = false;
  if (query.segment.has_value() && !postgres) {
    ASSIGN_OR_RETURN(few_members, HasFewMembers(*query.segment));
    if (few_members) order.expression.insert(0, 1, '+');
  }

  Statement sql;
  sql << "SELECT ";
  for (size_t i = 0; i < table.columns.size(); ++i) {
    sql << (i == 0 ? "t." : ", t.") << table.columns[i].name;
  }
  sql << " FROM " << table.name << " t WHERE t.tenant_id = ";
  sql.Bind(call_.tenant.value);
  if (query.parent.has_value()) {
    sql << " AND t.lead_id";
    sql.OneOf(*query.parent, query.merged, postgres);
  }
  if (few_members) {
    sql << " AND t.lead_id IN (SELECT lead_id FROM segment_members WHERE tenant_id = ";
    sql.Bind(call_.tenant.value) << " AND segment_id = ";
    sql.Bind(query.segment->value) << ")";
  } else if (query.segment.has_value()) {
    sql << " AND EXISTS (SELECT 1 FROM segment_members m WHERE m.tenant_id = t.tenant_id AND "
           "m.lead_id = t.lead_id AND m.segment_id = ";
    if (postgres) sql << "CAST(";
    sql.Bind(query.segment->value);
    if (postgres) sql << " AS UUID)";
    sql << ")";
  }
  if constexpr (std::is_same_v<E, domain::Lead>) sql << " AND t.merged_into IS NULL";
  if (query.filter.has_value() && query.filter->root() != nullptr) {
    sql << " AND (";
    sql.Where(CompileFilter(*query.filter, session_.dialect(), query.now,
                            {.alias = "t", .id_column = IdColumn(table)}));
    sql << ")";
  }
  if (query.after.has_value()) {
    sql << " AND (" << order.expression << ", " << id << (query.descending ? ") < (" : ") > (");
    if (postgres) sql << "CAST(";
    sql.Bind(OrderCell(query.after->value, order.text));
    if (postgres) sql << (order.text ? " AS TEXT) COLLATE \"C\"" : " AS BIGINT)");
    sql << ", ";
    if (postgres) sql << "CAST(";
    sql.Bind(query.after->id);
    if (postgres) sql << " AS UUID)";
    sql << ")";
  }
  const char* direction = query.descending ? " DESC" : "";
  // The limit is part of the text: with it unknown, a generic plan would rather sort the whole
  // table.
  sql << " ORDER BY " << order.expression << direction << ", " << id << direction << " LIMIT "
      << Concat(query.limit);

  std::vector<E> entities;
  entities.reserve(static_cast<size_t>(std::min(query.limit, kUsualPage + 1)));
  absl::Status read;
  RETURN_IF_ERROR(session_.QueryEach(sql.text(), sql.params(), TypesOf(table), [&](Row& row) {
    if (read.ok()) read = WholeRow<E>().Read(row, entities.emplace_back());
  }));
  RETURN_IF_ERROR(read);
  return entities;
}

template <class E>
absl::StatusOr<std::optional<E>> SqlReadTxn::Get(const std::string& id_column,
                                                 const std::string& id) {
  ASSIGN_OR_RETURN(
      std::vector<Row> rows,
      session_.SelectRows(TableOf<E>(), call_.tenant, {id_column}, std::vector<Row>{{id}}, false));
  if (rows.empty()) return std::optional<E>();
  ASSIGN_OR_RETURN(E entity, FromRow<E>(std::move(rows[0])));
  return std::optional<E>(std::move(entity));
}

absl::StatusOr<std::vector<std::optional<domain::Lead>>> SqlReadTxn::GetLeads(
    absl::Span<const domain::LeadId> ids) {
  ASSIGN_OR_RETURN(std::vector<std::optional<domain::Lead>> leads,
                   LeadsWith(WholeRow<domain::Lead>(), ids));
  std::vector<domain::LeadId> standing;
  for (const std::optional<domain::Lead>& lead : leads) {
    if (!lead.has_value()) continue;
    if (auto into = domain::MergedInto(*lead)) standing.push_back(*std::move(into));
  }
  if (standing.empty()) return leads;
  ASSIGN_OR_RETURN(std::vector<std::optional<domain::Lead>> found,
                   LeadsWith(WholeRow<domain::Lead>(), standing));
  size_t next = 0;
  for (std::optional<domain::Lead>& lead : leads) {
    if (lead.has_value() && !lead->merged_into.empty()) lead = std::move(found[next++]);
  }
  return leads;
}

absl::StatusOr<std::vector<std::optional<domain::Lead>>> SqlReadTxn::GetPartsOfLeads(
    absl::Span<const domain::LeadId> ids, absl::Span<const std::string_view> paths) {
  return LeadsWith(PartOfRow<domain::Lead>(paths), ids);
}

absl::StatusOr<std::vector<std::optional<domain::Lead>>> SqlReadTxn::LeadsWith(
    const PartOfRow<domain::Lead>& part, absl::Span<const domain::LeadId> ids) {
  std::vector<std::optional<domain::Lead>> leads(ids.size());
  if (ids.empty()) return leads;
  std::vector<Row> keys;
  keys.reserve(ids.size());
  for (const domain::LeadId& id : ids) keys.push_back({id.value});
  ASSIGN_OR_RETURN(std::vector<Row> rows,
                   session_.SelectRows(part.table, call_.tenant, {"lead_id"}, keys, false));
  std::unordered_map<std::string_view, size_t> places;  // where a lead was asked for first
  places.reserve(ids.size());
  for (size_t i = 0; i < ids.size(); ++i) places.try_emplace(ids[i].value, i);
  for (Row& row : rows) {
    domain::Lead lead;
    RETURN_IF_ERROR(part.Read(row, lead));
    auto place = places.find(lead.id.value);
    if (place != places.end()) leads[place->second] = std::move(lead);
  }
  for (size_t i = 0; i < ids.size(); ++i) {
    if (const size_t first = places[ids[i].value]; first != i) leads[i] = leads[first];
  }
  return leads;
}

absl::StatusOr<std::optional<domain::Touchpoint>> SqlReadTxn::GetTouchpoint(
    const domain::TouchpointId& id) {
  return Get<domain::Touchpoint>("touchpoint_id", id.value);
}
absl::StatusOr<std::optional<domain::Opportunity>> SqlReadTxn::GetOpportunity(
    const domain::OpportunityId& id) {
  return Get<domain::Opportunity>("opportunity_id", id.value);
}
absl::StatusOr<std::optional<domain::User>> SqlReadTxn::GetUser(const domain::UserId& id) {
  return Get<domain::User>("user_id", id.value);
}
absl::StatusOr<std::optional<domain::Team>> SqlReadTxn::GetTeam(const domain::TeamId& id) {
  return Get<domain::Team>("team_id", id.value);
}
absl::StatusOr<std::optional<domain::Import>> SqlReadTxn::GetImport(const domain::ImportId& id) {
  return Get<domain::Import>("import_id", id.value);
}
absl::StatusOr<std::optional<domain::Operation>> SqlReadTxn::GetOperation(
    const domain::OperationId& id) {
  return Get<domain::Operation>("operation_id", id.value);
}
absl::StatusOr<std::optional<domain::Calendar>> SqlReadTxn::GetCalendar(
    const domain::CalendarId& id) {
  return Get<domain::Calendar>("calendar_id", id.value);
}
absl::StatusOr<std::optional<domain::Handoff>> SqlReadTxn::GetHandoff(const domain::HandoffId& id) {
  return Get<domain::Handoff>("handoff_id", id.value);
}

absl::StatusOr<std::vector<std::optional<domain::LeadId>>> SqlReadTxn::IdentityOwners(
    absl::Span<const domain::IdentityKey> keys) {
  std::vector<Row> wanted;
  wanted.reserve(keys.size());
  for (const domain::IdentityKey& key : keys) {
    wanted.push_back({static_cast<int64_t>(key.kind), key.value});
  }
  ASSIGN_OR_RETURN(std::vector<Row> rows,
                   session_.SelectRows(LeadIdentitiesTable(), call_.tenant, {"kind", "value"},
                                       std::move(wanted), false));
  std::map<domain::IdentityKey, domain::LeadId> owners;
  for (const Row& row : rows) {
    owners.emplace(domain::IdentityKey{static_cast<domain::IdentityKind>(IntOr(row[1])),
                                       std::string(TextOf(row[2]))},
                   domain::LeadId(std::string(TextOf(row[3]))));
  }
  std::vector<std::optional<domain::LeadId>> found(keys.size());
  for (size_t i = 0; i < keys.size(); ++i) {
    if (auto owner = owners.find(keys[i]); owner != owners.end()) found[i] = owner->second;
  }
  return found;
}

absl::StatusOr<std::vector<ScoredLead>> SqlReadTxn::ScoredLeads(const domain::LeadId& after,
                                                                int limit) {
  Statement sql;
  sql << "SELECT lead_id, score_model FROM leads WHERE merged_into IS NULL AND tenant_id = ";
  sql.Bind(call_.tenant.value);
  if (!after.empty()) {
    const bool postgres = session_.dialect() == Dialect::kPostgres;
    sql << (postgres ? " AND lead_id > CAST(" : " AND lead_id > ");
    sql.Bind(after.value);
    if (postgres) sql << " AS UUID)";
  }
  sql << " ORDER BY lead_id LIMIT " << Concat(limit);
  static constexpr ColumnType kTypes[] = {ColumnType::kUuid, ColumnType::kText};
  ASSIGN_OR_RETURN(std::vector<Row> rows, session_.Query(sql.text(), sql.params(), kTypes));
  std::vector<ScoredLead> leads;
  leads.reserve(rows.size());
  for (const Row& row : rows) {
    leads.push_back({domain::LeadId(std::string(TextOf(row[0]))), std::string(TextOf(row[1]))});
  }
  return leads;
}

absl::StatusOr<int64_t> SqlReadTxn::CountLeads() {
  static constexpr ColumnType kTypes[] = {ColumnType::kInteger};
  ASSIGN_OR_RETURN(
      std::vector<Row> rows,
      session_.Query("SELECT COUNT(*) FROM leads WHERE tenant_id = :p1 AND merged_into IS NULL",
                     Row{call_.tenant.value}, kTypes));
  return rows.empty() ? 0 : IntOr(rows[0][0]);
}

absl::StatusOr<std::vector<domain::LeadId>> SqlReadTxn::LeadsDueForScore(domain::Timestamp now,
                                                                         int limit) {
  static constexpr ColumnType kTypes[] = {ColumnType::kUuid};
  ASSIGN_OR_RETURN(
      std::vector<Row> rows,
      session_.Query(
          Concat("SELECT lead_id FROM leads WHERE tenant_id = :p1 AND next_score_time IS "
                 "NOT NULL AND next_score_time <= :p2 AND merged_into IS NULL ORDER BY "
                 "next_score_time LIMIT ",
                 limit),
          Row{call_.tenant.value, now.micros}, kTypes));
  std::vector<domain::LeadId> leads;
  leads.reserve(rows.size());
  for (const Row& row : rows) leads.emplace_back(std::string(TextOf(row[0])));
  return leads;
}

absl::StatusOr<std::vector<domain::Lead>> SqlReadTxn::ListLeads(const ListQuery& query) {
  return List<domain::Lead>(query);
}
absl::StatusOr<std::vector<domain::Touchpoint>> SqlReadTxn::ListTouchpoints(
    const ListQuery& query) {
  return List<domain::Touchpoint>(query);
}
absl::StatusOr<std::vector<domain::Consent>> SqlReadTxn::ListConsents(const ListQuery& query) {
  return List<domain::Consent>(query);
}
absl::StatusOr<std::vector<domain::Assessment>> SqlReadTxn::ListAssessments(
    const ListQuery& query) {
  return List<domain::Assessment>(query);
}
absl::StatusOr<std::vector<domain::Opportunity>> SqlReadTxn::ListOpportunities(
    const ListQuery& query) {
  return List<domain::Opportunity>(query);
}
absl::StatusOr<std::vector<domain::User>> SqlReadTxn::ListUsers(const ListQuery& query) {
  return List<domain::User>(query);
}
absl::StatusOr<std::vector<domain::Team>> SqlReadTxn::ListTeams(const ListQuery& query) {
  return List<domain::Team>(query);
}
absl::StatusOr<std::vector<domain::Import>> SqlReadTxn::ListImports(const ListQuery& query) {
  return List<domain::Import>(query);
}
absl::StatusOr<std::vector<domain::Operation>> SqlReadTxn::ListOperations(const ListQuery& query) {
  return List<domain::Operation>(query);
}

absl::StatusOr<std::vector<domain::Calendar>> SqlReadTxn::ListCalendars(const ListQuery& query) {
  return List<domain::Calendar>(query);
}
absl::StatusOr<std::vector<domain::Segment>> SqlReadTxn::ListSegments(const ListQuery& query) {
  return List<domain::Segment>(query);
}
absl::StatusOr<std::optional<domain::Segment>> SqlReadTxn::GetSegment(const domain::SegmentId& id) {
  return Get<domain::Segment>("segment_id", id.value);
}
absl::StatusOr<std::vector<domain::Handoff>> SqlReadTxn::ListHandoffs(const ListQuery& query) {
  return List<domain::Handoff>(query);
}

absl::StatusOr<std::vector<SegmentDifference>> SqlReadTxn::CompareSegment(
    const SegmentQuery& query) {
  const bool postgres = session_.dialect() == Dialect::kPostgres;
  auto id = [&](Statement& sql, const std::string& value) {
    if (postgres) sql << "CAST(";
    sql.Bind(value);
    if (postgres) sql << " AS UUID)";
  };
  Statement sql;
  sql << "SELECT t.lead_id, CAST(CASE WHEN m.lead_id IS NULL THEN 1 ELSE 0 END AS BIGINT) FROM "
         "leads t LEFT JOIN segment_members m ON m.tenant_id = t.tenant_id AND m.lead_id = "
         "t.lead_id AND m.segment_id = ";
  id(sql, query.segment.value);
  sql << " WHERE t.tenant_id = ";
  sql.Bind(call_.tenant.value);
  if (!query.leads.empty()) {
    // One text for any number of them, so that one statement serves all.
    std::string ids;
    for (const domain::LeadId& lead : query.leads) {
      Append(ids, ids.empty() ? "" : ",", postgres ? "" : "\"", lead.value, postgres ? "" : "\"");
    }
    if (postgres) {
      sql << " AND t.lead_id = ANY(CAST(";
      sql.Bind(Concat("{", ids, "}")) << " AS UUID[]))";
    } else {
      sql << " AND t.lead_id IN (SELECT value FROM json_each(";
      sql.Bind(Concat("[", ids, "]")) << "))";
    }
  } else if (!query.after.empty()) {
    sql << " AND t.lead_id > ";
    id(sql, query.after);
  }
  sql << " AND (CASE WHEN m.lead_id IS NULL THEN 0 ELSE 1 END) <> ";
  if (query.filter.has_value() && query.filter->root() != nullptr) {
    sql << "(CASE WHEN t.merged_into IS NULL AND (";
    sql.Where(CompileFilter(*query.filter, session_.dialect(), query.now, {.alias = "t"}));
    sql << ") THEN 1 ELSE 0 END)";
  } else {
    sql << "(CASE WHEN t.merged_into IS NULL THEN 1 ELSE 0 END)";
  }
  sql << " ORDER BY t.lead_id LIMIT " << Concat(query.limit);
  static constexpr ColumnType kTypes[] = {ColumnType::kUuid, ColumnType::kInteger};
  ASSIGN_OR_RETURN(std::vector<Row> rows, session_.Query(sql.text(), sql.params(), kTypes));
  std::vector<SegmentDifference> differences;
  differences.reserve(rows.size());
  for (const Row& row : rows) {
    differences.push_back({domain::LeadId(std::string(TextOf(row[0]))), IntOr(row[1]) != 0});
  }
  return differences;
}

absl::StatusOr<std::vector<int64_t>> SqlReadTxn::CountSegmentMembers(
    absl::Span<const domain::SegmentId> ids) {
  const bool postgres = session_.dialect() == Dialect::kPostgres;
  static constexpr ColumnType kTypes[] = {ColumnType::kInteger};
  std::vector<int64_t> counts;
  for (const domain::SegmentId& id : ids) {
    ASSIGN_OR_RETURN(
        std::vector<Row> rows,
        session_.Query(Concat("SELECT COUNT(*) FROM segment_members WHERE tenant_id = :p1 AND "
                              "segment_id = ",
                              postgres ? "CAST(:p2 AS UUID)" : ":p2"),
                       Row{call_.tenant.value, id.value}, kTypes));
    counts.push_back(rows.empty() ? 0 : IntOr(rows[0][0]));
  }
  return counts;
}

absl::StatusOr<std::vector<domain::HandoffId>> SqlReadTxn::OverdueHandoffs(domain::Timestamp now,
                                                                           int limit) {
  static constexpr ColumnType kTypes[] = {ColumnType::kUuid};
  ASSIGN_OR_RETURN(
      std::vector<Row> rows,
      session_.Query(
          Concat("SELECT handoff_id FROM handoffs WHERE tenant_id = :p1 AND state = :p2 "
                 "AND due_time <= :p3 ORDER BY due_time, handoff_id LIMIT ",
                 limit),
          Row{call_.tenant.value, static_cast<int64_t>(domain::HandoffState::kPending), now.micros},
          kTypes));
  std::vector<domain::HandoffId> ids;
  ids.reserve(rows.size());
  for (const Row& row : rows) ids.emplace_back(std::string(TextOf(row[0])));
  return ids;
}

absl::StatusOr<FeedHead> SqlReadTxn::Head() {
  static constexpr ColumnType kTypes[] = {ColumnType::kInteger, ColumnType::kInteger};
  ASSIGN_OR_RETURN(
      std::vector<Row> rows,
      session_.Query("SELECT last_number, last_time FROM feed_counters WHERE tenant_id = :p1",
                     Row{call_.tenant.value}, kTypes));
  if (rows.empty()) return domain::InternalFault("the tenant has no feed counter");
  return FeedHead{IntOr(rows[0][0]), {IntOr(rows[0][1])}};
}

absl::StatusOr<std::vector<domain::Event>> SqlReadTxn::Events(const EventQuery& query) {
  const Table& table = EventsTable();
  Statement sql;
  sql << "SELECT ";
  if (query.only_paths.has_value()) sql << kOutlineColumns;
  for (size_t i = 0; !query.only_paths.has_value() && i < table.columns.size(); ++i) {
    sql << (i == 0 ? "" : ", ") << table.columns[i].name;
  }
  sql << " FROM events WHERE tenant_id = ";
  sql.Bind(call_.tenant.value) << " AND number > ";
  sql.Bind(query.after_number) << " AND number <= ";
  sql.Bind(query.up_to_number);
  if (query.up_to_time.has_value()) {
    sql << " AND record_time <= ";
    sql.Bind(query.up_to_time->micros);
  }
  if (query.lead.has_value()) {
    sql << " AND lead_id";
    sql.OneOf(*query.lead, query.merged, session_.dialect() == Dialect::kPostgres);
  }
  for (size_t i = 0; i < query.types.size(); ++i) {
    sql << (i == 0 ? " AND type IN (" : ", ");
    sql.Bind(static_cast<int64_t>(query.types[i]));
  }
  if (!query.types.empty()) sql << ")";
  // SQLite would rather read the whole log in its order than several leads' events and sort them.
  const bool sorts = !query.merged.empty() && session_.dialect() == Dialect::kSqlite;
  sql << (sorts ? " ORDER BY +number LIMIT " : " ORDER BY number LIMIT ");
  sql.Bind(static_cast<int64_t>(query.limit));
  std::vector<domain::Event> events;
  if (query.only_paths.has_value()) {
    ASSIGN_OR_RETURN(std::vector<Row> outlines,
                     session_.Query(sql.text(), sql.params(), kOutlineTypes));
    events.reserve(outlines.size());
    for (const Row& row : outlines) {
      ASSIGN_OR_RETURN(domain::Event event, FromEventOutline(row, *query.only_paths));
      events.push_back(std::move(event));
    }
    return events;
  }
  ASSIGN_OR_RETURN(std::vector<Row> rows, session_.Query(sql.text(), sql.params(), TypesOf(table)));

  std::set<std::string> leads;
  for (const Row& row : rows) {
    if (!IsNull(row[5]) && !IsNull(row[13])) leads.emplace(TextOf(row[5]));
  }
  std::unordered_map<std::string, std::string> keys;
  RETURN_IF_ERROR(
      LoadPersonKeys(session_, vault_, call_.tenant, {leads.begin(), leads.end()}, keys));
  events.reserve(rows.size());
  for (Row& row : rows) {
    ASSIGN_OR_RETURN(domain::Event event, FromEventRow(std::move(row), vault_, keys));
    events.push_back(std::move(event));
  }
  return events;
}

absl::StatusOr<std::vector<FunnelGroup>> SqlReadTxn::Funnel(const FunnelQuery& query) {
  // Months are grouped by day in SQL (integers mean the same on both engines) and joined here.
  const std::string key = query.breakdown == FunnelBreakdown::kChannel  ? "l.acquisition_channel"
                          : query.breakdown == FunnelBreakdown::kSource ? "l.acquisition_source"
                          : query.breakdown == FunnelBreakdown::kFirstTouchMonth
                              ? "l.acquisition_first_touch_time / 86400000000"
                              : "CAST(NULL AS BIGINT)";
  const bool text_key = query.breakdown == FunnelBreakdown::kSource;
  auto where = [&](Statement& sql) {
    sql << " WHERE l.merged_into IS NULL AND l.tenant_id = ";
    sql.Bind(call_.tenant.value);
    if (query.market.has_value()) {
      sql << " AND l.market = ";
      sql.Bind(static_cast<int64_t>(*query.market));
    }
    if (query.first_touch_start.has_value()) {
      sql << " AND l.acquisition_first_touch_time >= ";
      sql.Bind(query.first_touch_start->micros);
    }
    if (query.first_touch_end.has_value()) {
      sql << " AND l.acquisition_first_touch_time < ";
      sql.Bind(query.first_touch_end->micros);
    }
  };

  std::map<std::pair<bool, std::string>, FunnelGroup> groups;
  auto group_of = [&](const Cell& cell) -> FunnelGroup& {
    std::string name;
    if (!IsNull(cell)) {
      switch (query.breakdown) {
        case FunnelBreakdown::kChannel:
          name = NameOf(static_cast<domain::Channel>(IntOr(cell)));
          break;
        case FunnelBreakdown::kSource:
          name = TextOf(cell);
          break;
        case FunnelBreakdown::kFirstTouchMonth:
          name = domain::MonthText(domain::StartOfDay(IntOr(cell)));
          break;
        case FunnelBreakdown::kNone:
          break;
      }
    }
    FunnelGroup& group = groups[{IsNull(cell), name}];
    group.key = name;
    group.key_absent = IsNull(cell);
    return group;
  };
  const ColumnType key_type = text_key ? ColumnType::kText : ColumnType::kInteger;

  Statement counts;
  counts << "SELECT " << key
         << ", l.stage, COUNT(*)"
            ", COUNT(l.milestones_prospect_time), COUNT(l.milestones_opportunity_time)"
            ", COUNT(l.milestones_customer_time)"
            ", CAST(SUM(l.counters_open_opportunities) AS BIGINT)"
            ", CAST(SUM(l.counters_won_opportunities) AS BIGINT)"
            ", CAST(SUM(l.counters_lost_opportunities) AS BIGINT) FROM leads l";
  where(counts);
  counts << " GROUP BY 1, 2";
  std::vector<ColumnType> types(9, ColumnType::kInteger);
  types[0] = key_type;
  ASSIGN_OR_RETURN(std::vector<Row> rows, session_.Query(counts.text(), counts.params(), types));
  for (const Row& row : rows) {
    FunnelGroup& group = group_of(row[0]);
    group.by_stage[static_cast<domain::Stage>(IntOr(row[1]))] += IntOr(row[2]);
    group.reached_prospect += IntOr(row[3]);
    group.reached_opportunity += IntOr(row[4]);
    group.reached_customer += IntOr(row[5]);
    group.open_opportunities += IntOr(row[6]);
    group.won_opportunities += IntOr(row[7]);
    group.lost_opportunities += IntOr(row[8]);
  }

  Statement cycles;
  cycles << "SELECT " << key
         << ", l.acquisition_first_touch_time, MIN(o.close_time) FROM opportunities o JOIN leads c "
            "ON c.tenant_id = o.tenant_id AND c.lead_id = o.lead_id JOIN leads l "
            "ON l.tenant_id = c.tenant_id AND l.lead_id = ";
  // The won ones of those that a lead stands for are its own.
  cycles << (session_.dialect() == Dialect::kPostgres
                 ? "COALESCE(CAST(substr(c.merged_into, 7) AS UUID), c.lead_id)"
                 : "COALESCE(substr(c.merged_into, 7), c.lead_id)")
         << " AND o.state = ";
  cycles.Bind(static_cast<int64_t>(domain::OpportunityState::kWon));
  where(cycles);
  cycles << " AND l.acquisition_first_touch_time IS NOT NULL GROUP BY l.lead_id, 1, 2";
  const ColumnType cycle_types[] = {key_type, ColumnType::kInteger, ColumnType::kInteger};
  ASSIGN_OR_RETURN(rows, session_.Query(cycles.text(), cycles.params(), cycle_types));
  for (const Row& row : rows) {
    group_of(row[0]).cycle_days.push_back(domain::DayOf({IntOr(row[2])}) -
                                          domain::DayOf({IntOr(row[1])}));
  }

  std::vector<FunnelGroup> result;
  result.reserve(groups.size());
  for (auto& [name, group] : groups) result.push_back(std::move(group));
  return result;
}

absl::StatusOr<std::vector<SearchHit>> SqlReadTxn::Search(absl::Span<const std::string> words,
                                                          int limit) {
  return SearchLeads(session_, call_.tenant, words, limit);
}

absl::StatusOr<std::vector<int64_t>> SqlReadTxn::CountTerms(absl::Span<const std::string> terms,
                                                            int64_t most) {
  static constexpr ColumnType kTypes[] = {ColumnType::kInteger};
  std::vector<int64_t> counts;
  for (const std::string& term : terms) {
    ASSIGN_OR_RETURN(
        std::vector<Row> rows,
        session_.Query("SELECT COUNT(*) FROM (SELECT lead_id FROM lead_terms WHERE tenant_id = :p1 "
                       "AND term = :p2 LIMIT :p3) AS t",
                       Row{call_.tenant.value, term, most}, kTypes));
    counts.push_back(rows.empty() ? 0 : IntOr(rows[0][0]));
  }
  return counts;
}

absl::StatusOr<int64_t> SqlReadTxn::EstimateLeads() {
  constexpr int64_t kMostCounted = 20'000;
  constexpr int64_t kEventsPerLead = 4;
  static constexpr ColumnType kTypes[] = {ColumnType::kInteger};
  ASSIGN_OR_RETURN(
      std::vector<Row> rows,
      session_.Query("SELECT COUNT(*) FROM (SELECT lead_id FROM leads WHERE tenant_id = "
                     ":p1 LIMIT :p2) AS t",
                     Row{call_.tenant.value, kMostCounted}, kTypes));
  const int64_t counted = rows.empty() ? 0 : IntOr(rows[0][0]);
  if (counted < kMostCounted) return counted;
  ASSIGN_OR_RETURN(FeedHead head, Head());
  return std::max(counted, head.number / kEventsPerLead);
}

}  // namespace relais::storage
