// Writing a batch's changes: in bulk, in one fixed order, events last.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "storage/engine/batch_map.h"
#include "storage/engine/session.h"
#include "storage/engine/vault.h"

namespace relais::storage {

// True when the map holds anything to write.
bool HasChanges(const BatchMap& map);

// Writes all changes of the map and the batch's own row; gives the events their numbers and record
// times. `first_number` of the result is the number of the first event (0 without events); event i
// has number first_number + i and time first_time + i microseconds. Does not commit.
struct Flushed {
  int64_t first_number = 0;
  domain::Timestamp first_time;
};
absl::StatusOr<Flushed> Flush(Session& session, const Vault& vault, const domain::TenantId& tenant,
                              const std::string& batch_id, domain::Timestamp now, BatchMap& map);

}  // namespace relais::storage
