// relais_bench: what the server is worth beside pgbench, a bare SQLite loop and bare gRPC, all on
// this machine and in this run. It starts its own PostgreSQL (fsync and synchronous_commit on) and
// its own servers; every comparison is made of pairs, the two sides one right after the other and
// in alternating order, and its ratio is the median of the pairs' ratios.
//
//   relais_bench [--quick] [--json FILE] [--only NAME,NAME...] [--large ROWS]
//   relais_bench --load ADDRESS     captures at a running server, to profile it
//
// The baselines write the rows that a real capture wrote (template_rows.h), with the same columns,
// indexes, keys and row-level security, and number their events from a sequence: the counter row
// of the server would serialise them.
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iomanip>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <random>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "clients/cli/identity.h"
#include "relais/v1/import_service.grpc.pb.h"
#include "relais/v1/lead_service.grpc.pb.h"
#include "tests/bench/bare_sqlite.h"
#include "tests/bench/child.h"
#include "tests/bench/figures.h"
#include "tests/bench/load.h"
#include "tests/bench/people.h"
#include "tests/bench/pgbench.h"
#include "tests/bench/template_rows.h"
#include "tests/storage/pg_cluster.h"

namespace relais::bench {
namespace {

namespace fs = std::filesystem;
using std::chrono::steady_clock;

constexpr int64_t kTemplatePerson = 7777777777;
constexpr int kClientsAtMost = 128;  // of pgbench: each numbers its captures apart from the others
constexpr auto kCatchUp = std::chrono::seconds(120);

struct Settings {
  bool quick = false;
  int pairs = 5;
  std::chrono::milliseconds time{4000};
  int64_t large = 0;
  std::set<std::string> only;
  std::string relaisd, go_peer, json, load;
  int in_flight = 256;
};

double SecondsSince(steady_clock::time_point start) {
  return std::chrono::duration<double>(steady_clock::now() - start).count();
}

// Numbers of people and calls that no other part of this run uses.
int64_t TakeNumbers(int64_t count) {
  static int64_t next = 1'000'000'000;
  return std::exchange(next, next + count);
}

class LeadClient {
 public:
  explicit LeadClient(const std::string& address)
      : channel_(Connect(address)),
        leads_(v1::LeadService::NewStub(channel_)),
        imports_(v1::ImportService::NewStub(channel_)),
        generic_(channel_) {}

  v1::LeadService::Stub& leads() { return *leads_; }
  v1::ImportService::Stub& imports() { return *imports_; }

  // Captures of the people that `person` names.
  StartCall Captures(std::function<int64_t()> person) {
    return [this, person = std::move(person)](grpc::CompletionQueue& queue) {
      const v1::CaptureLeadRequest request = CaptureOf(person(), TakeNumbers(1));
      return StartTyped<v1::CaptureLeadResponse>(
          queue, [&](grpc::ClientContext& context, grpc::CompletionQueue& q) {
            return leads_->AsyncCaptureLead(&context, request, &q);
          });
    };
  }
  StartCall NewPeople() {
    return Captures([] { return TakeNumbers(1); });
  }
  StartCall Gets(std::function<std::string()> name) {
    return [this, name = std::move(name)](grpc::CompletionQueue& queue) {
      v1::GetLeadRequest request;
      request.set_name(name());
      return StartTyped<v1::Lead>(queue,
                                  [&](grpc::ClientContext& context, grpc::CompletionQueue& q) {
                                    return leads_->AsyncGetLead(&context, request, &q);
                                  });
    };
  }
  StartCall Lists(v1::ListLeadsRequest request) {
    return [this, request = std::move(request)](grpc::CompletionQueue& queue) {
      return StartTyped<v1::ListLeadsResponse>(
          queue, [&](grpc::ClientContext& context, grpc::CompletionQueue& q) {
            return leads_->AsyncListLeads(&context, request, &q);
          });
    };
  }
  // The health check of the same server: a method that does nothing.
  StartCall Checks() {
    return [this](grpc::CompletionQueue& queue) {
      const grpc::Slice nothing("", 0);
      const grpc::ByteBuffer request(&nothing, 1);
      return StartTyped<grpc::ByteBuffer>(
          queue, [&](grpc::ClientContext& context, grpc::CompletionQueue& q) {
            auto reader =
                generic_.PrepareUnaryCall(&context, "/grpc.health.v1.Health/Check", request, &q);
            reader->StartCall();
            return reader;
          });
    };
  }

