#include "tests/bench/machine.h"

#include <grpcpp/grpcpp.h>
#include <sqlite3.h>
#include <sys/utsname.h>

#include <array>
#include <chrono>
#include <ctime>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <stdexcept>
#include <thread>
#include <vector>

namespace relais::bench {
namespace {

namespace fs = std::filesystem;

constexpr char kTitle[] =
    "# Results of the benchmark\n\nMade by `deploy/dev bench --markdown FILE`; README.md beside "
    "the "
    "benchmark tells more of\nhow it measures. Every figure is the median of the ratios of its "
    "pairs.\n";

// The value behind "name : " in a file of /proc.
std::string ProcValue(const char* file, const std::string& name) {
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) {
    const size_t colon = line.find(':');
    if (line.rfind(name, 0) != 0 || colon == std::string::npos) continue;
    const size_t start = line.find_first_not_of(" \t", colon + 1);
    return start == std::string::npos ? "" : line.substr(start);
  }
  return "unknown";
}

std::string FirstLine(const std::string& text) { return text.substr(0, text.find('\n')); }

// Device and kind of the file system that holds `path`.
std::string FileSystemOf(const fs::path& path) {
  std::ifstream in("/proc/mounts");
  std::string best, found = "unknown";
  for (std::string line; std::getline(in, line);) {
    std::istringstream words(line);
    std::string device, at, kind;
    words >> device >> at >> kind;
    const bool below = path.string().rfind(at, 0) == 0;
    if (below && at.size() >= best.size()) {
      best = at;
      found = kind + " on " + device;
    }
  }
  return found;
}

std::string Commit() {
  try {
    const std::string id = FirstLine(RunCommand({"git", "rev-parse", "--short=12", "HEAD"}));
    const std::string changes =
        RunCommand({"git", "status", "--porcelain", "--untracked-files=no"});
    return id + (changes.empty() ? "" : " with changes that are not committed");
  } catch (const std::exception&) {
    return "unknown: not run in the repository";
  }
}

}  // namespace

std::string DescribeRun(Ground& ground) {
  utsname system{};
  uname(&system);
  std::array<char, 32> day{};
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  std::strftime(day.data(), day.size(), "%Y-%m-%d %H:%M UTC", &parts);
  const double memory = std::stod(ProcValue("/proc/meminfo", "MemTotal")) / (1024 * 1024);
  const Settings& settings = ground.settings();
  auto shown = [&](const char* setting) {
    return FirstLine(ground.pg().Execute("postgres", std::string("SHOW ") + setting));
  };
  std::string out;
  auto line = [&out](const std::string& what, const std::string& value) {
    out += "- " + what + ": " + value + "\n";
  };
  line("Run", std::string(day.data()) + ", commit " + Commit() +
                  (settings.quick ? ", `--quick`: not a run to judge by" : "") + ", sides of " +
                  Text(std::chrono::duration<double>(settings.time).count(), 1) + " s");
  line("Processor", ProcValue("/proc/cpuinfo", "model name") + ", " +
                        std::to_string(std::thread::hardware_concurrency()) +
                        " shared by client, server and database");
  line("Memory", Text(memory, 1) + " GiB");
  line("Kernel", std::string(system.sysname) + " " + system.release);
  std::vector<double> syncs = ground.syncs();
  if (syncs.empty()) syncs.push_back(SyncMicros(ground.folder()));
  line("Disk", FileSystemOf(ground.folder()) + "; 8 KiB written and synced in " +
                   Text(Median(syncs), 0) + " us (" + Text(Quantile(syncs, 0), 0) + " to " +
                   Text(Quantile(syncs, 1), 0) + " in the course of the run)");
  line("PostgreSQL", shown("server_version") + ", shared_buffers " + shown("shared_buffers") +
                         ", fsync " + shown("fsync") + ", synchronous_commit " +
                         shown("synchronous_commit") + ", full_page_writes " +
                         shown("full_page_writes") + ", max_wal_size " + shown("max_wal_size"));
  line("SQLite", std::string(sqlite3_libversion()) + ", WAL, synchronous FULL");
  line("gRPC", grpc::Version());
  return out;
}

void WriteSection(const std::string& file, const std::string& name, const std::string& text) {
  const std::string begin = "<!-- " + name + ": written by relais_bench -->\n",
                    end = "<!-- end of " + name + " -->\n";
  std::string content;
  {
    std::ifstream in(file);
    content.assign(std::istreambuf_iterator<char>(in), {});
  }
  const std::string section = begin + "\n" + text + "\n" + end;
  const size_t from = content.find(begin), to = content.find(end);
  if (from != std::string::npos && to != std::string::npos && from < to) {
    content.replace(from, to + end.size() - from, section);
  } else {
    if (content.empty()) content = kTitle;
    content += "\n" + section;
  }
  std::ofstream out(file);
  out << content;
  if (!out.flush()) throw std::runtime_error(file + ": cannot be written");
}

}  // namespace relais::bench
