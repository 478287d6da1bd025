#include "tests/bench/ground.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <thread>
#include <utility>

#include "tests/bench/people.h"

namespace relais::bench {

namespace fs = std::filesystem;
using std::chrono::steady_clock;

namespace {

constexpr int kSyncs = 40;
constexpr auto kRestAtMost = std::chrono::seconds(180);

// A quarter of a small machine's memory, as PostgreSQL's manual advises; the cluster's own setting
// is for tests.
testing::PgCluster& Cluster() {
  setenv("RELAIS_PG_SHARED_BUFFERS", "1GB", /*overwrite=*/0);
  return testing::PgCluster::Shared();
}

pid_t ReadPostmaster(const testing::PgCluster& pg) {
  std::ifstream in(pg.socket_dir() + "/data/postmaster.pid");
  pid_t pid = -1;
  if (!(in >> pid)) throw std::runtime_error("PostgreSQL left no pid file");
  return pid;
}

// The script with a counter row in place of the sequence: numbers without gaps, in the order of
// commits, as the server's. The row is locked from before the events to the commit.
std::string Counted(std::string script) {
  const std::string next = "nextval('bench_event_number')";
  int64_t events = 0;
  for (size_t at = script.find(next); at != std::string::npos; at = script.find(next)) {
    script.replace(at, next.size(), "(:last)::bigint - " + std::to_string(events++));
  }
  script.insert(script.find("INSERT INTO events"),
                "UPDATE feed_counters SET last_number = last_number + " + std::to_string(events) +
                    " WHERE tenant_id = 'default' RETURNING last_number AS last \\gset\n");
  return script;
}

}  // namespace

double SecondsSince(steady_clock::time_point start) {
  return std::chrono::duration<double>(steady_clock::now() - start).count();
}

double SyncMicros(const fs::path& folder) {
  const std::string file = folder / "sync";
  const int fd = open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) throw std::runtime_error("cannot write " + file);
  std::vector<double> micros;
  const std::array<char, 8192> page{};
  for (int i = 0; i < kSyncs; ++i) {
    const auto start = std::chrono::steady_clock::now();
    if (pwrite(fd, page.data(), page.size(), static_cast<off_t>(i % 16) * 8192) < 0 ||
        fdatasync(fd) != 0) {
      close(fd);
      throw std::runtime_error("cannot write " + file);
    }
    micros.push_back(SecondsSince(start) * 1e6);
  }
  close(fd);
  fs::remove(file);
  return Median(micros);
}

void Note(const std::string& text) { std::cerr << text << std::endl; }

v1::ListLeadsRequest FirstPage(int size) {
  v1::ListLeadsRequest request;
  request.set_page_size(size);
  request.set_order_by("score desc");
  return request;
}

Ground::Ground(Settings settings)
    : settings_(std::move(settings)), pg_(Cluster()), postmaster_(ReadPostmaster(pg_)) {
  std::string name = fs::temp_directory_path() / "relais-bench-XXXXXX";
  if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("cannot make " + name);
  folder_ = name;
  MakeSeed();
}

Ground::~Ground() {
  std::error_code ignored;
  fs::remove_all(folder_, ignored);
}