 private:
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::LeadService::Stub> leads_;
  std::unique_ptr<v1::ImportService::Stub> imports_;
  grpc::GenericStub generic_;
};

class Bench {
 public:
  explicit Bench(Settings settings)
      : settings_(std::move(settings)), pg_(testing::PgCluster::Shared()) {
    std::string name = fs::temp_directory_path() / "relais-bench-XXXXXX";
    if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("cannot make " + name);
    folder_ = name;
    postmaster_ = ReadPostmaster();
    MakeSeed();
  }
  Bench(const Bench&) = delete;
  Bench& operator=(const Bench&) = delete;
  ~Bench() {
    std::error_code ignored;
    fs::remove_all(folder_, ignored);
  }

  std::vector<Comparison> Run() {
    Section({"capture_vs_statements", "capture_vs_function", "pg_cpu_vs_statements"},
            [this] { Captures(); });
    if (!settings_.quick) Section({"capture_vs_counted"}, [this] { CapturesCounted(); });
    Section({"capture_vs_go"}, [this] { CapturesInGo(); });
    Section({"capture_sqlite_vs_loop"}, [this] { CapturesOnSqlite(); });
    Section({"get_vs_pgbench", "get_vs_empty"}, [this] { Gets(); });
    Section({"list_vs_pgbench"}, [this] { Lists(); });
    Section({"capture_p50_1_vs_statements"}, [this] { FewCallers(1); });
    Section({"capture_p50_2_vs_statements"}, [this] { FewCallers(2); });
    Section({"capture_p99_16_vs_single"}, [this] { AgainstSingleCommits(); });
    Section({"hot_keys_vs_uniform"}, [this] { HotKeys(); });
    Section({"two_servers_vs_one"}, [this] { TwoServers(); });
    Section({"page_1000_vs_1"}, [this] { Pages(); });
    Section({"import_vs_copy"}, [this] { Imports(); });
    if (settings_.large > 0) {
      Section({"get_1m_vs_10k", "capture_1m_vs_10k", "list_1m_vs_10k"}, [this] { Large(); });
    }
    return std::move(comparisons_);
  }

 private:
  // ---- the ground ----

  pid_t ReadPostmaster() const {
    std::ifstream in(pg_.socket_dir() + "/data/postmaster.pid");
    pid_t pid = -1;
    if (!(in >> pid)) throw std::runtime_error("PostgreSQL left no pid file");
    return pid;
  }

  // A database as the server makes it, with one capture in it for the baselines to copy; every
  // other database is a copy of this one.
  void MakeSeed() {
    seed_ = pg_.CreateDatabase();
    {
      ServerProcess server(Relaisd(pg_.DSN(seed_), KeyFile()));
      CaptureOne(server.address());
      CatchUp(server);
    }
    model_ = ReadPostgresTemplate(pg_.DSN(seed_), kTemplatePerson);
    std::string function =
        "CREATE FUNCTION bench_capture(number bigint) RETURNS void LANGUAGE plpgsql AS $body$ "
        "DECLARE found_lead uuid; BEGIN " +
        FindSql("number").replace(0, 14, "SELECT lead_id INTO found_lead") +
        "; IF found_lead IS NOT NULL THEN RETURN; END IF; ";
    for (const TemplateRow& row : model_.rows) {
      // A parameter that is called like a column would be ambiguous: $1 is not.
      function += InsertSql(model_, row, "$1") + "; ";
    }
    function += "END $body$;";
    pg_.Execute(seed_,
                "CREATE SEQUENCE bench_event_number START 1000000; "
                "CREATE ROLE bench_app LOGIN IN ROLE relais_app; "
                "ALTER ROLE bench_app SET app.tenant = 'default'; "
                "GRANT USAGE ON SEQUENCE bench_event_number TO bench_app; " +
                    function);
    statements_ = "\\set n :n + 1\n\\set k :n * " + std::to_string(kClientsAtMost) +
                  " + :client_id\nBEGIN;\n" + FindSql(":k") + ";\n";
    for (const TemplateRow& row : model_.rows) {
      statements_ += InsertSql(model_, row, "(:k)::bigint") + ";\n";
    }
    statements_ += "COMMIT;\n";
    counted_ = Counted(statements_);
    std::vector<std::string> peer = {FindSql("$1")};
    for (const TemplateRow& row : model_.rows) peer.push_back(InsertSql(model_, row, "$1"));
    std::ofstream(folder_ / "statements.json") << nlohmann::json(peer).dump();
    function_call_ = "\\set n :n + 1\n\\set k :n * " + std::to_string(kClientsAtMost) +
                     " + :client_id\nSELECT bench_capture(:k);\n";
    Note("a capture writes " + std::to_string(model_.rows.size()) + " rows" + [this] {
      std::string list;
      for (const TemplateRow& row : model_.rows) list += (list.empty() ? ": " : ", ") + row.table;
      return list;
    }());
  }

