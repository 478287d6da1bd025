#include "storage/postgres/postgres_database.h"

#include <libpq-fe.h>
#include <poll.h>
#include <sys/socket.h>

#include <cctype>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <utility>
#include <vector>

#include "server/domain/concat.h"
#include "server/domain/status_macros.h"
#include "soci/postgresql/soci-postgresql.h"
#include "storage/sql/array_literal.h"
#include "storage/sql/bulk.h"
#include "storage/sql/migration.h"
#include "storage/sql/soci_session.h"

namespace relais::storage {
namespace {

using Clock = std::chrono::steady_clock;

// Any number that no other program is likely to take: "relais" on a telephone's keys.
constexpr char kMigrationLock[] = "SELECT pg_advisory_xact_lock(735247)";

// A generic plan is made once, often while the tables are empty, and then kept while they grow:
// measured, lookups by key read the whole tenant. Planning with the values costs 0.1 ms a
// statement, and a statement serves a whole batch.
constexpr char kSettings[] =
    "SET client_min_messages = warning; SET plan_cache_mode = force_custom_plan";

// A writer that hangs must not hold row locks for ever; what waits for one gives up first.
constexpr char kWriterSettings[] =
    "SET lock_timeout = '5s';"
    "SET statement_timeout = '60s'; SET idle_in_transaction_session_timeout = '60s';"
    "SELECT set_config('synchronous_commit', 'on', false)"
    " WHERE current_setting('synchronous_commit') = 'off'";

// True when the login could see past row-level security, or change it.
constexpr char kNeedsRole[] =
    "SELECT r.rolsuper OR r.rolbypassrls OR pg_has_role(r.oid, c.relowner, 'USAGE')"
    " FROM pg_roles r JOIN pg_class c ON c.oid = to_regclass('schema_migrations')"
    " WHERE r.rolname = current_user";

constexpr const char* kDefaults[][2] = {
    {"connect_timeout", "5"},     {"tcp_user_timeout", "5000"}, {"keepalives_idle", "5"},
    {"keepalives_interval", "2"}, {"keepalives_count", "3"},    {"application_name", "relais"},
};

struct Clear {
  void operator()(PGresult* result) const { PQclear(result); }
};
using Result = std::unique_ptr<PGresult, Clear>;

absl::Status StatusOf(std::string_view state, bool connected, std::string_view sql) {
  std::string text = Concat("postgres ", state.empty() ? std::string_view("no answer") : state,
                            " in: ", Excerpt(sql));
  for (std::string_view conflict : {"23505", "23503", "40001", "40P01", "55P03"}) {
    if (state == conflict) return ConflictError(text);
  }
  if (!connected) return LostError(text);
  // Connection, out of resources, shut down (57P0x) or cancelled (57014), system; a standby that
  // took a write (25006); a transaction that idled too long (25P03).
  for (std::string_view lost : {"08", "53", "57", "58", "25006", "25P03"}) {
    if (state.starts_with(lost)) return LostError(text);
  }
  return absl::InternalError(text);
}

std::string_view StateOf(const PGresult* result) {
  const char* state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
  return state == nullptr ? std::string_view() : std::string_view(state);
}

std::string_view ArrayTypeOf(ColumnType type) {
  switch (type) {
    case ColumnType::kUuid:
      return "uuid[]";
    case ColumnType::kInteger:
      return "bigint[]";
    case ColumnType::kText:
    case ColumnType::kJson:  // each element is cast: the syntax of a jsonb[] escapes twice
      return "text[]";
  }
  return "text[]";
}

// What a session is opened for decides its settings and its role.
enum class Purpose { kMigrate, kWrite, kRead };

class PostgresSession final : public SociSession {
 public:
  PostgresSession(std::unique_ptr<soci::session> session, std::chrono::milliseconds commit_timeout)
      : SociSession(std::move(session)),
        connection_(static_cast<soci::postgresql_session_backend*>(soci().get_backend())->conn_),
        commit_timeout_(commit_timeout) {
    // Also keeps libpq from printing notices, which may quote values, to the standard error.
    PQsetNoticeReceiver(
        connection_,
        [](void* self, const PGresult*) { ++static_cast<PostgresSession*>(self)->notices_; }, this);
  }

