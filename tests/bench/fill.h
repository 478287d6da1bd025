// Many leads at once, written past the server: every row that real calls would have left, in every
// table and every index, made from rows that real calls did leave. Names and companies are met
// again as in life (people.h); most leads have one to three touchpoints and one in two hundred has
// fifty; scores, stages and dates are spread; one lead in nine has an opportunity. Sealed values
// and digests are copies: nobody could open them.
//
// Errors are std::runtime_errors.
#pragma once

#include <cstdint>
#include <string>

#include "tests/bench/lead_calls.h"
#include "tests/bench/template_rows.h"

namespace relais::bench {

// Filled leads are persons from this number on, with the lead ids IdOf(number, kLeadId).
inline constexpr int64_t kFirstFilled = 5'000'000'000;

// What calls left behind: a person captured for the first time and for the second time, and what a
// win adds.
struct FillModel {
  CaptureTemplate first, again;
  TemplateRow opportunity;
};

// Where rows are read from and written to.
struct FillTarget {
  std::string postgres_dsn;  // one of the two
  std::string sqlite_path;
};

// Plays both at a server that runs on the target, whose database is otherwise empty, and reads what
// they left there.
FillModel MakeFillModel(LeadClient& client, const FillTarget& target, int64_t person);

// Adds leads kFirstFilled + 1 to kFirstFilled + count. No server runs; the caller sees to it that
// the words of kAllNames persons are known to the search index already.
void Fill(const FillTarget& target, const FillModel& model, int64_t count);

}  // namespace relais::bench
