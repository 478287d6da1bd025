#include "tests/storage/pg_cluster.h"

#include <fcntl.h>
#include <pwd.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>

extern char** environ;

namespace relais::testing {
namespace {

namespace fs = std::filesystem;

std::string ReadAll(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
}

std::string Tail(const std::string& text, size_t bytes = 2000) {
  return text.size() <= bytes ? text : text.substr(text.size() - bytes);
}

std::string FindBin() {
  if (const char* bin = std::getenv("RELAIS_PG_BIN")) return bin;
  std::string best;
  int best_version = 0;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator("/usr/lib/postgresql", error)) {
    int version = std::atoi(entry.path().filename().c_str());
    if (version > best_version && fs::exists(entry.path() / "bin/initdb")) {
      best_version = version;
      best = entry.path() / "bin";
    }
  }
  if (best.empty()) {
    throw std::runtime_error(
        "no PostgreSQL server programs found: install them or set RELAIS_PG_BIN");
  }
  return best;
}

std::vector<char*> Pointers(std::vector<std::string>& args) {
  std::vector<char*> out;
  for (std::string& arg : args) out.push_back(arg.data());
  out.push_back(nullptr);
  return out;
}

// posix_spawn and not fork: the tests have threads, and the child must not inherit the guard's
// pipe.
pid_t Spawn(std::vector<std::string> args, posix_spawn_file_actions_t* actions) {
  std::vector<char*> argv = Pointers(args);
  pid_t pid = -1;
  int error = posix_spawnp(&pid, argv[0], actions, nullptr, argv.data(), environ);
  if (error != 0) throw std::runtime_error("cannot start " + args[0]);
  return pid;
}

bool Succeeded(pid_t pid) {
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

// Root may not run a server; setpriv changes the user by exec, without a process in between.
std::vector<std::string> AsPostgres() {
  if (geteuid() != 0) return {};
  return {"setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups", "--"};
}

}  // namespace

PgCluster& PgCluster::Shared() {
  static PgCluster cluster;
  return cluster;
}

PgCluster::PgCluster() : bin_(FindBin()) {
  // Not below TMPDIR: the path of a Unix socket has at most 107 bytes.
  char name[] = "/tmp/relais-pg-XXXXXX";
  if (mkdtemp(name) == nullptr) throw std::runtime_error("cannot make a folder in /tmp");
  dir_ = name;
  if (geteuid() == 0) {
    const passwd* postgres = getpwnam("postgres");
    if (postgres == nullptr || chown(name, postgres->pw_uid, postgres->pw_gid) != 0) {
      throw std::runtime_error("root runs the cluster as user postgres, which is not there");
    }
  }

  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("cannot make a pipe");
  std::vector<std::string> guard = AsPostgres();
  for (std::string_view word :
       {"sh", "-c",
        "trap '' INT TERM HUP; cat >/dev/null; "
        "\"$1/pg_ctl\" -D \"$2/data\" -m immediate -w stop >/dev/null 2>&1; rm -rf \"$2\"/*; "
        "rmdir \"$2\" 2>/dev/null",
        "relais-pg-guard"}) {
    guard.emplace_back(word);
  }
  guard.push_back(bin_);
  guard.push_back(dir_);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[0], 0);
  posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
  guard_pid_ = Spawn(std::move(guard), &actions);
  posix_spawn_file_actions_destroy(&actions);
  close(ends[0]);
  guard_pipe_ = ends[1];

  Run({bin_ + "/initdb", "-D", dir_ + "/data", "-U", "postgres", "-A", "trust", "-E", "UTF8",
       "--locale=C.UTF-8", "--locale-provider=icu", "--icu-locale=en-US", "--no-sync"},
      true);
  Start();
}

PgCluster::~PgCluster() {
  close(guard_pipe_);
  Succeeded(guard_pid_);
  // In a sticky /tmp, the folder itself may only be removed by whoever made it.
  std::error_code ignored;
  fs::remove_all(dir_, ignored);
}

std::string PgCluster::Run(const std::vector<std::string>& command, bool as_postgres) const {
  std::string out = dir_ + "/out-XXXXXX";
  int file = mkostemp(out.data(), O_CLOEXEC);
  if (file < 0) throw std::runtime_error("cannot make a file in " + dir_);
  std::vector<std::string> args = as_postgres ? AsPostgres() : std::vector<std::string>();
  args.insert(args.end(), command.begin(), command.end());
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, file, 1);
  posix_spawn_file_actions_adddup2(&actions, file, 2);
  bool ok = false;
  try {
    ok = Succeeded(Spawn(std::move(args), &actions));
  } catch (...) {
    posix_spawn_file_actions_destroy(&actions);
    close(file);
    unlink(out.c_str());
    throw;
  }
  posix_spawn_file_actions_destroy(&actions);
  close(file);
  std::string text = ReadAll(out);
  unlink(out.c_str());
  if (!ok) {
    throw std::runtime_error(command[0] + " failed:\n" + Tail(text) + "\nserver log:\n" +
                             Tail(ReadAll(dir_ + "/log")));
  }
  return text;
}

std::string PgCluster::DSN(std::string_view dbname, std::string_view user) const {
  return "host=" + dir_ + " port=" + std::to_string(kPort) + " dbname=" + std::string(dbname) +
         " user=" + std::string(user);
}

std::string PgCluster::CreateDatabase() {
  std::string name = "relais_" + std::to_string(++databases_);
  Execute("postgres", "CREATE DATABASE " + name);
  return name;
}

void PgCluster::DropDatabase(std::string_view dbname) {
  Execute("postgres", "DROP DATABASE \"" + std::string(dbname) + "\" WITH (FORCE)");
}

std::string PgCluster::Execute(std::string_view dbname, std::string_view sql) {
  return Run({bin_ + "/psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", DSN(dbname),
              "-c", std::string(sql)},
             false);
}

void PgCluster::Stop() {
  std::lock_guard<std::mutex> lock(control_);
  Run({bin_ + "/pg_ctl", "-D", dir_ + "/data", "-m", "fast", "-w", "stop"}, true);
}

void PgCluster::Crash() {
  std::lock_guard<std::mutex> lock(control_);
  Run({bin_ + "/pg_ctl", "-D", dir_ + "/data", "-m", "immediate", "-w", "stop"}, true);
}

void PgCluster::Start() {
  std::lock_guard<std::mutex> lock(control_);
  const char* memory = std::getenv("RELAIS_PG_SHARED_BUFFERS");
  Run({bin_ + "/pg_ctl", "-D", dir_ + "/data", "-l", dir_ + "/log", "-w", "-t", "60", "-o",
       "-k " + dir_ + " -p " + std::to_string(kPort) +
           " -c listen_addresses='' -c fsync=on -c synchronous_commit=on -c full_page_writes=on"
           " -c max_connections=100 -c log_min_messages=warning -c shared_buffers=" +
           std::string(memory == nullptr ? "64MB" : memory),
       "start"},
      true);
}

}  // namespace relais::testing
