#include "storage/sqlite/sqlite_database.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <mutex>
#include <string_view>
#include <utility>
#include <vector>

#include "server/domain/concat.h"
#include "server/domain/status_macros.h"
#include "soci/sqlite3/soci-sqlite3.h"
#include "storage/sql/bulk.h"
#include "storage/sql/migration.h"
#include "storage/sql/rows.h"
#include "storage/sql/soci_session.h"

namespace relais::storage {
namespace {

// Pages read by one session, in KiB: the writer's holds the inner pages of every index of a
// million leads, a reader's those of a few lists.
constexpr int kWriterCacheKib = 65'536;
constexpr int kReaderCacheKib = 16'384;
// The WAL is cut to this after a checkpoint, so that a burst does not keep the disk.
constexpr int kJournalLimitBytes = 64 * 1024 * 1024;
constexpr int kModeRetryMillis = 5;
constexpr int kStepsPerLook = 1000;  // of SQLite's machine, between two looks at the clock

absl::Status StatusOf(int code, std::string_view sql) {
  std::string text = Concat("sqlite ", code, " in: ", Excerpt(sql));
  switch (code) {
    case SQLITE_CONSTRAINT_PRIMARYKEY:
    case SQLITE_CONSTRAINT_UNIQUE:
    case SQLITE_CONSTRAINT_ROWID:
      return TakenError(text);
    case SQLITE_CONSTRAINT_FOREIGNKEY:
      return ConflictError(text);
    case SQLITE_READONLY_DBMOVED:
      return LostError(text);
    default:
      break;
  }
  switch (code & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return ConflictError(text);
    case SQLITE_CANTOPEN:
    case SQLITE_FULL:
    case SQLITE_INTERRUPT:  // its deadline passed
    case SQLITE_IOERR:
    case SQLITE_NOMEM:
    case SQLITE_PROTOCOL:
      return LostError(text);
    default:
      return absl::InternalError(text);
  }
}

class SqliteSession final : public SociSession {
 public:
  explicit SqliteSession(std::unique_ptr<soci::session> session)
      : SociSession(std::move(session)),
        connection_(static_cast<soci::sqlite3_session_backend*>(soci().get_backend())->conn_) {}

  ~SqliteSession() override {
    Rollback();
    DropStatements();
  }

  absl::Status Prepare(TransactionMode mode, std::chrono::milliseconds busy_timeout) {
    sqlite_api::sqlite3_extended_result_codes(connection_, 1);
    sqlite_api::sqlite3_busy_timeout(connection_, static_cast<int>(busy_timeout.count()));
    if (mode == TransactionMode::kWrite) RETURN_IF_ERROR(UseWriteAheadLog(busy_timeout));
    // No memory mapping: an I/O error on a mapped page is a SIGBUS, not a status.
    std::string pragmas = Concat(
        "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA secure_delete = ON;"
        "PRAGMA temp_store = MEMORY; PRAGMA trusted_schema = OFF; PRAGMA mmap_size = 0;"
        "PRAGMA journal_size_limit = ",
        kJournalLimitBytes, "; PRAGMA cache_size = -",
        mode == TransactionMode::kWrite ? kWriterCacheKib : kReaderCacheKib, ";");
    if (mode == TransactionMode::kRead) pragmas += "PRAGMA query_only = ON;";
    return Script(pragmas);
  }

  Dialect dialect() const override { return Dialect::kSqlite; }

  absl::Status Begin(const domain::TenantId&, TransactionMode mode,
                     std::chrono::steady_clock::time_point deadline) override {
    if (!transaction().idle()) return absl::InternalError("a transaction is open already");
    WatchDeadline(mode == TransactionMode::kRead ? deadline : kNoDeadline);
    // SOCI's begin() is deferred: a write after a read would then fail at once, without waiting.
    RETURN_IF_ERROR(Script(mode == TransactionMode::kWrite ? "BEGIN IMMEDIATE" : "BEGIN"));
    transaction().Opened();
    return absl::OkStatus();
  }

  absl::Status LockConfigVersion(const domain::TenantId& tenant, bool, int64_t& version) override {
    // The one writer has the database for itself.
    static constexpr ColumnType kTypes[] = {ColumnType::kInteger};
    ASSIGN_OR_RETURN(std::vector<Row> rows,
                     Query("SELECT config_version FROM tenants WHERE tenant_id = :p1",
                           Row{tenant.value}, kTypes));
    version = rows.empty() ? 0 : IntOr(rows[0][0]);
    return absl::OkStatus();
  }

