#include "server/workers/score_keeper.h"

#include <future>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "server/domain/concat.h"
#include "server/domain/faults.h"
#include "server/domain/filter.h"
#include "server/domain/filter_schema.h"
#include "server/domain/operation.h"
#include "server/domain/status_macros.h"
#include "server/runtime/logging.h"

namespace relais::workers {
namespace {

constexpr int kPage = 1'000;  // leads read at a time
constexpr char kRefresh[] = "RefreshScores";
constexpr char kRescore[] = "RescoreLeads";
constexpr char kPrincipal[] = "system";
constexpr auto kReadDeadline = std::chrono::seconds(30);

// Whether trying again later can help.
bool Passes(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kResourceExhausted:
    case absl::StatusCode::kDeadlineExceeded:
    case absl::StatusCode::kCancelled:
      return true;
    default:
      return false;
  }
}

// The rescorings under way, the one that was asked for first first.
storage::ListQuery Running() {
  storage::ListQuery query;
  domain::FilterResult filter =
      domain::ParseFilter(Concat("kind = \"", commands::kRescoreKind, "\" AND state = RUNNING"),
                          domain::SchemaOf<domain::Operation>());
  query.filter = filter.filter();
  query.limit = 1;
  return query;
}

}  // namespace

ScoreKeeper::ScoreKeeper(storage::Store& store, domain::TenantId tenant,
                         std::chrono::milliseconds poll)
    : store_(store), tenant_(std::move(tenant)), poll_(poll), thread_([this] { Run(); }) {}

ScoreKeeper::~ScoreKeeper() { Stop(); }

void ScoreKeeper::Stop() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
    changed_.notify_one();
  }
  if (thread_.joinable()) thread_.join();
}

void ScoreKeeper::Run() {
  bool failing = false;
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    changed_.wait_for(lock, poll_, [this] { return stopping_; });
    absl::StatusOr<bool> more = true;
    while (!stopping_ && more.ok() && *more) {
      lock.unlock();
      more = Step();
      lock.lock();
    }
    // Once for each outage: the poll goes on.
    if (!more.ok() && !failing) {
      runtime::LogWarning(Concat("scores wait: ", FromAbsl(more.status().message())));
    }
    failing = !more.ok();
  }
}

absl::Status ScoreKeeper::DrainForTest() {
  bool more = true;
  while (more) {
    ASSIGN_OR_RETURN(more, Step());
  }
  return absl::OkStatus();
}

absl::Status ScoreKeeper::Read(const storage::ReadBody& body) {
  auto done = std::make_shared<std::promise<absl::Status>>();
  storage::Call call;
  call.tenant = tenant_;
  call.method = kRefresh;
  call.deadline = std::chrono::steady_clock::now() + kReadDeadline;
  store_.Read(std::move(call), body,
              [done](const absl::Status& status) { done->set_value(status); });
  return done->get_future().get();
}

absl::Status ScoreKeeper::Write(const char* method, storage::Slices work) {
  auto done = std::make_shared<std::promise<absl::Status>>();
  storage::Call call;
  call.tenant = tenant_;
  call.principal = kPrincipal;
  call.method = method;
  store_.WriteSlices(
      std::move(call), std::move(work),
      [done](const absl::Status& status, const storage::Committed&) { done->set_value(status); });
  return done->get_future().get();
}

absl::StatusOr<bool> ScoreKeeper::Step() {
  std::lock_guard lock(step_mutex_);
  ASSIGN_OR_RETURN(bool refreshed, Refresh());
  ASSIGN_OR_RETURN(bool rescored, Rescore());
  return refreshed || rescored;
}

absl::StatusOr<bool> ScoreKeeper::Refresh() {
  auto leads = std::make_shared<std::vector<domain::LeadId>>();
  RETURN_IF_ERROR(Read([leads](storage::ReadTxn& txn) -> absl::Status {
    ASSIGN_OR_RETURN(*leads, txn.LeadsDueForScore(txn.now(), kPage));
    return absl::OkStatus();
  }));
  if (leads->empty()) return false;
  auto slice = [leads](int first, int count) {
    return commands::RefreshScoresCommand{{leads->begin() + first, leads->begin() + first + count}};
  };
  storage::Slices work;
  work.items = static_cast<int>(leads->size());
  work.keys = [slice](int first, int count) { return commands::KeysOf(slice(first, count)); };
  work.body = [slice](storage::WriteTxn& txn, int first, int count) {
    return commands::Run(txn, slice(first, count)).status();
  };
  RETURN_IF_ERROR(Write(kRefresh, std::move(work)));
  return true;
}

absl::StatusOr<bool> ScoreKeeper::Rescore() {
  struct Page {
    std::optional<domain::Operation> operation;
    std::vector<domain::LeadId> leads;
    std::vector<bool> counted;
    int64_t total = 0;
  };
  auto page = std::make_shared<Page>();
  RETURN_IF_ERROR(Read([page](storage::ReadTxn& txn) -> absl::Status {
    *page = Page{};
    ASSIGN_OR_RETURN(std::vector<domain::Operation> running, txn.ListOperations(Running()));
    if (running.empty()) return absl::OkStatus();
    page->operation = std::move(running[0]);
    page->total = page->operation->rows_total;
    if (page->total == 0) {
      ASSIGN_OR_RETURN(page->total, txn.CountLeads());
    }
    ASSIGN_OR_RETURN(std::vector<storage::ScoredLead> found,
                     txn.ScoredLeads(domain::LeadId(page->operation->cursor), kPage));
    const domain::Config& config = txn.config();
    for (storage::ScoredLead& lead : found) {
      page->leads.push_back(std::move(lead.lead));
      page->counted.push_back(
          lead.score_model != config.model(domain::Market::kB2b).versioned_name() &&
          lead.score_model != config.model(domain::Market::kB2c).versioned_name());
    }
    return absl::OkStatus();
  }));
  if (!page->operation.has_value()) return false;

  auto slice = [page](int first, int count) {
    commands::RescoreSliceCommand command;
    command.operation = page->operation->id;
    command.after =
        first == 0 ? page->operation->cursor : page->leads[static_cast<size_t>(first) - 1].value;
    command.leads.assign(page->leads.begin() + first, page->leads.begin() + first + count);
    command.counted.assign(page->counted.begin() + first, page->counted.begin() + first + count);
    command.total = page->total;
    command.last = page->leads.size() < static_cast<size_t>(kPage) &&
                   static_cast<size_t>(first + count) == page->leads.size();
    return command;
  };
  storage::Slices work;
  work.items = static_cast<int>(page->leads.size());
  work.keys = [slice](int first, int count) { return commands::KeysOf(slice(first, count)); };
  work.body = [slice](storage::WriteTxn& txn, int first, int count) {
    return commands::Run(txn, slice(first, count)).status();
  };
  absl::Status status = Write(kRescore, std::move(work));
  if (status.ok()) return true;
  if (Passes(status)) return status;
  // Another server is at it, or the operation was ended: look again later.
  if (absl::IsFailedPrecondition(status)) return false;
  RETURN_IF_ERROR(Fail(*page->operation, status));
  return true;
}

absl::Status ScoreKeeper::Fail(const domain::Operation& operation, const absl::Status& why) {
  commands::FailOperationCommand command{operation.id, static_cast<int64_t>(why.code()),
                                         "a slice could not be kept"};
  storage::Slices work;
  work.keys = [command](int, int) { return commands::KeysOf(command); };
  work.body = [command](storage::WriteTxn& txn, int, int) {
    return commands::Run(txn, command).status();
  };
  return Write(kRescore, std::move(work));
}

}  // namespace relais::workers
