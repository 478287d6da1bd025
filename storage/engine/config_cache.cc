#include "storage/engine/config_cache.h"

#include <string>
#include <utility>
#include <vector>

#include "server/domain/concat.h"
#include "server/domain/status_macros.h"
#include "storage/sql/bulk.h"
#include "storage/sql/rows.h"

namespace relais::storage {
namespace {

using domain::ConfigDocument;

absl::StatusOr<domain::ConfigDocuments> Read(Session& session, const domain::TenantId& tenant,
                                             std::string_view condition, int64_t value) {
  const Table& table = TableOf<ConfigDocument>();
  ASSIGN_OR_RETURN(std::vector<Row> rows,
                   session.Query(Concat("SELECT ", ColumnList(table), " FROM ", table.name,
                                        " WHERE tenant_id = :p1 AND ", condition,
                                        " :p2 ORDER BY kind, name, version"),
                                 Row{tenant.value, value}, TypesOf(table)));
  domain::ConfigDocuments documents;
  documents.reserve(rows.size());
  for (Row& row : rows) {
    ASSIGN_OR_RETURN(ConfigDocument document, FromRow<ConfigDocument>(std::move(row)));
    documents.push_back(std::move(document));
  }
  return documents;
}

}  // namespace

ConfigCache::ConfigCache(const domain::Config& shipped)
    : shipped_(&shipped, [](const domain::Config*) {}) {}

absl::StatusOr<std::shared_ptr<const domain::Config>> ConfigCache::At(
    Session& session, const domain::TenantId& tenant, int64_t version) {
  if (version == 0) return shipped_;  // nothing was ever set up
  std::shared_ptr<const domain::Config> earlier = shipped_;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    const Known& known = known_[tenant.value];
    if (known.version == version) return known.config;
    if (known.config != nullptr) earlier = known.config;
  }
  ASSIGN_OR_RETURN(
      domain::ConfigDocuments documents,
      Read(session, tenant, "state <>", static_cast<int64_t>(domain::RevisionState::kDraft)));
  ASSIGN_OR_RETURN(std::shared_ptr<const domain::Config> config,
                   domain::BuildConfig(*shipped_, documents, earlier.get()));
  std::lock_guard<std::mutex> lock(mutex_);
  Known& known = known_[tenant.value];
  // A snapshot from before a change must not hide it.
  if (known.version < version) known = {version, config};
  return config;
}

absl::StatusOr<std::shared_ptr<const domain::Config>> ConfigCache::Current(
    Session& session, const domain::TenantId& tenant) {
  static constexpr ColumnType kTypes[] = {ColumnType::kInteger};
  ASSIGN_OR_RETURN(std::vector<Row> rows,
                   session.Query("SELECT config_version FROM tenants WHERE tenant_id = :p1",
                                 Row{tenant.value}, kTypes));
  return At(session, tenant, rows.empty() ? 0 : IntOr(rows[0][0]));
}

absl::StatusOr<domain::ConfigDocuments> ReadConfigurations(Session& session,
                                                           const domain::TenantId& tenant,
                                                           domain::ConfigKind kind) {
  return Read(session, tenant, "kind =", static_cast<int64_t>(kind));
}

}  // namespace relais::storage
