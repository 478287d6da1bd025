// The summary of consents that a lead carries: per channel and purpose the decision that holds.
//
// The latest occur_time holds; of two decisions of the same moment the one recorded later. Pure.
#pragma once

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "server/domain/history.h"
#include "server/domain/lead.h"

namespace relais::domain {

// "EMAIL/MARKETING": the key in Lead::consents.
std::string ConsentKey(ConsentChannel channel, ConsentPurpose purpose);

// Writes the decision into the summary unless a later one is there. Consents must be applied in the
// order in which they are recorded. Returns whether the summary changed.
bool ApplyConsent(Lead& lead, const Consent& consent);

// The decision that holds for a channel: its own or the one for ANY, whichever was taken later; of
// two of the same moment a withdrawal counts. Absent when the person said nothing.
std::optional<ConsentState> ConsentFor(const Lead& lead, ConsentChannel channel,
                                       ConsentPurpose purpose);

}  // namespace relais::domain
