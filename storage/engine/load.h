// Loading what a batch's units name into the identity map, in one pass and in the one lock order:
// leads, opportunities, then everything else, each by key.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "storage/engine/batch_map.h"
#include "storage/engine/session.h"
#include "storage/engine/vault.h"

namespace relais::storage {

// Loads what `keys` name and the map does not hold yet; keys that lead to nothing become absent
// entries. Leads and opportunities are locked (PostgreSQL). A conflict (see session.h) when an
// identity or a key moved between finding its lead and locking it: the batch starts over.
// `principal` is the owner of the request ids in `keys`.
absl::Status Load(Session& session, const Vault& vault, const domain::TenantId& tenant,
                  const std::string& principal, const Keys& keys, BatchMap& map);

}  // namespace relais::storage
