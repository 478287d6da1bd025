// The ground of a run: a PostgreSQL of its own, databases made from one seed, servers, rest between
// the sides of a comparison, and what was measured. Errors are std::runtime_errors. Not
// thread-safe.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "tests/bench/child.h"
#include "tests/bench/figures.h"
#include "tests/bench/fill.h"
#include "tests/bench/lead_calls.h"
#include "tests/bench/load.h"
#include "tests/bench/pgbench.h"
#include "tests/bench/template_rows.h"
#include "tests/storage/pg_cluster.h"

namespace relais::bench {

inline constexpr int64_t kTemplatePerson = 7'777'777'777;
inline constexpr int kClientsAtMost = 128;  // of pgbench: each numbers its captures apart
inline constexpr int kManyCallers = 256;    // calls in flight of most comparisons

struct Settings {
  bool quick = false, scale = false;
  int pairs = 5;
  std::chrono::milliseconds time{4000};
  int64_t large = 1'000'000;   // leads of the large database; 0: those figures are left out
  std::vector<int64_t> sizes;  // of the scale run
  std::set<std::string> only;
  std::string relaisd, go_peer, json, markdown, load;
  int in_flight = kManyCallers;
};

double SecondsSince(std::chrono::steady_clock::time_point start);
// Microseconds that a written page takes to be safe on the disk: the median of a few.
double SyncMicros(const std::filesystem::path& folder);
// A line on the standard error.
void Note(const std::string& text);

// Who takes part in a comparison: waited for, and tidied up after, before each side.
struct Scene {
  std::vector<const ServerProcess*> servers;
  std::vector<std::string> databases;  // that are written to
};

class Ground {
 public:
  explicit Ground(Settings settings);
  Ground(const Ground&) = delete;
  Ground& operator=(const Ground&) = delete;
  ~Ground();

  const Settings& settings() const { return settings_; }
  testing::PgCluster& pg() { return pg_; }
  const std::filesystem::path& folder() const { return folder_; }
  // What one capture writes on PostgreSQL, and the baselines made of it: the same as pgbench
  // scripts, with a counter row instead of a sequence for the events, and as one function.
  const CaptureTemplate& model() const { return model_; }
  const std::string& statements() const { return statements_; }
  const std::string& counted() const { return counted_; }
  const std::string& function_call() const { return function_call_; }
  // Columns of leads, and SQL for the id of the filled lead that `number` (1 to a count) names.
  std::string LeadColumns() const;
  static std::string FilledId(const std::string& number);

  // ---- databases and servers ----

  std::string NewDatabase();
  void Drop(const std::string& database);
  // With so many filled leads (fill.h) beside those that make the words known.
  std::string FilledDatabase(int64_t count);
  std::string FilledFile(int64_t count);  // the same on SQLite
  // One filled database for all comparisons that only read.
  const std::string& Filled();
  int64_t filled_leads() const { return settings_.quick ? 12'000 : 60'000; }
  std::filesystem::path NewFile();  // the path of a SQLite database that is not there yet

  std::unique_ptr<ServerProcess> Serve(const std::string& database,
                                       const std::vector<std::string>& flags = {}) const;
  std::unique_ptr<ServerProcess> ServeFile(const std::filesystem::path& file) const;
  // The role of the baselines, which sees the rows of one tenant as the server does.
  std::string BareDsn(const std::string& database) const { return pg_.DSN(database, "bench_app"); }
  double DatabaseCpu() const { return TreeCpuMicros(postmaster_); }

  // ---- the sides of a comparison ----

  LoadPlan Plan(int in_flight) const;
  // One side over gRPC. Keeps what a call costs under `what`; a failed call is an error.
  LoadResult Load(const std::string& what, LoadPlan plan, const std::vector<CallKind>& kinds,
                  const std::vector<const ServerProcess*>& servers);
  // One side by pgbench, likewise.
  PgbenchResult Pgbench(const std::string& what, const std::string& database,
                        const std::string& script, PgbenchRun run);
  // The clients and threads with which pgbench is quickest; leaves the database with statistics.
  PgbenchRun Best(const std::string& database, const std::string& script, const char* what);

  // One pair after another; which side goes first alternates. Before each side the servers and
  // PostgreSQL come to rest, so that no side pays for what another left behind: the search index,
  // vacuum, a checkpoint.
  void Pairs(const Scene& scene, const std::vector<std::function<void()>>& sides,
             const std::function<void()>& add);
  void Rest(const Scene& scene) const;

  void Section(const std::vector<std::string>& names, const std::function<void(Ground&)>& run);
  void Keep(const std::vector<Comparison>& comparisons);
  void KeepCost(const std::string& what, const LoadResult& result);

  const std::vector<Comparison>& comparisons() const { return comparisons_; }
  const std::vector<Cost>& costs() const { return costs_; }
  const std::vector<double>& syncs() const { return syncs_; }  // SyncMicros before each section
  bool failed() const { return failed_; }

  std::mt19937_64& random() { return random_; }
  // Names of filled leads, any of 1 to `count`.
  std::function<std::string()> AnyLead(int64_t count);

 private:
  void MakeSeed();
  const FillModel& ModelFor(bool sqlite);
  void Learn(const ServerProcess& server) const;

  const Settings settings_;
  testing::PgCluster& pg_;
  std::filesystem::path folder_;
  pid_t postmaster_ = -1;
  std::string seed_, filled_, statements_, counted_, function_call_;
  CaptureTemplate model_;
  std::optional<FillModel> postgres_fill_, sqlite_fill_;
  int databases_ = 0;
  std::mt19937_64 random_{1};
  std::vector<Comparison> comparisons_;
  std::vector<Cost> costs_;
  std::vector<double> syncs_;
  bool failed_ = false;
};

// The comparisons, by theme; each is one or several figures.
void Captures(Ground& ground);          // capture_vs_statements, _vs_function, pg_cpu_vs_statements
void CapturesCounted(Ground& ground);   // capture_vs_counted
void CapturesInGo(Ground& ground);      // capture_vs_go
void CapturesOnSqlite(Ground& ground);  // capture_sqlite_vs_loop
void FewCallers(Ground& ground, int callers);  // capture_p50_1_vs_statements, _2_
void AgainstSingleCommits(Ground& ground);     // capture_p99_16_vs_single
void HotKeys(Ground& ground);                  // hot_keys_vs_uniform
void TwoServers(Ground& ground);               // two_servers_vs_one
void Gets(Ground& ground);                     // get_vs_pgbench, get_vs_empty
void Lists(Ground& ground);                    // list_vs_pgbench
void Pages(Ground& ground);                    // page_1000_vs_1
void Large(Ground& ground);                    // get_1m_vs_10k, capture_1m_vs_10k, list_1m_vs_10k
void Imports(Ground& ground);                  // import_vs_copy
void CapturesBesideImport(Ground& ground);     // capture_p99_import_vs_idle

v1::ListLeadsRequest FirstPage(int size);  // by score

}  // namespace relais::bench
