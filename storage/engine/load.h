// Loading what a batch's units name into the identity map, in one pass and in the one lock order:
// leads, opportunities, then everything else, each by key.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "storage/engine/batch_map.h"
#include "storage/engine/session.h"
#include "storage/engine/vault.h"

namespace relais::storage {

// Ids of the request log by the principal who used them.
using RequestIds = std::map<std::string, std::vector<std::string>>;

// Loads the log's entries of `requests`, and what these say was made as well as what `keys` name,
// beyond what the map holds already; keys that lead to nothing become absent entries. Leads and
// opportunities are locked (PostgreSQL). A conflict (see session.h) when an identity moved between
// finding its lead and locking it: the batch starts over.
absl::Status Load(Session& session, const Vault& vault, const domain::TenantId& tenant,
                  const RequestIds& requests, Keys keys, BatchMap& map);

}  // namespace relais::storage
