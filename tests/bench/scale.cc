#include "tests/bench/scale.h"

#include <chrono>
#include <exception>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <random>
#include <stdexcept>
#include <utility>

#include "tests/bench/people.h"

namespace relais::bench {
namespace {

namespace fs = std::filesystem;

// Of a filled database with all that filling it takes for a while: sorted runs of index builds and
// the write-ahead log.
constexpr int64_t kRoomPerLead = 9'000;
constexpr int64_t kRoomLeft = int64_t{4} << 30;
constexpr int kFewCallers = 4;

struct Operation {
  const char* name;
  int many;  // calls in flight for the rate
  CallKind kind;
};

std::vector<Operation> Operations(Ground& ground, LeadClient& client, int64_t leads) {
  v1::ListLeadsRequest of_stage = FirstPage(50);
  of_stage.set_filter("stage = PROSPECT");
  v1::ListLeadsRequest filtered;
  filtered.set_page_size(50);
  filtered.set_order_by("create_time desc");
  filtered.set_filter(
      "acquisition.source = \"referral\" AND score >= 40 AND counters.touchpoints >= 2");
  // The beginning of a family name, which one or two names have in common.
  auto word = [&ground, leads] {
    std::uniform_int_distribution<int64_t> pick(1, leads);
    const std::string family = NamesOf(kFirstFilled + pick(ground.random())).family;
    return family.substr(0, family.size() - 2);
  };
  return {
      {"get", kManyCallers, client.Gets(ground.AnyLead(leads))},
      {"list by score within a stage", 64, client.Lists(of_stage)},
      {"filtered list, latest first", 64, client.Lists(filtered)},
      {"search by prefix", 16, client.Searches(word)},
      {"timeline of a lead", kManyCallers, client.Timelines(ground.AnyLead(leads))},
      {"funnel", 1, client.Funnels(leads)},
      {"capture", kManyCallers, client.NewPeople()},  // last: it makes the database another
  };
}

void Measure(Ground& ground, const ServerProcess& server, const ScalePoint& base, ScaleRun& run) {
  LeadClient client(server.address());
  for (const Operation& operation : Operations(ground, client, base.leads)) {
    ScalePoint point = base;
    point.operation = operation.name;
    const std::string what =
        std::string(operation.name) + ", " + base.engine + ", " + std::to_string(base.leads);
    try {
      ground.Rest({{&server}, {}});
      const LoadResult few = ground.Load(what, ground.Plan(std::min(kFewCallers, operation.many)),
                                         {operation.kind}, {&server});
      point.p50 = Quantile(few.micros, 0.5);
      point.p99 = Quantile(few.micros, 0.99);
      point.rate =
          operation.many <= kFewCallers
              ? few.rate
              : ground
                    .Load(what + ", many", ground.Plan(operation.many), {operation.kind}, {&server})
                    .rate;
      run.points.push_back(point);
    } catch (const std::exception& error) {
      Note("NOT MEASURED: " + std::string(error.what()));
      run.left_out.push_back(error.what());
      run.failed = true;
    }
  }
}

void OnPostgres(Ground& ground, int64_t leads, ScaleRun& run) {
  const std::string empty = ground.NewDatabase();
  auto size = [&](const std::string& database) {
    return std::stod(
        ground.pg().Execute("postgres", "SELECT pg_database_size('" + database + "')"));
  };
  const std::string database = ground.FilledDatabase(leads);
  ScalePoint point;
  point.engine = "PostgreSQL";
  point.leads = leads;
  point.bytes_per_lead = (size(database) - size(empty)) / static_cast<double>(leads + kAllNames);
  Measure(ground, *ground.Serve(database), point, run);
  ground.Drop(database);
  ground.Drop(empty);
}

void OnSqlite(Ground& ground, int64_t leads, ScaleRun& run) {
  const fs::path file = ground.FilledFile(leads);
  ScalePoint point;
  point.engine = "SQLite";
  point.leads = leads;
  point.bytes_per_lead =
      static_cast<double>(fs::file_size(file)) / static_cast<double>(leads + kAllNames);
  Measure(ground, *ground.ServeFile(file), point, run);
  for (const char* end : {"", "-wal", "-shm"}) fs::remove(file.string() + end);
}

}  // namespace

ScaleRun RunScale(Ground& ground) {
  ScaleRun run;
  const std::pair<const char*, void (*)(Ground&, int64_t, ScaleRun&)> engines[] = {
      {"PostgreSQL", OnPostgres}, {"SQLite", OnSqlite}};
  for (int64_t leads : ground.settings().sizes) {
    for (const auto& [engine, measure] : engines) {
      const std::string what = std::to_string(leads) + " leads on " + engine;
      const auto room = static_cast<int64_t>(fs::space(ground.folder()).available);
      if (room < leads * kRoomPerLead + kRoomLeft) {
        run.left_out.push_back(what + ": the disk has room for " + std::to_string(room >> 30) +
                               " GiB only");
        Note("LEFT OUT: " + run.left_out.back());
        continue;
      }
      try {
        measure(ground, leads, run);
      } catch (const std::exception& error) {
        Note("NOT MEASURED: " + what + ": " + error.what());
        run.left_out.push_back(what + ": " + error.what());
        run.failed = true;
      }
    }
  }
  return run;
}

std::string ToJson(const ScaleRun& run) {
  auto out = nlohmann::json::array();
  for (const ScalePoint& p : run.points) {
    out.push_back({{"engine", p.engine},
                   {"leads", p.leads},
                   {"bytes_per_lead", p.bytes_per_lead},
                   {"operation", p.operation},
                   {"p50_us", p.p50},
                   {"p99_us", p.p99},
                   {"rate", p.rate}});
  }
  return out.dump(2) + "\n";
}

std::string ToMarkdown(const ScaleRun& run) {
  std::string out =
      "| engine | leads | bytes a lead | operation | p50 us | p99 us | calls/s |\n"
      "|---|---:|---:|---|---:|---:|---:|\n";
  for (const ScalePoint& p : run.points) {
    out += "| " + p.engine + " | " + std::to_string(p.leads) + " | " + Text(p.bytes_per_lead, 0) +
           " | " + p.operation + " | " + Text(p.p50, 0) + " | " + Text(p.p99, 0) + " | " +
           Text(p.rate, p.rate < 10 ? 1 : 0) + " |\n";
  }
  for (const std::string& what : run.left_out) out += "\nLeft out: " + what + ".\n";
  return out;
}

}  // namespace relais::bench