  ~PostgresSession() override {
    if (healthy()) Rollback();
    // Closing statements talks to the server; one that is gone must not be waited for.
    if (!healthy()) Sever();
    DropStatements();
    PQsetNoticeReceiver(
        connection_, [](void*, const PGresult*) {}, nullptr);
  }

  absl::Status Prepare(Purpose purpose) {
    RETURN_IF_ERROR(Script(kSettings));
    if (purpose == Purpose::kMigrate) return absl::OkStatus();
    if (purpose == Purpose::kWrite) RETURN_IF_ERROR(Script(kWriterSettings));
    Result answer(PQexec(connection_, kNeedsRole));
    if (PQresultStatus(answer.get()) != PGRES_TUPLES_OK) return Failed(answer.get(), kNeedsRole);
    if (PQntuples(answer.get()) == 1 && PQgetvalue(answer.get(), 0, 0)[0] == 't') {
      return Script("SET ROLE relais_app");
    }
    return absl::OkStatus();
  }

  Dialect dialect() const override { return Dialect::kPostgres; }

  absl::Status Begin(const domain::TenantId& tenant, TransactionMode mode) override {
    if (state() != State::kIdle) return absl::InternalError("a transaction is open already");
    char* literal = PQescapeLiteral(connection_, tenant.value.data(), tenant.value.size());
    if (literal == nullptr) return absl::InternalError("a tenant that is not UTF-8");
    std::string sql =
        Concat(mode == TransactionMode::kWrite ? "BEGIN ISOLATION LEVEL READ COMMITTED"
                                               : "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
               "; SELECT set_config('app.tenant', ", literal, ", true)");
    PQfreemem(literal);
    absl::Status status = Script(sql);
    if (status.ok()) {
      Opened();
    } else {
      Rollback();
    }
    return status;
  }

  CommitOutcome Commit() override {
    if (state() != State::kOpen) {
      Rollback();
      return CommitOutcome::kRolledBack;
    }
    Closed();
    notices_ = 0;
    Result result;
    if (PQsendQuery(connection_, "COMMIT") == 0 ||
        !Receive(Clock::now() + commit_timeout_, result)) {
      return Unknown();
    }
    if (PQresultStatus(result.get()) == PGRES_COMMAND_OK && notices_ == 0) {
      // A COMMIT of a failed transaction succeeds, with this tag.
      if (std::strcmp(PQcmdStatus(result.get()), "ROLLBACK") == 0) {
        return CommitOutcome::kRolledBack;
      }
      if (std::strcmp(PQcmdStatus(result.get()), "COMMIT") == 0) return CommitOutcome::kCommitted;
    }
    std::string_view state = StateOf(result.get());
    bool refused = PQresultStatus(result.get()) == PGRES_FATAL_ERROR &&
                   PQstatus(connection_) == CONNECTION_OK &&
                   PQtransactionStatus(connection_) == PQTRANS_IDLE &&
                   (state.starts_with("23") || state.starts_with("40")) && state != "40003";
    return refused ? CommitOutcome::kRolledBack : Unknown();
  }

  void Rollback() override {
    if (healthy() && PQtransactionStatus(connection_) != PQTRANS_IDLE) {
      Result result(PQexec(connection_, "ROLLBACK"));
      if (PQresultStatus(result.get()) != PGRES_COMMAND_OK) MarkLost();
    }
    Closed();
  }

  absl::Status InsertRows(const Table& table, absl::Span<const Row> rows) override {
    RETURN_IF_ERROR(Usable());
    RETURN_IF_ERROR(CheckRows(table, rows));
    if (rows.empty()) return absl::OkStatus();
    Arrays arrays;
    std::string values;
    for (size_t i = 0; i < table.columns.size(); ++i) {
      Append(values, i == 0 ? "" : ", ", arrays.Add(table.columns[i].type, ArrayLiteral(rows, i)));
    }
    std::string sql = Concat("INSERT INTO ", table.name, " (", ColumnList(table), ") SELECT ",
                             values, " FROM ", arrays.From());
    return Run(sql, arrays.params(), {}, nullptr).status();
  }

