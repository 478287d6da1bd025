#include "tests/bench/fill_sinks.h"

#include <libpq-fe.h>
#include <sqlite3.h>

#include <stdexcept>
#include <utility>

namespace relais::bench {
namespace {

std::string Joined(const std::vector<std::string>& words, const std::string& quote) {
  std::string out;
  for (const std::string& word : words) out += (out.empty() ? "" : ", ") + quote + word + quote;
  return out;
}

std::string ColumnsOf(const TemplateRow& model) {
  std::vector<std::string> names;
  for (const TemplateCell& cell : model.cells) names.push_back(cell.column);
  return Joined(names, "");
}

class Connection {
 public:
  explicit Connection(const std::string& dsn) : raw_(PQconnectdb(dsn.c_str()), &PQfinish) {}

  // Rows of text; a COPY is begun the same way.
  std::vector<std::vector<std::string>> Run(const std::string& sql) {
    const Result result(PQexec(raw_.get(), sql.c_str()), &PQclear);
    Check(result.get());
    std::vector<std::vector<std::string>> rows;
    for (int i = 0; i < PQntuples(result.get()); ++i) {
      auto& row = rows.emplace_back();
      for (int j = 0; j < PQnfields(result.get()); ++j) {
        row.emplace_back(PQgetvalue(result.get(), i, j));
      }
    }
    return rows;
  }
  void Send(std::string& bytes) {
    if (PQputCopyData(raw_.get(), bytes.data(), static_cast<int>(bytes.size())) != 1) Throw();
    bytes.clear();
  }
  void EndCopy() {
    if (PQputCopyEnd(raw_.get(), nullptr) != 1) Throw();
    Check(Result(PQgetResult(raw_.get()), &PQclear).get());
    while (PGresult* rest = PQgetResult(raw_.get())) PQclear(rest);
  }

 private:
  using Result = std::unique_ptr<PGresult, decltype(&PQclear)>;
  [[noreturn]] void Throw() { throw std::runtime_error(PQerrorMessage(raw_.get())); }
  void Check(const PGresult* result) {
    switch (PQresultStatus(result)) {
      case PGRES_TUPLES_OK:
      case PGRES_COMMAND_OK:
      case PGRES_COPY_IN:
        return;
      default:
        Throw();
    }
  }
  std::unique_ptr<PGconn, decltype(&PQfinish)> raw_;
};

// One connection a table, so that the backends share the processors.
class PostgresRows final : public RowSink {
 public:
  PostgresRows(std::string dsn, const std::vector<std::string>& tables)
      : dsn_(std::move(dsn)), control_(dsn_) {
    const std::string among = "ANY(ARRAY[" + Joined(tables, "'") + "]::regclass[])";
    // Foreign keys rest on primary keys: away first, back last.
    for (const auto& row : control_.Run(
             "SELECT conrelid::regclass, conname, pg_get_constraintdef(oid) FROM pg_constraint "
             "WHERE contype IN ('f', 'p') AND (conrelid = " +
             among + " OR confrelid = " + among + ") ORDER BY contype")) {
      control_.Run("ALTER TABLE " + row[0] + " DROP CONSTRAINT " + row[1]);
      again_.insert(again_.begin(),
                    "ALTER TABLE " + row[0] + " ADD CONSTRAINT " + row[1] + " " + row[2]);
    }
    for (const auto& row : control_.Run(
             "SELECT indexrelid::regclass, pg_get_indexdef(indexrelid) FROM pg_index WHERE "
             "indrelid = " +
             among)) {
      control_.Run("DROP INDEX " + row[0]);
      again_.insert(again_.begin(), row[1]);
    }
  }

  size_t Open(const TemplateRow& model) override {
    Stream& stream = *streams_.emplace_back(std::make_unique<Stream>(dsn_));
    stream.connection.Run("COPY " + model.table + " (" + ColumnsOf(model) + ") FROM STDIN");
    return streams_.size() - 1;
  }

  void Write(size_t number, const std::vector<const std::string*>& cells) override {
    Stream& stream = *streams_[number];
    std::string& out = stream.bytes;
    for (size_t i = 0; i < cells.size(); ++i) {
      if (i > 0) out.push_back('\t');
      if (cells[i] == nullptr) {
        out += "\\N";
        continue;
      }
      for (char c : *cells[i]) {
        switch (c) {
          case '\\':
            out += "\\\\";
            break;
          case '\t':
            out += "\\t";
            break;
          case '\n':
            out += "\\n";
            break;
          case '\r':
            out += "\\r";
            break;
          default:
            out.push_back(c);
        }
      }
    }
    out.push_back('\n');
    constexpr size_t kPiece = 256 * 1024;
    if (out.size() >= kPiece) stream.connection.Send(out);
  }

  void Close(const std::string& sql) override {
    for (auto& stream : streams_) {
      if (!stream->bytes.empty()) stream->connection.Send(stream->bytes);
      stream->connection.EndCopy();
    }
    streams_.clear();
    control_.Run("SET maintenance_work_mem = '1GB'");
    for (const std::string& statement : again_) control_.Run(statement);
    control_.Run(sql);
    control_.Run("VACUUM ANALYZE");
    control_.Run("CHECKPOINT");
  }

