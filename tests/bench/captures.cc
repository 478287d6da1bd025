// The comparisons of captures.
#include <chrono>
#include <filesystem>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/bench/bare_sqlite.h"
#include "tests/bench/ground.h"

namespace relais::bench {

void Captures(Ground& ground) {
  const std::string ours = ground.NewDatabase(), theirs = ground.NewDatabase(),
                    by_function = ground.NewDatabase();
  auto server = ground.Serve(ours);
  LeadClient client(server->address());
  const PgbenchRun best = ground.Best(theirs, ground.statements(), "statements");
  const PgbenchRun best_function = ground.Best(by_function, ground.function_call(), "the function");
  Comparison statements("capture_vs_statements", "1/s"), function("capture_vs_function", "1/s"),
      cpu("pg_cpu_vs_statements", "us");
  LoadResult measured;
  PgbenchResult bare, called;
  ground.Pairs({{server.get()}, {ours, theirs, by_function}},
               {[&] {
                  measured = ground.Load("capture", ground.Plan(kManyCallers), {client.NewPeople()},
                                         {server.get()});
                },
                [&] {
                  bare = ground.Pgbench("capture by pgbench, statements", theirs,
                                        ground.statements(), best);
                },
                [&] {
                  called = ground.Pgbench("capture by pgbench, function", by_function,
                                          ground.function_call(), best_function);
                }},
               [&] {
                 statements.Add(measured.rate, bare.rate);
                 function.Add(measured.rate, called.rate);
                 cpu.Add(measured.database_cpu, bare.database_cpu);
               });
  ground.Keep({statements, function, cpu});
}

void CapturesCounted(Ground& ground) {
  const std::string ours = ground.NewDatabase(), theirs = ground.NewDatabase();
  auto server = ground.Serve(ours);
  LeadClient client(server->address());
  const PgbenchRun best = ground.Best(theirs, ground.counted(), "statements with a counter row");
  Comparison comparison("capture_vs_counted", "1/s");
  double measured = 0, bare = 0;
  ground.Pairs(
      {{server.get()}, {ours, theirs}},
      {[&] {
         measured =
             ground.Load("capture", ground.Plan(kManyCallers), {client.NewPeople()}, {server.get()})
                 .rate;
       },
       [&] {
         bare = ground.Pgbench("capture by pgbench, counted events", theirs, ground.counted(), best)
                    .rate;
       }},
      [&] { comparison.Add(measured, bare); });
  ground.Keep({comparison});
}

void CapturesInGo(Ground& ground) {
  const std::string& program = ground.settings().go_peer;
  if (!std::filesystem::exists(program)) {
    throw std::runtime_error("tests/bench/peers/go/build.sh builds the peer: " + program);
  }
  const std::string ours = ground.NewDatabase(), theirs = ground.NewDatabase();
  auto server = ground.Serve(ours);
  auto peer_with = [&](int connections) {
    return std::make_unique<ServerProcess>(
        std::vector<std::string>{program, ground.BareDsn(theirs),
                                 ground.folder() / "statements.json", std::to_string(connections)});
  };
  int best = 0;
  double best_rate = 0;
  for (int connections :
       ground.settings().quick ? std::vector<int>{16} : std::vector<int>{8, 16, 32}) {
    auto peer = peer_with(connections);
    LeadClient to_peer(peer->address());
    LoadPlan plan = ground.Plan(kManyCallers);
    plan.measured = std::chrono::milliseconds(ground.settings().quick ? 500 : 2000);
    const double rate = ground
                            .Load("Go peer, " + std::to_string(connections) + " connections", plan,
                                  {to_peer.NewPeople()}, {peer.get()})
                            .rate;
    if (rate > best_rate) {
      best_rate = rate;
      best = connections;
    }
  }
  ground.pg().Execute(theirs, "ANALYZE");
  Note("the Go peer runs with " + std::to_string(best) + " connections");
  auto peer = peer_with(best);
  LeadClient client(server->address()), to_peer(peer->address());
  Comparison comparison("capture_vs_go", "1/s");
  double measured = 0, of_peer = 0;
  ground.Pairs(
      {{server.get(), peer.get()}, {ours, theirs}},
      {[&] {
         measured =
             ground.Load("capture", ground.Plan(kManyCallers), {client.NewPeople()}, {server.get()})
                 .rate;
       },
       [&] {
         of_peer = ground
                       .Load("capture by the Go peer", ground.Plan(kManyCallers),
                             {to_peer.NewPeople()}, {peer.get()})
                       .rate;
       }},
      [&] { comparison.Add(measured, of_peer); });
  ground.Keep({comparison});
}

void CapturesOnSqlite(Ground& ground) {
  const std::filesystem::path ours = ground.NewFile(), theirs = ground.NewFile();
  {
    auto server = ground.ServeFile(theirs);
    LeadClient(server->address()).Capture(kTemplatePerson);
  }
  const CaptureTemplate model =
      TemplateOf(kTemplatePerson, ReadSqliteRows(theirs, CaptureTables()));
  auto server = ground.ServeFile(ours);
  LeadClient client(server->address());
  Comparison comparison("capture_sqlite_vs_loop", "1/s");
  double measured = 0, bare = 0;
  ground.Pairs({{server.get()}, {}},
               {[&] {
                  measured = ground
                                 .Load("capture on SQLite", ground.Plan(kManyCallers),
                                       {client.NewPeople()}, {server.get()})
                                 .rate;
                },
                [&] {
                  const double before = OwnCpuMicros();
                  LoadResult loop;
                  loop.rate =
                      RunBareSqlite(theirs, model, TakeNumbers(10'000'000), ground.settings().time);
                  loop.database_cpu =
                      (OwnCpuMicros() - before) /
                      (loop.rate * std::chrono::duration<double>(ground.settings().time).count());
                  ground.KeepCost("capture by the SQLite loop", loop);
                  bare = loop.rate;
                }},
               [&] { comparison.Add(measured, bare); });
  ground.Keep({comparison});
}

void FewCallers(Ground& ground, int callers) {
  const std::string ours = ground.NewDatabase(), theirs = ground.NewDatabase();
  const std::string many = std::to_string(callers) + " in flight";
  auto server = ground.Serve(ours);
  LeadClient client(server->address());
  PgbenchRun run;
  run.clients = callers;
  run.latencies = true;
  Comparison comparison("capture_p50_" + std::to_string(callers) + "_vs_statements", "us");
  double measured = 0, bare = 0;
  ground.Pairs(
      {{server.get()}, {ours, theirs}},
      {[&] {
         measured = Median(ground
                               .Load("capture, " + many, ground.Plan(callers), {client.NewPeople()},
                                     {server.get()})
                               .micros);
       },
       [&] {
         bare =
             Median(ground.Pgbench("capture by pgbench, " + many, theirs, ground.statements(), run)
                        .micros);
       }},
      [&] { comparison.Add(measured, bare); });
  ground.Keep({comparison});
}

void AgainstSingleCommits(Ground& ground) {
  const std::string many = ground.NewDatabase(), one = ground.NewDatabase();
  auto batching = ground.Serve(many), single = ground.Serve(one, {"--write_batch=1"});
  LeadClient to_batching(batching->address()), to_single(single->address());
  Comparison comparison("capture_p99_16_vs_single", "us");
  auto p99 = [&](const char* what, LeadClient& client, const ServerProcess& server) {
    return Quantile(ground.Load(what, ground.Plan(16), {client.NewPeople()}, {&server}).micros,
                    0.99);
  };
  double measured = 0, bare = 0;
  ground.Pairs({{batching.get(), single.get()}, {many, one}},
               {[&] { measured = p99("capture, 16 in flight", to_batching, *batching); },
                [&] { bare = p99("capture, 16 in flight, --write_batch=1", to_single, *single); }},
               [&] { comparison.Add(measured, bare); });
  ground.Keep({comparison});
}

void HotKeys(Ground& ground) {
  constexpr int64_t kHot = 10;
  const int64_t known = ground.settings().quick ? 2'000 : 10'000;
  const std::string database = ground.NewDatabase();
  auto server = ground.Serve(database);
  LeadClient client(server->address());
  // Everybody is there already, so that both sides only meet people who are known.
  const int64_t first = TakeNumbers(known);
  Import(first, known).Run(client);
  Comparison comparison("hot_keys_vs_uniform", "1/s");
  std::uniform_int_distribution<int64_t> anybody(0, known - 1), few(0, kHot - 1);
  std::uniform_int_distribution<int> percent(0, 99);
  std::mt19937_64& random = ground.random();
  auto rate = [&](const char* what, int hot_percent) {
    auto person = [&, hot_percent] {
      return first + (percent(random) < hot_percent ? few(random) : anybody(random));
    };
    return ground
        .Load(what, ground.Plan(kManyCallers),
              {client.Captures(person, v1::CAPTURE_OUTCOME_MATCHED)}, {server.get()})
        .rate;
  };
  double hot = 0, uniform = 0;
  ground.Pairs({{server.get()}, {database}},
               {[&] { hot = rate("capture of known people, 70 % of them of ten", 70); },
                [&] { uniform = rate("capture of known people, all alike", 0); }},
               [&] { comparison.Add(hot, uniform); });
  ground.Keep({comparison});
}

void TwoServers(Ground& ground) {
  const std::string database = ground.NewDatabase();
  auto first = ground.Serve(database);
  LeadClient to_first(first->address());
  Comparison comparison("two_servers_vs_one", "1/s");
  double two = 0, one = 0;
  ground.Pairs({{first.get()}, {database}},
               {[&] {
                  auto second = ground.Serve(database);
                  LeadClient to_second(second->address());
                  two = ground
                            .Load("capture by two servers", ground.Plan(kManyCallers),
                                  {to_first.NewPeople(), to_second.NewPeople()},
                                  {first.get(), second.get()})
                            .rate;
                },
                [&] {
                  one = ground
                            .Load("capture by one of them", ground.Plan(kManyCallers),
                                  {to_first.NewPeople()}, {first.get()})
                            .rate;
                }},
               [&] { comparison.Add(two, one); });
  ground.Keep({comparison});
}

}  // namespace relais::bench
