// What one capture writes, read from the database after a real one: the model of the baselines, so
// that they write the same rows with the same columns, whatever the schema has become.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace relais::bench {

struct TemplateCell {
  std::string column, type;          // type: PostgreSQL's name, empty on SQLite
  std::optional<std::string> value;  // as text
};

struct TemplateRow {
  std::string table;
  std::vector<TemplateCell> cells;
};

// The rows of the one capture that was made of `person` in an otherwise empty database.
struct CaptureTemplate {
  int64_t person = 0;
  std::string lead, touchpoint, request;  // ids
  int64_t time = 0;                       // its microsecond
  std::vector<TemplateRow> rows;          // in the order in which they are written
};

// The tables a capture writes to, in the order of the server's flush.
const std::vector<std::string>& CaptureTables();
// Every row of those tables, events in their order.
std::vector<TemplateRow> ReadPostgresRows(const std::string& dsn,
                                          const std::vector<std::string>& tables);
std::vector<TemplateRow> ReadSqliteRows(const std::string& path,
                                        const std::vector<std::string>& tables);
CaptureTemplate TemplateOf(int64_t person, std::vector<TemplateRow> rows);

// A text in which what belongs to the captured person is marked.
struct Part {
  enum Kind { kText, kNumber, kLead, kTouchpoint, kRequest } kind;
  std::string text;
};
std::vector<Part> PartsOf(const CaptureTemplate& model, const std::string& text);

// How long after the template's own time a value may be to be taken for a time of it.
bool IsTimeOf(const CaptureTemplate& model, const std::string& text);

// SQL for the statements of one capture: `number` is a bigint expression that tells persons apart.
std::string InsertSql(const CaptureTemplate& model, const TemplateRow& row,
                      const std::string& number);
std::string FindSql(const std::string& number);  // the identity, first

}  // namespace relais::bench
