// The keys under which persons' event values are sealed, as kept in the database: wrapped.
#pragma once

#include <string>
#include <unordered_map>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "server/domain/ids.h"
#include "storage/engine/session.h"
#include "storage/engine/vault.h"

namespace relais::storage {

// Adds the unwrapped keys of those `leads` that have one. DATA_LOSS when a key does not unwrap: the
// server runs with another key file than the database was written with.
absl::Status LoadPersonKeys(Session& session, const Vault& vault, const domain::TenantId& tenant,
                            const std::vector<std::string>& leads,
                            std::unordered_map<std::string, std::string>& keys);

// The same for `rows` of the table person_keys.
absl::Status UnwrapPersonKeys(const Vault& vault, const domain::TenantId& tenant,
                              absl::Span<const Row> rows,
                              std::unordered_map<std::string, std::string>& keys);

// The row that keeps a new person's key.
Row PersonKeyRow(const Vault& vault, const domain::TenantId& tenant, const std::string& lead,
                 const std::string& key);

}  // namespace relais::storage
