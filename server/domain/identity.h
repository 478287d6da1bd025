// Who is it? Finds the lead that a capture is about, and merges what the capture tells into it.
//
// Keys, the strongest first: external id, e-mail, phone; inside a kind in the order given. The
// strongest key that some lead owns names the lead, unless a stronger key of the capture
// contradicts that lead:
//   - an external id contradicts a lead that has ids of the same system, none of them captured;
//   - an e-mail contradicts a lead that has e-mails, none of them captured.
// A phone that several people share is never a key. All values come normalised: this file compares
// bytes.
//
// Pure; no clock, no ids made here.
#pragma once

#include <compare>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "server/domain/enums.h"
#include "server/domain/ids.h"
#include "server/domain/lead.h"
#include "server/domain/value.h"

namespace relais::domain {

// Limits of a lead's lists, as the contract states them (lead.proto).
inline constexpr size_t kMaxEmails = 20;
inline constexpr size_t kMaxPhones = 20;
inline constexpr size_t kMaxExternalIds = 20;
inline constexpr size_t kMaxNeeds = 50;
inline constexpr size_t kMaxLabels = 64;

// One value by which a person can be found. Of an external id the value is "system:id"; a system
// holds no colon, so the text is unambiguous.
struct IdentityKey {
  IdentityKind kind = IdentityKind::kUnspecified;
  std::string value;
  friend auto operator<=>(const IdentityKey&, const IdentityKey&) = default;
};

IdentityKey KeyOf(const ExternalId& id);
IdentityKey KeyOf(const Email& email);
IdentityKey KeyOf(const Phone& phone);

// The keys of a lead, the strongest first, each once; phones without a number have none.
std::vector<IdentityKey> IdentitiesOf(const Lead& lead);

// The key that is owned, by whichever lead, once a phone is known to be used by several: "number#"
// is no phone number, so it is nobody's identity. Kept like any other key, so that the database
// settles concurrent captures.
IdentityKey SharedMark(const IdentityKey& phone);

// What to look up before CaptureLead: IdentitiesOf and the marks of the phones among them.
std::vector<IdentityKey> LookupKeys(const Lead& captured);

// A key of the capture and who owns it now.
struct IdentityFinding {
  IdentityKey key;
  const Lead* owner = nullptr;  // null: nobody; must outlive the call
  bool shared = false;          // a phone whose SharedMark is owned
};

struct IdentityConflict {
  IdentityKind kind = IdentityKind::kUnspecified;
  std::string value;
  LeadId lead;  // who owns it
  friend bool operator==(const IdentityConflict&, const IdentityConflict&) = default;
};

struct IdentityMatch {
  const Lead* lead = nullptr;  // null: nobody matches, a new lead is made
  IdentityKind matched_by = IdentityKind::kUnspecified;
};

// The matching decision alone. `findings` in any order across kinds.
IdentityMatch MatchIdentities(absl::Span<const IdentityFinding> findings);

// Given and family name with a space between; empty when both are.
std::string ComposedName(const Person& person);

// A display name that was composed, or is empty, follows its parts; one that was written stays.
void KeepNameComposed(const Person& before, Person& after);

// What a capture tells, merged into the lead that it matched:
//   - an empty field is filled, a field that has a value keeps it;
//   - the postal address is filled as a whole, or not at all; so is nothing of an organization
//   whose
//     name or domain differs from the known one;
//   - new e-mails, phones, external ids and needs are added behind the known ones, and labels with
//     new keys, up to the limits above; what does not fit is dropped;
//   - acquisition, market, stage and everything output-only are the known lead's.
Lead MergeCapture(Lead known, const Lead& captured);

// What a capture did to the leads and to the owners of identities.
struct CapturedLead {
  Lead lead;
  CaptureOutcome outcome = CaptureOutcome::kUnspecified;
  IdentityKind matched_by = IdentityKind::kUnspecified;
  // Values of the capture that other leads own. They stay plain attributes of this one.
  std::vector<IdentityConflict> conflicts;
  // Keys that this lead owns from now on: those nobody owned, and the SharedMark of each phone that
  // another lead owns and this one now has too.
  std::vector<IdentityKey> claims;
};

struct CaptureContext {
  LeadId new_id;  // used when a lead is made
  Timestamp now, occur_time;
};

// The whole step but touchpoint, consents and score: match, then make or merge. `findings` holds
// one entry for each of IdentitiesOf(captured). A new lead is LEAD, has the market of the capture
// (B2B when an organization is named, by its name or its domain, else B2C), and first_touch_time is
// the capture's occur_time. Errors: INVALID_ARGUMENT for an occur_time in the future
// ("occur_time").
absl::StatusOr<CapturedLead> CaptureLead(const Lead& captured,
                                         absl::Span<const IdentityFinding> findings,
                                         const CaptureContext& context);

// The keys that an update added to and took from a lead.
struct IdentityChanges {
  std::vector<IdentityKey> added, removed;
};
IdentityChanges ChangedIdentities(const Lead& before, const Lead& after);

}  // namespace relais::domain
