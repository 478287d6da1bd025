#include "tests/bench/bare_sqlite.h"

#include <sqlite3.h>

#include <memory>
#include <stdexcept>
#include <vector>

#include "tests/bench/people.h"

namespace relais::bench {
namespace {

using Statement = std::unique_ptr<sqlite3_stmt, decltype(&sqlite3_finalize)>;

class Bare {
 public:
  explicit Bare(const std::string& path) {
    Check(sqlite3_open_v2(path.c_str(), &database_, SQLITE_OPEN_READWRITE, nullptr));
    for (const char* sql : {"PRAGMA journal_mode = WAL", "PRAGMA synchronous = FULL",
                            "PRAGMA foreign_keys = ON", "PRAGMA busy_timeout = 5000",
                            // The memory that the server's writer has.
                            "PRAGMA cache_size = -65536", "PRAGMA temp_store = MEMORY"}) {
      Check(sqlite3_exec(database_, sql, nullptr, nullptr, nullptr));
    }
  }
  Bare(const Bare&) = delete;
  Bare& operator=(const Bare&) = delete;
  ~Bare() { sqlite3_close_v2(database_); }

  Statement Prepare(const std::string& sql) {
    sqlite3_stmt* raw = nullptr;
    Check(sqlite3_prepare_v3(database_, sql.c_str(), -1, SQLITE_PREPARE_PERSISTENT, &raw, nullptr));
    return Statement(raw, &sqlite3_finalize);
  }

  void Run(const Statement& statement) {
    while (sqlite3_step(statement.get()) == SQLITE_ROW) {
    }
    Check(sqlite3_reset(statement.get()));
  }

  int64_t LastEvent() {
    Statement statement = Prepare("SELECT COALESCE(MAX(number), 0) FROM events");
    sqlite3_step(statement.get());
    return sqlite3_column_int64(statement.get(), 0);
  }

  void Check(int code) {
    if (code != SQLITE_OK) throw std::runtime_error(sqlite3_errmsg(database_));
  }

 private:
  sqlite3* database_ = nullptr;
};

// One insert, its values known but for what belongs to the person.
struct Insert {
  Statement statement;
  struct Value {
    int index;
    bool event = false, time = false;
    int64_t base = 0;
    std::vector<Part> parts;
  };
  std::vector<Value> changing;
};

std::string TextOf(const std::vector<Part>& parts, int64_t number) {
  std::string out;
  for (const Part& part : parts) {
    switch (part.kind) {
      case Part::kText:
        out += part.text;
        break;
      case Part::kNumber:
        out += std::to_string(number);
        break;
      case Part::kLead:
        out += IdOf(number, kLeadId);
        break;
      case Part::kTouchpoint:
        out += IdOf(number, kTouchpointId);
        break;
      case Part::kRequest:
        out += IdOf(number, kRequestId);
        break;
    }
  }
  return out;
}

}  // namespace

double RunBareSqlite(const std::string& path, const CaptureTemplate& model, int64_t first,
                     std::chrono::milliseconds time) {
  Bare bare(path);
  Statement begin = bare.Prepare("BEGIN IMMEDIATE"), commit = bare.Prepare("COMMIT");
  Statement find = bare.Prepare(
      "SELECT lead_id FROM lead_identities WHERE tenant_id = 'default' AND kind = 2 AND value = ?");
  std::vector<Insert> inserts;
  for (const TemplateRow& row : model.rows) {
    std::string columns, places;
    for (const TemplateCell& cell : row.cells) {
      if (!columns.empty()) columns += ", ", places += ", ";
      columns += cell.column;
      places += "?";
    }
    Insert insert{
        bare.Prepare("INSERT INTO " + row.table + " (" + columns + ") VALUES (" + places + ")"),
        {}};
    int index = 0;
    for (const TemplateCell& cell : row.cells) {
      ++index;
      if (!cell.value.has_value()) continue;  // unbound is NULL
      Insert::Value value{.index = index, .parts = {}};
      if (row.table == "events" && cell.column == "number") {
        value.event = true;
      } else if (cell.type == "bigint" && IsTimeOf(model, *cell.value)) {
        value.time = true;
        value.base = std::stoll(*cell.value);
      } else {
        value.parts = PartsOf(model, *cell.value);
        if (value.parts.empty() ||
            (value.parts.size() == 1 && value.parts[0].kind == Part::kText)) {
          if (cell.type == "bigint") {
            bare.Check(sqlite3_bind_int64(insert.statement.get(), index, std::stoll(*cell.value)));
          } else {
            bare.Check(sqlite3_bind_text(insert.statement.get(), index, cell.value->data(),
                                         static_cast<int>(cell.value->size()), SQLITE_TRANSIENT));
          }
          continue;
        }
      }
      insert.changing.push_back(std::move(value));
    }
    inserts.push_back(std::move(insert));
  }

  int64_t event = bare.LastEvent();
  int64_t number = first;
  const auto start = std::chrono::steady_clock::now();
  while (std::chrono::steady_clock::now() - start < time) {
    bare.Run(begin);
    const std::string email = "person" + std::to_string(number) + "@example.com";
    bare.Check(sqlite3_bind_text(find.get(), 1, email.data(), static_cast<int>(email.size()),
                                 SQLITE_TRANSIENT));
    bare.Run(find);
    for (Insert& insert : inserts) {
      sqlite3_stmt* statement = insert.statement.get();
      for (const Insert::Value& value : insert.changing) {
        if (value.event) {
          bare.Check(sqlite3_bind_int64(statement, value.index, ++event));
        } else if (value.time) {
          bare.Check(sqlite3_bind_int64(statement, value.index, value.base + number));
        } else {
          const std::string text = TextOf(value.parts, number);
          bare.Check(sqlite3_bind_text(statement, value.index, text.data(),
                                       static_cast<int>(text.size()), SQLITE_TRANSIENT));
        }
      }
      bare.Run(insert.statement);
    }
    bare.Run(commit);
    ++number;
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  return static_cast<double>(number - first) / took.count();
}

}  // namespace relais::bench
