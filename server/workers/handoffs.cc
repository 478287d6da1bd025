#include "server/workers/handoffs.h"

#include <algorithm>
#include <future>
#include <memory>
#include <set>
#include <utility>

#include "server/domain/concat.h"
#include "server/domain/handoff.h"
#include "server/domain/status_macros.h"
#include "server/runtime/logging.h"

namespace relais::workers {
namespace {

constexpr std::string_view kStage = "stage";
constexpr std::string_view kCrossed = "milestones.marketing_qualified_time";
constexpr char kClock[] = "workers/handoff-clock";  // principal of what the clock does
constexpr int kPage = 200;
constexpr std::chrono::seconds kDeadline{10};

template <class Command>
Effect EffectOf(std::string method, Command command) {
  storage::Keys keys = commands::KeysOf(command);
  return {
      std::move(method), std::move(keys),
      [command = std::move(command)](storage::WriteTxn& tx) { return commands::Run(tx, command); }};
}

}  // namespace

std::vector<domain::EventType> HandoffReaction::types(const domain::Config& config) const {
  const bool thresholds =
      std::any_of(config.handoff_policies.begin(), config.handoff_policies.end(),
                  [](const domain::HandoffPolicy& policy) {
                    return policy.trigger == domain::HandoffTrigger::kThreshold;
                  });
  if (!thresholds) return {domain::EventType::kLeadTransitioned};
  return {domain::EventType::kLeadTransitioned, domain::EventType::kLeadCreated,
          domain::EventType::kLeadUpdated, domain::EventType::kLeadAssigned,
          domain::EventType::kLeadRescored};
}

std::vector<std::string> HandoffReaction::paths() const {
  return {std::string(kStage), std::string(kCrossed)};
}

std::optional<Effect> HandoffReaction::React(const domain::Event& event,
                                             const commands::Once& once) const {
  std::optional<domain::HandoffTrigger> trigger;
  for (const domain::FieldChange& change : event.changes) {
    if (change.path == kCrossed && change.before.absent() && !change.after.absent()) {
      trigger = domain::HandoffTrigger::kThreshold;
    }
  }
  for (const domain::FieldChange& change : event.changes) {
    if (change.path != kStage || change.after.if_int() == nullptr) continue;
    const auto stage = static_cast<domain::Stage>(*change.after.if_int());
    if (stage == domain::Stage::kDisqualified) {
      return EffectOf("CancelHandoffs",
                      commands::CancelHandoffsCommand{.once = once, .lead = event.lead});
    }
    const auto before =
        static_cast<domain::Stage>(change.before.if_int() == nullptr ? 0 : *change.before.if_int());
    // Whoever falls back from an opportunity has been in sales' hands all along.
    if (stage == domain::Stage::kProspect && before == domain::Stage::kLead) {
      trigger = domain::HandoffTrigger::kQualified;
    }
  }
  if (!trigger.has_value()) return std::nullopt;
  return EffectOf("HandOver", commands::HandOverCommand{.once = once,
                                                        .lead = event.lead,
                                                        .trigger = *trigger,
                                                        .trigger_time = event.record_time});
}

HandoffClock::HandoffClock(storage::Store& store, const domain::Clock& clock,
                           domain::TenantId tenant)
    : store_(store), clock_(clock), tenant_(std::move(tenant)) {}

HandoffClock::~HandoffClock() { Stop(); }

void HandoffClock::Start(std::chrono::milliseconds interval) {
  thread_ = std::thread([this, interval] { Run(interval); });
}

void HandoffClock::Stop() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
    changed_.notify_one();
  }
  if (thread_.joinable()) thread_.join();
}

void HandoffClock::Run(std::chrono::milliseconds interval) {
  bool failing = false;
  std::unique_lock lock(mutex_);
  while (!changed_.wait_for(lock, interval, [this] { return stopping_; })) {
    lock.unlock();
    absl::StatusOr<int> done = Step();
    if (!done.ok() && !failing) {
      runtime::LogWarning(
          Concat("escalation of hand-offs waits: ", FromAbsl(done.status().message())));
    }
    failing = !done.ok();
    lock.lock();
  }
}

absl::StatusOr<std::vector<domain::HandoffId>> HandoffClock::Overdue() {
  auto overdue = std::make_shared<std::vector<domain::HandoffId>>();
  auto done = std::make_shared<std::promise<absl::Status>>();
  storage::Call call;
  call.tenant = tenant_;
  call.principal = kClock;
  call.method = "FindOverdue";
  call.deadline = std::chrono::steady_clock::now() + kDeadline;
  store_.Read(
      std::move(call),
      [overdue, now = clock_.Now()](storage::ReadTxn& txn) -> absl::Status {
        ASSIGN_OR_RETURN(*overdue, txn.OverdueHandoffs(now, kPage));
        return absl::OkStatus();
      },
      [done](const absl::Status& status) { done->set_value(status); });
  RETURN_IF_ERROR(done->get_future().get());
  return std::move(*overdue);
}

absl::StatusOr<int> HandoffClock::Step() {
  std::lock_guard lock(step_mutex_);
  std::set<domain::HandoffId> tried;
  while (true) {
    ASSIGN_OR_RETURN(std::vector<domain::HandoffId> overdue, Overdue());
    std::vector<std::future<absl::Status>> ends;
    for (const domain::HandoffId& id : overdue) {
      if (!tried.insert(id).second) continue;
      Effect effect = EffectOf("EscalateHandoff", commands::EscalateHandoffCommand{id});
      storage::Call call;
      call.tenant = tenant_;
      call.principal = kClock;
      call.method = effect.method;
      call.deadline = std::chrono::steady_clock::now() + kDeadline;
      auto done = std::make_shared<std::promise<absl::Status>>();
      ends.push_back(done->get_future());
      store_.Write(std::move(call), std::move(effect.keys), std::move(effect.body),
                   [done](const absl::Status& status, const storage::Committed&) {
                     done->set_value(status);
                   });
    }
    // Those that are still overdue after they were tried would come again for ever.
    if (ends.empty()) return static_cast<int>(tried.size());
    absl::Status failure;
    for (std::future<absl::Status>& end : ends) failure.Update(end.get());
    RETURN_IF_ERROR(failure);
  }
}

}  // namespace relais::workers
