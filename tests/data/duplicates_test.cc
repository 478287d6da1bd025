// Duplicate detection against lists whose true pairs are known (shared/data/dedup), all with the
// one configuration that is shipped. What is measured is pairwise: of the pairs of records that
// were found, how many are of one person (precision); of those that are, how many were found
// (recall).
//
// RELAIS_DATA is the folder of the sets (default ../shared/data beside the checkout). Where it is
// absent the test is skipped, unless CI or RELAIS_REQUIRE_DATA is set.
#include "server/domain/duplicates.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "clients/cli/csv.h"
#include "server/convert/duplicate_profile.h"

namespace relais {
namespace {

namespace fs = std::filesystem;
using domain::Lead;

// The fields of one record by column.
class Fields {
 public:
  Fields(const std::vector<std::string>& header, const std::vector<std::string>& fields) {
    for (size_t i = 0; i < header.size() && i < fields.size(); ++i) by_name_[header[i]] = fields[i];
  }
  const std::string& operator[](const std::string& name) const {
    auto it = by_name_.find(name);
    if (it == by_name_.end()) ADD_FAILURE() << "no column " << name;
    static const std::string kNone;
    return it == by_name_.end() ? kNone : it->second;
  }

 private:
  std::map<std::string, std::string> by_name_;
};

struct List {
  const char* file;
  size_t records;
  int64_t true_pairs;  // as the README of the data counts them
  double floor;        // least F1
  std::function<Lead(const Fields&)> lead;
  std::function<std::string(const Fields&)> cluster;  // never shown to the detector
};

List Splink() {
  return {"splink_fake_1000.csv",
          1000,
          2975,
          0.92,
          [](const Fields& row) {
            Lead lead;
            lead.person.given_name = row["first_name"];
            lead.person.family_name = row["surname"];
            lead.person.birth_date = row["dob"];
            lead.person.postal_address.locality = row["city"];
            if (!row["email"].empty()) lead.person.emails.push_back({row["email"], ""});
            return lead;
          },
          [](const Fields& row) { return row["cluster"]; }};
}

// Without soc_sec_id, which alone would tell nearly everything.
List Febrl() {
  return {"febrl_dataset3.csv",
          5000,
          6538,
          0.96,
          [](const Fields& row) {
            Lead lead;
            lead.person.given_name = row["given_name"];
            lead.person.family_name = row["surname"];
            lead.person.birth_date = row["date_of_birth"];
            lead.person.postal_address = {
                .street = row["street_number"] + " " + row["address_1"] + ", " + row["address_2"],
                .locality = row["suburb"],
                .region = row["state"],
                .postal_code = row["postcode"],
                .country = "AU"};
            return lead;
          },
          [](const Fields& row) {
            const std::string id = row["rec_id"];  // rec-552-dup-3
            return id.substr(4, id.find('-', 4) - 4);
          }};
}

List Chicago() {
  return {"chicago_early_childhood_true_ids.csv",
          3337,
          6608,
          0.78,
          [](const Fields& row) {
            Lead lead;
            lead.organization.display_name = row["Site name"];
            lead.person.postal_address.street = row["Address"];
            lead.person.postal_address.postal_code = row["Zip"];
            if (!row["Phone"].empty()) lead.person.phones.push_back({"", row["Phone"], ""});
            return lead;
          },
          [](const Fields& row) { return row["True Id"]; }};
}

class DuplicatesOfList : public testing::TestWithParam<List> {};

TEST_P(DuplicatesOfList, AreFoundWithTheShippedConfiguration) {
  const List& list = GetParam();
  const char* folder = std::getenv("RELAIS_DATA");
  const fs::path file =
      fs::path(folder != nullptr ? folder : RELAIS_DEFAULT_DATA) / "dedup" / list.file;
  if (!fs::exists(file)) {
    const bool required =
        std::getenv("CI") != nullptr || std::getenv("RELAIS_REQUIRE_DATA") != nullptr;
    ASSERT_FALSE(required) << file << " is not there";
    GTEST_SKIP() << file << " is not there";
  }
  auto reader = cli::CsvReader::Open(file, {});
  ASSERT_TRUE(reader.ok()) << reader.status();
  std::vector<std::string> clusters;
  std::vector<domain::DuplicateProfile> profiles;
  cli::CsvRecord record;
  for (auto more = (*reader)->Next(record); more.ok() && *more; more = (*reader)->Next(record)) {
    const Fields fields((*reader)->header(), record.fields);
    clusters.push_back(list.cluster(fields));
    profiles.push_back(convert::DuplicateProfileOf(list.lead(fields)));
  }
  ASSERT_EQ(profiles.size(), list.records);

  const auto begun = std::chrono::steady_clock::now();
  domain::DuplicateFinder finder;
  for (const domain::DuplicateProfile& profile : profiles) finder.Add(profile);
  const std::vector<domain::DuplicatePair> pairs = finder.Sweep();
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begun;

  std::map<std::string, int64_t> sizes;
  for (const std::string& cluster : clusters) ++sizes[cluster];
  int64_t truth = 0, right = 0;
  for (const auto& [cluster, size] : sizes) truth += size * (size - 1) / 2;
  ASSERT_EQ(truth, list.true_pairs);
  for (const domain::DuplicatePair& pair : pairs) {
    if (clusters[pair.first] == clusters[pair.second]) ++right;
  }
  ASSERT_FALSE(pairs.empty());
  const double precision = static_cast<double>(right) / static_cast<double>(pairs.size());
  const double recall = static_cast<double>(right) / static_cast<double>(truth);
  const double f1 = 2 * precision * recall / (precision + recall);
  std::printf("%s: %zu records, precision %.4f, recall %.4f, F1 %.4f (at least %.2f), %.2f s\n",
              list.file, profiles.size(), precision, recall, f1, list.floor, took.count());
  EXPECT_GE(f1, list.floor);
}

INSTANTIATE_TEST_SUITE_P(Published, DuplicatesOfList, testing::Values(Splink(), Febrl(), Chicago()),
                         [](const testing::TestParamInfo<List>& info) {
                           const std::string file = info.param.file;
                           return file.substr(0, file.find('_'));
                         });

}  // namespace
}  // namespace relais
