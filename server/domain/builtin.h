// The configuration that comes with the server: BANT and B2C qualification, one scoring model per
// market, one pipeline. Data only.
//
// Both models have the same touchpoint rules (ids, filters, repeat limits, windows) with points of
// their own, so that a lead whose market is corrected keeps its evidence.
#pragma once

#include "server/domain/config.h"

namespace relais::domain {

// Made once, on first use; thread-safe. That its data compile is shown by a test.
const Config& BuiltInConfig();

}  // namespace relais::domain