  absl::Status UpdateRows(const Table& table, absl::Span<const size_t> columns,
                          absl::Span<const Row> rows,
                          absl::Span<const int64_t> old_revisions) override {
    RETURN_IF_ERROR(Usable());
    RETURN_IF_ERROR(CheckRows(table, rows));
    if (rows.size() != old_revisions.size()) return absl::InternalError("revisions do not match");
    ASSIGN_OR_RETURN(std::vector<size_t> changed, ColumnsToUpdate(table, columns));
    if (rows.empty()) return absl::OkStatus();
    Arrays arrays;
    std::string set, where;
    for (size_t column : changed) {
      Append(set, set.empty() ? "" : ", ", table.columns[column].name, " = ",
             arrays.Add(table.columns[column].type, ArrayLiteral(rows, column)));
    }
    for (size_t column : KeyColumns(table)) {
      Append(where, "t.", table.columns[column].name, " = ",
             arrays.Add(table.columns[column].type, ArrayLiteral(rows, column)), " AND ");
    }
    std::vector<Cell> guards(old_revisions.begin(), old_revisions.end());
    Append(where, "t.revision = ", arrays.Add(ColumnType::kInteger, ArrayLiteral(guards)));
    // The keys once more as a list: whichever side the planner begins with, it reads these rows
    // only.
    const size_t id = KeyColumns(table).back();
    Row params = arrays.params();
    params.emplace_back(ArrayLiteral(rows, id));
    std::string sql =
        Concat("UPDATE ", table.name, " AS t SET ", set, " FROM ", arrays.From(), " WHERE ", where,
               " AND t.", table.columns[id].name, " = ANY(", Placeholder(params.size()),
               "::", ArrayTypeOf(table.columns[id].type), ")");
    ASSIGN_OR_RETURN(int64_t updated, Run(sql, params, {}, nullptr));
    if (updated != static_cast<int64_t>(rows.size())) {
      return Fail(ConflictError(Concat("stale revision in ", table.name)));
    }
    return absl::OkStatus();
  }

  absl::StatusOr<std::vector<Row>> SelectRows(const Table& table, const domain::TenantId& tenant,
                                              absl::Span<const std::string> match,
                                              absl::Span<const Row> keys, bool lock) override {
    RETURN_IF_ERROR(Usable());
    ASSIGN_OR_RETURN(std::vector<size_t> columns, NamedColumns(table, match));
    ASSIGN_OR_RETURN(std::vector<Row> distinct, DistinctKeys(keys, match.size()));
    std::vector<Row> rows;
    if (distinct.empty()) return rows;
    Arrays arrays;
    std::string list, order, on;
    for (const Column& column : table.columns) {
      Append(list, list.empty() ? "t." : ", t.", column.name);
    }
    for (const std::string& name : table.key) Append(order, order.empty() ? "t." : ", t.", name);
    for (size_t i = 0; i < columns.size(); ++i) {
      Append(on, i == 0 ? "" : " AND ", "t.", match[i], " = ",
             arrays.Add(table.columns[columns[i]].type, ArrayLiteral(distinct, i)));
    }
    Row params = arrays.params();
    params.emplace_back(tenant.value);
    const std::string where =
        Concat(" WHERE t.tenant_id = ", Placeholder(params.size()), " AND ", on);
    // The rows of each key are looked up for themselves, in the order of the keys: OFFSET 0 keeps
    // the planner from reading the table first and the keys for each of its rows, which looks cheap
    // while it knows nothing of the table yet.
    const std::string sql = Concat(
        "SELECT ", list, " FROM ", arrays.From(), " CROSS JOIN LATERAL (SELECT t.* FROM ",
        table.name, " AS t", where, lock ? " FOR UPDATE" : "", " OFFSET 0) AS t ORDER BY ", order);
    RETURN_IF_ERROR(Run(sql, params, TypesOf(table), &rows).status());
    return rows;
  }

