#include "storage/open.h"

#include <string_view>
#include <utility>

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
  return std::unique_ptr<Store>(std::make_unique<BatchStore>(
      std::move(database), Vault(config.key), clock, ids, domain_config, config.options));
}

}  // namespace relais::storage
