// relais_bench: what the server is worth beside pgbench, a bare SQLite loop, a Go server and bare
// gRPC, all on this machine and in this run. It starts its own PostgreSQL (fsync and
// synchronous_commit on) and its own servers; every comparison is made of pairs, the two sides one
// right after the other and in alternating order, and its ratio is the median of the pairs' ratios.
//
//   relais_bench [--quick] [--json FILE] [--markdown FILE] [--only NAME,NAME...] [--large LEADS]
//   relais_bench --scale [--sizes N,N...] [--json FILE] [--markdown FILE]
//   relais_bench --load ADDRESS     captures at a running server, to profile it
//
// README.md beside this file says what each side does.
#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "tests/bench/ground.h"
#include "tests/bench/machine.h"
#include "tests/bench/scale.h"

namespace relais::bench {
namespace {

namespace fs = std::filesystem;

// Captures at a server that is already there.
int LoadOnly(const Settings& settings) {
  LeadClient client(settings.load);
  LoadPlan plan;
  plan.in_flight = settings.in_flight;
  plan.measured = settings.time;
  // Apart from what another run has left in that database.
  TakeNumbers(std::chrono::duration_cast<std::chrono::milliseconds>(
                  std::chrono::system_clock::now().time_since_epoch())
                  .count() *
              1000);
  const LoadResult result = RunLoad(plan, {client.NewPeople()});
  std::printf(
      "%.0f captures/s, p50 %.0f us, p99 %.0f us, client CPU %.1f us a call, %lld failed %s\n",
      result.rate, Quantile(result.micros, 0.5), Quantile(result.micros, 0.99), result.client_cpu,
      static_cast<long long>(result.failed), result.first_error.c_str());
  return result.failed == 0 ? 0 : 1;
}

void WriteFile(const std::string& file, const std::string& text) {
  std::ofstream out(file);
  out << text;
  if (!out.flush()) throw std::runtime_error(file + ": cannot be written");
}

int Compare(Ground& ground) {
  const Settings& settings = ground.settings();
  ground.Section({"capture_vs_statements", "capture_vs_function", "pg_cpu_vs_statements"},
                 Captures);
  if (!settings.quick) ground.Section({"capture_vs_counted"}, CapturesCounted);
  ground.Section({"capture_vs_go"}, CapturesInGo);
  ground.Section({"capture_sqlite_vs_loop"}, CapturesOnSqlite);
  ground.Section({"get_vs_pgbench", "get_vs_empty"}, Gets);
  ground.Section({"list_vs_pgbench"}, Lists);
  ground.Section({"page_1000_vs_1"}, Pages);
  for (int callers : {1, 2}) {
    ground.Section({"capture_p50_" + std::to_string(callers) + "_vs_statements"},
                   [callers](Ground& g) { FewCallers(g, callers); });
  }
  ground.Section({"capture_p99_16_vs_single"}, AgainstSingleCommits);
  ground.Section({"hot_keys_vs_uniform"}, HotKeys);
  ground.Section({"two_servers_vs_one"}, TwoServers);
  ground.Section({"import_vs_copy"}, Imports);
  ground.Section({"capture_p99_import_vs_idle"}, CapturesBesideImport);
  if (settings.large > 0) {
    ground.Section({"get_1m_vs_10k", "capture_1m_vs_10k", "list_1m_vs_10k"}, Large);
  } else {
    Note("get_1m_vs_10k, capture_1m_vs_10k and list_1m_vs_10k are left to the full run");
  }
  PrintTable(ground.comparisons(), std::cout);
  if (!settings.json.empty()) WriteFile(settings.json, ToJson(ground.comparisons()));
  if (!settings.markdown.empty()) {
    WriteSection(settings.markdown, "comparisons",
                 "## Comparisons\n\n" + DescribeRun(ground) + "\n" +
                     ToMarkdown(ground.comparisons()) + "\n## What each side does\n\n" +
                     SidesToMarkdown(ground.comparisons()) +
                     "\n## Processor time and latency of each side\n\nMicroseconds of processor "
                     "time a successful call, medians over the repetitions; `database` is every "
                     "process of PostgreSQL (of the loop itself on SQLite, which has none), "
                     "`client` is the load client or pgbench.\n\n" +
                     ToMarkdown(ground.costs()));
  }
  return ground.failed() ? 1 : 0;
}

int Scale(Ground& ground) {
  const Settings& settings = ground.settings();
  const ScaleRun run = RunScale(ground);
  std::cout << ToMarkdown(run);
  if (!settings.json.empty()) WriteFile(settings.json, ToJson(run));
  if (!settings.markdown.empty()) {
    WriteSection(settings.markdown, "scale",
                 "## Scale\n\n" + DescribeRun(ground) +
                     "\np50 and p99 with 4 calls in flight (funnel: 1), calls/s with 256 (lists: "
                     "64, search: 16, funnel: 1).\n\n" +
                     ToMarkdown(run));
  }
  return run.failed ? 1 : 0;
}

int Main(int argc, char** argv) {
  Settings settings;
  const fs::path here = fs::read_symlink("/proc/self/exe").parent_path();
  settings.relaisd = here / "../../server/relaisd";
  settings.go_peer = here / "peers/go/go_peer";
  settings.sizes = {10'000, 100'000, 1'000'000, 5'000'000};
  std::vector<std::string> only;
  int pairs = 0, milliseconds = 0;
  int64_t large = -1;
  CLI::App app("relais_bench: the server beside pgbench, bare SQLite and bare gRPC, in one run");
  app.add_flag("--quick", settings.quick, "under two minutes, with fewer pairs and shorter ones");
  app.add_flag("--scale", settings.scale, "databases of growing size instead of comparisons");
  app.add_option("--sizes", settings.sizes, "leads of each database of --scale")->delimiter(',');
  app.add_option("--json", settings.json, "write the figures to this file, too");
  app.add_option("--markdown", settings.markdown, "write them as a section of this file, too");
  app.add_option("--only", only, "these figures only")->delimiter(',');
  app.add_option("--large", large,
                 "leads of the large database of *_1m_vs_10k (1000000; with --quick 0: left out)");
  app.add_option("--pairs", pairs, "pairs of each comparison");
  app.add_option("--time", milliseconds, "milliseconds of each side of a pair");
  app.add_option("--relaisd", settings.relaisd, "the server");
  app.add_option("--go_peer", settings.go_peer, "the server of tests/bench/peers/go");
  app.add_option("--load", settings.load, "only capture at the server at this address");
  app.add_option("--in-flight", settings.in_flight, "calls in flight of --load");
  CLI11_PARSE(app, argc, argv);
  settings.only.insert(only.begin(), only.end());
  for (const std::string& name : only) {
    if (BarOf(name).measured.empty()) throw std::runtime_error("there is no figure " + name);
  }
  settings.pairs = pairs > 0 ? pairs : settings.quick ? 2 : 5;
  settings.time = std::chrono::milliseconds(milliseconds > 0 ? milliseconds
                                            : settings.quick ? 1000
                                                             : 4000);
  settings.large = large >= 0 ? large : settings.quick ? 0 : 1'000'000;
  if (!settings.load.empty()) return LoadOnly(settings);
  Ground ground(std::move(settings));
  return ground.settings().scale ? Scale(ground) : Compare(ground);
}

}  // namespace
}  // namespace relais::bench

int main(int argc, char** argv) {
  // As in the server: gRPC's library is built to look for deadlocks, which costs at every lock.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  try {
    return relais::bench::Main(argc, argv);
  } catch (const std::exception& error) {
    std::cerr << "relais_bench: " << error.what() << std::endl;
    return 1;
  }
}