  // The script with a counter row in place of the sequence: numbers without gaps, in the order of
  // commits, as the server's. The row is locked from before the events to the commit.
  static std::string Counted(std::string script) {
    const std::string next = "nextval('bench_event_number')";
    int64_t events = 0;
    for (size_t at = script.find(next); at != std::string::npos; at = script.find(next)) {
      script.replace(at, next.size(), "(:last)::bigint - " + std::to_string(events++));
    }
    const size_t first = script.find("INSERT INTO events");
    script.insert(first, "UPDATE feed_counters SET last_number = last_number + " +
                             std::to_string(events) +
                             " WHERE tenant_id = 'default' RETURNING last_number AS last \\gset\n");
    return script;
  }

  std::string KeyFile() const { return folder_ / "key"; }

  static void CaptureOne(const std::string& address) {
    LeadClient client(address);
    grpc::ClientContext context;
    v1::CaptureLeadResponse response;
    const grpc::Status status =
        client.leads().CaptureLead(&context, CaptureOf(kTemplatePerson, TakeNumbers(1)), &response);
    if (!status.ok()) throw std::runtime_error("a capture failed: " + status.error_message());
  }

  std::string NewDatabase() {
    const std::string name = "bench_" + std::to_string(++databases_);
    pg_.Execute("postgres", "CREATE DATABASE " + name + " TEMPLATE " + seed_);
    return name;
  }

  // Leads 1 to `count`, made by the database itself; touchpoints, keys and identities with them.
  std::string FilledDatabase(int64_t count) {
    const std::string name = NewDatabase();
    for (const TemplateRow& row : model_.rows) {
      if (row.table == "events" || row.table == "request_log") continue;
      constexpr int64_t kSlice = 100'000;
      for (int64_t from = 1; from <= count; from += kSlice) {
        pg_.Execute(name, FillSql(model_, row, from, std::min(count, from + kSlice - 1)));
      }
    }
    pg_.Execute(name, "VACUUM ANALYZE");
    return name;
  }

  std::string Filled() {
    if (filled_.empty()) filled_ = FilledDatabase(settings_.quick ? 12'000 : 60'000);
    return filled_;
  }

  std::vector<std::string> Relaisd(const std::string& database, const std::string& key_file) const {
    return {settings_.relaisd, "--database=" + database, "--key_file=" + key_file,
            "--listen=127.0.0.1:0", "--log_level=error"};
  }

  std::unique_ptr<ServerProcess> Serve(const std::string& database,
                                       const std::vector<std::string>& flags = {}) {
    std::vector<std::string> command = Relaisd(pg_.DSN(database), KeyFile());
    command.insert(command.end(), flags.begin(), flags.end());
    return std::make_unique<ServerProcess>(command);
  }

  std::string BareDsn(const std::string& database) const { return pg_.DSN(database, "bench_app"); }

  // The search index follows the feed in the background; the other side of a pair must not pay for
  // what this one left behind. Returns, in seconds, how long the server and the database went on.
  double CatchUp(const ServerProcess& server) const {
    constexpr double kRest = 20'000;  // microseconds of processor time in each look
    const auto start = steady_clock::now();
    auto used = [&] { return CpuMicros(server.pid()) + TreeCpuMicros(postmaster_); };
    double before = used();
    while (steady_clock::now() - start < kCatchUp) {
      const double seconds = SecondsSince(start);
      std::this_thread::sleep_for(std::chrono::milliseconds(250));
      const double now = used();
      if (now - before < kRest) return seconds;
      before = now;
    }
    throw std::runtime_error("a server does not come to rest");
  }

  void Settle() { pg_.Execute("postgres", "CHECKPOINT"); }

  // ---- the sides ----

  LoadPlan Plan(int in_flight) const {
    LoadPlan plan;
    plan.in_flight = in_flight;
    plan.warm_up = settings_.quick ? std::chrono::milliseconds(300) : std::chrono::seconds(1);
    plan.measured = settings_.time;
    return plan;
  }

  LoadResult Load(const LoadPlan& plan, const std::vector<StartCall>& starts) {
    LoadResult result = RunLoad(plan, starts);
    if (result.failed > 0 || result.ok == 0) {
      throw std::runtime_error(std::to_string(result.failed) +
                               " calls failed, the first: " + result.first_error);
    }
    return result;
  }

  PgbenchRun Pgbench(int clients) const {
    PgbenchRun run;
    run.clients = clients;
    run.seconds = std::max(1, static_cast<int>(settings_.time.count() / 1000));
    return run;
  }

  PgbenchResult RunScript(const std::string& database, const std::string& script, PgbenchRun run) {
    run.variables.push_back("n=" + std::to_string(TakeNumbers(10'000'000)));
    return RunPgbench(BareDsn(database), script, run);
  }

