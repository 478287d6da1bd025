// libFuzzer: any bytes are a filter or a clean refusal; an accepted one keeps its meaning through
// its canonical text, and evaluating it never fails.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "server/domain/filter.h"
#include "server/domain/filter_eval.h"
#include "tests/domain/filter_generator.h"
#include "tests/domain/filter_specimen.h"

namespace relais::domain {
namespace {

void Require(bool holds) {
  if (!holds) std::abort();
}

struct World {
  FilterSchema schema = SpecimenSchema();
  std::vector<Specimen> specimens;
  std::vector<Sign> signs;

  World() {
    FilterGenerator generator(schema, 1);
    for (int i = 0; i < 4; ++i) specimens.push_back(generator.Entity<Specimen>());
    for (int i = 0; i < 4; ++i) signs.push_back(generator.Entity<Sign>());
  }
};

void Try(std::string_view text) {
  static const World* const kWorld = new World;
  FilterResult first = ParseFilter(text, kWorld->schema);
  if (!first.ok()) {
    Require(first.error().line >= 1 && first.error().column >= 1);
    Require(!first.error().message.empty());
    return;
  }
  FilterResult second =
      ParseFilter(first.filter().Canonical(), kWorld->schema, kCanonicalFilterLimits);
  Require(second.ok() && second.filter() == first.filter());

  std::vector<EntitySubject<Sign>> subjects(kWorld->signs.begin(), kWorld->signs.end());
  std::vector<const FilterSubject*> children;
  for (const auto& subject : subjects) children.push_back(&subject);
  for (const Specimen& specimen : kWorld->specimens) {
    EntitySubject<Specimen> subject(specimen, "touchpoints", children);
    for (Timestamp now : {FilterGenerator::Now(), Timestamp{INT64_MIN}, Timestamp{INT64_MAX}}) {
      Require(Matches(first.filter(), subject, now) == Matches(second.filter(), subject, now));
    }
  }
}

}  // namespace
}  // namespace relais::domain

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  relais::domain::Try({reinterpret_cast<const char*>(data), size});
  return 0;
}
