#include "clients/cli/progress.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <string>

namespace relais::cli {
namespace {

constexpr int kBarWidth = 30;
constexpr auto kRedraw = std::chrono::milliseconds(100);

}  // namespace

Progress::Progress(int64_t rows_total, int64_t rows_before)
    : terminal_(isatty(STDERR_FILENO) == 1),
      total_(std::max<int64_t>(rows_total, 1)),
      before_(rows_before),
      start_(std::chrono::steady_clock::now()) {}

void Progress::Advance(int64_t row, int64_t refused) {
  auto now = std::chrono::steady_clock::now();
  double seconds = std::chrono::duration<double>(now - start_).count();
  double rate = seconds > 0 ? static_cast<double>(row - before_) / seconds : 0;
  if (!terminal_) {
    std::fprintf(stderr, "row %lld of %lld, %lld refused, %.0f rows/s\n",
                 static_cast<long long>(row), static_cast<long long>(total_),
                 static_cast<long long>(refused), rate);
    return;
  }
  if (row < total_ && open_ && now - drawn_ < kRedraw) return;
  drawn_ = now;
  open_ = true;
  int filled = static_cast<int>(kBarWidth * std::min(row, total_) / total_);
  std::string bar(static_cast<size_t>(filled), '=');
  bar.resize(kBarWidth, ' ');
  auto left = rate > 0 ? static_cast<long long>(static_cast<double>(total_ - row) / rate) : 0;
  std::fprintf(stderr, "\r[%s] %3lld %% %lld/%lld rows, %.0f/s, %lld refused, %lld:%02lld left  ",
               bar.c_str(), static_cast<long long>(100 * row / total_), static_cast<long long>(row),
               static_cast<long long>(total_), rate, static_cast<long long>(refused), left / 60,
               left % 60);
  std::fflush(stderr);
}

void Progress::Finish() {
  if (open_) std::fprintf(stderr, "\n");
  open_ = false;
}

}  // namespace relais::cli