  // The clients and threads with which pgbench is quickest.
  PgbenchRun Best(const std::string& database, const std::string& script, const char* what) {
    PgbenchRun best;
    double rate = 0;
    for (int threads : settings_.quick ? std::vector<int>{1} : std::vector<int>{1, 2}) {
      for (int clients : {8, 16, 32, 64}) {
        PgbenchRun run = Pgbench(clients);
        run.threads = threads;
        run.seconds = settings_.quick ? 1 : 2;
        const double found = RunScript(database, script, run).rate;
        if (found > rate) {
          rate = found;
          best = run;
        }
      }
    }
    best.seconds = Pgbench(1).seconds;
    Note(std::string("pgbench is quickest for ") + what + " with " + std::to_string(best.clients) +
         " clients on " + std::to_string(best.threads) + " thread(s)");
    return best;
  }

  // One pair after another; which side goes first alternates.
  void Pairs(const std::vector<std::function<void(int pair)>>& sides,
             const std::function<void()>& add) {
    for (int pair = 0; pair < settings_.pairs; ++pair) {
      for (size_t i = 0; i < sides.size(); ++i) {
        sides[pair % 2 == 0 ? i : sides.size() - 1 - i](pair);
      }
      add();
    }
  }

  void Section(const std::vector<std::string>& names, const std::function<void()>& run) {
    if (!settings_.only.empty() &&
        std::none_of(names.begin(), names.end(),
                     [this](const std::string& name) { return settings_.only.count(name) != 0; })) {
      return;
    }
    const auto start = steady_clock::now();
    try {
      run();
    } catch (const std::exception& error) {
      // The other figures are worth having; this one is not there, and the run has failed.
      Note("NOT MEASURED: " + names.front() + ": " + error.what());
      failed_ = true;
    }
    Note(names.front() + ": " + std::to_string(static_cast<int>(SecondsSince(start))) + " s");
  }

  static void Note(const std::string& text) { std::cerr << text << std::endl; }

  static std::string Micros(const LoadResult& r) {
    std::ostringstream out;
    out << std::fixed << std::setprecision(0) << "CPU us a call: server " << r.server_cpu
        << ", database " << r.database_cpu << ", client " << r.client_cpu << "; p50 "
        << Quantile(r.micros, 0.5) << " us, p99 " << Quantile(r.micros, 0.99) << " us; " << r.rate
        << "/s";
    return out.str();
  }

  LoadPlan Watched(LoadPlan plan, const ServerProcess& server) const {
    plan.server_cpu = [pid = server.pid()] { return CpuMicros(pid); };
    plan.database_cpu = [pid = postmaster_] { return TreeCpuMicros(pid); };
    return plan;
  }

  // ---- the comparisons ----

  void Captures() {
    const std::string ours = NewDatabase(), theirs = NewDatabase(), by_function = NewDatabase();
    auto server = Serve(ours);
    LeadClient client(server->address());
    const PgbenchRun best = Best(theirs, statements_, "statements");
    const PgbenchRun best_function = Best(by_function, function_call_, "the function");
    Comparison statements("capture_vs_statements", "1/s"), function("capture_vs_function", "1/s"),
        cpu("pg_cpu_vs_statements", "us");
    LoadResult measured;
    double bare = 0, called = 0, bare_cpu = 0;
    Pairs({[&](int) {
             Settle();
             measured = Load(Watched(Plan(256), *server), {client.NewPeople()});
             std::ostringstream note;
             note << "capture: " << Micros(measured) << "; search index behind for "
                  << std::setprecision(2) << CatchUp(*server) << " s";
             Note(note.str());
           },
           [&](int) {
             Settle();
             const double before = TreeCpuMicros(postmaster_);
             const PgbenchResult run = RunScript(theirs, statements_, best);
             bare = run.rate;
             bare_cpu =
                 (TreeCpuMicros(postmaster_) - before) / static_cast<double>(run.transactions);
           },
           [&](int) {
             Settle();
             called = RunScript(by_function, function_call_, best_function).rate;
           }},
          [&] {
            statements.Add(measured.rate, bare);
            function.Add(measured.rate, called);
            cpu.Add(measured.database_cpu, bare_cpu);
          });
    Keep({statements, function, cpu});
  }

  void CapturesCounted() {
    const std::string ours = NewDatabase(), theirs = NewDatabase();
    auto server = Serve(ours);
    LeadClient client(server->address());
    const PgbenchRun best = Best(theirs, counted_, "statements with a counter row");
    Comparison comparison("capture_vs_counted", "1/s");
    double measured = 0, bare = 0;
    Pairs({[&](int) {
             Settle();
             measured = Load(Plan(256), {client.NewPeople()}).rate;
             CatchUp(*server);
           },
           [&](int) {
             Settle();
             bare = RunScript(theirs, counted_, best).rate;
           }},
          [&] { comparison.Add(measured, bare); });
    Keep({comparison});
  }