  CommitOutcome Commit() override {
    if (!transaction().open()) {
      Rollback();
      return CommitOutcome::kRolledBack;
    }
    int code = sqlite_api::sqlite3_exec(connection_, "COMMIT", nullptr, nullptr, nullptr);
    if (code == SQLITE_OK) {
      Closed();
      return CommitOutcome::kCommitted;
    }
    Rollback();
    switch (code & 0xff) {
      case SQLITE_BUSY:
      case SQLITE_CONSTRAINT:
      case SQLITE_FULL:  // the last frame, which makes the others count, was not written
        return CommitOutcome::kRolledBack;
      default:
        // The log may or may not have reached the disk.
        transaction().MarkLost();
        return CommitOutcome::kUnknown;
    }
  }

  void Rollback() override {
    // SQLite ends the transaction by itself after some errors (disk full, I/O).
    if (sqlite_api::sqlite3_get_autocommit(connection_) == 0 &&
        sqlite_api::sqlite3_exec(connection_, "ROLLBACK", nullptr, nullptr, nullptr) != SQLITE_OK) {
      transaction().MarkLost();
    }
    Closed();
  }

  absl::Status InsertRows(const Table& table, absl::Span<const Row> rows) override {
    RETURN_IF_ERROR(CheckRows(table, rows));
    if (rows.empty()) return transaction().Usable();
    std::string sql = Concat("INSERT INTO ", table.name, " (", ColumnList(table), ") VALUES (");
    for (size_t i = 0; i < table.columns.size(); ++i) {
      Append(sql, i == 0 ? "" : ", ", Placeholder(i + 1));
    }
    sql += ")";
    std::vector<std::vector<const Cell*>> sets;
    sets.reserve(rows.size());
    for (const Row& row : rows) {
      std::vector<const Cell*>& set = sets.emplace_back();
      set.reserve(row.size());
      for (const Cell& cell : row) set.push_back(&cell);
    }
    return RunEach(sql, TypesOf(table), sets, absl::InternalError("an insert did not insert"));
  }

  absl::Status UpdateRows(const Table& table, absl::Span<const size_t> columns,
                          absl::Span<const Row> rows,
                          absl::Span<const int64_t> old_revisions) override {
    RETURN_IF_ERROR(CheckRows(table, rows));
    if (rows.size() != old_revisions.size()) return absl::InternalError("revisions do not match");
    ASSIGN_OR_RETURN(std::vector<size_t> changed, ColumnsToUpdate(table, columns));
    if (rows.empty()) return transaction().Usable();
    std::string sql = Concat("UPDATE ", table.name, " SET ");
    std::vector<ColumnType> types;
    for (size_t column : changed) {
      Append(sql, types.empty() ? "" : ", ", table.columns[column].name, " = ");
      types.push_back(table.columns[column].type);
      sql += Placeholder(types.size());
    }
    std::vector<size_t> key = KeyColumns(table);
    for (size_t column : key) {
      Append(sql, column == key.front() ? " WHERE " : " AND ", table.columns[column].name, " = ");
      types.push_back(table.columns[column].type);
      sql += Placeholder(types.size());
    }
    types.push_back(ColumnType::kInteger);
    Append(sql, " AND revision = ", Placeholder(types.size()));

    std::vector<Cell> guards(old_revisions.begin(), old_revisions.end());
    std::vector<std::vector<const Cell*>> sets;
    sets.reserve(rows.size());
    for (size_t i = 0; i < rows.size(); ++i) {
      std::vector<const Cell*>& set = sets.emplace_back();
      set.reserve(types.size());
      for (size_t column : changed) set.push_back(&rows[i][column]);
      for (size_t column : key) set.push_back(&rows[i][column]);
      set.push_back(&guards[i]);
    }
    return RunEach(sql, types, sets, ConflictError(Concat("stale revision in ", table.name)));
  }

  absl::Status AppendEvents(const Table& events, const domain::TenantId& tenant,
                            std::vector<Row> rows, domain::Timestamp now,
                            EventNumbers& numbers) override {
    const int64_t count = static_cast<int64_t>(rows.size());
    static constexpr ColumnType kTypes[] = {ColumnType::kInteger, ColumnType::kInteger};
    ASSIGN_OR_RETURN(std::vector<Row> counter,
                     Query("UPDATE feed_counters SET last_number = last_number + :p1, last_time = "
                           "max(last_time + 1, :p2) + :p3 WHERE tenant_id = :p4 "
                           "RETURNING last_number, last_time",
                           Row{count, now.micros, count - 1, tenant.value}, kTypes));
    if (counter.size() != 1) {
      return transaction().Fail(absl::InternalError("the tenant has no feed counter"));
    }
    numbers = {IntOr(counter[0][0]), IntOr(counter[0][1])};
    const size_t number = ColumnIndex(events, "number");
    const size_t time = ColumnIndex(events, "record_time");
    for (int64_t i = 0; i < count; ++i) {
      Row& row = rows[static_cast<size_t>(i)];
      row[number] = numbers.last_number - count + 1 + i;
      row[time] = numbers.last_time - count + 1 + i;
    }
    return InsertRows(events, rows);
  }