// A database as the server makes it, with one capture in it for the baselines to copy; every other
// database is a copy of this one.
void Ground::MakeSeed() {
  seed_ = pg_.CreateDatabase();
  {
    auto server = Serve(seed_);
    LeadClient(server->address()).Capture(kTemplatePerson);
    Rest({{server.get()}, {}});
  }
  model_ = TemplateOf(kTemplatePerson, ReadPostgresRows(pg_.DSN(seed_), CaptureTables()));
  const std::string number =
      "\\set n :n + 1\n\\set k :n * " + std::to_string(kClientsAtMost) + " + :client_id\n";
  std::string function =
      "CREATE FUNCTION bench_capture(number bigint) RETURNS void LANGUAGE plpgsql AS $body$ "
      "DECLARE found_lead uuid; BEGIN " +
      FindSql("number").replace(0, 14, "SELECT lead_id INTO found_lead") +
      "; IF found_lead IS NOT NULL THEN RETURN; END IF; ";
  statements_ = number + "BEGIN;\n" + FindSql(":k") + ";\n";
  std::vector<std::string> peer = {FindSql("$1")};
  for (const TemplateRow& row : model_.rows) {
    // A parameter that is called like a column would be ambiguous: $1 is not.
    function += InsertSql(model_, row, "$1") + "; ";
    statements_ += InsertSql(model_, row, "(:k)::bigint") + ";\n";
    peer.push_back(InsertSql(model_, row, "$1"));
  }
  statements_ += "COMMIT;\n";
  counted_ = Counted(statements_);
  function_call_ = number + "SELECT bench_capture(:k);\n";
  std::ofstream(folder_ / "statements.json") << nlohmann::json(peer).dump();
  pg_.Execute(seed_,
              "CREATE SEQUENCE bench_event_number START 1000000; "
              "CREATE ROLE bench_app LOGIN IN ROLE relais_app; "
              "ALTER ROLE bench_app SET app.tenant = 'default'; "
              "GRANT USAGE ON SEQUENCE bench_event_number TO bench_app; " +
                  function + "END $body$;");
}

std::string Ground::LeadColumns() const {
  std::string out;
  for (const TemplateCell& cell : model_.rows.front().cells) {
    out += (out.empty() ? "" : ", ") + cell.column;
  }
  return out;
}

std::string Ground::FilledId(const std::string& number) {
  return IdSql(number + " + " + std::to_string(kFirstFilled), kLeadId);
}

std::function<std::string()> Ground::AnyLead(int64_t count) {
  return [this, count] {
    std::uniform_int_distribution<int64_t> pick(1, count);
    return "leads/" + IdOf(kFirstFilled + pick(random_), kLeadId);
  };
}

// ---- databases and servers ----

std::string Ground::NewDatabase() {
  const std::string name = "bench_" + std::to_string(++databases_);
  pg_.Execute("postgres", "CREATE DATABASE " + name + " TEMPLATE " + seed_);
  return name;
}

void Ground::Drop(const std::string& database) {
  pg_.Execute("postgres", "DROP DATABASE " + database);
}

fs::path Ground::NewFile() { return folder_ / (std::to_string(++databases_) + ".db"); }

const FillModel& Ground::ModelFor(bool sqlite) {
  std::optional<FillModel>& model = sqlite ? sqlite_fill_ : postgres_fill_;
  if (!model.has_value()) {
    FillTarget target;
    std::unique_ptr<ServerProcess> server;
    if (sqlite) {
      target.sqlite_path = NewFile();
      server = ServeFile(target.sqlite_path);
    } else {
      const std::string database = pg_.CreateDatabase();
      target.postgres_dsn = pg_.DSN(database);
      server = Serve(database);
    }
    LeadClient client(server->address());
    model = MakeFillModel(client, target, kTemplatePerson);
  }
  return *model;
}

// Everybody whose words there are: from then on the search index knows them all.
void Ground::Learn(const ServerProcess& server) const {
  LeadClient client(server.address());
  Import(1, kAllNames).Run(client);
  Rest({{&server}, {}});
}

std::string Ground::FilledDatabase(int64_t count) {
  const auto start = steady_clock::now();
  const FillModel& model = ModelFor(/*sqlite=*/false);
  const std::string database = NewDatabase();
  Learn(*Serve(database));
  Fill({pg_.DSN(database), ""}, model, count);
  Note("filled " + std::to_string(count) + " leads in " + Text(SecondsSince(start), 0) + " s");
  return database;
}

std::string Ground::FilledFile(int64_t count) {
  const auto start = steady_clock::now();
  const FillModel& model = ModelFor(/*sqlite=*/true);
  const fs::path file = NewFile();
  Learn(*ServeFile(file));
  Fill({"", file}, model, count);
  Note("filled " + std::to_string(count) + " leads on SQLite in " + Text(SecondsSince(start), 0) +
       " s");
  return file;
}

