// The comparisons of reads, and of small databases with large ones.
#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/bench/ground.h"

namespace relais::bench {

void Gets(Ground& ground) {
  const std::string& database = ground.Filled();
  const std::string script =
      "\\set k random(1, " + std::to_string(ground.filled_leads()) + ")\nSELECT " +
      ground.LeadColumns() +
      " FROM leads WHERE tenant_id = 'default' AND lead_id = " + Ground::FilledId(":k") + ";\n";
  auto server = ground.Serve(database);
  LeadClient client(server->address());
  const PgbenchRun best = ground.Best(database, script, "the select by key");
  Comparison select("get_vs_pgbench", "1/s"), empty("get_vs_empty", "1/s");
  double get = 0, bare = 0, nothing = 0;
  ground.Pairs(
      {{server.get()}, {}},
      {[&] {
         get = ground
                   .Load("get", ground.Plan(kManyCallers),
                         {client.Gets(ground.AnyLead(ground.filled_leads()))}, {server.get()})
                   .rate;
       },
       [&] { bare = ground.Pgbench("get by pgbench", database, script, best).rate; },
       [&] {
         nothing =
             ground
                 .Load("health check", ground.Plan(kManyCallers), {client.Checks()}, {server.get()})
                 .rate;
       }},
      [&] {
        select.Add(get, bare);
        empty.Add(get, nothing);
      });
  ground.Keep({select, empty});
}

void Lists(Ground& ground) {
  constexpr int kCallers = 64;
  const std::string& database = ground.Filled();
  const std::string script = "SELECT " + ground.LeadColumns() +
                             " FROM leads WHERE tenant_id = 'default' ORDER BY score DESC, "
                             "lead_id DESC LIMIT 51;\n";
  auto server = ground.Serve(database);
  LeadClient client(server->address());
  const PgbenchRun best = ground.Best(database, script, "the page");
  Comparison comparison("list_vs_pgbench", "1/s");
  double list = 0, bare = 0;
  ground.Pairs({{server.get()}, {}},
               {[&] {
                  list = ground
                             .Load("list, page of 50 by score", ground.Plan(kCallers),
                                   {client.Lists(FirstPage(50))}, {server.get()})
                             .rate;
                },
                [&] { bare = ground.Pgbench("list by pgbench", database, script, best).rate; }},
               [&] { comparison.Add(list, bare); });
  ground.Keep({comparison});
}

void Pages(Ground& ground) {
  auto server = ground.Serve(ground.Filled());
  LeadClient client(server->address());
  const v1::ListLeadsRequest first = FirstPage(ground.settings().quick ? 10 : 50);
  v1::ListLeadsRequest last = first;
  for (int page = 1; page < 1000; ++page) {
    last.set_page_token(client.List(last).next_page_token());
    if (last.page_token().empty()) throw std::runtime_error("there are no 1000 pages");
  }
  Comparison comparison("page_1000_vs_1", "us");
  auto timed = [&](const v1::ListLeadsRequest& request) {
    const auto start = std::chrono::steady_clock::now();
    if (client.List(request).leads_size() != first.page_size()) {
      throw std::runtime_error("a page is not full");
    }
    return SecondsSince(start) * 1e6;
  };
  for (int pair = 0; pair < ground.settings().pairs; ++pair) {
    ground.Rest({{server.get()}, {}});
    std::vector<double> of_first, of_last;
    for (int i = 0; i < 200; ++i) {
      of_first.push_back(timed(first));
      of_last.push_back(timed(last));
    }
    comparison.Add(Median(of_last), Median(of_first));
  }
  ground.Keep({comparison});
}

void Large(Ground& ground) {
  constexpr int64_t kSmall = 10'000;
  const int64_t many = ground.settings().large;
  const std::string small = ground.FilledDatabase(kSmall), large = ground.FilledDatabase(many);
  {
    auto of_small = ground.Serve(small), of_large = ground.Serve(large);
    LeadClient to_small(of_small->address()), to_large(of_large->address());
    const Scene reads{{of_small.get(), of_large.get()}, {}};
    const Scene writes{reads.servers, {small, large}};
    struct Side {
      LeadClient& client;
      const ServerProcess& server;
      int64_t leads;
      std::string name;
    };
    const Side big{to_large, *of_large, many, std::to_string(many) + " leads"},
        little{to_small, *of_small, kSmall, std::to_string(kSmall) + " leads"};
    auto compare = [&](const std::string& name, const Scene& scene, auto rate) {
      Comparison comparison(name, "1/s");
      double measured = 0, baseline = 0;
      ground.Pairs(scene, {[&] { measured = rate(big); }, [&] { baseline = rate(little); }},
                   [&] { comparison.Add(measured, baseline); });
      ground.Keep({comparison});
    };
    compare("get_1m_vs_10k", reads, [&](const Side& side) {
      return ground
          .Load("get, " + side.name, ground.Plan(kManyCallers),
                {side.client.Gets(ground.AnyLead(side.leads))}, {&side.server})
          .rate;
    });
    compare("list_1m_vs_10k", reads, [&](const Side& side) {
      return ground
          .Load("list, " + side.name, ground.Plan(64), {side.client.Lists(FirstPage(50))},
                {&side.server})
          .rate;
    });
    compare("capture_1m_vs_10k", writes, [&](const Side& side) {
      return ground
          .Load("capture, " + side.name, ground.Plan(kManyCallers), {side.client.NewPeople()},
                {&side.server})
          .rate;
    });
  }
  ground.Drop(small);
  ground.Drop(large);
}

}  // namespace relais::bench
