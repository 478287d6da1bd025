#include "storage/engine/search.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <set>
#include <tuple>

#include "server/domain/concat.h"
#include "server/domain/status_macros.h"
#include "storage/sql/tables.h"

namespace relais::storage {
namespace {

// Bounds of the work of one search; a word that begins more terms than this is not selective, and
// ranking beyond it helps nobody.
constexpr int64_t kMaxPrefixRows = 20'000;  // rows read for one word
constexpr int64_t kMaxSimilarTerms = 500;   // candidates verified for one word
constexpr int kExact = 1000;
constexpr int kPrefix = 900;
constexpr int kSimilar = 600;
constexpr int kSlip = 100;       // taken off for each edit
constexpr size_t kLongWord = 6;  // code points from which two slips are forgiven

std::vector<std::string> CodePoints(std::string_view text) {
  std::vector<std::string> points;
  for (size_t i = 0; i < text.size();) {
    size_t n = 1;
    while (i + n < text.size() && (static_cast<unsigned char>(text[i + n]) & 0xC0) == 0x80) ++n;
    points.emplace_back(text.substr(i, n));
    i += n;
  }
  return points;
}

using Scores = std::map<std::string, int>;  // lead -> best relevance

void Raise(Scores& scores, const std::string& lead, int relevance) {
  int& best = scores[lead];
  best = std::max(best, relevance);
}

absl::Status AddPrefixMatches(Session& session, const domain::TenantId& tenant,
                              const std::string& word, Scores& scores) {
  static constexpr ColumnType kTypes[] = {ColumnType::kText, ColumnType::kUuid};
  // U+10FFFF sorts after every continuation of the word.
  ASSIGN_OR_RETURN(
      std::vector<Row> rows,
      session.Query("SELECT term, lead_id FROM lead_terms WHERE tenant_id = :p1 AND "
                    "term >= :p2 AND term < :p3 ORDER BY term LIMIT :p4",
                    Row{tenant.value, word, Concat(word, "\xF4\x8F\xBF\xBF"), kMaxPrefixRows},
                    kTypes));
  for (const Row& row : rows) {
    const bool whole = TextOf(row[0]) == word;
    Raise(scores, std::string(TextOf(row[1])), whole ? kExact : kPrefix);
  }
  return absl::OkStatus();
}

absl::Status AddSimilarMatches(Session& session, const domain::TenantId& tenant,
                               const std::string& word, Scores& scores) {
  std::vector<std::string> points = CodePoints(word);
  if (points.size() < 3) return absl::OkStatus();
  const int slips = points.size() < kLongWord ? 1 : 2;
  std::vector<std::string> grams = GramsOf(word);
  // One edit touches at most three grams, so a word within `slips` edits shares the rest.
  const int64_t shared =
      std::max<int64_t>(1, static_cast<int64_t>(grams.size()) - 3 * static_cast<int64_t>(slips));
  std::string sql = "SELECT term, COUNT(*) FROM term_grams WHERE tenant_id = :p1 AND gram IN (";
  std::vector<Cell> params = {tenant.value};
  for (size_t i = 0; i < grams.size(); ++i) {
    params.emplace_back(grams[i]);
    Append(sql, i == 0 ? ":p" : ", :p", params.size());
  }
  params.emplace_back(shared);
  Append(sql, ") GROUP BY term HAVING COUNT(*) >= :p", params.size());
  params.emplace_back(kMaxSimilarTerms);
  Append(sql, " ORDER BY 2 DESC, 1 LIMIT :p", params.size());
  static constexpr ColumnType kTypes[] = {ColumnType::kText, ColumnType::kInteger};
  ASSIGN_OR_RETURN(std::vector<Row> candidates, session.Query(sql, params, kTypes));

  std::map<std::string, int> slips_of;  // terms that resemble the word
  std::vector<Row> keys;
  for (const Row& row : candidates) {
    std::string_view term = TextOf(row[0]);
    // A mistyped beginning counts too: compare with the term's part of the same length.
    std::vector<std::string> letters = CodePoints(term);
    int best = EditDistance(word, term, slips);
    if (letters.size() > points.size()) {
      std::string beginning;
      for (size_t i = 0; i < points.size(); ++i) beginning += letters[i];
      best = std::min(best, EditDistance(word, beginning, slips));
    }
    if (best > slips) continue;
    slips_of.emplace(term, best);
    keys.push_back({std::string(term)});
  }
  if (keys.empty()) return absl::OkStatus();
  static const auto* const kMatch = new std::vector<std::string>{"term"};
  ASSIGN_OR_RETURN(std::vector<Row> found,
                   session.SelectRows(LeadTermsTable(), tenant, *kMatch, keys, false));
  for (const Row& row : found) {  // tenant_id, term, field, lead_id
    Raise(scores, std::string(TextOf(row[3])),
          kSimilar - kSlip * slips_of[std::string(TextOf(row[1]))]);
  }
  return absl::OkStatus();
}

// Whether misspellings of a term are looked for: words of letters, and telephone numbers. Codes,
// whole addresses and the numbers in them are typed in by copying; their pieces would fill the
// index with words that occur once.
bool HasGrams(std::string_view term, int64_t field) {
  constexpr int64_t kPhoneField = 4;
  return field == kPhoneField || std::none_of(term.begin(), term.end(), [](char c) {
           return c == '@' || (c >= '0' && c <= '9');
         });
}

// Where the code points begin, and the end.
std::vector<size_t> Starts(std::string_view text) {
  std::vector<size_t> starts;
  starts.reserve(text.size() + 1);
  for (size_t i = 0; i < text.size(); ++i) {
    if ((static_cast<unsigned char>(text[i]) & 0xC0) != 0x80) starts.push_back(i);
  }
  starts.push_back(text.size());
  return starts;
}

// Of GramsOf(term), the one that it begins with; empty when there is none.
std::string Beginning(std::string_view term) {
  const std::string framed = Concat("^", term, "$");
  const std::vector<size_t> starts = Starts(framed);
  return starts.size() < 4 ? std::string() : framed.substr(0, starts[3]);
}

// Term, field, lead: the order of the key. Views of what the caller holds.
using TermKey = std::tuple<std::string_view, int64_t, std::string_view>;

template <class T>
void SortOnce(std::vector<T>& items) {
  std::sort(items.begin(), items.end());
  items.erase(std::unique(items.begin(), items.end()), items.end());
}

absl::Status RemoveTerms(Session& session, const domain::TenantId& tenant,
                         const std::vector<TermKey>& gone) {
  const bool postgres = session.dialect() == Dialect::kPostgres;
  std::set<std::string_view> touched;
  for (const auto& [term, field, lead] : gone) {
    touched.insert(term);
    RETURN_IF_ERROR(session
                        .Execute(Concat("DELETE FROM lead_terms WHERE tenant_id = :p1 AND term = "
                                        ":p2 AND field = :p3 AND lead_id = ",
                                        postgres ? "CAST(:p4 AS UUID)" : ":p4"),
                                 Row{tenant.value, std::string(term), field, std::string(lead)})
                        .status());
  }
  for (std::string_view term : touched) {
    static constexpr ColumnType kTypes[] = {ColumnType::kInteger};
    ASSIGN_OR_RETURN(std::vector<Row> left,
                     session.Query("SELECT field FROM lead_terms WHERE tenant_id = :p1 AND term = "
                                   ":p2 LIMIT 1",
                                   Row{tenant.value, std::string(term)}, kTypes));
    if (!left.empty()) continue;
    for (const std::string& gram : GramsOf(term)) {
      RETURN_IF_ERROR(session
                          .Execute("DELETE FROM term_grams WHERE tenant_id = :p1 AND gram = :p2 "
                                   "AND term = :p3",
                                   Row{tenant.value, gram, std::string(term)})
                          .status());
    }
  }
  return absl::OkStatus();
}

}  // namespace

std::vector<std::string> GramsOf(std::string_view word) {
  const std::string framed = Concat("^", word, "$");
  const std::vector<size_t> starts = Starts(framed);
  std::vector<std::string> grams;
  for (size_t i = 0; i + 3 < starts.size(); ++i) {
    grams.push_back(framed.substr(starts[i], starts[i + 3] - starts[i]));
  }
  std::sort(grams.begin(), grams.end());
  grams.erase(std::unique(grams.begin(), grams.end()), grams.end());
  return grams;
}

int EditDistance(std::string_view a_text, std::string_view b_text, int most) {
  std::vector<std::string> a = CodePoints(a_text);
  std::vector<std::string> b = CodePoints(b_text);
  if (a.size() > b.size() + static_cast<size_t>(most) ||
      b.size() > a.size() + static_cast<size_t>(most)) {
    return most + 1;
  }
  std::vector<std::vector<int>> cost(a.size() + 1, std::vector<int>(b.size() + 1));
  for (size_t i = 0; i <= a.size(); ++i) cost[i][0] = static_cast<int>(i);
  for (size_t j = 0; j <= b.size(); ++j) cost[0][j] = static_cast<int>(j);
  for (size_t i = 1; i <= a.size(); ++i) {
    for (size_t j = 1; j <= b.size(); ++j) {
      int best = std::min({cost[i - 1][j] + 1, cost[i][j - 1] + 1,
                           cost[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        best = std::min(best, cost[i - 2][j - 2] + 1);
      }
      cost[i][j] = best;
    }
  }
  return std::min(cost[a.size()][b.size()], most + 1);
}

absl::StatusOr<std::vector<SearchHit>> SearchLeads(Session& session, const domain::TenantId& tenant,
                                                   absl::Span<const std::string> words, int limit) {
  std::map<std::string, int> total;  // lead -> sum over the words found so far
  for (size_t i = 0; i < words.size(); ++i) {
    Scores scores;
    RETURN_IF_ERROR(AddPrefixMatches(session, tenant, words[i], scores));
    RETURN_IF_ERROR(AddSimilarMatches(session, tenant, words[i], scores));
    if (i == 0) {
      total = std::move(scores);
      continue;
    }
    for (auto it = total.begin(); it != total.end();) {
      auto found = scores.find(it->first);
      if (found == scores.end()) {
        it = total.erase(it);
      } else {
        it->second += found->second;
        ++it;
      }
    }
  }
  std::vector<SearchHit> hits;
  hits.reserve(total.size());
  for (const auto& [lead, sum] : total) {
    hits.push_back({domain::LeadId(lead), sum / static_cast<int>(words.size())});
  }
  std::stable_sort(hits.begin(), hits.end(), [](const SearchHit& a, const SearchHit& b) {
    return a.relevance > b.relevance;
  });
  if (hits.size() > static_cast<size_t>(limit)) hits.resize(static_cast<size_t>(limit));
  return hits;
}

absl::Status ReplaceTerms(
    Session& session, const domain::TenantId& tenant,
    absl::Span<const std::pair<domain::LeadId, std::vector<SearchTerm>>> leads) {
  std::vector<TermKey> wanted;
  std::vector<Row> keys;
  keys.reserve(leads.size());
  for (const auto& [lead, words] : leads) {
    keys.push_back({lead.value});
    for (const SearchTerm& word : words) wanted.emplace_back(word.term, word.field, lead.value);
  }
  if (keys.empty()) return absl::OkStatus();
  SortOnce(wanted);
  static const auto* const kByLead = new std::vector<std::string>{"lead_id"};
  ASSIGN_OR_RETURN(std::vector<Row> kept,
                   session.SelectRows(LeadTermsTable(), tenant, *kByLead, keys, false));
  std::vector<TermKey> present;
  present.reserve(kept.size());
  for (const Row& row : kept) {  // tenant_id, term, field, lead_id
    present.emplace_back(TextOf(row[1]), IntOr(row[2]), TextOf(row[3]));
  }
  SortOnce(present);
  std::vector<TermKey> added, gone;
  std::set_difference(wanted.begin(), wanted.end(), present.begin(), present.end(),
                      std::back_inserter(added));
  std::set_difference(present.begin(), present.end(), wanted.begin(), wanted.end(),
                      std::back_inserter(gone));

  // Words that no lead had yet. All pieces of a word come and go together, so it is known when its
  // beginning is there.
  std::vector<std::string_view> unknown;
  for (const auto& [term, field, lead] : added) {
    if (HasGrams(term, field)) unknown.push_back(term);
  }
  SortOnce(unknown);
  std::vector<Row> beginnings;
  beginnings.reserve(unknown.size());
  for (std::string_view term : unknown) {
    if (std::string beginning = Beginning(term); !beginning.empty()) {
      beginnings.push_back({std::move(beginning), std::string(term)});
    }
  }
  if (!beginnings.empty()) {
    static const auto* const kByGram = new std::vector<std::string>{"gram", "term"};
    ASSIGN_OR_RETURN(std::vector<Row> known,
                     session.SelectRows(TermGramsTable(), tenant, *kByGram, beginnings, false));
    std::vector<std::string_view> terms;
    terms.reserve(known.size());
    for (const Row& row : known) terms.push_back(TextOf(row[2]));
    SortOnce(terms);
    std::erase_if(unknown, [&](std::string_view term) {
      return std::binary_search(terms.begin(), terms.end(), term);
    });
  }

  std::vector<Row> rows;
  rows.reserve(added.size());
  for (const auto& [term, field, lead] : added) {
    Row& row = rows.emplace_back();
    row.reserve(4);
    row.emplace_back(tenant.value);
    row.emplace_back(std::string(term));
    row.emplace_back(field);
    row.emplace_back(std::string(lead));
  }
  if (!rows.empty()) RETURN_IF_ERROR(session.InsertRows(LeadTermsTable(), rows));
  std::vector<std::pair<std::string, std::string_view>> pieces;  // gram, term: as the key
  for (std::string_view term : unknown) {
    for (std::string& gram : GramsOf(term)) pieces.emplace_back(std::move(gram), term);
  }
  std::sort(pieces.begin(), pieces.end());
  rows.clear();
  for (const auto& [gram, term] : pieces) rows.push_back({tenant.value, gram, std::string(term)});
  if (!rows.empty()) RETURN_IF_ERROR(session.InsertRows(TermGramsTable(), rows));
  return RemoveTerms(session, tenant, gone);
}

}  // namespace relais::storage