  void SendAhead() override {}

  absl::StatusOr<std::vector<std::vector<Row>>> Select(const domain::TenantId& tenant,
                                                       std::vector<Selection> selections) override {
    std::vector<std::vector<Row>> rows;
    for (Selection& selection : selections) {
      ASSIGN_OR_RETURN(rows.emplace_back(), SelectOne(tenant, std::move(selection)));
    }
    return rows;
  }

  // Several statements without parameters, also outside of a transaction.
  absl::Status Script(const std::string& sql) {
    int code = sqlite_api::sqlite3_exec(connection_, sql.c_str(), nullptr, nullptr, nullptr);
    if (code == SQLITE_OK) return absl::OkStatus();
    absl::Status status = StatusOf(code, sql);
    if (transaction().open()) return transaction().Fail(std::move(status));
    if (!IsConflict(status)) transaction().MarkLost();
    return status;
  }

 protected:
  absl::Status Translate(const std::exception* error, std::string_view sql) override {
    auto* known = dynamic_cast<const soci::sqlite3_soci_error*>(error);
    return StatusOf(known == nullptr ? SQLITE_ERROR : known->result(), sql);
  }

  void Release(soci::statement& statement) override {
    sqlite_api::sqlite3_reset(
        static_cast<soci::sqlite3_statement_backend*>(statement.get_backend())->stmt_);
  }

 private:
  // Sessions that open a new file at the same moment get SQLITE_BUSY here whatever the busy
  // timeout says (SQLite 3.40): changing the mode does not call the busy handler.
  absl::Status UseWriteAheadLog(std::chrono::milliseconds limit) {
    std::string mode;
    auto keep = [](void* out, int, char** values, char**) {
      if (values[0] != nullptr) *static_cast<std::string*>(out) = values[0];
      return 0;
    };
    int code = SQLITE_OK;
    for (int64_t waited = 0;; waited += kModeRetryMillis) {
      code =
          sqlite_api::sqlite3_exec(connection_, "PRAGMA journal_mode = WAL", keep, &mode, nullptr);
      if ((code & 0xff) != SQLITE_BUSY || waited >= limit.count()) break;
      sqlite_api::sqlite3_sleep(kModeRetryMillis);
    }
    if (code != SQLITE_OK) return StatusOf(code, "PRAGMA journal_mode");
    if (mode != "wal") {
      return absl::FailedPreconditionError(
          "the file system of the database does not allow a write-ahead log");
    }
    return absl::OkStatus();
  }

  void WatchDeadline(std::chrono::steady_clock::time_point deadline) {
    deadline_ = deadline;
    auto late = [](void* self) {
      return static_cast<int>(std::chrono::steady_clock::now() >=
                              static_cast<SqliteSession*>(self)->deadline_);
    };
    sqlite_api::sqlite3_progress_handler(connection_, kStepsPerLook,
                                         deadline == kNoDeadline ? nullptr : +late, this);
  }

  absl::StatusOr<std::vector<Row>> SelectOne(const domain::TenantId& tenant, Selection selection) {
    RETURN_IF_ERROR(transaction().Usable());
    const auto& [table, match, keys, lock] = selection;
    RETURN_IF_ERROR(NamedColumns(table, match).status());
    ASSIGN_OR_RETURN(std::vector<Row> distinct,
                     DistinctKeys(std::move(selection.keys), match.size()));
    std::string sql =
        Concat("SELECT ", ColumnList(table), " FROM ", table.name, " WHERE tenant_id = :p1");
    for (size_t i = 0; i < match.size(); ++i) {
      Append(sql, " AND ", match[i], " = ", Placeholder(i + 2));
    }
    std::vector<ColumnType> types = TypesOf(table);
    std::vector<Row> rows;
    const RowVisitor keep = [&rows](Row& row) { rows.push_back(std::move(row)); };
    Row params;
    for (Row& key : distinct) {
      params.assign(1, tenant.value);
      params.insert(params.end(), std::make_move_iterator(key.begin()),
                    std::make_move_iterator(key.end()));
      RETURN_IF_ERROR(Run(sql, params, types, &keep).status());
    }
    // Each row equals one key only, so sorting gives the order of a single statement.
    std::vector<size_t> order = KeyColumns(table);
    std::sort(rows.begin(), rows.end(), [&](const Row& a, const Row& b) {
      for (size_t column : order) {
        if (a[column] != b[column]) return a[column] < b[column];
      }
      return false;
    });
    return rows;
  }

