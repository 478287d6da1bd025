// The people the benchmark captures: distinct by number, and the same for the same number.
#pragma once

#include <cstdint>
#include <string>

#include "relais/v1/lead_service.pb.h"

namespace relais::bench {

// How a person is called: one of 8 given and 4608 family names and 1920 companies, so that most
// names are met again, as in life. Persons 1 to kAllNames have every word of them.
struct Names {
  std::string given, family, company;
};
Names NamesOf(int64_t person);
inline constexpr int64_t kAllNames = 4608;

// A website form: name, one e-mail address, company, job title, campaign, and the touchpoint that
// brought them. With a request id, made of `call`, which must be new for every call.
v1::CaptureLeadRequest CaptureOf(int64_t person, int64_t call);

// A UUID whose first half is `number` and whose second half tells what it is the id of. The first
// SQL expression gives the same from a bigint expression (as uuid).
std::string IdOf(int64_t number, int what);
std::string IdSql(const std::string& number, int what);

inline constexpr int kLeadId = 1, kTouchpointId = 2, kRequestId = 3;

}  // namespace relais::bench
