// Medians, and the result of a benchmark as a table and as JSON.
#pragma once

#include <ostream>
#include <string>
#include <utility>
#include <vector>

namespace relais::bench {

// The value below which the share `q` (0 to 1) of `values` lies, by the nearest rank; NaN when
// there are none.
double Quantile(std::vector<double> values, double q);
double Median(std::vector<double> values);

// The value with so many digits behind the point.
std::string Text(double value, int digits);

// One comparison: what was measured and what it is measured against, one pair a repetition.
class Comparison {
 public:
  Comparison(std::string name, std::string unit) : name_(std::move(name)), unit_(std::move(unit)) {}

  void Add(double measured, double baseline);
  const std::string& name() const { return name_; }
  const std::string& unit() const { return unit_; }
  size_t pairs() const { return measured_.size(); }
  double measured() const { return Median(measured_); }
  double baseline() const { return Median(baseline_); }
  // The median of the ratios of the pairs: what disturbs the machine disturbs both of a pair.
  double ratio() const;
  double least() const;
  double most() const;

 private:
  std::vector<double> Ratios() const;

  std::string name_, unit_;
  std::vector<double> measured_, baseline_;
};

// What one side of a comparison cost, one value a repetition: microseconds of processor time a call
// and of latency, and calls a second.
struct Cost {
  std::string what;
  std::vector<double> server, database, client, p50, p99, rate;
};

// What is asked of a figure and what would be good (both empty for one that is only told), and what
// its two sides do.
struct Bar {
  std::string floor, aim, measured, baseline;
};
Bar BarOf(const std::string& name);

void PrintTable(const std::vector<Comparison>& comparisons, std::ostream& out);
std::string ToMarkdown(const std::vector<Comparison>& comparisons);
std::string SidesToMarkdown(const std::vector<Comparison>& comparisons);  // what each side does
std::string ToMarkdown(const std::vector<Cost>& costs);                   // the medians
// A list of {"name", "ratio", "measured", "baseline", "unit", "pairs"}.
std::string ToJson(const std::vector<Comparison>& comparisons);

}  // namespace relais::bench
