// What duplicate detection compares of a lead, folded (text.h).
#pragma once

#include "server/domain/duplicates.h"
#include "server/domain/lead.h"

namespace relais::convert {

// A person who has only a display name is taken by its first and last word. The company's domain is
// left out where it is that of a mail provider.
domain::DuplicateProfile DuplicateProfileOf(const domain::Lead& lead);

}  // namespace relais::convert
