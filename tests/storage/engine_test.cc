// What the engine behind the Store does when things go wrong or much waits: one suite, on SQLite
// and on PostgreSQL. Failures are made by a session in between (faulty_database.h); the writer is
// held at the hook that is called before each of its transactions.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "server/commands/commands.h"
#include "server/domain/concat.h"
#include "storage/engine/batch_store.h"
#include "storage/postgres/postgres_database.h"
#include "storage/sqlite/sqlite_database.h"
#include "storage/store.h"
#include "tests/fixtures/fakes.h"
#include "tests/storage/commands_fixture.h"
#include "tests/storage/faulty_database.h"
#include "tests/storage/store_fixture.h"

namespace relais::testing {
namespace {

using std::chrono::steady_clock;
using storage::Call;
using storage::Committed;
using storage::Keys;
using storage::WriteTxn;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::Ge;
using ::testing::SizeIs;

constexpr char kSqlitePrefix[] = "sqlite:";

std::unique_ptr<storage::Database> DatabaseOf(const std::string& url) {
  if (url.starts_with(kSqlitePrefix)) {
    return storage::MakeSqliteDatabase({.path = url.substr(sizeof kSqlitePrefix - 1)});
  }
  return storage::MakePostgresDatabase({.dsn = url});
}

// Stands at the writer's hook: writes down the weight of each transaction, and holds the writer
// there while it is closed.
class Gate {
 public:
  void Pass(int units) {
    std::unique_lock<std::mutex> lock(mutex_);
    weights_.push_back(units);
    ++arrived_;
    changed_.notify_all();
    changed_.wait(lock, [&] { return open_; });
  }
  void Close() {
    std::lock_guard<std::mutex> lock(mutex_);
    open_ = false;
    arrived_ = 0;
  }
  void Open() {
    std::lock_guard<std::mutex> lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }
  // Until a writer stands at the closed gate.
  void Await() {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [&] { return arrived_ > 0; });
  }
  std::vector<int> weights() {
    std::lock_guard<std::mutex> lock(mutex_);
    return weights_;
  }
  void Forget() {
    std::lock_guard<std::mutex> lock(mutex_);
    weights_.clear();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool open_ = true;
  int arrived_ = 0;
  std::vector<int> weights_;
};

// The answers of many writes, each exactly one.
class Answers {
 public:
  explicit Answers(size_t count) : statuses_(count), places_(count), answered_(count) {}

  storage::Done At(size_t i) {
    return [this, i](const absl::Status& status, const Committed& place) {
      std::lock_guard<std::mutex> lock(mutex_);
      EXPECT_FALSE(answered_[i]) << "answer " << i << " came twice";
      answered_[i] = true;
      statuses_[i] = status;
      places_[i] = place;
      changed_.notify_all();
    };
  }
  absl::Status Get(size_t i) {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [&] { return static_cast<bool>(answered_[i]); });
    return statuses_[i];
  }
  std::vector<absl::StatusCode> Codes() {
    std::vector<absl::StatusCode> codes;
    for (size_t i = 0; i < answered_.size(); ++i) codes.push_back(Get(i).code());
    return codes;
  }
  int64_t Position(size_t i) {
    EXPECT_TRUE(Get(i).ok());
    std::lock_guard<std::mutex> lock(mutex_);
    return places_[i].position;
  }
  bool answered(size_t i) {
    std::lock_guard<std::mutex> lock(mutex_);
    return answered_[i];
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<absl::Status> statuses_;
  std::vector<Committed> places_;
  std::vector<bool> answered_;
};

absl::Status DoNothing(WriteTxn&) { return absl::OkStatus(); }

class EngineTest : public ::testing::TestWithParam<Engine> {
 protected:
  EngineTest() : database_(GetParam()) {}

  TestStore Open(storage::StoreOptions options = StrictOptions()) {
    options.before_transaction = [this](int units) { gate_.Pass(units); };
    auto database = std::make_unique<FaultyDatabase>(DatabaseOf(database_.url()), faults_);
    absl::Status migrated = database->Migrate();
    EXPECT_TRUE(migrated.ok()) << migrated;
    return TestStore(std::make_unique<storage::BatchStore>(
        std::move(database), storage::Vault(std::string(storage::kKeyBytes, 'k')), clock_, ids_,
        domain::BuiltInConfig(), options));
  }

