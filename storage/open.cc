#include "storage/open.h"

#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "server/domain/status_macros.h"
#include "storage/engine/batch_store.h"
#include "storage/engine/session.h"
#include "storage/engine/vault.h"
#include "storage/postgres/postgres_database.h"
#include "storage/sqlite/sqlite_database.h"

namespace relais::storage {
namespace {

constexpr std::string_view kSqlitePrefix = "sqlite:";

bool IsPostgres(std::string_view url) {
  return url.starts_with("postgresql://") || url.starts_with("postgres://") ||
         url.find('=') != std::string_view::npos;
}

const domain::TenantId kFirstTenant("default");

// Sealed values open under one key only, and request digests compare under one key only: a server
// with another key file than the database was first served with would corrupt both, so it may not
// start.
absl::Status CheckKey(Database& database, const Vault& vault) {
  const std::string check = Sha256Hex(vault.Derive("key-check"));
  ASSIGN_OR_RETURN(std::unique_ptr<Session> session, database.Open(TransactionMode::kWrite));
  RETURN_IF_ERROR(session->Begin(kFirstTenant, TransactionMode::kWrite));
  ASSIGN_OR_RETURN(int64_t first,
                   session->Execute("UPDATE tenants SET key_check = :p1 WHERE tenant_id = :p2 AND "
                                    "key_check IS NULL",
                                    Row{check, kFirstTenant.value}));
  static constexpr ColumnType kTypes[] = {ColumnType::kText};
  ASSIGN_OR_RETURN(std::vector<Row> rows,
                   session->Query("SELECT key_check FROM tenants WHERE tenant_id = :p1",
                                  Row{kFirstTenant.value}, kTypes));
  if (first == 0) {
    session->Rollback();
  } else if (session->Commit() != CommitOutcome::kCommitted) {
    return LostError("the key check was not committed");
  }
  if (rows.size() != 1 || TextOf(rows[0][0]) != check) {
    return absl::FailedPreconditionError(
        "the key file is not the one that this database was first served with; every server of a "
        "database needs the same key file");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<Store>> OpenStore(const StoreConfig& config,
                                                 const domain::Clock& clock, domain::IdSource& ids,
                                                 const domain::Config& domain_config) {
  if (config.key.size() != kKeyBytes) {
    return absl::InvalidArgumentError("the key must be 32 bytes long");
  }
  std::unique_ptr<Database> database;
  if (config.url.starts_with(kSqlitePrefix)) {
    database = MakeSqliteDatabase({.path = config.url.substr(kSqlitePrefix.size())});
  } else if (IsPostgres(config.url)) {
    database = MakePostgresDatabase({.dsn = config.url});
  } else if (!config.url.empty() && config.url.find("://") == std::string::npos) {
    database = MakeSqliteDatabase({.path = config.url});
  } else {
    return absl::InvalidArgumentError(
        "the database must be sqlite:PATH, postgresql://... or host=... dbname=...");
  }
  RETURN_IF_ERROR(database->Migrate());
  Vault vault(config.key);
  RETURN_IF_ERROR(CheckKey(*database, vault));
  return std::unique_ptr<Store>(std::make_unique<BatchStore>(
      std::move(database), std::move(vault), clock, ids, domain_config, config.options));
}

}  // namespace relais::storage