const std::string& Ground::Filled() {
  if (filled_.empty()) filled_ = FilledDatabase(filled_leads());
  return filled_;
}

std::unique_ptr<ServerProcess> Ground::Serve(const std::string& database,
                                             const std::vector<std::string>& flags) const {
  std::vector<std::string> command = {settings_.relaisd, "--database=" + pg_.DSN(database),
                                      "--key_file=" + (folder_ / "key").string(),
                                      "--listen=127.0.0.1:0", "--log_level=error"};
  command.insert(command.end(), flags.begin(), flags.end());
  return std::make_unique<ServerProcess>(command);
}

std::unique_ptr<ServerProcess> Ground::ServeFile(const fs::path& file) const {
  return std::make_unique<ServerProcess>(
      std::vector<std::string>{settings_.relaisd, "--database=sqlite:" + file.string(),
                               "--key_file=" + (folder_ / "sqlite_key").string(),
                               "--listen=127.0.0.1:0", "--log_level=error"});
}

// ---- the sides of a comparison ----

LoadPlan Ground::Plan(int in_flight) const {
  LoadPlan plan;
  plan.in_flight = in_flight;
  plan.warm_up = settings_.quick ? std::chrono::milliseconds(300) : std::chrono::seconds(1);
  plan.measured = settings_.time;
  return plan;
}

LoadResult Ground::Load(const std::string& what, LoadPlan plan, const std::vector<CallKind>& kinds,
                        const std::vector<const ServerProcess*>& servers) {
  plan.server_cpu = [&servers] {
    double sum = 0;
    for (const ServerProcess* server : servers) sum += CpuMicros(server->pid());
    return sum;
  };
  plan.database_cpu = [this] { return DatabaseCpu(); };
  LoadResult result = RunLoad(plan, kinds);
  if (result.failed > 0 || result.ok == 0) {
    throw std::runtime_error(what + ": " + std::to_string(result.failed) +
                             " calls failed, the first: " + result.first_error);
  }
  if (result.checked == 0) throw std::runtime_error(what + ": no answer was checked");
  KeepCost(what, result);
  return result;
}