  static void Capture(TestStore& store, const std::string& email, storage::Done done) {
    commands::CaptureCommand command = CaptureOf(email);
    store->Write(
        TestStore::CallOf(), commands::KeysOf(command),
        [command](WriteTxn& tx) { return commands::Run(tx, command).status(); }, std::move(done));
  }

  // Captures `count` people in one transaction (when nothing fails).
  void CaptureTogether(TestStore& store, Answers& answers, size_t count) {
    store->PauseWrites();
    for (size_t i = 0; i < count; ++i) {
      Capture(store, Concat("p", i, "@example.com"), answers.At(i));
    }
    store->ResumeWrites();
  }

  // Each captured person once, with two events a lead and no gap.
  static void ExpectCaptured(TestStore& store, size_t people) {
    EXPECT_THAT(store.AllLeads(), SizeIs(people));
    std::vector<domain::Event> events = store.AllEvents();
    EXPECT_THAT(events, SizeIs(2 * people));
    for (size_t i = 0; i < events.size(); ++i) {
      EXPECT_EQ(events[i].number, static_cast<int64_t>(i) + 1);
    }
  }

  TestDatabase database_;
  FakeClock clock_;
  CountingIds ids_;
  Faults faults_;
  Gate gate_;
};

INSTANTIATE_TEST_SUITE_P(Engines, EngineTest, ::testing::Values(Engine::kSqlite, Engine::kPostgres),
                         EngineName);

// ---- failures ---------------------------------------------------------------------------------

TEST_P(EngineTest, ABatchInConflictIsRunOnceMore) {
  TestStore store = Open();
  faults_.commits_refused = 1;
  Answers answers(8);
  CaptureTogether(store, answers, 8);
  EXPECT_THAT(answers.Codes(), Each(absl::StatusCode::kOk));
  EXPECT_THAT(gate_.weights(), ElementsAre(8, 8));
  ExpectCaptured(store, 8);
}

TEST_P(EngineTest, ABatchInConflictAgainIsSplit) {
  TestStore store = Open();
  faults_.commits_refused = 2;
  Answers answers(8);
  CaptureTogether(store, answers, 8);
  EXPECT_THAT(answers.Codes(), Each(absl::StatusCode::kOk));
  EXPECT_THAT(gate_.weights(), ElementsAre(8, 8, 4, 4));
  ExpectCaptured(store, 8);
}

TEST_P(EngineTest, AConflictThatDoesNotClearIsAnsweredUnavailableAndWritesNothing) {
  TestStore store = Open();
  faults_.commits_refused = 1'000'000;
  Answers answers(3);
  CaptureTogether(store, answers, 3);
  EXPECT_THAT(answers.Codes(), Each(absl::StatusCode::kUnavailable));
  faults_.commits_refused = 0;
  ExpectCaptured(store, 0);
  EXPECT_TRUE(store.Run(CaptureOf("later@example.com")).ok());
}

TEST_P(EngineTest, AUnitThatBreaksAStatementFailsAlone) {
  TestStore store = Open();
  faults_.breaks_on_poison = true;
  Answers answers(9);
  store->PauseWrites();
  for (size_t i = 0; i < 8; ++i) Capture(store, Concat("p", i, "@example.com"), answers.At(i));
  Capture(store, Faults::kPoison, answers.At(8));
  store->ResumeWrites();
  std::vector<absl::StatusCode> codes = answers.Codes();
  EXPECT_EQ(codes.back(), absl::StatusCode::kInternal);
  codes.pop_back();
  EXPECT_THAT(codes, Each(absl::StatusCode::kOk));
  ExpectCaptured(store, 8);
}

TEST_P(EngineTest, ALostAnswerToACommitThatHappenedIsNotRunAgain) {
  TestStore store = Open();
  faults_.answers_lost = 1;
  Answers answers(5);
  CaptureTogether(store, answers, 5);
  EXPECT_THAT(answers.Codes(), Each(absl::StatusCode::kOk));
  EXPECT_EQ(answers.Position(4), 10);
  EXPECT_THAT(gate_.weights(), ElementsAre(5));
  ExpectCaptured(store, 5);
}

TEST_P(EngineTest, ALostCommitThatDidNotHappenIsRunAgain) {
  TestStore store = Open();
  faults_.commits_lost = 1;
  Answers answers(5);
  CaptureTogether(store, answers, 5);
  EXPECT_THAT(answers.Codes(), Each(absl::StatusCode::kOk));
  EXPECT_THAT(gate_.weights(), ElementsAre(5, 5));
  ExpectCaptured(store, 5);
}

TEST_P(EngineTest, ALockInTheWayOfSettlingProvesNothing) {
  TestStore store = Open();
  faults_.commits_lost = 1;
  faults_.settlings_blocked = 1;
  Answers answers(5);
  CaptureTogether(store, answers, 5);
  EXPECT_THAT(answers.Codes(), Each(absl::StatusCode::kOk));
  EXPECT_THAT(gate_.weights(), ElementsAre(5, 5));
  ExpectCaptured(store, 5);
}

TEST_P(EngineTest, ABatchThatWasGivenUpIsShutOutForGood) {
  TestStore store = Open();
  faults_.commits_lost = 1;
  Answers answers(1);
  CaptureTogether(store, answers, 1);
  EXPECT_TRUE(answers.Get(0).ok());
  // The row of the batch that was given up stands beside that of its second run: were the server
  // still to come to the first run's own row, it would find it taken.
  auto session = *DatabaseOf(database_.url())->Open(storage::TransactionMode::kRead);
  ASSERT_TRUE(session->Begin(TestStore::CallOf().tenant, storage::TransactionMode::kRead).ok());
  auto rows = session->Query("SELECT COUNT(*) FROM batches", {}, {{storage::ColumnType::kInteger}});
  ASSERT_TRUE(rows.ok()) << rows.status();
  EXPECT_EQ(storage::IntOr((*rows)[0][0]), 2);
}

TEST_P(EngineTest, ACommitThatIsNotProvenDurableIsUnknownAndItsRetryIsAReplay) {
  TestStore store = Open();
  faults_.commits_unproven = 1;
  commands::CaptureCommand command = CaptureOf("p0@example.com");
  command.once = {ids_.NewId(), "digest"};
  absl::Status first = store.Run(command).status();
  EXPECT_EQ(first.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(domain::FaultOf(first)->reason, "OUTCOME_UNKNOWN");
  auto second = store.Run(command);
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_TRUE(second->replayed);
  ExpectCaptured(store, 1);
}

TEST_P(EngineTest, ATenantWithoutAFeedWritesNothing) {
  TestStore store = Open();
  Call call = TestStore::CallOf();
  call.tenant = domain::TenantId("nobody");
  EXPECT_EQ(store.Run(CaptureOf("p0@example.com"), false, call).status().code(),
            absl::StatusCode::kInternal);
  absl::Status read = store.Read(
      [](storage::ReadTxn& tx) -> absl::Status {
        auto leads = tx.ListLeads({.limit = 10});
        EXPECT_THAT(*leads, SizeIs(0));
        return absl::OkStatus();
      },
      call);
  EXPECT_TRUE(read.ok()) << read;
}

TEST_P(EngineTest, ACallerInAHurryDoesNotCostTheOthersTheOutcome) {
  TestStore store = Open();
  faults_.answers_lost = 1;
  Answers answers(2);
  store->PauseWrites();
  commands::CaptureCommand hasty = CaptureOf("p0@example.com");
  Call call = TestStore::CallOf();
  // Leaves while its body runs, when it is too late to be left out.
  auto left = std::make_shared<std::atomic<bool>>(false);
  call.cancelled = left;
  store->Write(
      call, commands::KeysOf(hasty),
      [hasty, left](WriteTxn& tx) {
        left->store(true);
        return commands::Run(tx, hasty).status();
      },
      answers.At(0));
  Capture(store, "p1@example.com", answers.At(1));
  store->ResumeWrites();
  EXPECT_TRUE(answers.Get(1).ok()) << answers.Get(1);
  ExpectCaptured(store, 2);
}

TEST_P(EngineTest, AConnectionThatIsGoneAtTheBeginningIsReplaced) {
  TestStore store = Open();
  faults_.beginnings_lost = 1;
  Answers answers(5);
  CaptureTogether(store, answers, 5);
  EXPECT_THAT(answers.Codes(), Each(absl::StatusCode::kOk));
  EXPECT_TRUE(store->healthy());
  ExpectCaptured(store, 5);
}

TEST_P(EngineTest, ADatabaseThatIsAwayIsAnsweredUnavailableAndFoundAgain) {
  TestStore store = Open();
  faults_.beginnings_lost = 2;
  Answers answers(3);
  CaptureTogether(store, answers, 3);
  EXPECT_THAT(answers.Codes(), Each(absl::StatusCode::kUnavailable));
  ExpectCaptured(store, 0);
  EXPECT_TRUE(store.Run(CaptureOf("later@example.com")).ok());
  EXPECT_TRUE(store->healthy());
}

TEST_P(EngineTest, ADatabaseCountsAsBackOnlyOnceItAnswers) {
  storage::StoreOptions options = StrictOptions();
  options.probe_pause = std::chrono::milliseconds(1);
  TestStore store = Open(options);
  faults_.away = true;
  EXPECT_EQ(store.Run(CaptureOf("a@example.com")).status().code(), absl::StatusCode::kUnavailable);
  const int before = faults_.statements_lost;
  while (faults_.statements_lost < before + 3 && !store->healthy()) std::this_thread::yield();
  EXPECT_FALSE(store->healthy()) << "BEGIN alone proves nothing";
  faults_.away = false;
  while (!store->healthy()) std::this_thread::yield();
  EXPECT_TRUE(store.Run(CaptureOf("a@example.com")).ok());
}

// ---- the queue --------------------------------------------------------------------------------

TEST_P(EngineTest, WhoeverGivesUpInTheQueueIsDroppedWithoutWork) {
  TestStore store = Open();
  gate_.Close();
  Answers answers(4);
  store->Write(TestStore::CallOf(), Keys(), DoNothing, answers.At(0));
  gate_.Await();
  std::atomic<int> ran{0};
  auto counted = [&ran](WriteTxn&) {
    ++ran;
    return absl::OkStatus();
  };
  Call cancelled = TestStore::CallOf();
  cancelled.cancelled = std::make_shared<std::atomic<bool>>(false);
  store->Write(cancelled, Keys(), counted, answers.At(1));
  Call hasty = TestStore::CallOf();
  hasty.deadline = steady_clock::now();
  store->Write(hasty, Keys(), counted, answers.At(2));
  store->Write(TestStore::CallOf(), Keys(), DoNothing, answers.At(3));
  *cancelled.cancelled = true;
  gate_.Forget();
  gate_.Open();
  EXPECT_THAT(answers.Codes(),
              ElementsAre(absl::StatusCode::kOk, absl::StatusCode::kDeadlineExceeded,
                          absl::StatusCode::kDeadlineExceeded, absl::StatusCode::kOk));
  EXPECT_EQ(ran, 0);
  EXPECT_THAT(gate_.weights(), ElementsAre(1)) << "only the one who still waited was done";
}

TEST_P(EngineTest, WhoeverGaveUpLeavesRoomInAFullQueue) {
  storage::StoreOptions options = StrictOptions();
  options.max_queued_units = 3;
  TestStore store = Open(options);
  gate_.Close();
  Answers answers(5);
  store->Write(TestStore::CallOf(), Keys(), DoNothing, answers.At(0));
  gate_.Await();
  Call call = TestStore::CallOf();
  call.cancelled = std::make_shared<std::atomic<bool>>(false);
  for (size_t i = 1; i <= 3; ++i) store->Write(call, Keys(), DoNothing, answers.At(i));
  *call.cancelled = true;
  store->Write(TestStore::CallOf(), Keys(), DoNothing, answers.At(4));
  // Answered while the writer stands still.
  for (size_t i = 1; i <= 3; ++i) {
    EXPECT_EQ(answers.Get(i).code(), absl::StatusCode::kDeadlineExceeded);
  }
  EXPECT_FALSE(answers.answered(4));
  gate_.Open();
  EXPECT_TRUE(answers.Get(4).ok());
}

TEST_P(EngineTest, ACallThatWouldWaitTooLongIsRefusedAtOnceAndToldHowLong) {
  storage::StoreOptions options = StrictOptions();
  options.max_batch = 1;
  TestStore store = Open(options);
  store->PauseWrites();
  constexpr size_t kWaiting = 3000;
  Answers answers(kWaiting + 2);
  std::vector<int64_t> told;
  Call hasty = TestStore::CallOf();
  for (size_t i = 0; i < kWaiting; ++i) {
    store->Write(TestStore::CallOf(), Keys(), DoNothing, answers.At(i));
    if (i == kWaiting / 2 || i == kWaiting - 1) {
      hasty.deadline = steady_clock::now() + std::chrono::milliseconds(100);
      const size_t at = kWaiting + (i == kWaiting - 1 ? 1 : 0);
      store->Write(hasty, Keys(), DoNothing, answers.At(at));
      absl::Status refused = answers.Get(at);
      ASSERT_EQ(refused.code(), absl::StatusCode::kResourceExhausted) << refused;
      told.push_back(domain::FaultOf(refused)->retry_after_millis.value_or(0));
    }
  }
  EXPECT_GT(told[0], 0);
  EXPECT_GT(told[1], told[0]) << "the delay told follows the backlog";
  store->Stop();
  EXPECT_TRUE(answers.Get(kWaiting - 1).ok()) << "whoever can wait is served";
}

TEST_P(EngineTest, TenantsTakeTurnsHoweverMuchOneOfThemSends) {
  TestStore store = Open();
  store->PauseWrites();
  constexpr size_t kMany = 500;
  Answers answers(kMany + 1);
  std::mutex mutex;
  std::vector<std::string> order;
  auto noting = [&](const Call& call) {
    return [&, tenant = call.tenant.value](WriteTxn&) {
      std::lock_guard<std::mutex> lock(mutex);
      if (order.empty() || order.back() != tenant) order.push_back(tenant);
      return absl::OkStatus();
    };
  };
  Call loud = TestStore::CallOf();
  for (size_t i = 0; i < kMany; ++i) store->Write(loud, Keys(), noting(loud), answers.At(i));
  Call quiet = TestStore::CallOf();
  quiet.tenant = domain::TenantId("quiet");
  store->Write(quiet, Keys(), noting(quiet), answers.At(kMany));
  gate_.Forget();
  store->ResumeWrites();
  EXPECT_THAT(answers.Codes(), Each(absl::StatusCode::kOk));
  EXPECT_THAT(order, ElementsAre("default", "quiet", "default"));
  const std::vector<int> weights = gate_.weights();
  ASSERT_THAT(weights, SizeIs(Ge(3U)));
  EXPECT_EQ(weights[0], 64);
  EXPECT_EQ(weights[1], 1) << "the other tenant came after one batch";
}

TEST_P(EngineTest, OneTenantCannotShutOutAnother) {
  storage::StoreOptions options = StrictOptions();
  options.max_queued_units = 64;
  TestStore store = Open(options);
  store->PauseWrites();
  Answers answers(65);
  for (size_t i = 0; i < 64; ++i) {
    store->Write(TestStore::CallOf(), Keys(), DoNothing, answers.At(i));
  }
  EXPECT_EQ(answers.Get(63).code(), absl::StatusCode::kResourceExhausted);
  Call other = TestStore::CallOf();
  other.tenant = domain::TenantId("other");
  store->Write(other, Keys(), DoNothing, answers.At(64));
  store->ResumeWrites();
  EXPECT_TRUE(answers.Get(64).ok()) << answers.Get(64);
}

TEST_P(EngineTest, ABatchCallIsAdmittedWholeOrRefusedWhole) {
  storage::StoreOptions options = StrictOptions();
  options.max_queued_units = 40;
  TestStore store = Open(options);
  store->PauseWrites();
  Answers answers(3);
  bool ran = false;
  store->Write(TestStore::CallOf(), Keys(), DoNothing, answers.At(0), false, 30);
  store->Write(
      TestStore::CallOf(), Keys(),
      [&](WriteTxn&) {
        ran = true;
        return absl::OkStatus();
      },
      answers.At(1), false, 11);
  absl::Status refused = answers.Get(1);
  EXPECT_EQ(refused.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(domain::FaultOf(refused)->retry_after_millis.has_value());
  store->Write(TestStore::CallOf(), Keys(), DoNothing, answers.At(2), false, 5);
  store->ResumeWrites();
  EXPECT_TRUE(answers.Get(0).ok());
  EXPECT_TRUE(answers.Get(2).ok());
  EXPECT_FALSE(ran);
}

TEST_P(EngineTest, StopFinishesWhatWaitsAndRefusesWhatComes) {
  TestStore store = Open();
  store->PauseWrites();
  Answers answers(12);
  for (size_t i = 0; i < 10; ++i) Capture(store, Concat("p", i, "@example.com"), answers.At(i));
  storage::Slices work{20, [](int, int) { return Keys(); },
                       [](WriteTxn&, int, int) { return absl::OkStatus(); }};
  store->WriteSlices(TestStore::CallOf(), work, answers.At(10));
  store->Stop();
  store->Write(TestStore::CallOf(), Keys(), DoNothing, answers.At(11));
  std::vector<absl::StatusCode> codes = answers.Codes();
  EXPECT_EQ(codes.back(), absl::StatusCode::kUnavailable);
  codes.pop_back();
  EXPECT_THAT(codes, Each(absl::StatusCode::kOk));
}

TEST_P(EngineTest, ManyThreadsWriteReadAndGiveUpAtOnce) {
  storage::StoreOptions options = StrictOptions();
  options.writer_threads = 2;
  options.max_queued_units = 64;
  TestStore store = Open(options);
  constexpr int kThreads = 4, kEach = 100;
  std::atomic<int> captured{0}, refused{0}, expired{0}, strange{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      std::vector<std::shared_ptr<Waiter<absl::Status>>> waiters;
      for (int i = 0; i < kEach; ++i) {
        commands::CaptureCommand command = CaptureOf(Concat("t", t, "-", i, "@example.com"));
        Call call = TestStore::CallOf();
        call.cancelled = std::make_shared<std::atomic<bool>>(false);
        if (i % 7 == 0) call.deadline = steady_clock::now() + std::chrono::microseconds(50 * i);
        auto waiter = std::make_shared<Waiter<absl::Status>>();
        waiters.push_back(waiter);
        auto done = [waiter](absl::Status status, Committed) { waiter->Set(std::move(status)); };
        auto body = [command](WriteTxn& tx) { return commands::Run(tx, command).status(); };
        if (i % 20 == 19) {
          store->WriteSlices(call,
                             {1, [command](int, int) { return commands::KeysOf(command); },
                              [body](WriteTxn& tx, int, int) { return body(tx); }},
                             done);
        } else {
          store->Write(call, commands::KeysOf(command), body, done);
        }
        if (i % 11 == 0) *call.cancelled = true;
        if (i % 10 == 0) {
          EXPECT_TRUE(store.Read([](storage::ReadTxn& tx) { return tx.Head().status(); }).ok());
        }
      }
      for (const auto& waiter : waiters) {
        switch (waiter->Get().code()) {
          case absl::StatusCode::kOk:
            ++captured;
            break;
          case absl::StatusCode::kResourceExhausted:
            ++refused;
            break;
          case absl::StatusCode::kDeadlineExceeded:
            ++expired;
            break;
          default:
            ++strange;
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(strange, 0);
  EXPECT_EQ(captured + refused + expired, kThreads * kEach);
  EXPECT_GT(captured, 0);
  ExpectCaptured(store, static_cast<size_t>(captured));
}

// ---- long work --------------------------------------------------------------------------------

TEST_P(EngineTest, SlicesCoverEveryItemOnceAndInOrder) {
  storage::StoreOptions options = StrictOptions();
  options.run_bodies_twice = false;
  options.slice_time = std::chrono::microseconds(1);
  TestStore store = Open(options);
  std::vector<std::pair<int, int>> slices;
  storage::Slices work;
  work.items = 100;
  work.keys = [](int first, int count) {
    Keys keys;
    for (int i = first; i < first + count; ++i) {
      keys.Add(commands::KeysOf(CaptureOf(Concat("p", i, "@example.com"))));
    }
    return keys;
  };
  work.body = [&](WriteTxn& tx, int first, int count) {
    slices.emplace_back(first, count);
    for (int i = first; i < first + count; ++i) {
      absl::Status status = commands::Run(tx, CaptureOf(Concat("p", i, "@example.com"))).status();
      if (!status.ok()) return status;
    }
    return absl::OkStatus();
  };
  Answers answers(1);
  store->WriteSlices(TestStore::CallOf(), work, answers.At(0));
  ASSERT_TRUE(answers.Get(0).ok()) << answers.Get(0);
  EXPECT_EQ(answers.Position(0), 200);
  EXPECT_THAT(slices, SizeIs(Ge(2U)));
  int next = 0;
  for (auto [first, count] : slices) {
    EXPECT_EQ(first, next);
    next += count;
  }
  EXPECT_EQ(next, 100);
  ExpectCaptured(store, 100);
}

TEST_P(EngineTest, OrdinaryCallsAreServedBetweenTheSlicesOfLongWork) {
  storage::StoreOptions options = StrictOptions();
  options.run_bodies_twice = false;
  options.slice_time = std::chrono::microseconds(1);
  TestStore store = Open(options);
  Answers answers(2);
  storage::Slices work;
  work.items = 1000;
  work.keys = [](int, int) { return Keys(); };
  bool served = false;
  work.body = [&](WriteTxn&, int first, int) {
    // The second slice begins only when the call that came during the first one was answered: on
    // SQLite it can be nowhere but in between.
    if (first == 0) {
      Capture(store, "light@example.com", answers.At(0));
    } else if (!served) {
      EXPECT_TRUE(answers.Get(0).ok());
      EXPECT_FALSE(answers.answered(1));
      served = true;
    }
    return absl::OkStatus();
  };
  store->WriteSlices(TestStore::CallOf(), work, answers.At(1));
  EXPECT_TRUE(answers.Get(1).ok());
  EXPECT_TRUE(served);
}

TEST_P(EngineTest, OnPostgresASliceThatTakesLongDelaysNoOtherCall) {
  if (GetParam() == Engine::kSqlite) return;  // has one writer
  TestStore store = Open();
  Answers answers(2);
  Waiter<bool> light_done;
  storage::Slices work{1, [](int, int) { return Keys(); },
                       [&](WriteTxn&, int, int) {
                         EXPECT_TRUE(light_done.Get());
                         return absl::OkStatus();
                       }};
  store->WriteSlices(TestStore::CallOf(), work, answers.At(0));
  // A batch call that would fill a batch alone is long work as well: it waits for its turn.
  store->Write(TestStore::CallOf(), Keys(), DoNothing, answers.At(1), false, 65);
  EXPECT_TRUE(store.Run(CaptureOf("light@example.com")).ok());
  EXPECT_FALSE(answers.answered(0));
  EXPECT_FALSE(answers.answered(1));
  light_done.Set(true);
  EXPECT_THAT(answers.Codes(), Each(absl::StatusCode::kOk));
}

TEST_P(EngineTest, ASliceThatFailsEndsTheWorkAndWhatWasCommittedStays) {
  storage::StoreOptions options = StrictOptions();
  options.slice_time = std::chrono::microseconds(1);
  TestStore store = Open(options);
  std::atomic<int> last{0};
  storage::Slices work;
  work.items = 100;
  work.keys = [](int first, int) {
    return commands::KeysOf(CaptureOf(Concat("p", first, "@example.com")));
  };
  work.body = [&](WriteTxn& tx, int first, int) -> absl::Status {
    last = first;
    if (first >= 50) return domain::InvalidField("row", "is refused");
    return commands::Run(tx, CaptureOf(Concat("p", first, "@example.com"))).status();
  };
  Answers answers(1);
  store->WriteSlices(TestStore::CallOf(), work, answers.At(0));
  EXPECT_EQ(answers.Get(0).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_GE(last, 50);
  EXPECT_LT(last, 99) << "no slice after the one that failed";
  EXPECT_THAT(store.AllLeads(), SizeIs(Ge(1U)));
}

TEST_P(EngineTest, LongWorkWhoseCallerLeftEndsBetweenTwoSlices) {
  storage::StoreOptions options = StrictOptions();
  options.slice_time = std::chrono::microseconds(1);
  TestStore store = Open(options);
  Call call = TestStore::CallOf();
  call.cancelled = std::make_shared<std::atomic<bool>>(false);
  std::atomic<int> last{0};
  storage::Slices work{1000, [](int, int) { return Keys(); },
                       [&last, cancelled = call.cancelled](WriteTxn&, int first, int) {
                         last = first;
                         if (first > 0) *cancelled = true;
                         return absl::OkStatus();
                       }};
  Answers answers(1);
  store->WriteSlices(call, work, answers.At(0));
  EXPECT_EQ(answers.Get(0).code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_LT(last, 900);
}

TEST_P(EngineTest, ACheckOfLongWorkIsOneSliceAndWritesNothing) {
  storage::StoreOptions options = StrictOptions();
  options.slice_time = std::chrono::microseconds(1);
  options.run_bodies_twice = false;
  TestStore store = Open(options);
  std::vector<std::pair<int, int>> slices;
  commands::CaptureCommand command = CaptureOf("ana@example.com");
  storage::Slices work{500, [&](int, int) { return commands::KeysOf(command); },
                       [&](WriteTxn& tx, int first, int count) {
                         slices.emplace_back(first, count);
                         return commands::Run(tx, command).status();
                       }};
  Answers answers(1);
  store->WriteSlices(TestStore::CallOf(), work, answers.At(0), /*validate_only=*/true);
  EXPECT_TRUE(answers.Get(0).ok());
  EXPECT_THAT(slices, ElementsAre(std::pair(0, 500)));
  ExpectCaptured(store, 0);
}

TEST_P(EngineTest, LongWorkHasAQueueOfItsOwnAndIsAdmittedWholeOrRefusedWhole) {
  storage::StoreOptions options = StrictOptions();
  options.max_queued_items = 1000;
  options.max_queued_units = 8;
  TestStore store = Open(options);
  store->PauseWrites();
  Answers answers(11);
  auto slices = [](int items) {
    return storage::Slices{items, [](int, int) { return Keys(); },
                           [](WriteTxn&, int, int) { return absl::OkStatus(); }};
  };
  store->WriteSlices(TestStore::CallOf(), slices(800), answers.At(0));
  store->WriteSlices(TestStore::CallOf(), slices(300), answers.At(1));
  absl::Status refused = answers.Get(1);
  EXPECT_EQ(refused.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_GT(domain::FaultOf(refused)->retry_after_millis.value_or(0), 0);
  store->WriteSlices(TestStore::CallOf(), slices(0), answers.At(2));
  // It takes nothing from the room of ordinary calls, of which one tenant gets seven eighths.
  for (size_t i = 3; i < 10; ++i) {
    store->Write(TestStore::CallOf(), Keys(), DoNothing, answers.At(i));
  }
  store->Write(TestStore::CallOf(), Keys(), DoNothing, answers.At(10));
  EXPECT_EQ(answers.Get(10).code(), absl::StatusCode::kResourceExhausted);
  store->ResumeWrites();
  for (size_t i : {0, 2, 3, 9}) EXPECT_TRUE(answers.Get(i).ok()) << i;
}

TEST_P(EngineTest, ASliceWhoseAnswerWasLostIsNotDoneTwice) {
  storage::StoreOptions options = StrictOptions();
  options.slice_time = std::chrono::microseconds(1);
  TestStore store = Open(options);
  ASSERT_TRUE(store.Run(CaptureOf("warm@example.com")).ok());
  faults_.answers_lost = 1;
  faults_.commits_lost = 1;
  storage::Slices work;
  work.items = 24;
  work.keys = [](int first, int) {
    return commands::KeysOf(CaptureOf(Concat("p", first, "@example.com")));
  };
  work.body = [](WriteTxn& tx, int first, int) {
    return commands::Run(tx, CaptureOf(Concat("p", first, "@example.com"))).status();
  };
  Answers answers(1);
  store->WriteSlices(TestStore::CallOf(), work, answers.At(0));
  EXPECT_TRUE(answers.Get(0).ok()) << answers.Get(0);
  for (const domain::Lead& lead : store.AllLeads()) EXPECT_EQ(lead.counters.touchpoints, 1);
}

}  // namespace
}  // namespace relais::testing