 private:
  struct Stream {
    explicit Stream(const std::string& dsn) : connection(dsn) {}
    Connection connection;
    std::string bytes;
  };
  const std::string dsn_;
  Connection control_;
  std::vector<std::string> again_;  // statements, in the order in which they are to run
  std::vector<std::unique_ptr<Stream>> streams_;
};

class SqliteFile {
 public:
  explicit SqliteFile(const std::string& path) {
    Check(sqlite3_open_v2(path.c_str(), &raw_, SQLITE_OPEN_READWRITE, nullptr));
  }
  SqliteFile(const SqliteFile&) = delete;
  SqliteFile& operator=(const SqliteFile&) = delete;
  ~SqliteFile() { sqlite3_close_v2(raw_); }

  void Check(int code) {
    if (code != SQLITE_OK && code != SQLITE_DONE && code != SQLITE_ROW) {
      throw std::runtime_error(sqlite3_errmsg(raw_));
    }
  }
  sqlite3* raw() { return raw_; }
  std::vector<std::vector<std::string>> Run(const std::string& sql) {
    std::vector<std::vector<std::string>> rows;
    auto keep = [](void* out, int n, char** values, char**) {
      auto& row = static_cast<std::vector<std::vector<std::string>>*>(out)->emplace_back();
      for (int i = 0; i < n; ++i) row.emplace_back(values[i] == nullptr ? "" : values[i]);
      return 0;
    };
    Check(sqlite3_exec(raw_, sql.c_str(), keep, &rows, nullptr));
    return rows;
  }

 private:
  sqlite3* raw_ = nullptr;
};

class SqliteRows final : public RowSink {
 public:
  SqliteRows(const std::string& path, const std::vector<std::string>& tables) : file_(path) {
    // Nothing is kept safe while it is filled: a fill that fails is thrown away.
    for (const char* sql :
         {"PRAGMA journal_mode = DELETE", "PRAGMA journal_mode = OFF", "PRAGMA synchronous = OFF",
          "PRAGMA cache_size = -1000000", "PRAGMA foreign_keys = OFF"}) {
      file_.Run(sql);
    }
    for (const auto& row :
         file_.Run("SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL "
                   "AND tbl_name IN (" +
                   Joined(tables, "'") + ")")) {
      file_.Run("DROP INDEX " + row[0]);
      again_.push_back(row[1]);
    }
    file_.Run("BEGIN");
  }
  ~SqliteRows() override {
    for (Stream& stream : streams_) sqlite3_finalize(stream.statement);
  }

  size_t Open(const TemplateRow& model) override {
    Stream stream;
    std::string table = model.table, places;
    // The words of leads come in no order that their key has; sorted, they go in ten times faster.
    if (table == "lead_terms") {
      file_.Run("CREATE TEMP TABLE unsorted_terms AS SELECT * FROM lead_terms WHERE 0");
      table = "unsorted_terms";
    }
    for (const TemplateCell& cell : model.cells) {
      stream.integers.push_back(cell.type == "bigint");
      places += places.empty() ? "?" : ", ?";
    }
    const std::string sql =
        "INSERT INTO " + table + " (" + ColumnsOf(model) + ") VALUES (" + places + ")";
    file_.Check(sqlite3_prepare_v3(file_.raw(), sql.c_str(), -1, SQLITE_PREPARE_PERSISTENT,
                                   &stream.statement, nullptr));
    streams_.push_back(stream);
    return streams_.size() - 1;
  }

  void Write(size_t number, const std::vector<const std::string*>& cells) override {
    const Stream& stream = streams_[number];
    for (size_t i = 0; i < cells.size(); ++i) {
      const int at = static_cast<int>(i) + 1;
      if (cells[i] == nullptr) {
        file_.Check(sqlite3_bind_null(stream.statement, at));
      } else if (stream.integers[i]) {
        file_.Check(sqlite3_bind_int64(stream.statement, at, std::stoll(*cells[i])));
      } else {
        file_.Check(sqlite3_bind_text(stream.statement, at, cells[i]->data(),
                                      static_cast<int>(cells[i]->size()), SQLITE_STATIC));
      }
    }
    file_.Check(sqlite3_step(stream.statement));
    file_.Check(sqlite3_reset(stream.statement));
  }

  void Close(const std::string& sql) override {
    for (Stream& stream : streams_) sqlite3_finalize(std::exchange(stream.statement, nullptr));
    file_.Run("INSERT INTO lead_terms SELECT * FROM unsorted_terms ORDER BY 1, 2, 3, 4");
    file_.Run("DROP TABLE unsorted_terms");
    for (const std::string& statement : again_) file_.Run(statement);
    file_.Run(sql);
    file_.Run("COMMIT");
    file_.Run("PRAGMA journal_mode = WAL");
  }

 private:
  struct Stream {
    sqlite3_stmt* statement = nullptr;
    std::vector<bool> integers;
  };
  SqliteFile file_;
  std::vector<std::string> again_;
  std::vector<Stream> streams_;
};

}  // namespace

std::unique_ptr<RowSink> PostgresSink(const std::string& dsn,
                                      const std::vector<std::string>& tables) {
  return std::make_unique<PostgresRows>(dsn, tables);
}

std::unique_ptr<RowSink> SqliteSink(const std::string& path,
                                    const std::vector<std::string>& tables) {
  return std::make_unique<SqliteRows>(path, tables);
}

std::string PostgresValue(const std::string& dsn, const std::string& sql) {
  return Connection(dsn).Run(sql).at(0).at(0);
}

std::string SqliteValue(const std::string& path, const std::string& sql) {
  return SqliteFile(path).Run(sql).at(0).at(0);
}

}  // namespace relais::bench
