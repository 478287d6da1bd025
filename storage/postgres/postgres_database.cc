#include "storage/postgres/postgres_database.h"

#include <libpq-fe.h>

#include <cctype>
#include <cstdint>
#include <exception>
#include <string_view>
#include <utility>
#include <vector>

#include "server/domain/concat.h"
#include "server/domain/status_macros.h"
#include "soci/postgresql/soci-postgresql.h"
#include "storage/postgres/postgres_session.h"
#include "storage/sql/migration.h"

namespace relais::storage {
namespace {

// Any number that no other program is likely to take: "relais" on a telephone's keys.
constexpr char kMigrationLock[] = "SELECT pg_advisory_xact_lock(735247)";

constexpr const char* kDefaults[][2] = {
    {"connect_timeout", "5"},     {"tcp_user_timeout", "5000"}, {"keepalives_idle", "5"},
    {"keepalives_interval", "2"}, {"keepalives_count", "3"},    {"application_name", "relais"},
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
    RETURN_IF_ERROR(
        session->Begin(domain::TenantId("default"), TransactionMode::kWrite, Session::kNoDeadline));
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
