// What is true of every lead at every moment, for tests over random histories and for the check of
// a whole base.
#pragma once

#include <string>
#include <vector>

#include "absl/types/span.h"
#include "server/domain/lead.h"
#include "server/domain/opportunity.h"

namespace relais::domain {

// One sentence per rule that is broken, without personal values; none when all is well.
// `opportunities` are all those of the lead.
std::vector<std::string> CheckInvariants(const Lead& lead,
                                         absl::Span<const Opportunity> opportunities);

}  // namespace relais::domain
