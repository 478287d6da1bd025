// Who may be the same as a lead, found through the indexes that search and matching use.
#pragma once

#include <vector>

#include "absl/status/statusor.h"
#include "server/domain/duplicates.h"
#include "server/domain/ids.h"
#include "storage/store.h"

namespace relais::services {

struct DuplicateCandidate {
  domain::LeadId lead;
  domain::DuplicateComparison comparison;
};

// The likeliest first, ties by id: those of `min_score` and more, and all who hold an identity that
// the lead has, too. NOT_FOUND when there is no such lead.
absl::StatusOr<std::vector<DuplicateCandidate>> DuplicatesOf(storage::ReadTxn& txn,
                                                             const domain::LeadId& id,
                                                             int min_score);

}  // namespace relais::services
