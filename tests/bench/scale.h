// The scale run: databases of growing size on both engines, and what calls cost on each.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tests/bench/ground.h"

namespace relais::bench {

// One operation on one database.
struct ScalePoint {
  std::string engine;  // "PostgreSQL" or "SQLite"
  int64_t leads = 0;
  double bytes_per_lead = 0;  // of the whole database, indexes included
  std::string operation;
  double p50 = 0, p99 = 0;  // microseconds, with a few calls in flight
  double rate = 0;          // calls a second, with many
};

// Measures every size of the settings; a size for which there is no room on the disk is left out,
// which is noted. An operation that fails is noted and sets `failed`.
struct ScaleRun {
  std::vector<ScalePoint> points;
  std::vector<std::string> left_out;
  bool failed = false;
};
ScaleRun RunScale(Ground& ground);

// A list of {"engine", "leads", "bytes_per_lead", "operation", "p50_us", "p99_us", "rate"}.
std::string ToJson(const ScaleRun& run);
std::string ToMarkdown(const ScaleRun& run);

}  // namespace relais::bench