  void CapturesInGo() {
    if (!fs::exists(settings_.go_peer)) {
      Note("NOT MEASURED: capture_vs_go: tests/bench/peers/go/build.sh builds the peer");
      return;
    }
    const std::string ours = NewDatabase(), theirs = NewDatabase();
    auto server = Serve(ours);
    auto peer_with = [&](int connections) {
      return std::make_unique<ServerProcess>(
          std::vector<std::string>{settings_.go_peer, BareDsn(theirs), folder_ / "statements.json",
                                   std::to_string(connections)});
    };
    int best = 0;
    double best_rate = 0;
    for (int connections : {8, 16, 32}) {
      auto peer = peer_with(connections);
      LeadClient to_peer(peer->address());
      LoadPlan plan = Plan(256);
      plan.measured = std::chrono::milliseconds(settings_.quick ? 700 : 2000);
      const double rate = Load(plan, {to_peer.NewPeople()}).rate;
      if (rate > best_rate) {
        best_rate = rate;
        best = connections;
      }
    }
    Note("the Go peer is quickest with " + std::to_string(best) + " connections");
    auto peer = peer_with(best);
    LeadClient client(server->address()), to_peer(peer->address());
    Comparison comparison("capture_vs_go", "1/s");
    double measured = 0, of_peer = 0;
    Pairs({[&](int) {
             Settle();
             measured = Load(Plan(256), {client.NewPeople()}).rate;
             CatchUp(*server);
           },
           [&](int) {
             Settle();
             const LoadResult result = Load(Watched(Plan(256), *peer), {to_peer.NewPeople()});
             Note("the Go peer: " + Micros(result));
             of_peer = result.rate;
           }},
          [&] { comparison.Add(measured, of_peer); });
    Keep({comparison});
  }

  void CapturesOnSqlite() {
    const fs::path ours = folder_ / "ours.db", theirs = folder_ / "theirs.db";
    {
      ServerProcess server(Relaisd("sqlite:" + theirs.string(), KeyFile() + ".sqlite"));
      CaptureOne(server.address());
    }
    const CaptureTemplate model = ReadSqliteTemplate(theirs, kTemplatePerson);
    ServerProcess server(Relaisd("sqlite:" + ours.string(), KeyFile() + ".sqlite"));
    LeadClient client(server.address());
    Comparison comparison("capture_sqlite_vs_loop", "1/s");
    double measured = 0, bare = 0;
    Pairs({[&](int) {
             LoadPlan plan = Plan(256);
             plan.server_cpu = [&] { return CpuMicros(server.pid()); };
             const LoadResult result = Load(plan, {client.NewPeople()});
             measured = result.rate;
             Note("capture on SQLite: " + Micros(result));
             CatchUp(server);
           },
           [&](int) {
             bare = RunBareSqlite(theirs, model, TakeNumbers(10'000'000), settings_.time);
           }},
          [&] { comparison.Add(measured, bare); });
    Keep({comparison});
  }

  std::string LeadColumns() const {
    std::string out;
    for (const TemplateCell& cell : model_.rows.front().cells) {
      out += (out.empty() ? "" : ", ") + cell.column;
    }
    return out;
  }

  std::function<std::string()> RandomLeads(int64_t count) {
    return [this, count] {
      std::uniform_int_distribution<int64_t> pick(1, count);
      return "leads/" + IdOf(pick(random_), kLeadId);
    };
  }

  std::string SelectByKey(int64_t count) const {
    return "\\set k random(1, " + std::to_string(count) + ")\nSELECT " + LeadColumns() +
           " FROM leads WHERE tenant_id = 'default' AND lead_id = " + IdSql(":k", kLeadId) + ";\n";
  }

  static v1::ListLeadsRequest FirstPage(int size) {
    v1::ListLeadsRequest request;
    request.set_page_size(size);
    request.set_order_by("score desc");
    return request;
  }

  void Gets() {
    const int64_t count = settings_.quick ? 12'000 : 60'000;
    auto server = Serve(Filled());
    LeadClient client(server->address());
    const PgbenchRun best = Best(Filled(), SelectByKey(count), "the select by key");
    Comparison select("get_vs_pgbench", "1/s"), empty("get_vs_empty", "1/s");
    double get = 0, bare = 0, nothing = 0;
    Pairs({[&](int) {
             const LoadResult result =
                 Load(Watched(Plan(256), *server), {client.Gets(RandomLeads(count))});
             Note("get: " + Micros(result));
             get = result.rate;
           },
           [&](int) { bare = RunScript(Filled(), SelectByKey(count), best).rate; },
           [&](int) { nothing = Load(Plan(256), {client.Checks()}).rate; }},
          [&] {
            select.Add(get, bare);
            empty.Add(get, nothing);
          });
    Keep({select, empty});
  }

