#include "server/services/duplicates.h"

#include <algorithm>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "server/convert/duplicate_profile.h"
#include "server/convert/search_words.h"
#include "server/domain/identity.h"
#include "server/domain/merge.h"
#include "server/domain/status_macros.h"
#include "server/services/serve.h"

namespace relais::services {
namespace {

// Leads looked at for one search: who is not among the best of a name that more share is not told
// apart by it.
constexpr int kHitsPerSearch = 200;
constexpr size_t kMaxCandidates = 1000;
constexpr int64_t kMostCounted = 20'000;  // holders of a term; more make no difference
// Towns and postal codes are not counted: they are taken to hold so many of all leads.
constexpr int64_t kLeadsPerTownShare = 100, kLeadsPerPostalCodeShare = 2'000;

class Search {
 public:
  Search(storage::ReadTxn& txn, const domain::Lead& lead) : txn_(txn), lead_(lead) {}

  absl::Status ByWords(std::vector<std::string> words) {
    words.erase(std::remove(words.begin(), words.end(), std::string()), words.end());
    if (words.empty() || candidates_.size() >= kMaxCandidates) return absl::OkStatus();
    ASSIGN_OR_RETURN(std::vector<storage::SearchHit> hits, txn_.Search(words, kHitsPerSearch));
    for (storage::SearchHit& hit : hits) Add(std::move(hit.lead));
    return absl::OkStatus();
  }
  absl::Status ByIdentities() {
    const std::vector<domain::IdentityKey> keys = domain::IdentitiesOf(lead_);
    ASSIGN_OR_RETURN(auto owners, txn_.IdentityOwners(keys));
    for (std::optional<domain::LeadId>& owner : owners) {
      if (!owner.has_value() || domain::StandsFor(lead_, *owner)) continue;
      holders_.insert(owner->value);
      Add(*std::move(owner));
    }
    return absl::OkStatus();
  }

  std::vector<domain::LeadId> candidates() const {
    std::vector<domain::LeadId> ids;
    for (const std::string& id : candidates_) ids.emplace_back(id);
    return ids;
  }
  bool HoldsIdentity(const domain::LeadId& id) const { return holders_.contains(id.value); }

 private:
  void Add(domain::LeadId id) {
    if (!domain::StandsFor(lead_, id)) candidates_.insert(std::move(id.value));
  }

  storage::ReadTxn& txn_;
  const domain::Lead& lead_;
  std::set<std::string> candidates_, holders_;
};

// How common what the lead has is among all leads.
absl::Status TellFrequencies(storage::ReadTxn& txn, const domain::DuplicateProfile& profile,
                             domain::DuplicateFinder& finder) {
  using Term = domain::DuplicateFinder::Term;
  ASSIGN_OR_RETURN(const int64_t population, txn.EstimateLeads());
  finder.SetPopulation(population);
  std::vector<std::pair<Term, std::string>> terms;
  for (const std::string& name : {profile.given_name, profile.family_name}) {
    if (!name.empty()) terms.emplace_back(Term::kName, name);
  }
  for (std::string& word : convert::SearchWords(profile.organization)) {
    terms.emplace_back(Term::kWord, std::move(word));
  }
  if (!profile.domain.empty()) terms.emplace_back(Term::kWord, profile.domain);
  for (const std::string& email : profile.emails) terms.emplace_back(Term::kEmail, email);
  std::vector<std::string> texts;
  for (const auto& [term, text] : terms) texts.push_back(text);
  ASSIGN_OR_RETURN(std::vector<int64_t> counts, txn.CountTerms(texts, kMostCounted));
  for (size_t i = 0; i < terms.size(); ++i) {
    finder.SetFrequency(terms[i].first, terms[i].second, counts[i]);
  }
  if (!profile.locality.empty()) {
    finder.SetFrequency(Term::kPlace, profile.locality, population / kLeadsPerTownShare);
  }
  if (!profile.postal_code.empty()) {
    finder.SetFrequency(Term::kPlace, profile.postal_code, population / kLeadsPerPostalCodeShare);
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::vector<DuplicateCandidate>> DuplicatesOf(storage::ReadTxn& txn,
                                                             const domain::LeadId& id,
                                                             int min_score) {
  ASSIGN_OR_RETURN(domain::Lead lead, FindLead(txn, id));
  const domain::DuplicateProfile profile = convert::DuplicateProfileOf(lead);

  Search search(txn, lead);
  RETURN_IF_ERROR(search.ByIdentities());
  for (const std::string& email : profile.emails) RETURN_IF_ERROR(search.ByWords({email}));
  for (const domain::Phone& phone : lead.person.phones) {
    RETURN_IF_ERROR(
        search.ByWords(convert::SearchWords(phone.number.empty() ? phone.raw : phone.number)));
  }
  std::vector<std::string> names = convert::SearchWords(profile.given_name);
  for (std::string& name : convert::SearchWords(profile.family_name)) {
    names.push_back(std::move(name));
  }
  RETURN_IF_ERROR(search.ByWords(names));
  for (const std::string& other : domain::NicknamesOf(profile.given_name)) {
    RETURN_IF_ERROR(search.ByWords({other, profile.family_name}));
  }
  RETURN_IF_ERROR(search.ByWords({profile.family_name}));
  const std::vector<std::string> words = convert::SearchWords(profile.organization);
  if (names.empty()) {
    // A company: by any two words of its name that follow each other.
    if (words.size() == 1) RETURN_IF_ERROR(search.ByWords(words));
    constexpr size_t kMostPairs = 6;
    for (size_t i = 0; i + 1 < words.size() && i < kMostPairs; ++i) {
      RETURN_IF_ERROR(search.ByWords({words[i], words[i + 1]}));
    }
    RETURN_IF_ERROR(search.ByWords({profile.domain}));
  }

  const std::vector<domain::LeadId> ids = search.candidates();
  domain::DuplicateFinder finder;
  RETURN_IF_ERROR(TellFrequencies(txn, profile, finder));
  finder.Add(profile);
  ASSIGN_OR_RETURN(std::vector<std::optional<domain::Lead>> leads, txn.GetLeads(ids));
  // In place of one that was merged comes the one that stands for it, perhaps a second time.
  std::vector<DuplicateCandidate> found;
  std::set<std::string> seen = {lead.id.value};
  for (size_t i = 0; i < leads.size(); ++i) {
    if (!leads[i].has_value() || !seen.insert(leads[i]->id.value).second) continue;
    finder.Add(convert::DuplicateProfileOf(*leads[i]));
    domain::DuplicateComparison comparison = finder.Compare(0, finder.size() - 1);
    if (comparison.score < min_score && !search.HoldsIdentity(ids[i])) continue;
    found.push_back({leads[i]->id, std::move(comparison)});
  }
  std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) {
    if (a.comparison.score != b.comparison.score) return a.comparison.score > b.comparison.score;
    return a.lead.value < b.lead.value;
  });
  return found;
}

}  // namespace relais::services
