// Two leads that are one person, made one and, when that was a mistake, two again.
//
// A merge writes a redirect: the lead that was merged keeps its row as it was, but for merged_into,
// and the survivor stands for it from then on. What belongs to a lead stays where it is
// (touchpoints, consents, assessments, opportunities, identities); whoever reads the survivor reads
// what belongs to all that it stands for. So nothing is lost, and an unmerge finds everything under
// the lead that it was recorded for, also what came in between: a capture that matched an identity
// of the merged lead, or a step that used its old name.
//
// What the survivor has of the merged one is a function of both, in the table of rules below; what
// can be counted (counters, consents, evidence, first and last contact) is counted anew from the
// children. An unmerge takes back what the merge changed and nothing since has changed again; what
// was written to the survivor itself stays with it.
//
// Pure.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "server/domain/event.h"
#include "server/domain/history.h"
#include "server/domain/ids.h"
#include "server/domain/lead.h"
#include "server/domain/opportunity.h"
#include "server/domain/scoring.h"

namespace relais::domain {

// One merge takes over at most this many; one lead stands for at most kMaxMergedLeads.
inline constexpr size_t kMaxLeadsPerMerge = 20;
inline constexpr size_t kMaxMergedLeads = 100;

// The lead that stands for this one; nullopt when it stands for itself.
std::optional<LeadId> MergedInto(const Lead& lead);
// All that the lead stands for.
std::vector<LeadId> MergedLeads(const Lead& lead);
// Whether `id` is the lead or one that it stands for.
bool StandsFor(const Lead& lead, const LeadId& id);

// Where a field of the survivor comes from. Paths are those of the field table.
enum class SurvivorRule : int8_t {
  kSurvivor,  // the survivor's, or the merged one's where the survivor has none
  kTogether,  // as kSurvivor, but all fields of the group as one
  kUnion,     // the survivor's entries, then those of the merged one that are new, up to the limit
  kFirstTouch,  // that of the lead that came first, all fields of the group as one
  kFurthest,    // the further one
  kEarliest,
  kLatest,
  kSum,
};
struct FieldRule {
  std::string_view path;
  SurvivorRule rule;
};
// For every field that a merge decides, in the order of the field table. What is not named is
// counted anew, follows from the stage, or stays the survivor's own (id, revision, times of
// record).
absl::Span<const FieldRule> SurvivorRules();
// The paths that a caller may choose the source of: those with kSurvivor, kTogether and
// kFirstTouch.
bool MayChoose(std::string_view path);

// The survivor after taking over `merged`, before anything is counted. The fields at `from_merged`
// are taken from the merged lead whatever their rule says; of a group one field stands for all.
// Stage, its times and the reason follow MergedStage (lifecycle.h).
Lead MergeInto(Lead survivor, const Lead& merged, absl::Span<const std::string> from_merged);

// What belongs to a lead, for counting anew. In any order.
struct Children {
  std::vector<Touchpoint> touchpoints;
  std::vector<Consent> consents;
  std::vector<Opportunity> opportunities;
};
// The part that belongs to `lead` and those it stands for.
Children ChildrenOf(const Lead& lead, const Children& all);

// Counters, consents, first and last contact and evidence from the children, and the score with
// them. INTERNAL for damaged evidence.
absl::Status CountAnew(Lead& lead, Children children, const CompiledModel& model, Timestamp now);

// Brings stage and marks in line with the opportunities, where a lead may have lost or got some:
// OPPORTUNITY when one is open, CUSTOMER when a win stands, PROSPECT when it was either of them
// before and neither holds, else as it is.
void SettleStage(Lead& lead, absl::Span<const Opportunity> opportunities, Timestamp now);

struct Unmerged {
  Lead survivor, returned;  // before anything is counted or settled
};
// Takes `merged` out of `survivor`. `changes` are those of the survivor's LEAD_MERGED event that
// took it in; `own_identity` tells whether an identity was claimed for the returned lead or one
// that it stands for. What the survivor had of the returned lead it has no more, also where another
// lead that it stands for would have had it to give: so leads can be unmerged in any order.
Unmerged Unmerge(Lead survivor, Lead merged, absl::Span<const FieldChange> changes,
                 const std::function<bool(IdentityKind, const std::string&)>& own_identity);

}  // namespace relais::domain