  void Lists() {
    auto server = Serve(Filled());
    LeadClient client(server->address());
    const std::string script = "SELECT " + LeadColumns() +
                               " FROM leads WHERE tenant_id = 'default' ORDER BY score DESC, "
                               "lead_id DESC LIMIT 51;\n";
    const PgbenchRun best = Best(Filled(), script, "the page");
    Comparison comparison("list_vs_pgbench", "1/s");
    double list = 0, bare = 0;
    Pairs({[&](int) {
             const LoadResult result =
                 Load(Watched(Plan(64), *server), {client.Lists(FirstPage(50))});
             Note("list: " + Micros(result));
             list = result.rate;
           },
           [&](int) { bare = RunScript(Filled(), script, best).rate; }},
          [&] { comparison.Add(list, bare); });
    Keep({comparison});
  }

  void FewCallers(int callers) {
    const std::string ours = NewDatabase(), theirs = NewDatabase();
    auto server = Serve(ours);
    LeadClient client(server->address());
    Comparison comparison("capture_p50_" + std::to_string(callers) + "_vs_statements", "us");
    double measured = 0, bare = 0;
    Pairs({[&](int) {
             Settle();
             measured = Median(Load(Plan(callers), {client.NewPeople()}).micros);
             CatchUp(*server);
           },
           [&](int) {
             Settle();
             PgbenchRun run = Pgbench(callers);
             run.latencies = true;
             bare = Median(RunScript(theirs, statements_, run).micros);
           }},
          [&] { comparison.Add(measured, bare); });
    Keep({comparison});
  }

  void AgainstSingleCommits() {
    const std::string many = NewDatabase(), one = NewDatabase();
    auto batching = Serve(many), single = Serve(one, {"--write_batch=1"});
    LeadClient to_batching(batching->address()), to_single(single->address());
    Comparison comparison("capture_p99_16_vs_single", "us");
    double measured = 0, bare = 0;
    auto side = [this](LeadClient& client, const ServerProcess& server, double& p99) {
      Settle();
      p99 = Quantile(Load(Plan(16), {client.NewPeople()}).micros, 0.99);
      CatchUp(server);
    };
    Pairs({[&](int) { side(to_batching, *batching, measured); },
           [&](int) { side(to_single, *single, bare); }},
          [&] { comparison.Add(measured, bare); });
    Keep({comparison});
  }

  void HotKeys() {
    constexpr int64_t kHot = 10;
    const int64_t known = settings_.quick ? 2'000 : 10'000;
    const std::string database = NewDatabase();
    auto server = Serve(database);
    LeadClient client(server->address());
    const int64_t first = TakeNumbers(known);
    // Everybody once, so that both sides only meet people who are there.
    int64_t next = 0;
    LoadPlan plan = Plan(256);
    plan.warm_up = std::chrono::milliseconds(0);
    while (next < known) Load(plan, {client.Captures([&] { return first + next++ % known; })});
    CatchUp(*server);
    Comparison comparison("hot_keys_vs_uniform", "1/s");
    double hot = 0, uniform = 0;
    std::uniform_int_distribution<int64_t> anybody(0, known - 1), few(0, kHot - 1);
    std::uniform_int_distribution<int> percent(0, 99);
    Pairs({[&](int) {
             Settle();
             hot = Load(Plan(256), {client.Captures([&] {
                          return first + (percent(random_) < 70 ? few(random_) : anybody(random_));
                        })})
                       .rate;
             CatchUp(*server);
           },
           [&](int) {
             Settle();
             uniform =
                 Load(Plan(256), {client.Captures([&] { return first + anybody(random_); })}).rate;
             CatchUp(*server);
           }},
          [&] { comparison.Add(hot, uniform); });
    Keep({comparison});
  }

  void TwoServers() {
    const std::string database = NewDatabase();
    auto first = Serve(database);
    LeadClient to_first(first->address());
    Comparison comparison("two_servers_vs_one", "1/s");
    double two = 0, one = 0;
    Pairs({[&](int) {
             auto second = Serve(database);
             LeadClient to_second(second->address());
             Settle();
             two = Load(Plan(256), {to_first.NewPeople(), to_second.NewPeople()}).rate;
             CatchUp(*first);
           },
           [&](int) {
             Settle();
             one = Load(Plan(256), {to_first.NewPeople()}).rate;
             CatchUp(*first);
           }},
          [&] { comparison.Add(two, one); });
    Keep({comparison});
  }

  v1::ListLeadsResponse List(LeadClient& client, const v1::ListLeadsRequest& request) {
    grpc::ClientContext context;
    v1::ListLeadsResponse response;
    const grpc::Status status = client.leads().ListLeads(&context, request, &response);
    if (!status.ok()) throw std::runtime_error("a list failed: " + status.error_message());
    return response;
  }

