// duplicates_bench [RECORDS...]: how long it takes to find the duplicates among so many people, and
// how well that goes. The people are made up: names, towns and mail providers as unevenly spread as
// in life (rank r is met about 1/r as often as the first), one in ten recorded two or three times,
// the repetitions with slips, other spellings, other addresses and gaps. Without arguments 10,000,
// 100,000 and 1,000,000 records.
#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "server/domain/duplicates.h"

namespace relais::bench {
namespace {

using domain::DuplicateProfile;

class People {
 public:
  explicit People(size_t records) : random_(records) {
    for (std::string& name : given_) name = Word(4, 8);
    for (std::string& name : family_) name = Word(5, 11);
    for (std::string& town : towns_) town = Word(5, 10);
    for (std::string& domain : domains_) domain = Word(5, 9) + ".example";
    while (profiles.size() < records) {
      const size_t first = profiles.size();
      profiles.push_back(Person());
      if (random_() % 10 == 0) {
        const size_t more = 1 + random_() % 2;
        for (size_t i = 0; i < more && profiles.size() < records; ++i) {
          profiles.push_back(Again(profiles[first]));
        }
      }
      const size_t of_one = profiles.size() - first;
      true_pairs += of_one * (of_one - 1) / 2;
      person_of.resize(profiles.size(), static_cast<uint32_t>(first));
    }
  }

  std::vector<DuplicateProfile> profiles;
  std::vector<uint32_t> person_of;
  size_t true_pairs = 0;

 private:
  std::string Word(size_t least, size_t most) {
    const size_t length = least + random_() % (most - least + 1);
    std::string word;
    for (size_t i = 0; i < length; ++i) {
      word += i % 2 == 0 ? "bcdfghjklmnprstvwz"[random_() % 18] : "aeiouy"[random_() % 6];
    }
    return word;
  }
  // A rank below n, the r-th about 1/r as likely as the first.
  template <size_t N>
  const std::string& Zipf(const std::array<std::string, N>& words) {
    const double u = std::uniform_real_distribution<double>(0, 1)(random_);
    const double rank = std::pow(static_cast<double>(N) + 1, u) - 1;
    return words[std::min(N - 1, static_cast<size_t>(rank))];
  }
  std::string Digits(size_t n) {
    std::string digits;
    for (size_t i = 0; i < n; ++i) digits += static_cast<char>('0' + random_() % 10);
    return digits;
  }
  DuplicateProfile Person() {
    DuplicateProfile person;
    person.given_name = Zipf(given_);
    person.family_name = Zipf(family_);
    person.emails = {person.given_name + "." + person.family_name + Digits(3) + "@" +
                     Zipf(domains_)};
    if (random_() % 2 == 0) person.phones = {"+33" + Digits(9)};
    const unsigned year = 1945 + random_() % 60, month = 1 + random_() % 12,
                   day = 1 + random_() % 28;
    if (random_() % 3 != 0) {
      char date[16];
      std::snprintf(date, sizeof date, "%04u-%02u-%02u", year, month, day);
      person.birth_date = date;
    }
    person.street = std::to_string(1 + random_() % 200) + " rue " + Zipf(family_);
    person.locality = Zipf(towns_);
    return person;
  }
  void Slip(std::string& text) {
    if (text.size() < 3) return;
    const size_t at = random_() % (text.size() - 1);
    switch (random_() % 4) {
      case 0:
        std::swap(text[at], text[at + 1]);
        break;
      case 1:
        text.erase(at, 1);
        break;
      case 2:
        text[at] = static_cast<char>('a' + random_() % 26);
        break;
      default:
        text.insert(at, 1, static_cast<char>('a' + random_() % 26));
    }
  }
  DuplicateProfile Again(DuplicateProfile person) {
    if (random_() % 3 == 0) Slip(person.given_name);
    if (random_() % 3 == 0) Slip(person.family_name);
    if (random_() % 20 == 0) std::swap(person.given_name, person.family_name);
    if (random_() % 2 == 0) person.emails = {Word(6, 9) + Digits(2) + "@" + Zipf(domains_)};
    if (random_() % 4 == 0) person.emails.clear();
    if (random_() % 3 == 0) person.phones.clear();
    if (random_() % 8 == 0) person.birth_date.clear();
    if (random_() % 5 == 0) {
      person.street = std::to_string(1 + random_() % 200) + " rue " + Zipf(family_);
      person.locality = Zipf(towns_);
    }
    return person;
  }

  std::mt19937_64 random_;
  std::array<std::string, 2'000> given_;
  std::array<std::string, 30'000> family_;
  std::array<std::string, 3'000> towns_;
  std::array<std::string, 200> domains_;
};

double PeakMegabytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1024;
}

void Run(size_t records) {
  People people(records);
  const auto begun = std::chrono::steady_clock::now();
  domain::DuplicateFinder finder;
  for (DuplicateProfile& profile : people.profiles) finder.Add(std::exchange(profile, {}));
  people.profiles = {};
  const auto added = std::chrono::steady_clock::now();
  const std::vector<domain::DuplicatePair> pairs = finder.Sweep();
  const auto swept = std::chrono::steady_clock::now();
  size_t right = 0;
  for (const domain::DuplicatePair& pair : pairs) {
    if (people.person_of[pair.first] == people.person_of[pair.second]) ++right;
  }
  auto seconds = [](auto a, auto b) { return std::chrono::duration<double>(b - a).count(); };
  std::printf(
      "| %zu | %zu | %.3f | %.3f | %.1f | %.1f | %.0f | %.0f |\n", records, people.true_pairs,
      static_cast<double>(right) / static_cast<double>(std::max<size_t>(1, pairs.size())),
      static_cast<double>(right) / static_cast<double>(std::max<size_t>(1, people.true_pairs)),
      seconds(begun, added), seconds(added, swept),
      static_cast<double>(records) / seconds(begun, swept), PeakMegabytes());
  std::fflush(stdout);
}

}  // namespace
}  // namespace relais::bench

int main(int argc, char** argv) {
  std::vector<size_t> sizes;
  for (int i = 1; i < argc; ++i) sizes.push_back(std::strtoull(argv[i], nullptr, 10));
  if (sizes.empty()) sizes = {10'000, 100'000, 1'000'000};
  std::printf(
      "| records | true pairs | precision | recall | added, s | swept, s | records/s | peak MB |\n"
      "|---|---|---|---|---|---|---|---|\n");
  for (size_t records : sizes) relais::bench::Run(records);
  return 0;
}
