// Loading what a batch's units name into the identity map, in one pass and in the one lock order:
// leads, opportunities, then everything else, each by key.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "storage/engine/batch_map.h"
#include "storage/engine/session.h"
#include "storage/engine/vault.h"

namespace relais::storage {

// Loads what `keys` name and the map does not hold yet; keys that lead to nothing become absent
// entries. Leads and opportunities are locked (PostgreSQL). A conflict (see session.h) when an
// identity or a key moved between finding its lead and locking it: the batch starts over.
// The entries of `principal` in the request log are loaded by LoadRequests, first, because what
// they name is loaded with the rest.
absl::Status Load(Session& session, const Vault& vault, const domain::TenantId& tenant,
                  const Keys& keys, BatchMap& map);

// Loads the entries of `ids` and adds to `keys` what they say was made.
absl::Status LoadRequests(Session& session, const domain::TenantId& tenant,
                          const std::string& principal, const std::vector<std::string>& ids,
                          BatchMap& map, Keys& keys);

}  // namespace relais::storage
