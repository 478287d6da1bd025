#include "server/domain/identity.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "server/domain/concat.h"
#include "server/domain/lifecycle.h"
#include "server/domain/status_macros.h"

namespace relais::domain {
namespace {

std::string_view SystemOf(std::string_view value) { return value.substr(0, value.find(':')); }

template <class Items, class Predicate>
bool Any(const Items& items, Predicate predicate) {
  return std::any_of(items.begin(), items.end(), predicate);
}

bool Captured(absl::Span<const IdentityFinding> findings, const IdentityKey& key) {
  return Any(findings, [&](const IdentityFinding& finding) { return finding.key == key; });
}

// A captured id of a system in which the lead is known under other ids only.
bool ExternalIdContradicts(absl::Span<const IdentityFinding> findings, const Lead& lead) {
  return Any(findings, [&](const IdentityFinding& finding) {
    if (finding.key.kind != IdentityKind::kExternalId) return false;
    std::string_view system = SystemOf(finding.key.value);
    bool known_there = false;
    for (const ExternalId& id : lead.external_ids) {
      if (id.system != system) continue;
      if (Captured(findings, KeyOf(id))) return false;
      known_there = true;
    }
    return known_there;
  });
}

bool EmailContradicts(absl::Span<const IdentityFinding> findings, const Lead& lead) {
  bool captured_one = Any(findings, [](const IdentityFinding& finding) {
    return finding.key.kind == IdentityKind::kEmail;
  });
  return captured_one && !lead.person.emails.empty() &&
         !Any(lead.person.emails,
              [&](const Email& email) { return Captured(findings, KeyOf(email)); });
}

bool Contradicted(IdentityKind by, absl::Span<const IdentityFinding> findings, const Lead& lead) {
  switch (by) {
    case IdentityKind::kEmail:
      return ExternalIdContradicts(findings, lead);
    case IdentityKind::kPhone:
      return ExternalIdContradicts(findings, lead) || EmailContradicts(findings, lead);
    case IdentityKind::kExternalId:
    case IdentityKind::kUnspecified:
      return false;
  }
  return false;
}

bool Differ(const std::string& known, const std::string& captured) {
  return !known.empty() && !captured.empty() && !absl::EqualsIgnoreCase(known, captured);
}

void Fill(std::string& known, const std::string& captured) {
  if (known.empty()) known = captured;
}

template <class T>
void Fill(std::optional<T>& known, const std::optional<T>& captured) {
  if (!known.has_value()) known = captured;
}

// Half of one name and half of another would name nobody, so a name that differs in any part it
// shares with the known one is left out entirely.
void FillName(Person& known, const Person& captured) {
  std::string written =
      known.display_name == ComposedName(known) ? std::string() : known.display_name;
  std::string told = captured.display_name.empty() ? ComposedName(captured) : captured.display_name;
  if (Differ(known.given_name, captured.given_name) ||
      Differ(known.family_name, captured.family_name) || Differ(written, told)) {
    return;
  }
  Person before = known;
  Fill(known.given_name, captured.given_name);
  Fill(known.family_name, captured.family_name);
  Fill(known.display_name, captured.display_name);
  KeepNameComposed(before, known);
}

// The same for two companies.
void FillOrganization(Organization& known, const Organization& captured) {
  if (Differ(known.display_name, captured.display_name) || Differ(known.domain, captured.domain)) {
    return;
  }
  Fill(known.display_name, captured.display_name);
  Fill(known.domain, captured.domain);
  Fill(known.industry, captured.industry);
  Fill(known.headcount, captured.headcount);
  Fill(known.annual_revenue, captured.annual_revenue);
}

template <class T, class Same>
void AddNew(std::vector<T>& known, const std::vector<T>& captured, size_t limit, Same same) {
  for (const T& item : captured) {
    if (known.size() >= limit) return;
    if (!Any(known, [&](const T& other) { return same(other, item); })) known.push_back(item);
  }
}

bool SamePhone(const Phone& a, const Phone& b) {
  return a.number.empty() && b.number.empty() ? a.raw == b.raw : a.number == b.number;
}

}  // namespace

IdentityKey KeyOf(const ExternalId& id) {
  return {IdentityKind::kExternalId, Concat(id.system, ":", id.id)};
}
IdentityKey KeyOf(const Email& email) { return {IdentityKind::kEmail, email.address}; }
IdentityKey KeyOf(const Phone& phone) { return {IdentityKind::kPhone, phone.number}; }

std::vector<IdentityKey> IdentitiesOf(const Lead& lead) {
  std::vector<IdentityKey> keys;
  auto add = [&](IdentityKey key) {
    if (!key.value.empty() && std::find(keys.begin(), keys.end(), key) == keys.end()) {
      keys.push_back(std::move(key));
    }
  };
  for (const ExternalId& id : lead.external_ids) add(KeyOf(id));
  for (const Email& email : lead.person.emails) add(KeyOf(email));
  for (const Phone& phone : lead.person.phones) add(KeyOf(phone));
  return keys;
}

IdentityKey SharedMark(const IdentityKey& phone) { return {phone.kind, Concat(phone.value, "#")}; }

std::vector<IdentityKey> LookupKeys(const Lead& captured) {
  std::vector<IdentityKey> keys = IdentitiesOf(captured);
  std::vector<IdentityKey> marks;
  for (const IdentityKey& key : keys) {
    if (key.kind == IdentityKind::kPhone) marks.push_back(SharedMark(key));
  }
  keys.insert(keys.end(), marks.begin(), marks.end());
  return keys;
}

IdentityMatch MatchIdentities(absl::Span<const IdentityFinding> findings) {
  for (IdentityKind kind :
       {IdentityKind::kExternalId, IdentityKind::kEmail, IdentityKind::kPhone}) {
    for (const IdentityFinding& finding : findings) {
      if (finding.key.kind != kind || finding.owner == nullptr) continue;
      if (kind == IdentityKind::kPhone && finding.shared) continue;
      if (Contradicted(kind, findings, *finding.owner)) continue;
      return {finding.owner, kind};
    }
  }
  return {};
}

std::string ComposedName(const Person& person) {
  bool both = !person.given_name.empty() && !person.family_name.empty();
  return Concat(person.given_name, both ? " " : "", person.family_name);
}

void KeepNameComposed(const Person& before, Person& after) {
  bool untouched = after.display_name == before.display_name;
  if (after.display_name.empty() || (untouched && before.display_name == ComposedName(before))) {
    after.display_name = ComposedName(after);
  }
}

Lead MergeCapture(Lead known, const Lead& captured) {
  FillName(known.person, captured.person);
  Person& person = known.person;
  AddNew(person.emails, captured.person.emails, kMaxEmails,
         [](const Email& a, const Email& b) { return a.address == b.address; });
  AddNew(person.phones, captured.person.phones, kMaxPhones, SamePhone);
  Fill(person.job_title, captured.person.job_title);
  Fill(person.language, captured.person.language);
  Fill(person.country, captured.person.country);
  Fill(person.time_zone, captured.person.time_zone);
  Fill(person.birth_date, captured.person.birth_date);
  if (person.postal_address == PostalAddress{}) {
    person.postal_address = captured.person.postal_address;
  }
  FillOrganization(known.organization, captured.organization);
  AddNew(known.needs, captured.needs, kMaxNeeds, std::equal_to<>());
  if (known.maturity == Maturity::kUnspecified) known.maturity = captured.maturity;
  Fill(known.estimated_value, captured.estimated_value);
  AddNew(known.external_ids, captured.external_ids, kMaxExternalIds, std::equal_to<>());
  for (const auto& [key, value] : captured.labels) {
    if (known.labels.size() >= kMaxLabels) break;
    known.labels.emplace(key, value);
  }
  return known;
}

absl::StatusOr<CapturedLead> CaptureLead(const Lead& captured,
                                         absl::Span<const IdentityFinding> findings,
                                         const CaptureContext& context) {
  IdentityMatch match = MatchIdentities(findings);
  CapturedLead result;
  result.matched_by = match.matched_by;
  Lead merged = MergeCapture(match.lead == nullptr ? Lead{} : *match.lead, captured);
  if (match.lead == nullptr) {
    result.outcome = CaptureOutcome::kCreated;
    merged.id = context.new_id;
    merged.acquisition = captured.acquisition;
    merged.acquisition.first_touch_time = context.occur_time;
    merged.market = captured.market;
    if (merged.market == Market::kUnspecified) {
      const Organization& organization = captured.organization;
      bool named = !organization.display_name.empty() || !organization.domain.empty();
      merged.market = named ? Market::kB2b : Market::kB2c;
    }
  } else {
    result.outcome = CaptureOutcome::kMatched;
  }
  ASSIGN_OR_RETURN(result.lead, Transit(std::move(merged), Trigger::kCaptureLead,
                                        {.now = context.now, .occur_time = context.occur_time}));

  std::vector<IdentityKey> carried = IdentitiesOf(result.lead);
  for (const IdentityFinding& finding : findings) {
    bool carries = std::find(carried.begin(), carried.end(), finding.key) != carried.end();
    if (finding.owner == nullptr) {
      if (carries) result.claims.push_back(finding.key);
      continue;
    }
    if (match.lead != nullptr && finding.owner->id == match.lead->id) continue;
    result.conflicts.push_back({finding.key.kind, finding.key.value, finding.owner->id});
    if (finding.key.kind == IdentityKind::kPhone && !finding.shared && carries) {
      result.claims.push_back(SharedMark(finding.key));
    }
  }
  return result;
}

IdentityChanges ChangedIdentities(const Lead& before, const Lead& after) {
  std::vector<IdentityKey> old_keys = IdentitiesOf(before);
  std::vector<IdentityKey> new_keys = IdentitiesOf(after);
  auto without = [](const std::vector<IdentityKey>& keys, const std::vector<IdentityKey>& others) {
    std::vector<IdentityKey> rest;
    for (const IdentityKey& key : keys) {
      if (std::find(others.begin(), others.end(), key) == others.end()) rest.push_back(key);
    }
    return rest;
  };
  return {.added = without(new_keys, old_keys), .removed = without(old_keys, new_keys)};
}

}  // namespace relais::domain
