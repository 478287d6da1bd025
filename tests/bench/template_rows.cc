#include "tests/bench/template_rows.h"

#include <libpq-fe.h>
#include <sqlite3.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <stdexcept>
#include <utility>

#include "tests/bench/people.h"

namespace relais::bench {
namespace {

constexpr int64_t kTimeSpan = 60'000'000;

std::string QueryOf(const std::string& table) {
  return "SELECT * FROM " + table + (table == "events" ? " ORDER BY number" : "");
}

const std::string& ValueOf(const CaptureTemplate& model, const std::string& table,
                           const std::string& column) {
  for (const TemplateRow& row : model.rows) {
    if (row.table != table) continue;
    for (const TemplateCell& cell : row.cells) {
      if (cell.column == column && cell.value.has_value()) return *cell.value;
    }
  }
  throw std::runtime_error("a capture left nothing in " + table + "." + column);
}

std::string Quoted(const std::string& text) {
  std::string out = "'";
  for (char c : text) {
    if (c == '\'') out.push_back('\'');
    out.push_back(c);
  }
  return out + "'";
}

std::string CellSql(const CaptureTemplate& model, const TemplateCell& cell,
                    const std::string& number) {
  if (!cell.value.has_value()) return "NULL";
  if (IsTimeOf(model, *cell.value)) return *cell.value + " + " + number;
  std::string out;
  const std::vector<Part> parts = PartsOf(model, *cell.value);
  const bool plain = parts.empty() || (parts.size() == 1 && parts[0].kind == Part::kText);
  if (plain) return cell.type == "bigint" ? *cell.value : Quoted(*cell.value);
  if (cell.type == "uuid") {
    const int what = parts[0].kind == Part::kLead         ? kLeadId
                     : parts[0].kind == Part::kTouchpoint ? kTouchpointId
                                                          : kRequestId;
    return IdSql(number, what);
  }
  for (const Part& part : parts) {
    if (!out.empty()) out += " || ";
    switch (part.kind) {
      case Part::kText:
        out += Quoted(part.text);
        break;
      case Part::kNumber:
        out += "(" + number + ")::bigint::text";
        break;
      case Part::kLead:
        out += IdSql(number, kLeadId) + "::text";
        break;
      case Part::kTouchpoint:
        out += IdSql(number, kTouchpointId) + "::text";
        break;
      case Part::kRequest:
        out += IdSql(number, kRequestId) + "::text";
        break;
    }
  }
  return "(" + out + ")::" + cell.type;
}

}  // namespace

const std::vector<std::string>& CaptureTables() {
  static const auto* const kTables = new std::vector<std::string>{
      "leads", "person_keys", "lead_identities", "touchpoints", "request_log", "events"};
  return *kTables;
}

std::vector<TemplateRow> ReadPostgresRows(const std::string& dsn,
                                          const std::vector<std::string>& tables) {
  std::unique_ptr<PGconn, decltype(&PQfinish)> connection(PQconnectdb(dsn.c_str()), &PQfinish);
  using Result = std::unique_ptr<PGresult, decltype(&PQclear)>;
  auto query = [&](const std::string& sql) {
    Result result(PQexec(connection.get(), sql.c_str()), &PQclear);
    if (PQresultStatus(result.get()) != PGRES_TUPLES_OK) {
      throw std::runtime_error(PQerrorMessage(connection.get()));
    }
    return result;
  };
  std::vector<TemplateRow> rows;
  for (const std::string& table : tables) {
    Result result = query(QueryOf(table));
    std::vector<std::string> types;
    for (int j = 0; j < PQnfields(result.get()); ++j) {
      const std::string type = std::to_string(PQftype(result.get(), j));
      types.emplace_back(PQgetvalue(query("SELECT format_type(" + type + ", NULL)").get(), 0, 0));
    }
    for (int i = 0; i < PQntuples(result.get()); ++i) {
      TemplateRow& row = rows.emplace_back();
      row.table = table;
      for (int j = 0; j < PQnfields(result.get()); ++j) {
        TemplateCell& cell = row.cells.emplace_back();
        cell.column = PQfname(result.get(), j);
        cell.type = types[static_cast<size_t>(j)];
        if (PQgetisnull(result.get(), i, j) == 0) cell.value = PQgetvalue(result.get(), i, j);
      }
    }
  }
  return rows;
}

std::vector<TemplateRow> ReadSqliteRows(const std::string& path,
                                        const std::vector<std::string>& tables) {
  sqlite3* raw = nullptr;
  const int opened = sqlite3_open_v2(path.c_str(), &raw, SQLITE_OPEN_READWRITE, nullptr);
  std::unique_ptr<sqlite3, decltype(&sqlite3_close)> database(raw, &sqlite3_close);
  if (opened != SQLITE_OK) throw std::runtime_error("cannot open " + path);
  std::vector<TemplateRow> rows;
  for (const std::string& table : tables) {
    sqlite3_stmt* statement = nullptr;
    if (sqlite3_prepare_v2(raw, QueryOf(table).c_str(), -1, &statement, nullptr) != SQLITE_OK) {
      throw std::runtime_error(sqlite3_errmsg(raw));
    }
    std::unique_ptr<sqlite3_stmt, decltype(&sqlite3_finalize)> owned(statement, &sqlite3_finalize);
    while (sqlite3_step(statement) == SQLITE_ROW) {
      TemplateRow& row = rows.emplace_back();
      row.table = table;
      for (int j = 0; j < sqlite3_column_count(statement); ++j) {
        TemplateCell& cell = row.cells.emplace_back();
        cell.column = sqlite3_column_name(statement, j);
        const char* declared = sqlite3_column_decltype(statement, j);
        if (declared != nullptr && std::string(declared) == "BIGINT") cell.type = "bigint";
        if (sqlite3_column_type(statement, j) != SQLITE_NULL) {
          cell.value.emplace(reinterpret_cast<const char*>(sqlite3_column_text(statement, j)),
                             static_cast<size_t>(sqlite3_column_bytes(statement, j)));
        }
      }
    }
  }
  return rows;
}

CaptureTemplate TemplateOf(int64_t person, std::vector<TemplateRow> rows) {
  CaptureTemplate model;
  model.person = person;
  model.rows = std::move(rows);
  model.lead = ValueOf(model, "leads", "lead_id");
  model.touchpoint = ValueOf(model, "touchpoints", "touchpoint_id");
  model.request = ValueOf(model, "request_log", "request_id");
  model.time = std::stoll(ValueOf(model, "leads", "create_time"));
  return model;
}

std::vector<Part> PartsOf(const CaptureTemplate& model, const std::string& text) {
  const std::pair<std::string, Part::Kind> marks[] = {
      {model.lead, Part::kLead},
      {model.touchpoint, Part::kTouchpoint},
      {model.request, Part::kRequest},
      {std::to_string(model.person), Part::kNumber},
  };
  std::vector<Part> parts;
  size_t at = 0;
  while (at < text.size()) {
    size_t next = std::string::npos;
    const std::pair<std::string, Part::Kind>* found = nullptr;
    for (const auto& mark : marks) {
      const size_t position = text.find(mark.first, at);
      if (position < next) {
        next = position;
        found = &mark;
      }
    }
    if (found == nullptr) next = text.size();
    if (next > at) parts.push_back({Part::kText, text.substr(at, next - at)});
    if (found == nullptr) break;
    parts.push_back({found->second, ""});
    at = next + found->first.size();
  }
  return parts;
}

bool IsTimeOf(const CaptureTemplate& model, const std::string& text) {
  if (text.size() != std::to_string(model.time).size()) return false;
  if (text.find_first_not_of("0123456789") != std::string::npos) return false;
  return std::llabs(std::stoll(text) - model.time) <= kTimeSpan;
}

std::string InsertSql(const CaptureTemplate& model, const TemplateRow& row,
                      const std::string& number) {
  std::string columns, values;
  for (const TemplateCell& cell : row.cells) {
    if (!columns.empty()) columns += ", ", values += ", ";
    columns += cell.column;
    values += row.table == "events" && cell.column == "number" ? "nextval('bench_event_number')"
                                                               : CellSql(model, cell, number);
  }
  return "INSERT INTO " + row.table + " (" + columns + ") SELECT " + values;
}

std::string FindSql(const std::string& number) {
  return "SELECT lead_id FROM lead_identities WHERE tenant_id = 'default' AND kind = 2 AND value = "
         "'person' || (" +
         number + ")::bigint::text || '@example.com'";
}

}  // namespace relais::bench