  sqlite_api::sqlite3* connection_;
  std::chrono::steady_clock::time_point deadline_;
};

class SqliteDatabase final : public Database {
 public:
  explicit SqliteDatabase(SqliteOptions options) : options_(std::move(options)) {}

  Dialect dialect() const override { return Dialect::kSqlite; }

  absl::StatusOr<std::unique_ptr<Session>> Open(TransactionMode mode) override {
    return Connect(mode);
  }

  absl::Status Migrate() override {
    ASSIGN_OR_RETURN(std::unique_ptr<SqliteSession> session, Connect(TransactionMode::kWrite));
    // The write lock makes a second migrator wait, and then find the work done.
    RETURN_IF_ERROR(
        session->Begin(domain::TenantId(), TransactionMode::kWrite, Session::kNoDeadline));
    RETURN_IF_ERROR(session->Script(
        "CREATE TABLE IF NOT EXISTS schema_migrations (number BIGINT NOT NULL PRIMARY KEY, "
        "name TEXT NOT NULL, checksum TEXT NOT NULL, apply_time BIGINT NOT NULL)"));
    ASSIGN_OR_RETURN(
        std::vector<Row> rows,
        session->Query("SELECT number, checksum FROM schema_migrations ORDER BY number", {},
                       {ColumnType::kInteger, ColumnType::kText}));
    std::vector<AppliedMigration> applied;
    for (const Row& row : rows) applied.push_back({IntOr(row[0]), std::string(TextOf(row[1]))});
    ASSIGN_OR_RETURN(absl::Span<const Migration> pending,
                     PendingMigrations(SqliteMigrations(), applied));
    if (pending.empty()) return absl::OkStatus();
    for (const Migration& migration : pending) {
      RETURN_IF_ERROR(session->Script(std::string(migration.sql)));
      RETURN_IF_ERROR(
          session
              ->Execute(
                  "INSERT INTO schema_migrations (number, name, checksum, apply_time) "
                  "VALUES (:p1, :p2, :p3, unixepoch() * 1000000)",
                  {migration.number, std::string(migration.name), std::string(migration.checksum)})
              .status());
    }
    if (session->Commit() != CommitOutcome::kCommitted) {
      return LostError("sqlite: the migration was not committed");
    }
    return absl::OkStatus();
  }

 private:
  absl::StatusOr<std::unique_ptr<SqliteSession>> Connect(TransactionMode mode) {
    const std::string& path = options_.path;
    if (path.empty() || path.front() == ':' || path.starts_with("file:") ||
        path.find_first_of(std::string_view("\"\0", 2)) != std::string::npos) {
      return absl::InvalidArgumentError(
          "the database must be a plain file path, without quotes and not :memory:");
    }
    if (!MakeFile(path, mode)) return LostError("sqlite: the database file cannot be opened");
    try {
      auto soci = std::make_unique<soci::session>(soci::sqlite3, Concat("dbname=\"", path, "\""));
      auto session = std::make_unique<SqliteSession>(std::move(soci));
      RETURN_IF_ERROR(session->Prepare(mode, options_.busy_timeout));
      return session;
    } catch (const std::exception&) {
      return LostError("sqlite: the database file cannot be opened");
    }
  }

  // SQLite would make the file readable for everybody; its -wal and -shm get the same mode. A file
  // that exists is never opened here: closing it would drop the locks that SQLite holds on it for
  // other sessions of this process (POSIX locks belong to the process). So a new one is made under
  // a lock that every session passes before it opens the file.
  static bool MakeFile(const std::string& path, TransactionMode mode) {
    static std::mutex mutex;
    std::lock_guard<std::mutex> lock(mutex);
    if (mode == TransactionMode::kWrite) {
      int file = open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
      if (file >= 0) close(file);
    }
    return access(path.c_str(), R_OK | W_OK) == 0;
  }

  const SqliteOptions options_;
};

}  // namespace

std::unique_ptr<Database> MakeSqliteDatabase(SqliteOptions options) {
  return std::make_unique<SqliteDatabase>(std::move(options));
}

}  // namespace relais::storage