PgbenchResult Ground::Pgbench(const std::string& what, const std::string& database,
                              const std::string& script, PgbenchRun run) {
  run.variables.push_back("n=" + std::to_string(TakeNumbers(10'000'000)));
  run.seconds = static_cast<int>(std::chrono::ceil<std::chrono::seconds>(settings_.time).count());
  // What it costs to start the sessions and prepare their statements is not the transactions' cost:
  // a run of one transaction each tells.
  PgbenchRun only_start = run;
  only_start.transactions = 1;
  only_start.latencies = false;
  only_start.variables.back() = "n=" + std::to_string(TakeNumbers(1'000));
  double before = DatabaseCpu();
  const int64_t first = RunPgbench(BareDsn(database), script, only_start).transactions;
  const double start = DatabaseCpu() - before;
  before = DatabaseCpu();
  PgbenchResult result = RunPgbench(BareDsn(database), script, run);
  result.database_cpu = std::max(0.0, DatabaseCpu() - before - start) /
                        static_cast<double>(std::max<int64_t>(1, result.transactions - first));
  LoadResult cost;
  cost.rate = result.rate;
  cost.micros = result.micros;
  cost.database_cpu = result.database_cpu;
  cost.client_cpu = result.client_cpu;
  KeepCost(what, cost);
  return result;
}

PgbenchRun Ground::Best(const std::string& database, const std::string& script, const char* what) {
  // A quick run takes what is best, or nearly, on small machines.
  const bool quick = settings_.quick;
  PgbenchRun best;
  double rate = 0;
  for (int threads : quick ? std::vector<int>{1} : std::vector<int>{1, 2}) {
    for (int clients : quick ? std::vector<int>{16} : std::vector<int>{8, 16, 32, 64}) {
      PgbenchRun run;
      run.clients = clients;
      run.threads = threads;
      run.seconds = quick ? 1 : 2;
      run.variables.push_back("n=" + std::to_string(TakeNumbers(10'000'000)));
      const double found = RunPgbench(BareDsn(database), script, run).rate;
      if (found > rate) {
        rate = found;
        best = run;
      }
    }
  }
  best.variables.clear();
  // The key checks of foreign keys plan by what is known of the table: it must not be a guess.
  pg_.Execute(database, "ANALYZE");
  Note("pgbench runs " + std::string(what) + " with " + std::to_string(best.clients) +
       " clients on " + std::to_string(best.threads) + " thread(s)");
  return best;
}

void Ground::Pairs(const Scene& scene, const std::vector<std::function<void()>>& sides,
                   const std::function<void()>& add) {
  for (int pair = 0; pair < settings_.pairs; ++pair) {
    for (size_t i = 0; i < sides.size(); ++i) {
      Rest(scene);
      sides[pair % 2 == 0 ? i : sides.size() - 1 - i]();
    }
    add();
  }
}

void Ground::Rest(const Scene& scene) const {
  constexpr auto kLook = std::chrono::milliseconds(150);
  constexpr double kRestMicros = 15'000;  // of processor time in one look
  auto used = [&] {
    double sum = DatabaseCpu();
    for (const ServerProcess* server : scene.servers) sum += CpuMicros(server->pid());
    return sum;
  };
  auto settle = [&] {
    const auto start = steady_clock::now();
    for (double before = used();;) {
      std::this_thread::sleep_for(kLook);
      const double now = used();
      if (now - before <= kRestMicros) return;
      if (steady_clock::now() - start > kRestAtMost) {
        throw std::runtime_error("a server or PostgreSQL does not come to rest");
      }
      before = now;
    }
  };
  settle();
  // What autovacuum would do at a moment of its own choice is done now. A quick run is too short
  // for autovacuum to come by.
  if (!settings_.quick) {
    for (const std::string& database : scene.databases) pg_.Execute(database, "VACUUM ANALYZE");
  }
  pg_.Execute("postgres", "CHECKPOINT");
}

void Ground::Section(const std::vector<std::string>& names,
                     const std::function<void(Ground&)>& run) {
  const std::set<std::string>& only = settings_.only;
  if (!only.empty() && std::none_of(names.begin(), names.end(), [&](const std::string& name) {
        return only.count(name) != 0;
      })) {
    return;
  }
  syncs_.push_back(SyncMicros(folder_));
  const auto start = steady_clock::now();
  try {
    run(*this);
  } catch (const std::exception& error) {
    // The other figures are worth having; this one is not there, and the run has failed.
    Note("NOT MEASURED: " + names.front() + ": " + error.what());
    failed_ = true;
  }
  Note(names.front() + ": " + Text(SecondsSince(start), 0) + " s; a sync took " +
       Text(syncs_.back(), 0) + " us before it");
}

void Ground::Keep(const std::vector<Comparison>& comparisons) {
  PrintTable(comparisons, std::cerr);
  comparisons_.insert(comparisons_.end(), comparisons.begin(), comparisons.end());
}

void Ground::KeepCost(const std::string& what, const LoadResult& result) {
  auto found = std::find_if(costs_.begin(), costs_.end(),
                            [&](const Cost& cost) { return cost.what == what; });
  if (found == costs_.end()) {
    costs_.emplace_back().what = what;
    found = std::prev(costs_.end());
  }
  found->server.push_back(result.server_cpu);
  found->database.push_back(result.database_cpu);
  found->client.push_back(result.client_cpu);
  found->rate.push_back(result.rate);
  if (!result.micros.empty()) {
    found->p50.push_back(Quantile(result.micros, 0.5));
    found->p99.push_back(Quantile(result.micros, 0.99));
  }
  Note(what + ": CPU us a call: server " + Text(result.server_cpu, 0) + ", database " +
       Text(result.database_cpu, 0) + ", client " + Text(result.client_cpu, 0) + "; " +
       Text(result.rate, 0) + "/s" +
       (result.micros.empty() ? ""
                              : ", p50 " + Text(found->p50.back(), 0) + " us, p99 " +
                                    Text(found->p99.back(), 0) + " us"));
}

}  // namespace relais::bench