  // Statements without parameters, in one round trip, also outside of a transaction.
  absl::Status Script(const std::string& sql) {
    Result result(PQexec(connection_, sql.c_str()));
    ExecStatusType status = PQresultStatus(result.get());
    if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK) return absl::OkStatus();
    return Failed(result.get(), sql);
  }

 protected:
  absl::Status Translate(const std::exception* error, std::string_view sql) override {
    auto* known = dynamic_cast<const soci::postgresql_soci_error*>(error);
    std::string state = known == nullptr ? std::string() : known->sqlstate();
    if (state == "     ") state.clear();  // SOCI's way to say that the server told none
    return StatusOf(state, PQstatus(connection_) == CONNECTION_OK, sql);
  }

  void Release(soci::statement& statement) override {
    // Otherwise the last result of each cached statement would stay in memory.
    static_cast<soci::postgresql_statement_backend*>(statement.get_backend())->result_.reset();
  }

 private:
  // The columns of one unnest(): each array is one parameter.
  class Arrays {
   public:
    // Returns the expression that is the element: "u.a3", "u.a3::jsonb".
    std::string Add(ColumnType type, std::string literal) {
      params_.emplace_back(std::move(literal));
      Append(arrays_, params_.size() == 1 ? "" : ", ", Placeholder(params_.size()),
             "::", ArrayTypeOf(type));
      Append(names_, params_.size() == 1 ? "a" : ", a", params_.size());
      return Concat("u.a", params_.size(), type == ColumnType::kJson ? "::jsonb" : "");
    }
    std::string From() const { return Concat("unnest(", arrays_, ") AS u(", names_, ")"); }
    const Row& params() const { return params_; }

   private:
    Row params_;
    std::string arrays_, names_;
  };

  absl::Status Failed(const PGresult* result, std::string_view sql) {
    absl::Status status = StatusOf(StateOf(result), PQstatus(connection_) == CONNECTION_OK, sql);
    if (state() == State::kOpen) return Fail(std::move(status));
    if (!IsConflict(status)) MarkLost();
    return status;
  }

  // The one result of what was sent, or false: nothing before the deadline, or a broken socket.
  bool Receive(Clock::time_point deadline, Result& result) {
    while (true) {
      while (PQisBusy(connection_) != 0) {
        auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
        if (left <= 0) return false;
        pollfd socket{PQsocket(connection_), POLLIN, 0};
        int ready = poll(&socket, 1, static_cast<int>(left));
        if (ready < 0 && errno != EINTR) return false;
        if (ready > 0 && PQconsumeInput(connection_) == 0) return false;
      }
      Result next(PQgetResult(connection_));
      if (next == nullptr) return result != nullptr;
      result = std::move(next);
    }
  }

  CommitOutcome Unknown() {
    MarkLost();
    Sever();
    return CommitOutcome::kUnknown;
  }

  // Nothing waits on this connection any more: every call of libpq fails at once.
  void Sever() {
    if (int socket = PQsocket(connection_); socket >= 0) shutdown(socket, SHUT_RDWR);
  }

  PGconn* connection_;
  const std::chrono::milliseconds commit_timeout_;
  int notices_ = 0;  // since the last COMMIT was sent
};

// One parameter of a connection URI.
void AddOption(std::string_view keyword, std::string_view value, std::string& uri) {
  constexpr char kHex[] = "0123456789ABCDEF";
  Append(uri, uri.ends_with('?') ? "" : "&", keyword, "=");
  for (unsigned char c : value) {
    if (std::isalnum(c) != 0 || c == '-' || c == '.' || c == '_' || c == '~') {
      uri.push_back(static_cast<char>(c));
    } else {
      uri.push_back('%');
      uri.push_back(kHex[c >> 4]);
      uri.push_back(kHex[c & 15]);
    }
  }
}

// As a URI, whatever `dsn` was: it holds no blank, and SOCI 4.0.3 takes connection strings apart at
// blanks without regard for quotes.
absl::StatusOr<std::string> Complete(const std::string& dsn) {
  char* message = nullptr;
  std::unique_ptr<PQconninfoOption, void (*)(PQconninfoOption*)> options(
      PQconninfoParse(dsn.c_str(), &message), PQconninfoFree);
  PQfreemem(message);  // may quote the password
  if (options == nullptr) {
    return absl::InvalidArgumentError("libpq cannot read the connection string");
  }
  std::string uri = "postgresql://?";
  for (const PQconninfoOption* option = options.get(); option->keyword != nullptr; ++option) {
    std::string_view keyword = option->keyword;
    if (keyword == "client_encoding") continue;
    const char* value = option->val;
    for (const auto& [name, fallback] : kDefaults) {
      if (value == nullptr && keyword == name) value = fallback;
    }
    if (value != nullptr) AddOption(keyword, value, uri);
  }
  AddOption("client_encoding", "UTF8", uri);
  return uri;
}

class PostgresDatabase final : public Database {
 public:
  explicit PostgresDatabase(PostgresOptions options) : options_(std::move(options)) {}

