#include "server/domain/duplicates.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdlib>
#include <deque>
#include <optional>
#include <tuple>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/types/span.h"

namespace relais::domain {
namespace {

using Id = uint32_t;  // of a term in its pool; 0: none
constexpr int kBit = 100;

// ---- The configuration ------------------------------------------------------------------------
// Weights in hundredths of a bit. Those of disagreement are logarithms of how often the records of
// one person differ there: names seldom, addresses and phones often. Found by trying against three
// published lists (tests/data/duplicates_test.cc), and the same for all of them.

// For each record there is about one other of the same person among all.
constexpr int kPrior = 100;

struct NameWeights {
  int most, near, similar, nickname, initial, different;
};
constexpr NameWeights kGiven = {1100, -200, -420, -150, 150, -420};
constexpr NameWeights kFamily = {1300, -200, -420, -200, 100, -450};
constexpr int kSwapped = -250;

constexpr int kEmailBonus = 400, kEmailNear = -150, kEmailDifferent = -150;
constexpr int kSameLocalPart = 500, kLikeLocalPart = 350;
constexpr int kPhoneMost = 1300, kPhoneNear = 300, kPhoneDifferent = -100;
constexpr int kBirthNear = -250, kBirthMonth = 550, kBirthYear = 280, kBirthDifferent = -420;
constexpr int kBirthMost = 1500;
constexpr int kHouseNumber = 450, kHouseNumberDifferent = -300;
constexpr int kStreetMost = 1400, kStreetDifferent = -250;
constexpr int kPostalMost = 900, kPostalNear = 150, kPostalDifferent = -150;
constexpr int kLocalityMost = 800, kLocalityNear = -150, kLocalityDifferent = -150;
constexpr int kRegionMost = 150, kRegionDifferent = -50;
constexpr int kOrganizationMost = 1600, kOrganizationLeast = -500;
constexpr int kUnmatchedPercent = 35, kUnmatchedMost = 500, kNearWordPercent = 70;
// A colleague is not a duplicate: between people a company is worth no more.
constexpr int kEmployerMost = 250, kEmployerLeast = -50;
constexpr int kDomainMost = 800;
// People of different given names share a telephone and a house with their family, a company's with
// their colleagues: together these are worth no more.
constexpr int kSharedMost = 500;

constexpr int kLink = 0;     // pairs that may join groups
constexpr int kJoin = -100;  // average weight between two groups that are joined
constexpr size_t kMaxGroup = 64;
constexpr size_t kMaxBlock = 60;  // records that share a key and are all compared
constexpr size_t kWindow = 6;     // neighbours compared where more do

// ---- Integers ---------------------------------------------------------------------------------

// Logarithm to base 2 in hundredths, rounded down; of 1 and less 0.
int Log2(int64_t x) {
  if (x <= 1) return 0;
  const int whole = std::bit_width(static_cast<uint64_t>(x)) - 1;
  // Mantissa in [1, 2) with 30 bits behind the point; each squaring gives a binary digit.
  uint64_t m = whole >= 30 ? static_cast<uint64_t>(x) >> (whole - 30)
                           : static_cast<uint64_t>(x) << (30 - whole);
  int fraction = 0;
  for (int i = 0; i < 10; ++i) {
    m = (m * m) >> 30;
    fraction <<= 1;
    if (m >= uint64_t{1} << 31) {
      m >>= 1;
      fraction |= 1;
    }
  }
  return whole * kBit + fraction * kBit / 1024;
}

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsWord(char c) {
  return IsDigit(c) || (c >= 'a' && c <= 'z') || (static_cast<unsigned char>(c) & 0x80) != 0;
}

std::vector<std::string_view> Words(std::string_view text) {
  std::vector<std::string_view> words;
  for (size_t i = 0; i < text.size();) {
    if (!IsWord(text[i])) {
      ++i;
      continue;
    }
    size_t end = i;
    while (end < text.size() && (IsWord(text[end]) || text[end] == '\'')) ++end;
    words.push_back(text.substr(i, end - i));
    i = end;
  }
  return words;
}

std::string_view Trim(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

// What stands for one thing in addresses and company names.
std::string_view Unabbreviated(std::string_view word) {
  struct Form {
    std::string_view shorter, word;
  };
  static constexpr Form kForms[] = {
      {"street", "st"},
      {"avenue", "ave"},
      {"av", "ave"},
      {"road", "rd"},
      {"drive", "dr"},
      {"place", "pl"},
      {"court", "ct"},
      {"boulevard", "blvd"},
      {"lane", "ln"},
      {"parkway", "pkwy"},
      {"square", "sq"},
      {"terrace", "ter"},
      {"crescent", "cres"},
      {"circuit", "cct"},
      {"close", "cl"},
      {"highway", "hwy"},
      {"north", "n"},
      {"south", "s"},
      {"east", "e"},
      {"west", "w"},
      {"saint", "st"},
      {"strasse", "str"},
      {"stra\u00dfe", "str"},
      {"rue", "r"},
      {"incorporated", "inc"},
      {"limited", "ltd"},
      {"corporation", "corp"},
      {"company", "co"},
      {"centre", "center"},
      {"ctr", "center"},
      {"assoc", "association"},
      {"assn", "association"},
      {"sch", "school"},
      {"elem", "elementary"},
      {"dev", "development"},
      {"comm", "community"},
      {"svcs", "services"},
      {"serv", "services"},
      {"univ", "university"},
      {"intl", "international"},
      {"ctrs", "centers"},
      {"and", ""},
      {"the", ""},
      {"of", ""},
      {"for", ""},
  };
  for (const Form& form : kForms) {
    if (form.shorter == word) return form.word;
  }
  return word;
}

// The letters that tell names apart by sound, English spelling in mind: a first letter and up to
// three classes of consonants (Russell's Soundex, US patent 1,261,167), letters beyond ASCII left
// out.
std::string Sound(std::string_view name) {
  static constexpr std::string_view kClasses = "01230120022455012623010202";
  std::string sound;
  char last = 0;
  for (char c : name) {
    if (c < 'a' || c > 'z') continue;
    const char digit = kClasses[static_cast<size_t>(c - 'a')];
    if (sound.empty()) {
      sound.push_back(c);
    } else if (digit != '0' && digit != last) {
      sound.push_back(digit);
      if (sound.size() == 4) break;
    }
    if (c != 'h' && c != 'w') last = digit;
  }
  return sound;
}

constexpr std::string_view kNicknames[] = {
    "robert bob bobby rob robbie bert",
    "william will bill billy willie liam",
    "richard rick dick ricky rich richie",
    "james jim jimmy jamie",
    "john jack johnny jon",
    "joseph joe joey jo",
    "michael mike mick mickey micky",
    "thomas tom tommy",
    "charles charlie chuck chas",
    "edward ed eddie ted teddy ned",
    "henry harry hank hal",
    "george georgie",
    "daniel dan danny",
    "david dave davey",
    "andrew andy drew",
    "anthony tony antony ant",
    "alexander alex sandy xander sasha",
    "benjamin ben benny",
    "christopher chris kit topher",
    "christine chris chrissy tina",
    "donald don donny",
    "frederick fred freddie freddy",
    "francis frank frankie",
    "gregory greg",
    "jeffrey jeff geoff",
    "kenneth ken kenny",
    "lawrence larry laurie",
    "leonard len lenny leo",
    "matthew matt matty",
    "nicholas nick nicky nico",
    "nathaniel nathan nate nat",
    "patrick pat paddy",
    "peter pete",
    "philip phil phillip",
    "raymond ray",
    "ronald ron ronnie",
    "samuel sam sammy",
    "stephen steve steven stevie",
    "timothy tim timmy",
    "vincent vince vinnie",
    "walter walt wally",
    "zachary zach zack",
    "elizabeth liz beth betty lizzie eliza lisa libby elsie bess",
    "margaret maggie peggy meg marge daisy rita",
    "katherine kate kathy katie kat cathy kay catherine",
    "mary molly polly mae marie",
    "patricia pat patty trish tricia",
    "jennifer jen jenny jenn",
    "susan sue susie suzy",
    "barbara barb babs",
    "dorothy dot dottie dolly",
    "deborah deb debbie",
    "rebecca becky becca",
    "victoria vicky tori vic",
    "alexandra alex sandra sandy lexi",
    "abigail abby gail",
    "amanda mandy",
    "angela angie",
    "caroline carol carrie",
    "cynthia cindy",
    "eleanor ellie nell nora",
    "emily em emmy",
    "frances fran fanny",
    "gabrielle gabby",
    "helen nell nellie",
    "isabella bella izzy isabel",
    "jacqueline jackie",
    "jessica jess jessie",
    "judith judy",
    "kimberly kim",
    "madeline maddie maddy",
    "nancy nan",
    "natalie nat",
    "pamela pam",
    "penelope penny",
    "samantha sam sammie",
    "sarah sally sara",
    "stephanie steph",
    "theresa terry tess teresa",
    "veronica ronnie vera",
    "virginia ginny",
    "jose pepe",
    "francisco paco pancho curro",
    "ignacio nacho",
    "guadalupe lupe",
    "johannes hans hannes",
    "josef sepp",
    "friedrich fritz",
    "heinrich heinz",
    "wilhelm willi",
    "maximilian max",
    "giuseppe beppe peppe",
    "giovanni gianni",
    "luigi gigi",
    "jean-pierre jp",
};

using NicknameMap = absl::flat_hash_map<std::string_view, std::vector<int>>;
const NicknameMap& Nicknames() {
  static const NicknameMap* const kMap = [] {
    auto* map = new NicknameMap();
    int set = 0;
    for (std::string_view names : kNicknames) {
      for (std::string_view name : Words(names)) (*map)[name].push_back(set);
      ++set;
    }
    return map;
  }();
  return *kMap;
}

// ---- Terms ------------------------------------------------------------------------------------

class Pool {
 public:
  Pool() : values_(1), counts_(1), given_(1) {}

  Id Of(std::string_view value) {
    if (value.empty()) return 0;
    auto it = ids_.find(value);
    if (it != ids_.end()) return it->second;
    const Id id = static_cast<Id>(values_.size());
    values_.emplace_back(value);
    counts_.push_back(0);
    given_.push_back(0);
    ids_.emplace(values_.back(), id);
    return id;
  }
  void Count(Id id) { ++counts_[id]; }
  void Set(std::string_view value, int64_t records) {
    given_[Of(value)] = std::max<int64_t>(1, records);
  }

  std::string_view value(Id id) const { return values_[id]; }
  // Of the records, how many hold the term: as told, else as counted.
  int64_t frequency(Id id) const {
    return given_[id] > 0 ? given_[id] : std::max<int64_t>(1, counts_[id]);
  }

 private:
  std::deque<std::string> values_;
  std::vector<uint32_t> counts_;
  std::vector<int64_t> given_;
  absl::flat_hash_map<std::string_view, Id> ids_;
};

struct Span {
  uint32_t begin = 0, size = 0;
};

struct Record {
  Id given = 0, family = 0, domain = 0, number = 0, locality = 0, region = 0, postal = 0;
  int32_t birth = 0;  // YYYYMMDD
  Span organization, emails, phones, street;
};

// A date's days since 1970; nothing for what is no date, such as a month 13.
std::optional<int64_t> Days(int32_t date) {
  const int year = date / 10000, month = date / 100 % 100, day = date % 100;
  if (month < 1 || month > 12 || day < 1 || day > 31) return std::nullopt;
  // Days from the civil date, March-based years (H. Hinnant, "chrono-compatible date algorithms").
  const int y = month <= 2 ? year - 1 : year;
  const int era = y / 400, of_era = y - era * 400;
  const int of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  return int64_t{era} * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

std::array<char, 8> Digits(int32_t date) {
  std::array<char, 8> digits{};
  for (size_t i = 8; i-- > 0; date /= 10) digits[i] = static_cast<char>('0' + date % 10);
  return digits;
}

uint64_t Mix(uint64_t h, std::string_view text) {
  for (char c : text) h = (h ^ static_cast<unsigned char>(c)) * 0x100000001b3;  // FNV-1a
  return (h ^ 0xff) * 0x100000001b3;
}
uint64_t Key(char kind, std::string_view a, std::string_view b = {}) {
  uint64_t h = Mix(Mix(0xcbf29ce484222325 ^ static_cast<unsigned char>(kind), a), b);
  h ^= h >> 29;
  h *= 0xbf58476d1ce4e5b9;
  return h ^ (h >> 32);
}

}  // namespace

// ---- Comparing texts --------------------------------------------------------------------------

int JaroWinkler(std::string_view a, std::string_view b) {
  if (a == b) return 1000;
  if (a.empty() || b.empty() || a.size() > 64 || b.size() > 64) return 0;
  const int la = static_cast<int>(a.size()), lb = static_cast<int>(b.size());
  const int reach = std::max(0, std::max(la, lb) / 2 - 1);
  uint64_t in_a = 0, in_b = 0;
  int matches = 0;
  for (int i = 0; i < la; ++i) {
    for (int j = std::max(0, i - reach); j <= std::min(lb - 1, i + reach); ++j) {
      if ((in_b >> j & 1) != 0 || a[static_cast<size_t>(i)] != b[static_cast<size_t>(j)]) continue;
      in_a |= uint64_t{1} << i;
      in_b |= uint64_t{1} << j;
      ++matches;
      break;
    }
  }
  if (matches == 0) return 0;
  int out_of_place = 0;
  for (int i = 0, j = 0; i < la; ++i) {
    if ((in_a >> i & 1) == 0) continue;
    while ((in_b >> j & 1) == 0) ++j;
    if (a[static_cast<size_t>(i)] != b[static_cast<size_t>(j)]) ++out_of_place;
    ++j;
  }
  const int jaro =
      (1000 * matches / la + 1000 * matches / lb + 1000 * (matches - out_of_place / 2) / matches) /
      3;
  int prefix = 0;
  while (prefix < 4 && prefix < la && prefix < lb &&
         a[static_cast<size_t>(prefix)] == b[static_cast<size_t>(prefix)]) {
    ++prefix;
  }
  return jaro + prefix * (1000 - jaro) / 10;
}

int Edits(std::string_view a, std::string_view b, int most) {
  constexpr size_t kLongest = 64;
  if (a.size() > b.size()) std::swap(a, b);
  if (b.size() - a.size() > static_cast<size_t>(most) || b.size() > kLongest) return most + 1;
  std::array<std::array<int, kLongest + 1>, 3> rows;
  for (size_t j = 0; j <= b.size(); ++j) rows[0][j] = static_cast<int>(j);
  for (size_t i = 1; i <= a.size(); ++i) {
    auto& row = rows[i % 3];
    const auto& above = rows[(i + 2) % 3];
    const auto& before = rows[(i + 1) % 3];
    row[0] = static_cast<int>(i);
    int least = row[0];
    for (size_t j = 1; j <= b.size(); ++j) {
      int best =
          std::min({above[j] + 1, row[j - 1] + 1, above[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        best = std::min(best, before[j - 2] + 1);
      }
      row[j] = best;
      least = std::min(least, best);
    }
    // A swap reaches back two rows, at one edit.
    if (least > most + 1) return most + 1;
  }
  return std::min(rows[a.size() % 3][b.size()], most + 1);
}

bool AreNicknames(std::string_view a, std::string_view b) {
  auto x = Nicknames().find(a), y = Nicknames().find(b);
  if (x == Nicknames().end() || y == Nicknames().end()) return false;
  return std::find_first_of(x->second.begin(), x->second.end(), y->second.begin(),
                            y->second.end()) != x->second.end();
}

std::vector<std::string> NicknamesOf(std::string_view name) {
  std::vector<std::string> others;
  auto found = Nicknames().find(name);
  if (found == Nicknames().end()) return others;
  for (int set : found->second) {
    for (std::string_view other : Words(kNicknames[static_cast<size_t>(set)])) {
      if (other != name) others.emplace_back(other);
    }
  }
  return others;
}

int DuplicateScore(int weight) {
  const int size = std::min(std::abs(weight), 20 * kBit);
  // 2 to the power of size, in 1/1024, the fraction between two whole bits drawn straight.
  const int64_t odds = (int64_t{1024} << (size / kBit)) * (kBit + size % kBit) / kBit;
  const int score = static_cast<int>(1000 * odds / (odds + 1024));
  return weight >= 0 ? score : 1000 - score;
}

// ---- The records ------------------------------------------------------------------------------

struct DuplicateFinder::Records {
  std::vector<Record> records;
  std::vector<Id> lists;
  Pool names, words, emails, phones, birth_dates, places;
  int64_t population = 0;

  int64_t all() const {
    return std::max<int64_t>({population, static_cast<int64_t>(records.size()), 2});
  }
  absl::Span<const Id> list(Span span) const {
    return absl::MakeConstSpan(lists).subspan(span.begin, span.size);
  }
  Span Listed(const std::vector<Id>& ids) {
    Span span{static_cast<uint32_t>(lists.size()), static_cast<uint32_t>(ids.size())};
    lists.insert(lists.end(), ids.begin(), ids.end());
    return span;
  }
  int Rarity(const Pool& pool, Id id) const { return log_all() - Log2(pool.frequency(id)); }
  int log_all() const { return Log2(all()); }

  void Add(const DuplicateProfile& profile);
  std::vector<Id> OrganizationWords(std::string_view text);

  // One comparison: what each field adds.
  struct Finding {
    int weight = 0;
    Likeness likeness = Likeness::kUnspecified;
  };
  Finding CompareNames(const NameWeights& weights, Id a, Id b) const;
  Finding CompareEmails(const Record& a, const Record& b) const;
  Finding ComparePhones(const Record& a, const Record& b) const;
  Finding CompareBirth(const Record& a, const Record& b) const;
  Finding CompareWords(absl::Span<const Id> a, absl::Span<const Id> b, int most, int least) const;
  Finding CompareStreets(const Record& a, const Record& b) const;
  // `evidence` may be null.
  int Compare(const Record& a, const Record& b, std::vector<DuplicateEvidence>* evidence) const;

  std::vector<uint64_t> Keys(const Record& record) const;
};

std::vector<Id> DuplicateFinder::Records::OrganizationWords(std::string_view text) {
  std::vector<Id> ids;
  for (std::string_view word : Words(text)) {
    std::string_view plain = Unabbreviated(word);
    if (plain.empty()) continue;
    std::string bare;
    for (char c : plain) {
      if (c != '\'') bare.push_back(c);
    }
    const Id id = words.Of(bare);
    if (std::find(ids.begin(), ids.end(), id) == ids.end()) ids.push_back(id);
  }
  for (Id id : ids) words.Count(id);
  return ids;
}

void DuplicateFinder::Records::Add(const DuplicateProfile& profile) {
  Record record;
  auto one = [](Pool& pool, std::string_view text) {
    const Id id = pool.Of(Trim(text));
    if (id != 0) pool.Count(id);
    return id;
  };
  record.given = one(names, profile.given_name);
  record.family = one(names, profile.family_name);
  record.domain = one(words, profile.domain);
  record.locality = one(places, profile.locality);
  record.region = one(places, profile.region);
  record.postal = one(places, profile.postal_code);
  std::vector<Id> ids;
  for (const std::string& email : profile.emails) {
    if (const Id id = one(emails, email); id != 0) ids.push_back(id);
  }
  record.emails = Listed(ids);
  ids.clear();
  for (const std::string& phone : profile.phones) {
    std::string digits;
    for (char c : phone) {
      if (IsDigit(c)) digits.push_back(c);
    }
    constexpr size_t kSubscriber = 7;  // what national and international spellings share
    if (digits.size() < kSubscriber - 1) continue;
    if (digits.size() > kSubscriber) digits.erase(0, digits.size() - kSubscriber);
    ids.push_back(one(phones, digits));
  }
  record.phones = Listed(ids);
  std::string date;
  for (char c : profile.birth_date) {
    if (IsDigit(c)) date.push_back(c);
  }
  if (date.size() == 8) {
    for (char c : date) record.birth = record.birth * 10 + (c - '0');
    one(birth_dates, date);
  }
  record.organization = Listed(OrganizationWords(profile.organization));
  ids.clear();
  for (std::string_view word : Words(profile.street)) {
    if (record.number == 0 && ids.empty() && IsDigit(word.front())) {
      record.number = one(places, word);
      continue;
    }
    const std::string_view plain = Unabbreviated(word);
    if (plain.empty()) continue;
    const Id id = words.Of(plain);
    if (std::find(ids.begin(), ids.end(), id) == ids.end()) ids.push_back(id);
  }
  for (Id id : ids) words.Count(id);
  record.street = Listed(ids);
  records.push_back(record);
}

DuplicateFinder::Records::Finding DuplicateFinder::Records::CompareNames(const NameWeights& weights,
                                                                         Id a, Id b) const {
  if (a == 0 || b == 0) return {};
  if (a == b) return {std::min(weights.most, Rarity(names, a)), Likeness::kExact};
  std::string_view x = names.value(a), y = names.value(b);
  // A misspelt name is rare; how common the name is tells the commoner spelling.
  const int rarity = std::min({weights.most, Rarity(names, a), Rarity(names, b)});
  if (x.size() > y.size()) std::swap(x, y);
  if (x.size() == 1) {
    if (y.front() == x.front()) return {weights.initial, Likeness::kSimilar};
    return {weights.different, Likeness::kDifferent};
  }
  if (AreNicknames(x, y)) return {std::max(150, rarity + weights.nickname), Likeness::kNickname};
  const int edits = Edits(x, y, 2);
  if (edits <= 1 || (edits == 2 && x.size() >= 8)) {
    return {std::max(100, rarity + weights.near), Likeness::kNear};
  }
  if (x.size() >= 3 && y.starts_with(x)) {
    return {std::max(50, rarity + weights.near), Likeness::kNear};
  }
  const int likeness = JaroWinkler(x, y);
  if (likeness >= 860 || (edits == 2 && x.size() >= 5)) {
    return {std::max(0, rarity + weights.similar), Likeness::kSimilar};
  }
  return {weights.different, Likeness::kDifferent};
}

DuplicateFinder::Records::Finding DuplicateFinder::Records::CompareEmails(const Record& a,
                                                                          const Record& b) const {
  Finding best;
  for (Id x : list(a.emails)) {
    for (Id y : list(b.emails)) {
      Finding found{kEmailDifferent, Likeness::kDifferent};
      // A mailbox that many use is nobody's; a handful of records may well be one person's.
      const int64_t users = std::max(emails.frequency(x), emails.frequency(y));
      const int rarity = log_all() + kEmailBonus - Log2(std::max<int64_t>(1, users / 4));
      if (x == y) {
        found = {rarity, Likeness::kExact};
      } else {
        const std::string_view m = emails.value(x), n = emails.value(y);
        // The part before the @ tells people apart; a slip may have hit the @ itself.
        const std::string_view k = m.substr(0, m.find('@')), l = n.substr(0, n.find('@'));
        const int most = std::max(1, static_cast<int>(std::min(k.size(), l.size())) / 4);
        const int edits = Edits(m, n, most);
        if (edits <= most) {
          found = {rarity + kEmailNear - 50 * edits, Likeness::kNear};
        } else if (k == l && k.size() >= 5) {
          found = {kSameLocalPart, Likeness::kSimilar};
        } else if (JaroWinkler(k, l) >= 900) {
          found = {kLikeLocalPart, Likeness::kSimilar};
        }
      }
      if (best.likeness == Likeness::kUnspecified || found.weight > best.weight) best = found;
    }
  }
  return best;
}

DuplicateFinder::Records::Finding DuplicateFinder::Records::ComparePhones(const Record& a,
                                                                          const Record& b) const {
  Finding best;
  for (Id x : list(a.phones)) {
    for (Id y : list(b.phones)) {
      Finding found{kPhoneDifferent, Likeness::kDifferent};
      if (x == y) {
        found = {std::min(kPhoneMost, Rarity(phones, x)), Likeness::kExact};
      } else if (Edits(phones.value(x), phones.value(y), 1) <= 1) {
        found = {kPhoneNear, Likeness::kNear};
      }
      if (best.likeness == Likeness::kUnspecified || found.weight > best.weight) best = found;
    }
  }
  return best;
}

DuplicateFinder::Records::Finding DuplicateFinder::Records::CompareBirth(const Record& a,
                                                                         const Record& b) const {
  if (a.birth == 0 || b.birth == 0) return {};
  const std::array<char, 8> m = Digits(a.birth), n = Digits(b.birth);
  const std::string_view x(m.data(), m.size()), y(n.data(), n.size());
  // Days are about evenly spread: with few records their own count would say too little.
  constexpr int kDays = 1420;  // of half a century
  const int rarity = std::min(kBirthMost, kDays);
  if (a.birth == b.birth) return {rarity, Likeness::kExact};
  if (Edits(x, y, 1) <= 1) return {rarity + kBirthNear - 300, Likeness::kNear};
  const bool swapped = x.substr(0, 4) == y.substr(0, 4) && x.substr(4, 2) == y.substr(6, 2) &&
                       x.substr(6, 2) == y.substr(4, 2);
  if (swapped) return {rarity + kBirthNear, Likeness::kNear};
  std::optional<int64_t> d = Days(a.birth), e = Days(b.birth);
  if (d.has_value() && e.has_value()) {
    const int64_t apart = std::abs(*d - *e);
    if (apart <= 31) return {kBirthMonth, Likeness::kSimilar};
    if (apart <= 366) return {kBirthYear, Likeness::kSimilar};
  }
  if (x.substr(4) == y.substr(4)) return {kBirthMonth, Likeness::kSimilar};
  return {kBirthDifferent, Likeness::kDifferent};
}

DuplicateFinder::Records::Finding DuplicateFinder::Records::CompareWords(absl::Span<const Id> a,
                                                                         absl::Span<const Id> b,
                                                                         int most,
                                                                         int least) const {
  if (a.empty() || b.empty()) return {};
  constexpr size_t kMostWords = 32;
  a = a.subspan(0, std::min(a.size(), kMostWords));
  b = b.subspan(0, std::min(b.size(), kMostWords));
  uint32_t used = 0;
  int weight = 0, missed = 0;
  bool exact = a.size() == b.size();
  auto near = [&](Id x, Id y) {
    const std::string_view m = words.value(x), n = words.value(y);
    if (std::min(m.size(), n.size()) < 4) return false;
    return Edits(m, n, m.size() >= 8 ? 2 : 1) <= (m.size() >= 8 ? 2 : 1);
  };
  std::array<bool, kMostWords> matched{};
  for (size_t i = 0; i < a.size(); ++i) {
    for (size_t j = 0; j < b.size(); ++j) {
      if (a[i] != b[j]) continue;
      used |= uint32_t{1} << j;
      matched[i] = true;
      weight += Rarity(words, a[i]);
    }
  }
  for (size_t i = 0; i < a.size(); ++i) {
    if (matched[i]) continue;
    exact = false;
    for (size_t j = 0; j < b.size(); ++j) {
      if ((used >> j & 1) != 0 || !near(a[i], b[j])) continue;
      used |= uint32_t{1} << j;
      matched[i] = true;
      weight += kNearWordPercent * std::min(Rarity(words, a[i]), Rarity(words, b[j])) / 100;
      break;
    }
    if (!matched[i]) missed += std::min(kUnmatchedMost, Rarity(words, a[i]));
  }
  for (size_t j = 0; j < b.size(); ++j) {
    if ((used >> j & 1) == 0) missed += std::min(kUnmatchedMost, Rarity(words, b[j]));
  }
  weight = std::clamp(weight - kUnmatchedPercent * missed / 100, least, most);
  return {weight, exact          ? Likeness::kExact
                  : weight > 400 ? Likeness::kNear
                  : weight > 0   ? Likeness::kSimilar
                                 : Likeness::kDifferent};
}

DuplicateFinder::Records::Finding DuplicateFinder::Records::CompareStreets(const Record& a,
                                                                           const Record& b) const {
  Finding street = CompareWords(list(a.street), list(b.street), 900, kStreetDifferent);
  if (a.number == 0 || b.number == 0) return street;
  if (a.number == b.number) {
    // The same number in another street says nothing.
    if (street.likeness == Likeness::kDifferent) return street;
    street.weight += kHouseNumber;
    if (street.likeness == Likeness::kUnspecified) street.likeness = Likeness::kSimilar;
  } else {
    street.weight = std::min(street.weight, 300) + kHouseNumberDifferent;
    street.likeness = Likeness::kDifferent;
  }
  street.weight = std::min(street.weight, kStreetMost);
  return street;
}

int DuplicateFinder::Records::Compare(const Record& a, const Record& b,
                                      std::vector<DuplicateEvidence>* evidence) const {
  int total = kPrior - log_all();
  auto add = [&](DuplicateReason reason, const Finding& found) {
    if (found.likeness == Likeness::kUnspecified) return;
    total += found.weight;
    if (evidence != nullptr) evidence->push_back({reason, found.likeness, found.weight});
  };

  const Finding given = CompareNames(kGiven, a.given, b.given);
  const Finding family = CompareNames(kFamily, a.family, b.family);
  // One name in the other's place, on one side.
  const Finding given_family = CompareNames(kGiven, a.given, b.family);
  const Finding family_given = CompareNames(kFamily, a.family, b.given);
  const int crossed = given_family.weight + family_given.weight + kSwapped;
  const bool swapped = crossed > given.weight + family.weight && crossed > 0;
  const bool others = !swapped && given.likeness == Likeness::kDifferent;
  if (swapped) {
    add(DuplicateReason::kSwappedNames, {crossed, Likeness::kExact});
  } else {
    add(DuplicateReason::kGivenName, given);
    add(DuplicateReason::kFamilyName, family);
  }
  add(DuplicateReason::kEmail, CompareEmails(a, b));
  add(DuplicateReason::kBirthDate, CompareBirth(a, b));

  const bool people = (a.given != 0 || a.family != 0) && (b.given != 0 || b.family != 0);
  Finding organization = CompareWords(list(a.organization), list(b.organization), kOrganizationMost,
                                      kOrganizationLeast);
  if (people) organization.weight = std::clamp(organization.weight, kEmployerLeast, kEmployerMost);
  add(DuplicateReason::kOrganization, organization);
  if (a.domain != 0 && a.domain == b.domain) {
    add(DuplicateReason::kDomain,
        {std::min(people ? kEmployerMost : kDomainMost, Rarity(words, a.domain)),
         Likeness::kExact});
  }

  const int before_shared = total;
  add(DuplicateReason::kPhone, ComparePhones(a, b));
  const Finding street = CompareStreets(a, b);
  add(DuplicateReason::kStreet, street);
  // Who lives in one street lives in one town: the coarser place adds what the finer left open.
  int share = street.weight > 400 ? 50 : 100;
  if (a.postal != 0 && b.postal != 0) {
    Finding postal{kPostalDifferent, Likeness::kDifferent};
    if (a.postal == b.postal) {
      postal = {share * std::min(kPostalMost, Rarity(places, a.postal)) / 100, Likeness::kExact};
      share = 50;
    } else if (Edits(places.value(a.postal), places.value(b.postal), 1) <= 1) {
      postal = {kPostalNear, Likeness::kNear};
    }
    add(DuplicateReason::kPostalCode, postal);
  }
  if (a.locality != 0 && b.locality != 0) {
    Finding locality{kLocalityDifferent, Likeness::kDifferent};
    const int rarity =
        std::min({kLocalityMost, Rarity(places, a.locality), Rarity(places, b.locality)});
    if (a.locality == b.locality) {
      locality = {share * rarity / 100, Likeness::kExact};
    } else if (std::string_view x = places.value(a.locality), y = places.value(b.locality);
               Edits(x, y, 2) <= 2 || JaroWinkler(x, y) >= 880) {
      locality = {std::max(0, share * rarity / 100 + kLocalityNear), Likeness::kNear};
    }
    add(DuplicateReason::kLocality, locality);
  }
  if (a.region != 0 && b.region != 0) {
    total +=
        a.region == b.region ? std::min(kRegionMost, Rarity(places, a.region)) : kRegionDifferent;
  }
  if (others) total = std::min(total, before_shared + kSharedMost);
  return total;
}

// ---- Blocking ---------------------------------------------------------------------------------

std::vector<uint64_t> DuplicateFinder::Records::Keys(const Record& record) const {
  std::vector<uint64_t> keys;
  auto add = [&keys](char kind, std::string_view a, std::string_view b = {}) {
    keys.push_back(Key(kind, a, b));
  };
  for (Id email : list(record.emails)) {
    const std::string_view text = emails.value(email);
    add('e', text);
    const std::string_view local = text.substr(0, text.find('@'));
    if (local.size() >= 5) add('l', local);
    if (text.size() >= 8) {
      add('m', text.substr(0, 6));
      add('n', text.substr(text.size() - 8));
    }
  }
  for (Id phone : list(record.phones)) add('p', phones.value(phone));

  std::vector<std::string> sounds;
  for (Id name : {record.given, record.family}) {
    if (name != 0) sounds.push_back(Sound(names.value(name)));
  }
  std::string birth;
  if (record.birth != 0) {
    const std::array<char, 8> digits = Digits(record.birth);
    birth.assign(digits.data(), digits.size());
  }
  const std::string_view number =
      record.number == 0 ? std::string_view() : places.value(record.number);
  if (sounds.size() == 2) {
    add('s', std::min(sounds[0], sounds[1]), std::max(sounds[0], sounds[1]));
    std::string_view x = names.value(record.given), y = names.value(record.family);
    if (y < x) std::swap(x, y);
    add('x', x, y);
  }
  if (!birth.empty()) add('b', birth);
  for (const std::string& sound : sounds) {
    if (!birth.empty()) {
      add('B', birth, sound);
      add('Y', birth.substr(0, 4), sound);
    }
    if (record.locality != 0) add('L', places.value(record.locality), sound);
    if (record.postal != 0) add('P', places.value(record.postal), sound);
    if (!number.empty()) add('N', number, sound);
  }

  // Of a list of words the rarest are its best keys.
  auto rarest = [this](Span span) {
    std::vector<Id> ids(list(span).begin(), list(span).end());
    std::sort(ids.begin(), ids.end(), [this](Id x, Id y) {
      const int64_t m = words.frequency(x), n = words.frequency(y);
      return m != n ? m < n : words.value(x) < words.value(y);
    });
    return ids;
  };
  const std::vector<Id> street = rarest(record.street);
  for (size_t i = 0; i < street.size() && i < 2; ++i) {
    if (!number.empty()) add('h', number, words.value(street[i]));
    if (record.postal != 0) add('H', places.value(record.postal), words.value(street[i]));
  }
  if (!number.empty() && record.postal != 0) add('z', number, places.value(record.postal));
  const std::vector<Id> organization = rarest(record.organization);
  const bool person = record.given != 0 || record.family != 0;
  for (size_t i = 0; i < organization.size() && i < 4; ++i) {
    const std::string_view word = words.value(organization[i]);
    if (person) {
      for (const std::string& sound : sounds) {
        if (i == 0) add('w', word, sound);
      }
      continue;
    }
    if (!number.empty()) add('o', word, number);
    add('O', word);
    for (size_t j = i + 1; j < organization.size() && j < 4; ++j) {
      const std::string_view other = words.value(organization[j]);
      add('q', std::min(word, other), std::max(word, other));
    }
  }
  std::sort(keys.begin(), keys.end());
  keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
  return keys;
}

// ---- The finder -------------------------------------------------------------------------------

DuplicateFinder::DuplicateFinder() : records_(std::make_unique<Records>()) {}
DuplicateFinder::~DuplicateFinder() = default;

void DuplicateFinder::Add(const DuplicateProfile& profile) { records_->Add(profile); }
size_t DuplicateFinder::size() const { return records_->records.size(); }
void DuplicateFinder::SetPopulation(int64_t records) { records_->population = records; }

void DuplicateFinder::SetFrequency(Term term, std::string_view value, int64_t records) {
  switch (term) {
    case Term::kName:
      return records_->names.Set(value, records);
    case Term::kWord:
      return records_->words.Set(value, records);
    case Term::kEmail:
      return records_->emails.Set(value, records);
    case Term::kPhone:
      return records_->phones.Set(value, records);
    case Term::kBirthDate:
      return records_->birth_dates.Set(value, records);
    case Term::kPlace:
      return records_->places.Set(value, records);
  }
}

DuplicateComparison DuplicateFinder::Compare(size_t first, size_t second) const {
  DuplicateComparison comparison;
  comparison.weight =
      records_->Compare(records_->records[first], records_->records[second], &comparison.evidence);
  comparison.score = DuplicateScore(comparison.weight);
  std::stable_sort(comparison.evidence.begin(), comparison.evidence.end(),
                   [](const auto& a, const auto& b) { return a.weight > b.weight; });
  return comparison;
}

namespace {

struct Link {
  int weight;
  uint32_t first, second;
};

}  // namespace

std::vector<DuplicatePair> DuplicateFinder::Sweep(
    const std::function<bool(int done)>& progress) const {
  const std::vector<Record>& all = records_->records;
  const size_t n = all.size();
  auto go_on = [&](size_t part, size_t of, int from, int to) {
    return !progress || progress(from + static_cast<int>(part * static_cast<size_t>(to - from) /
                                                         std::max<size_t>(1, of)));
  };
  constexpr size_t kTell = 8192;

  struct Entry {
    uint64_t key;
    uint32_t record;
    bool operator<(const Entry& other) const {
      return key != other.key ? key < other.key : record < other.record;
    }
  };
  std::vector<Entry> entries;
  for (size_t i = 0; i < n; ++i) {
    for (uint64_t key : records_->Keys(all[i])) entries.push_back({key, static_cast<uint32_t>(i)});
    if (i % kTell == 0 && !go_on(i, n, 0, 200)) return {};
  }
  std::sort(entries.begin(), entries.end());

  // The keys by which each record is compared with all who share them.
  std::vector<uint32_t> starts(n + 1);
  std::vector<std::pair<size_t, size_t>> blocks, large;
  for (size_t i = 0; i < entries.size();) {
    size_t end = i;
    while (end < entries.size() && entries[end].key == entries[i].key) ++end;
    if (end - i > kMaxBlock) {
      large.emplace_back(i, end);
    } else if (end - i > 1) {
      blocks.emplace_back(i, end);
      for (size_t j = i; j < end; ++j) ++starts[entries[j].record + 1];
    }
    i = end;
  }
  for (size_t i = 0; i < n; ++i) starts[i + 1] += starts[i];
  std::vector<uint32_t> block_of(starts[n]), fill(starts.begin(), starts.end() - 1);
  for (size_t b = 0; b < blocks.size(); ++b) {
    for (size_t j = blocks[b].first; j < blocks[b].second; ++j) {
      block_of[fill[entries[j].record]++] = static_cast<uint32_t>(b);
    }
  }
  // The first block that two records share.
  auto first_shared = [&](uint32_t x, uint32_t y) {
    uint32_t i = starts[x], j = starts[y];
    while (i < starts[x + 1] && j < starts[y + 1]) {
      if (block_of[i] == block_of[j]) return block_of[i];
      block_of[i] < block_of[j] ? ++i : ++j;
    }
    return UINT32_MAX;
  };

  std::vector<Link> links;
  auto look = [&](uint32_t x, uint32_t y) {
    const int weight = records_->Compare(all[x], all[y], nullptr);
    if (weight >= kLink) links.push_back({weight, std::min(x, y), std::max(x, y)});
  };
  for (size_t b = 0; b < blocks.size(); ++b) {
    for (size_t i = blocks[b].first; i < blocks[b].second; ++i) {
      for (size_t j = i + 1; j < blocks[b].second; ++j) {
        const uint32_t x = entries[i].record, y = entries[j].record;
        if (first_shared(x, y) == b) look(x, y);
      }
    }
    if (b % kTell == 0 && !go_on(b, blocks.size(), 200, 700)) return {};
  }
  // Of a key that many share, neighbours in the order of names and birth dates.
  std::vector<uint64_t> windows;
  for (auto [begin, end] : large) {
    std::vector<uint32_t> block;
    for (size_t i = begin; i < end; ++i) block.push_back(entries[i].record);
    std::sort(block.begin(), block.end(), [&](uint32_t x, uint32_t y) {
      const Record &a = all[x], &b = all[y];
      auto order = [&](const Record& r) {
        return std::tuple(records_->names.value(r.family), records_->names.value(r.given), r.birth,
                          records_->places.value(r.number));
      };
      const auto m = order(a), o = order(b);
      return m != o ? m < o : x < y;
    });
    for (size_t i = 0; i < block.size(); ++i) {
      for (size_t j = i + 1; j < block.size() && j <= i + kWindow; ++j) {
        const uint32_t x = std::min(block[i], block[j]), y = std::max(block[i], block[j]);
        windows.push_back(uint64_t{x} << 32 | y);
      }
    }
  }
  std::sort(windows.begin(), windows.end());
  windows.erase(std::unique(windows.begin(), windows.end()), windows.end());
  for (size_t i = 0; i < windows.size(); ++i) {
    const uint32_t x = static_cast<uint32_t>(windows[i] >> 32),
                   y = static_cast<uint32_t>(windows[i]);
    if (first_shared(x, y) == UINT32_MAX) look(x, y);
    if (i % kTell == 0 && !go_on(i, windows.size(), 700, 900)) return {};
  }

  std::sort(links.begin(), links.end(), [](const Link& a, const Link& b) {
    if (a.weight != b.weight) return a.weight > b.weight;
    return a.first != b.first ? a.first < b.first : a.second < b.second;
  });
  std::vector<uint32_t> group_of(n);
  absl::flat_hash_map<uint32_t, std::vector<uint32_t>> groups;
  for (uint32_t i = 0; i < n; ++i) group_of[i] = i;
  auto members = [&](uint32_t group) -> std::vector<uint32_t>& {
    std::vector<uint32_t>& list = groups[group];
    if (list.empty()) list.push_back(group);
    return list;
  };
  for (const Link& link : links) {
    const uint32_t x = group_of[link.first], y = group_of[link.second];
    if (x == y) continue;
    // Both made before either is held: making one may move the other.
    members(x);
    members(y);
    std::vector<uint32_t>&p = groups[x], &q = groups[y];
    if (p.size() + q.size() > kMaxGroup) continue;
    int64_t sum = 0;
    for (uint32_t i : p) {
      for (uint32_t j : q) {
        sum += std::clamp(records_->Compare(all[i], all[j], nullptr), -10 * kBit, 10 * kBit);
      }
    }
    if (sum < kJoin * static_cast<int64_t>(p.size() * q.size())) continue;
    for (uint32_t j : q) group_of[j] = x;
    p.insert(p.end(), q.begin(), q.end());
    groups.erase(y);
  }

  std::vector<DuplicatePair> pairs;
  for (auto& [group, list] : groups) {
    std::sort(list.begin(), list.end());
    for (size_t i = 0; i < list.size(); ++i) {
      for (size_t j = i + 1; j < list.size(); ++j) {
        pairs.push_back({list[i], list[j], Compare(list[i], list[j])});
      }
    }
  }
  std::sort(pairs.begin(), pairs.end(), [](const DuplicatePair& a, const DuplicatePair& b) {
    return a.first != b.first ? a.first < b.first : a.second < b.second;
  });
  for (DuplicatePair& pair : pairs) {
    if (pair.comparison.score >= kDuplicateScore) continue;
    pair.comparison.score = kDuplicateScore;
    pair.comparison.evidence.insert(pair.comparison.evidence.begin(),
                                    {DuplicateReason::kCommonMatch, Likeness::kSimilar, 0});
  }
  return pairs;
}

}  // namespace relais::domain
