// Who may be the same? Compares people, and companies, by what is known of them, and finds the
// likely pairs among many without comparing everyone to everyone.
//
// The weight of a pair is the sum of what its fields say, in the manner of Fellegi and Sunter ("A
// theory for record linkage", 1969): the logarithm of how much likelier a finding is between two
// records of one person than between those of two. What agrees weighs more the rarer it is among
// all records (term frequency), so that a Smith counts for less than a Featherstonehaugh, and what
// the number of records alone makes likely is taken off. All of it is in integers, hundredths of a
// bit, so that every machine finds the same.
//
// There is one configuration, the constants in duplicates.cc, for people and companies alike.
//
// Texts come folded (case, diacritics); this file compares bytes and looks at ASCII letters and
// digits only where it splits words. Pure. A finder is not thread-safe while it is filled; its
// const functions may run on several threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "server/domain/enums.h"

namespace relais::domain {

// What is compared of one record; whatever is unknown stays empty.
struct DuplicateProfile {
  std::string given_name, family_name;  // of a person
  std::string organization;             // name of the company; of an account its own
  std::string domain;                   // of the company, not of a mail provider
  std::vector<std::string> emails;
  std::vector<std::string> phones;  // compared by their last seven digits
  std::string birth_date;           // YYYY-MM-DD or YYYYMMDD
  std::string street, locality, region, postal_code;
};

struct DuplicateEvidence {
  DuplicateReason reason = DuplicateReason::kUnspecified;
  Likeness likeness = Likeness::kUnspecified;
  int weight = 0;  // hundredths of a bit; negative: speaks against
  friend bool operator==(const DuplicateEvidence&, const DuplicateEvidence&) = default;
};

struct DuplicateComparison {
  int weight = 0;  // hundredths of a bit, the odds of the population included
  int score = 0;   // 0 to 1000: the probability in thousandths that the weight stands for
  std::vector<DuplicateEvidence> evidence;  // the weightiest first
};

// The score that a weight stands for: 500 at 0, a thousandth more or less odds every bit.
int DuplicateScore(int weight);

// A pair that is reported: this score and more.
inline constexpr int kDuplicateScore = 500;

struct DuplicatePair {
  size_t first = 0, second = 0;  // in the order of Add; first < second
  DuplicateComparison comparison;
};

// Similarity of two words in thousandths after Jaro and Winkler.
int JaroWinkler(std::string_view a, std::string_view b);

// Edits that turn one text into the other: insertions, deletions, replacements and swaps of
// neighbours, each one; `most` + 1 when there are more than `most`.
int Edits(std::string_view a, std::string_view b, int most);

// Whether two folded given names are forms of one ("bob", "robert").
bool AreNicknames(std::string_view a, std::string_view b);

// The other forms of a folded given name.
std::vector<std::string> NicknamesOf(std::string_view name);

class DuplicateFinder {
 public:
  // What frequencies can be told of.
  enum class Term : int8_t { kName, kWord, kEmail, kPhone, kBirthDate, kPlace };

  DuplicateFinder();
  ~DuplicateFinder();
  DuplicateFinder(const DuplicateFinder&) = delete;
  DuplicateFinder& operator=(const DuplicateFinder&) = delete;

  // The n-th record is known as n, from 0.
  void Add(const DuplicateProfile& profile);
  size_t size() const;

  // For a finder that holds a part of the records only: how many there are in all, and how many of
  // them hold a term. Without, the added ones are all.
  void SetPopulation(int64_t records);
  void SetFrequency(Term term, std::string_view value, int64_t records);

  DuplicateComparison Compare(size_t first, size_t second) const;

  // All likely pairs, by `first`, then `second`. Records are compared that share a blocking key;
  // keys that very many share are narrowed, so the cost grows little faster than the number of
  // records. Likely pairs are then joined into groups, the likeliest first, as long as the records
  // of the joined groups are alike on average; every pair of a group is reported. `progress` is
  // told from 0 to 1000 and stops the search by answering false: then there are no pairs.
  std::vector<DuplicatePair> Sweep(const std::function<bool(int done)>& progress = {}) const;

 private:
  struct Records;
  std::unique_ptr<Records> records_;
};

}  // namespace relais::domain
