// One Store on one engine, empty, for tests: both engines answer the same suite.
#pragma once

#include <condition_variable>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "gtest/gtest.h"
#include "server/commands/commands.h"
#include "server/domain/faults.h"
#include "storage/open.h"
#include "storage/store.h"
#include "tests/fixtures/fakes.h"
#include "tests/storage/pg_cluster.h"

namespace relais::testing {

enum class Engine { kSqlite, kPostgres };
inline std::string EngineName(const ::testing::TestParamInfo<Engine>& info) {
  return info.param == Engine::kSqlite ? "Sqlite" : "Postgres";
}

// Waits for one answer that arrives on another thread.
template <class T>
class Waiter {
 public:
  void Set(T value) {
    std::lock_guard<std::mutex> lock(mutex_);
    value_ = std::move(value);
    ready_.notify_all();
  }
  T Get() {
    std::unique_lock<std::mutex> lock(mutex_);
    ready_.wait(lock, [this] { return value_.has_value(); });
    return *value_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable ready_;
  std::optional<T> value_;
};

// An empty database that goes away with this object.
class TestDatabase {
 public:
  explicit TestDatabase(Engine engine) {
    if (engine == Engine::kPostgres) {
      url_ = PgCluster::Shared().DSN(PgCluster::Shared().CreateDatabase());
      return;
    }
    std::string pattern = (std::filesystem::temp_directory_path() / "relais-XXXXXX").string();
    folder_ = mkdtemp(pattern.data());
    url_ = "sqlite:" + (folder_ / "test.db").string();
  }
  ~TestDatabase() {
    if (!folder_.empty()) std::filesystem::remove_all(folder_);
  }
  TestDatabase(const TestDatabase&) = delete;
  TestDatabase& operator=(const TestDatabase&) = delete;
  const std::string& url() const { return url_; }

 private:
  std::filesystem::path folder_;
  std::string url_;
};

inline storage::StoreOptions StrictOptions() {
  storage::StoreOptions options;
  options.unnamed_reads_fail = true;
  options.run_bodies_twice = true;
  return options;
}

// A store with the calls of tests around it: each waits for its answer.
class TestStore {
 public:
  TestStore(const std::string& url, const domain::Clock& clock, domain::IdSource& ids,
            storage::StoreOptions options = StrictOptions()) {
    absl::StatusOr<std::unique_ptr<storage::Store>> store =
        storage::OpenStore({url, std::string(32, 'k'), options}, clock, ids);
    if (!store.ok()) {
      ADD_FAILURE() << store.status();
      std::abort();
    }
    store_ = *std::move(store);
  }
  explicit TestStore(std::unique_ptr<storage::Store> store) : store_(std::move(store)) {}

  storage::Store& operator*() { return *store_; }
  storage::Store* operator->() { return store_.get(); }

  static storage::Call CallOf(std::string method = "Test", std::string principal = "tester") {
    storage::Call call;
    call.tenant = domain::TenantId("default");
    call.principal = std::move(principal);
    call.method = std::move(method);
    return call;
  }

  struct Written {
    absl::Status status;
    storage::Committed committed;
  };
  Written Write(const storage::Keys& keys, storage::Body body, bool validate_only = false,
                storage::Call call = CallOf()) {
    auto waiter = std::make_shared<Waiter<Written>>();
    store_->Write(
        std::move(call), keys, std::move(body),
        [waiter](absl::Status status, storage::Committed committed) {
          waiter->Set({std::move(status), committed});
        },
        validate_only);
    return waiter->Get();
  }

  // Runs a command of server/commands through the store.
  template <class Command>
  auto Run(const Command& command, bool validate_only = false, storage::Call call = CallOf()) {
    using R = decltype(commands::Run(std::declval<storage::WriteTxn&>(), command));
    auto result = std::make_shared<std::optional<R>>();
    Written written = Write(
        commands::KeysOf(command),
        [result, command](storage::WriteTxn& tx) -> absl::Status {
          result->emplace(commands::Run(tx, command));
          if constexpr (requires { (*result)->status(); }) {
            return (*result)->status();
          } else {
            return absl::OkStatus();
          }
        },
        validate_only, std::move(call));
    if constexpr (requires { (*result)->status(); }) {
      if (!written.status.ok()) return R(written.status);
    }
    return std::move(**result);
  }

  absl::Status Read(storage::ReadBody body, storage::Call call = CallOf("Read")) {
    auto waiter = std::make_shared<Waiter<absl::Status>>();
    store_->Read(std::move(call), std::move(body),
                 [waiter](absl::Status status) { waiter->Set(std::move(status)); });
    return waiter->Get();
  }

  std::optional<domain::Lead> GetLead(const domain::LeadId& id) {
    std::optional<domain::Lead> lead;
    absl::Status status = Read([&](storage::ReadTxn& tx) -> absl::Status {
      auto found = tx.GetLeads({id});
      if (!found.ok()) return found.status();
      lead = (*found)[0];
      return absl::OkStatus();
    });
    EXPECT_TRUE(status.ok()) << status;
    return lead;
  }

  std::vector<domain::Lead> AllLeads() {
    std::vector<domain::Lead> leads;
    absl::Status status = Read([&](storage::ReadTxn& tx) -> absl::Status {
      auto found = tx.ListLeads({.limit = 1'000'000});
      if (!found.ok()) return found.status();
      leads = *std::move(found);
      return absl::OkStatus();
    });
    EXPECT_TRUE(status.ok()) << status;
    return leads;
  }

  std::vector<domain::Event> AllEvents(std::optional<domain::LeadId> lead = std::nullopt) {
    std::vector<domain::Event> events;
    absl::Status status = Read([&](storage::ReadTxn& tx) -> absl::Status {
      auto found = tx.Events({.lead = lead, .limit = 10'000'000});
      if (!found.ok()) return found.status();
      events = *std::move(found);
      return absl::OkStatus();
    });
    EXPECT_TRUE(status.ok()) << status;
    return events;
  }

 private:
  std::unique_ptr<storage::Store> store_;
};

}  // namespace relais::testing