  void Pages() {
    auto server = Serve(Filled());
    LeadClient client(server->address());
    const v1::ListLeadsRequest first = FirstPage(settings_.quick ? 10 : 50);
    v1::ListLeadsRequest last = first;
    for (int page = 1; page < 1000; ++page) {
      last.set_page_token(List(client, last).next_page_token());
      if (last.page_token().empty()) throw std::runtime_error("there are no 1000 pages");
    }
    Comparison comparison("page_1000_vs_1", "us");
    auto timed = [&](const v1::ListLeadsRequest& request) {
      const auto start = steady_clock::now();
      if (List(client, request).leads_size() != first.page_size()) {
        throw std::runtime_error("a page is not full");
      }
      return SecondsSince(start) * 1e6;
    };
    for (int pair = 0; pair < settings_.pairs; ++pair) {
      std::vector<double> of_first, of_last;
      for (int i = 0; i < 200; ++i) {
        of_first.push_back(timed(first));
        of_last.push_back(timed(last));
      }
      comparison.Add(Median(of_last), Median(of_first));
    }
    Keep({comparison});
  }

  // Rows a second, from the first chunk to the answer to the last one.
  double Import(LeadClient& client, int64_t rows) {
    constexpr int kChunk = 500;
    constexpr int kAhead = 4;  // chunks sent before an answer is awaited
    grpc::ClientContext context;
    auto stream = client.imports().ImportLeads(&context);
    const std::string name = "imports/" + cli::RandomUuid();
    const int64_t first = TakeNumbers(rows);
    std::vector<v1::ImportRowsRequest> chunks;
    for (int64_t row = 0; row < rows; ++row) {
      if (row % kChunk == 0) {
        chunks.emplace_back().set_name(name);
        chunks.back().set_rows_total(rows);
      }
      v1::ImportRow& entry = *chunks.back().add_rows();
      entry.set_row(row + 1);
      v1::CaptureLeadRequest capture = CaptureOf(first + row, first + row);
      entry.mutable_capture()->mutable_lead()->Swap(capture.mutable_lead());
      entry.mutable_capture()->mutable_touchpoint()->Swap(capture.mutable_touchpoint());
      // A touchpoint of an import is of some time and known to its source.
      entry.mutable_capture()->mutable_touchpoint()->mutable_occur_time()->set_seconds(
          1'700'000'000 + row);
    }
    chunks.back().set_complete(true);
    const auto start = steady_clock::now();
    v1::ImportRowsResponse response;
    size_t answered = 0;
    for (size_t sent = 0; sent < chunks.size(); ++sent) {
      if (!stream->Write(chunks[sent])) break;
      if (sent + 1 >= answered + kAhead && stream->Read(&response)) ++answered;
    }
    stream->WritesDone();
    while (answered < chunks.size() && stream->Read(&response)) ++answered;
    const double seconds = SecondsSince(start);
    const grpc::Status status = stream->Finish();
    if (!status.ok()) throw std::runtime_error("the import failed: " + status.error_message());
    if (response.import().rows_done() != rows) {
      throw std::runtime_error(
          "the import did only " + std::to_string(response.import().rows_done()) + " rows" +
          (response.results_size() > 0 ? ": " + response.results(0).status().message()
                                       : std::string()));
    }
    return static_cast<double>(rows) / seconds;
  }

  void Imports() {
    const int64_t rows = settings_.quick ? 3'000 : 20'000;
    Comparison comparison("import_vs_copy", "rows/s");
    // What the import wrote is copied out and, in another database, in again: so the two sides of a
    // pair have one order only.
    for (int pair = 0; pair < settings_.pairs; ++pair) {
      const std::string ours = NewDatabase(), theirs = NewDatabase();
      Settle();
      double imported = 0;
      {
        auto server = Serve(ours);
        LeadClient client(server->address());
        imported = Import(client, rows);
      }
      std::string out, in, tables;
      for (const char* table :
           {"leads", "person_keys", "lead_identities", "touchpoints", "request_log", "events"}) {
        const std::string file = pg_.socket_dir() + "/" + table + ".copy";
        out += std::string("COPY ") + table + " TO '" + file + "'; ";
        in += std::string("COPY ") + table + " FROM '" + file + "'; ";
        tables += (tables.empty() ? "" : ", ") + std::string(table);
      }
      pg_.Execute(ours, out);
      pg_.Execute(theirs, "TRUNCATE " + tables + " CASCADE");
      Settle();
      const auto start = steady_clock::now();
      pg_.Execute(theirs, in);
      comparison.Add(imported, static_cast<double>(rows) / SecondsSince(start));
      pg_.Execute("postgres", "DROP DATABASE " + ours);
      pg_.Execute("postgres", "DROP DATABASE " + theirs);
    }
    Keep({comparison});
  }

  void Large() {
    constexpr int64_t kSmall = 10'000;
    Note("filling " + std::to_string(settings_.large) + " leads");
    const std::string small = FilledDatabase(kSmall), large = FilledDatabase(settings_.large);
    auto of_small = Serve(small), of_large = Serve(large);
    LeadClient to_small(of_small->address()), to_large(of_large->address());
    Comparison get("get_1m_vs_10k", "1/s"), capture("capture_1m_vs_10k", "1/s"),
        list("list_1m_vs_10k", "1/s");
    double big = 0, little = 0;
    Pairs({[&](int) { big = Load(Plan(256), {to_large.Gets(RandomLeads(settings_.large))}).rate; },
           [&](int) { little = Load(Plan(256), {to_small.Gets(RandomLeads(kSmall))}).rate; }},
          [&] { get.Add(big, little); });
    Pairs({[&](int) { big = Load(Plan(64), {to_large.Lists(FirstPage(50))}).rate; },
           [&](int) { little = Load(Plan(64), {to_small.Lists(FirstPage(50))}).rate; }},
          [&] { list.Add(big, little); });
    Pairs({[&](int) {
             Settle();
             big = Load(Plan(256), {to_large.NewPeople()}).rate;
             CatchUp(*of_large);
           },
           [&](int) {
             Settle();
             little = Load(Plan(256), {to_small.NewPeople()}).rate;
             CatchUp(*of_small);
           }},
          [&] { capture.Add(big, little); });
    Keep({get, capture, list});
  }

  void Keep(const std::vector<Comparison>& comparisons) {
    PrintTable(comparisons, std::cerr);
    comparisons_.insert(comparisons_.end(), comparisons.begin(), comparisons.end());
  }

 public:
  bool failed() const { return failed_; }

 private:
  const Settings settings_;
  testing::PgCluster& pg_;
  fs::path folder_;
  pid_t postmaster_ = -1;
  std::string seed_, filled_, statements_, counted_, function_call_;
  CaptureTemplate model_;
  int databases_ = 0;
  std::mt19937_64 random_{1};
  std::vector<Comparison> comparisons_;
  bool failed_ = false;
};

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
  std::printf("%.0f captures/s, p50 %.0f us, p99 %.0f us, %lld failed %s\n", result.rate,
              Quantile(result.micros, 0.5), Quantile(result.micros, 0.99),
              static_cast<long long>(result.failed), result.first_error.c_str());
  return result.failed == 0 ? 0 : 1;
}

int Main(int argc, char** argv) {
  Settings settings;
  settings.relaisd = fs::read_symlink("/proc/self/exe").parent_path() / "../../server/relaisd";
  settings.go_peer = fs::read_symlink("/proc/self/exe").parent_path() / "peers/go/go_peer";
  std::vector<std::string> only;
  int pairs = 0, milliseconds = 0;
  CLI::App app("relais_bench: the server beside pgbench, bare SQLite and bare gRPC, in one run");
  app.add_flag("--quick", settings.quick, "under two minutes, with fewer pairs and shorter ones");
  app.add_option("--json", settings.json, "write the figures to this file, too");
  app.add_option("--only", only, "these figures only")->delimiter(',');
  app.add_option("--large", settings.large,
                 "leads of the large database of *_1m_vs_10k; 0: not measured (the default)");
  app.add_option("--pairs", pairs, "pairs of each comparison");
  app.add_option("--time", milliseconds, "milliseconds of each side of a pair");
  app.add_option("--relaisd", settings.relaisd, "the server");
  app.add_option("--go_peer", settings.go_peer, "the server of tests/bench/peers/go");
  app.add_option("--load", settings.load, "only capture at the server at this address");
  app.add_option("--in-flight", settings.in_flight, "calls in flight of --load");
  CLI11_PARSE(app, argc, argv);
  settings.only.insert(only.begin(), only.end());
  settings.pairs = pairs > 0 ? pairs : settings.quick ? 2 : 5;
  settings.time = std::chrono::milliseconds(milliseconds > 0 ? milliseconds
                                            : settings.quick ? 1500
                                                             : 4000);
  if (!settings.load.empty()) return LoadOnly(settings);

  Bench bench(settings);
  const std::vector<Comparison> comparisons = bench.Run();
  PrintTable(comparisons, std::cout);
  if (!settings.json.empty()) {
    std::ofstream out(settings.json);
    out << ToJson(comparisons);
    if (!out.flush()) throw std::runtime_error(settings.json + ": cannot be written");
  }
  return bench.failed() ? 1 : 0;
}

}  // namespace
}  // namespace relais::bench

int main(int argc, char** argv) {
  try {
    return relais::bench::Main(argc, argv);
  } catch (const std::exception& error) {
    std::cerr << "relais_bench: " << error.what() << std::endl;
    return 1;
  }
}
