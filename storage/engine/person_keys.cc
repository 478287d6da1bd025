#include "storage/engine/person_keys.h"

#include <utility>

#include "server/domain/concat.h"
#include "server/domain/status_macros.h"
#include "storage/sql/tables.h"

namespace relais::storage {
namespace {

std::string ContextOf(const domain::TenantId& tenant, const std::string& lead) {
  return Concat("person-key\n", tenant.value, "\n", lead);
}

}  // namespace

absl::Status LoadPersonKeys(Session& session, const Vault& vault, const domain::TenantId& tenant,
                            const std::vector<std::string>& leads,
                            std::unordered_map<std::string, std::string>& keys) {
  if (leads.empty()) return absl::OkStatus();
  static const auto* const kMatch = new std::vector<std::string>{"lead_id"};
  std::vector<Row> rows;
  rows.reserve(leads.size());
  for (const std::string& lead : leads) rows.push_back({lead});
  ASSIGN_OR_RETURN(rows, session.SelectRows(PersonKeysTable(), tenant, *kMatch, rows, false));
  return UnwrapPersonKeys(vault, tenant, rows, keys);
}

absl::Status UnwrapPersonKeys(const Vault& vault, const domain::TenantId& tenant,
                              absl::Span<const Row> rows,
                              std::unordered_map<std::string, std::string>& keys) {
  for (const Row& row : rows) {  // tenant_id, lead_id, wrapped_key
    std::string lead(TextOf(row[1]));
    ASSIGN_OR_RETURN(std::string key, vault.Unwrap(TextOf(row[2]), ContextOf(tenant, lead)));
    keys[std::move(lead)] = std::move(key);
  }
  return absl::OkStatus();
}

Row PersonKeyRow(const Vault& vault, const domain::TenantId& tenant, const std::string& lead,
                 const std::string& key) {
  return {tenant.value, lead, vault.Wrap(key, ContextOf(tenant, lead))};
}

}  // namespace relais::storage
