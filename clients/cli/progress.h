// How far an import has come: a bar that is redrawn on a terminal, a line a chunk elsewhere. Both
// go to the error output, so that the standard output stays for data. Not thread-safe.
#pragma once

#include <chrono>
#include <cstdint>

namespace relais::cli {

class Progress {
 public:
  // `rows_before` were done by an earlier run and do not count in the rate.
  Progress(int64_t rows_total, int64_t rows_before);
  void Advance(int64_t row, int64_t refused);
  // Ends the bar's line. Idempotent.
  void Finish();

 private:
  const bool terminal_;
  const int64_t total_, before_;
  const std::chrono::steady_clock::time_point start_;
  std::chrono::steady_clock::time_point drawn_;
  bool open_ = false;
};

}  // namespace relais::cli
