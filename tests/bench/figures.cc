#include "tests/bench/figures.h"

#include <algorithm>
#include <cmath>
#include <iomanip>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

namespace relais::bench {

double Quantile(std::vector<double> values, double q) {
  if (values.empty()) return std::numeric_limits<double>::quiet_NaN();
  auto rank = static_cast<size_t>(std::ceil(q * static_cast<double>(values.size())));
  rank = std::clamp<size_t>(rank, 1, values.size()) - 1;
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(rank),
                   values.end());
  return values[rank];
}

double Median(std::vector<double> values) {
  if (values.empty()) return std::numeric_limits<double>::quiet_NaN();
  std::sort(values.begin(), values.end());
  const size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

void Comparison::Add(double measured, double baseline) {
  measured_.push_back(measured);
  baseline_.push_back(baseline);
}

std::vector<double> Comparison::Ratios() const {
  std::vector<double> out;
  for (size_t i = 0; i < measured_.size(); ++i) out.push_back(measured_[i] / baseline_[i]);
  return out;
}

double Comparison::ratio() const { return Median(Ratios()); }
double Comparison::least() const { return Quantile(Ratios(), 0); }
double Comparison::most() const { return Quantile(Ratios(), 1); }

std::string Wanted(const std::string& name) {
  static const std::map<std::string, std::string> kWanted = {
      {"capture_vs_statements", ">= 3.5"},
      {"capture_vs_function", ">= 1.8"},
      {"capture_vs_go", ">= 3"},
      {"capture_p99_16_vs_single", "<= 0.6"},
      {"capture_p50_1_vs_statements", "<= 1.0"},
      {"capture_p50_2_vs_statements", "<= 1.0"},
      {"capture_sqlite_vs_loop", ">= 2"},
      {"get_vs_pgbench", ">= 0.5"},
      {"get_vs_empty", ">= 0.6"},
      {"list_vs_pgbench", ">= 0.4"},
      {"import_vs_copy", ">= 0.3"},
      {"get_1m_vs_10k", ">= 0.8"},
      {"capture_1m_vs_10k", ">= 0.8"},
      {"list_1m_vs_10k", ">= 0.8"},
      {"page_1000_vs_1", "<= 1.5"},
      {"pg_cpu_vs_statements", "<= 0.125"},
      {"two_servers_vs_one", ">= 1.3"},
      {"hot_keys_vs_uniform", ">= 0.7"},
  };
  auto found = kWanted.find(name);
  return found == kWanted.end() ? "" : found->second;
}

void PrintTable(const std::vector<Comparison>& comparisons, std::ostream& out) {
  out << std::left << std::setw(30) << "figure" << std::right << std::setw(9) << "ratio"
      << std::setw(10) << "wanted" << std::setw(16) << "least..most" << std::setw(12) << "measured"
      << std::setw(12) << "baseline"
      << "  " << std::left << std::setw(10) << "unit"
      << "pairs\n";
  for (const Comparison& c : comparisons) {
    std::ostringstream range;
    range << std::fixed << std::setprecision(2) << c.least() << ".." << c.most();
    out << std::left << std::setw(30) << c.name() << std::right << std::fixed
        << std::setprecision(3) << std::setw(9) << c.ratio() << std::setw(10) << Wanted(c.name())
        << std::setw(16) << range.str() << std::setprecision(1) << std::setw(12) << c.measured()
        << std::setw(12) << c.baseline() << "  " << std::left << std::setw(10) << c.unit()
        << c.pairs() << "\n";
  }
  out.flush();
}

std::string ToJson(const std::vector<Comparison>& comparisons) {
  auto out = nlohmann::json::array();
  for (const Comparison& c : comparisons) {
    out.push_back({{"name", c.name()},
                   {"ratio", c.ratio()},
                   {"measured", c.measured()},
                   {"baseline", c.baseline()},
                   {"unit", c.unit()},
                   {"pairs", c.pairs()}});
  }
  return out.dump(2) + "\n";
}

}  // namespace relais::bench
