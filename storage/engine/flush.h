// Writing a batch's changes: in bulk, in one fixed order, events last.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "storage/engine/batch_map.h"
#include "storage/engine/session.h"
#include "storage/engine/vault.h"

namespace relais::storage {

// True when the map holds anything to write.
bool HasChanges(const BatchMap& map);

// Writes all changes of the map and the batch's own row. The statements may be only sent: what
// became of them shows at Commit. By then `numbers` holds the number and the time of the last
// event; the others have the numbers and microseconds before it. Does not commit.
absl::Status Flush(Session& session, const Vault& vault, const domain::TenantId& tenant,
                   const std::string& batch_id, domain::Timestamp now, BatchMap& map,
                   EventNumbers& numbers);

}  // namespace relais::storage
