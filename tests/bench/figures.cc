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

std::string Text(double value, int digits) {
  std::ostringstream out;
  out << std::fixed << std::setprecision(digits) << value;
  return out.str();
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

Bar BarOf(const std::string& name) {
  static const std::map<std::string, Bar> kBars = {
      {"capture_vs_statements",
       {">= 3.5", "6", "captures/s on PostgreSQL, 256 in flight",
        "pgbench -M prepared with the same statements, one transaction a capture, at its best "
        "client count; events numbered by a sequence"}},
      {"capture_vs_counted",
       {"", "", "captures/s on PostgreSQL, 256 in flight",
        "the same with a counter row that numbers the events without gaps, as the server does"}},
      {"capture_vs_function",
       {">= 1.8", "2.5", "captures/s on PostgreSQL, 256 in flight",
        "pgbench calling one PL/pgSQL function that does the same statements"}},
      {"pg_cpu_vs_statements",
       {"<= 0.125", "0.083",
        "processor time of every PostgreSQL process a capture; what the search index catches up "
        "with "
        "after the measured time is left out",
        "the same a transaction of pgbench with the statements"}},
      {"capture_vs_go",
       {">= 3", "6", "captures/s on PostgreSQL, 256 in flight",
        "the same load on a Go server (gRPC, pgx) that does the same statements, one transaction a "
        "request, at its best number of connections"}},
      {"capture_sqlite_vs_loop",
       {">= 2", "3", "captures/s on SQLite (WAL, synchronous FULL), 256 in flight",
        "the same rows in a loop on SQLite's C interface with the same settings, one commit a "
        "capture, no network"}},
      {"get_vs_pgbench",
       {">= 0.5", "0.7", "GetLead/s (whole leads), 256 in flight, random leads",
        "pgbench: select of all columns by key, at its best client count"}},
      {"get_vs_empty",
       {">= 0.6", "0.8", "GetLead/s (whole leads), 256 in flight, random leads",
        "an empty method of the same server (health check), 256 in flight"}},
      {"list_vs_pgbench",
       {">= 0.4", "0.6", "ListLeads/s, first page of 50 by score, 64 in flight",
        "pgbench: the same page (51 rows, all columns), at its best client count"}},
      {"page_1000_vs_1",
       {"<= 1.5", "1.1", "p50 of the 1000th page by score", "p50 of the first page"}},
      {"capture_p50_1_vs_statements",
       {"<= 1.0", "0.7", "p50 of a capture, one in flight",
        "p50 of pgbench with the statements, one client"}},
      {"capture_p50_2_vs_statements",
       {"<= 1.0", "0.7", "p50 of a capture, two in flight",
        "p50 of pgbench with the statements, two clients"}},
      {"capture_p99_16_vs_single",
       {"<= 0.6", "0.3", "p99 of a capture, 16 in flight",
        "the same on a server with --write_batch=1"}},
      {"hot_keys_vs_uniform",
       {">= 0.7", "1.0", "captures/s of known people, 70 % of them of ten people",
        "captures/s of known people, all alike"}},
      {"two_servers_vs_one",
       {">= 1.3", "1.6",
        "captures/s of two servers on one database and tenant, 256 in flight together",
        "captures/s of one of them, 256 in flight"}},
      {"import_vs_copy",
       {">= 0.3", "0.45", "rows/s of ImportLeads, chunks of 500",
        "COPY of the rows it wrote into the same tables, with the same indexes and keys"}},
      {"capture_p99_import_vs_idle",
       {"<= 3", "1.5", "p99 of captures at a steady 200 a second (open loop) beside an import",
        "the same without the import"}},
      {"get_1m_vs_10k",
       {">= 0.8", "0.9", "GetLead/s on the large database, random leads",
        "the same on 10,000 leads"}},
      {"capture_1m_vs_10k",
       {">= 0.8", "0.9", "captures/s on the large database", "the same on 10,000 leads"}},
      {"list_1m_vs_10k",
       {">= 0.8", "0.9", "ListLeads/s on the large database, first page of 50 by score",
        "the same on 10,000 leads"}},
  };
  auto found = kBars.find(name);
  return found == kBars.end() ? Bar() : found->second;
}

void PrintTable(const std::vector<Comparison>& comparisons, std::ostream& out) {
  out << std::left << std::setw(28) << "figure" << std::right << std::setw(8) << "ratio"
      << std::setw(10) << "floor" << std::setw(7) << "aim" << std::setw(16) << "least..most"
      << std::setw(11) << "measured" << std::setw(11) << "baseline"
      << "  " << std::left << std::setw(8) << "unit"
      << "pairs\n";
  for (const Comparison& c : comparisons) {
    const Bar bar = BarOf(c.name());
    out << std::left << std::setw(28) << c.name() << std::right << std::setw(8)
        << Text(c.ratio(), 3) << std::setw(10) << bar.floor << std::setw(7) << bar.aim
        << std::setw(16) << Text(c.least(), 2) + ".." + Text(c.most(), 2) << std::setw(11)
        << Text(c.measured(), 1) << std::setw(11) << Text(c.baseline(), 1) << "  " << std::left
        << std::setw(8) << c.unit() << c.pairs() << "\n";
  }
  out.flush();
}

std::string ToMarkdown(const std::vector<Comparison>& comparisons) {
  std::string out =
      "| figure | ratio | floor | aim | least to most | measured | baseline | unit | pairs |\n"
      "|---|---:|---:|---:|---:|---:|---:|---|---:|\n";
  for (const Comparison& c : comparisons) {
    const Bar bar = BarOf(c.name());
    out += "| `" + c.name() + "` | " + Text(c.ratio(), 3) + " | " + bar.floor + " | " + bar.aim +
           " | " + Text(c.least(), 2) + " to " + Text(c.most(), 2) + " | " + Text(c.measured(), 1) +
           " | " + Text(c.baseline(), 1) + " | " + c.unit() + " | " + std::to_string(c.pairs()) +
           " |\n";
  }
  return out;
}

std::string SidesToMarkdown(const std::vector<Comparison>& comparisons) {
  std::string out = "| figure | measured | baseline |\n|---|---|---|\n";
  for (const Comparison& c : comparisons) {
    const Bar bar = BarOf(c.name());
    out += "| `" + c.name() + "` | " + bar.measured + " | " + bar.baseline + " |\n";
  }
  return out;
}

std::string ToMarkdown(const std::vector<Cost>& costs) {
  std::string out =
      "| side | server us | database us | client us | calls/s | p50 us | p99 us |\n"
      "|---|---:|---:|---:|---:|---:|---:|\n";
  auto median = [](const std::vector<double>& values) {
    return values.empty() ? std::string() : Text(Median(values), 0);
  };
  for (const Cost& c : costs) {
    out += "| " + c.what + " | " + median(c.server) + " | " + median(c.database) + " | " +
           median(c.client) + " | " + median(c.rate) + " | " + median(c.p50) + " | " +
           median(c.p99) + " |\n";
  }
  return out;
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
