// Finding leads by words: by the beginning of a term, and by resemblance for what was mistyped.
//
// The index is two tables of equalities and ranges, which both engines serve under row-level
// security without LIKE: lead_terms holds the folded words of each lead, term_grams the
// three-letter pieces of each distinct word. A word whose last lead goes takes its pieces with it.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "storage/engine/session.h"
#include "storage/store.h"

namespace relais::storage {

// Every word must be found. Relevance: 1000 when every word is a whole term; less for beginnings,
// less again for resemblance (at most one slip in words of up to 5 characters, two in longer ones).
// Ties by id. At most `limit` results.
absl::StatusOr<std::vector<SearchHit>> SearchLeads(Session& session, const domain::TenantId& tenant,
                                                   absl::Span<const std::string> words, int limit);

// Makes `leads` the terms of those leads, writing only what differs. Inside a write transaction,
// one at a time in a tenant.
absl::Status ReplaceTerms(
    Session& session, const domain::TenantId& tenant,
    absl::Span<const std::pair<domain::LeadId, std::vector<SearchTerm>>> leads);

// Three-letter pieces of a word with its ends marked: "ana" gives "^an", "ana", "na$". In code
// points, distinct, sorted.
std::vector<std::string> GramsOf(std::string_view word);

// Edits (insert, delete, replace, swap of neighbours) between two words, in code points; gives up
// and answers `most` + 1 past `most`.
int EditDistance(std::string_view a, std::string_view b, int most);

}  // namespace relais::storage