  Dialect dialect() const override { return Dialect::kPostgres; }

  absl::StatusOr<std::unique_ptr<Session>> Open(TransactionMode mode) override {
    return Connect(mode == TransactionMode::kWrite ? Purpose::kWrite : Purpose::kRead);
  }

  absl::Status Migrate() override {
    ASSIGN_OR_RETURN(std::unique_ptr<PostgresSession> session, Connect(Purpose::kMigrate));
    RETURN_IF_ERROR(session->Begin(domain::TenantId("default"), TransactionMode::kWrite));
    // A second migrator waits here, and then finds the work done.
    RETURN_IF_ERROR(session->Script(kMigrationLock));
    ASSIGN_OR_RETURN(
        std::vector<Row> rows,
        session->Query("SELECT to_regclass('schema_migrations')::text", {}, {ColumnType::kText}));
    // Not IF NOT EXISTS: that takes the right to create tables even when there is nothing to do.
    if (rows.size() != 1 || IsNull(rows[0][0])) {
      RETURN_IF_ERROR(
          session->Script("CREATE TABLE schema_migrations (number BIGINT NOT NULL PRIMARY KEY, "
                          "name TEXT COLLATE \"C\" NOT NULL, checksum TEXT COLLATE \"C\" NOT NULL, "
                          "apply_time BIGINT NOT NULL)"));
    }
    ASSIGN_OR_RETURN(
        rows, session->Query("SELECT number, checksum FROM schema_migrations ORDER BY number", {},
                             {ColumnType::kInteger, ColumnType::kText}));
    std::vector<AppliedMigration> applied;
    for (const Row& row : rows) applied.push_back({IntOr(row[0]), std::string(TextOf(row[1]))});
    ASSIGN_OR_RETURN(absl::Span<const Migration> pending,
                     PendingMigrations(PostgresMigrations(), applied));
    if (pending.empty()) return absl::OkStatus();
    for (const Migration& migration : pending) {
      RETURN_IF_ERROR(session->Script(std::string(migration.sql)));
      RETURN_IF_ERROR(
          session
              ->Execute(
                  "INSERT INTO schema_migrations (number, name, checksum, apply_time) VALUES "
                  "(:p1, :p2, :p3, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint)",
                  {migration.number, std::string(migration.name), std::string(migration.checksum)})
              .status());
    }
    if (session->Commit() != CommitOutcome::kCommitted) {
      return LostError("postgres: the migration was not committed");
    }
    return absl::OkStatus();
  }

 private:
  absl::StatusOr<std::unique_ptr<PostgresSession>> Connect(Purpose purpose) {
    ASSIGN_OR_RETURN(std::string dsn, Complete(options_.dsn));
    try {
      auto soci = std::make_unique<soci::session>(soci::postgresql, dsn);
      auto session = std::make_unique<PostgresSession>(std::move(soci), options_.commit_timeout);
      RETURN_IF_ERROR(session->Prepare(purpose));
      return session;
    } catch (const std::exception&) {
      return LostError("postgres: no connection");  // the message may quote the user and the host
    }
  }

  const PostgresOptions options_;
};

}  // namespace

std::unique_ptr<Database> MakePostgresDatabase(PostgresOptions options) {
  return std::make_unique<PostgresDatabase>(std::move(options));
}

}  // namespace relais::storage
