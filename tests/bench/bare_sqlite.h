// The captures of a bare SQLite loop: prepared statements, one commit a capture, the durability of
// the server (write-ahead log, synchronous = FULL), no network.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "tests/bench/template_rows.h"

namespace relais::bench {

// Captures a second into the database `path`, whose schema the server made; persons are numbered
// from `first`. Throws std::runtime_error.
double RunBareSqlite(const std::string& path, const CaptureTemplate& model, int64_t first,
                     std::chrono::milliseconds time);

}  // namespace relais::bench
