// What a run was made on, and the file that keeps its results.
#pragma once

#include <string>

#include "tests/bench/ground.h"

namespace relais::bench {

// Processor, memory, kernel, disk (with what an fdatasync takes), versions, commit, settings: a
// markdown list.
std::string DescribeRun(Ground& ground);

// Puts `text` into the file in place of the section of that name (between the two comments that
// mark it) or at the end; what else the file says stays. Throws std::runtime_error.
void WriteSection(const std::string& file, const std::string& name, const std::string& text);

}  // namespace relais::bench
