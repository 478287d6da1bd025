#include "server/workers/reactor.h"

#include <algorithm>
#include <atomic>
#include <future>

#include "absl/strings/str_format.h"
#include "server/domain/concat.h"
#include "server/domain/faults.h"
#include "server/domain/status_macros.h"
#include "server/runtime/logging.h"

namespace relais::workers {
namespace {

// Events looked at in one reading, and so effects on their way at once at the most.
constexpr int kPage = 256;
// Events that concern nobody are passed over in memory; the position is kept after this many, so
// that a restart does not read them all again.
constexpr int64_t kKeepEvery = 10'000;
constexpr std::chrono::seconds kDeadline{10};
// How long changes gather before they are looked at together: a look at every commit would cost
// the database more than the commit.
constexpr std::chrono::milliseconds kGather{50};
// Between two looks at a lease that another worker has.
constexpr std::chrono::milliseconds kLeasePause{1'000};
// An effect that fails with an error of the server's own would stand in the way for ever: after
// this many tries it is left, and said so.
constexpr int kMaxFailures = 5;

bool IsRefusal(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kNotFound:
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kAlreadyExists:
    case absl::StatusCode::kAborted:
      return true;
    default:
      return false;
  }
}
bool IsOurFault(const absl::Status& status) {
  return status.code() == absl::StatusCode::kInternal ||
         status.code() == absl::StatusCode::kUnknown;
}

absl::Status LeaseElsewhere() {
  return absl::FailedPreconditionError("another worker has the lease");
}

}  // namespace

std::string RequestIdOf(int64_t event_number) {
  // Version 8 of RFC 9562: free for whoever makes it, as long as it is unique, which the number is
  // among what one principal writes.
  return absl::StrFormat("00000000-0000-8000-8000-%012x", event_number);
}

absl::Status CheckFence(storage::WriteTxn& tx, const Fence& fence) {
  ASSIGN_OR_RETURN(const storage::ReactionState* found, tx.FindReaction(fence.reaction));
  if (found == nullptr || found->fence != fence.number) return LeaseElsewhere();
  return absl::OkStatus();
}

Reactor::Reactor(storage::Store& store, const domain::Clock& clock, runtime::Metrics& metrics,
                 std::unique_ptr<Reaction> reaction, ReactorOptions options)
    : store_(store),
      clock_(clock),
      metrics_(metrics),
      reaction_(std::move(reaction)),
      options_(std::move(options)),
      name_(reaction_->name()),
      principal_(Concat("reactions/", reaction_->name())) {}

Reactor::~Reactor() { Stop(); }

void Reactor::Start() {
  subscription_ = store_.OnCommit([this] {
    std::lock_guard lock(mutex_);
    nudged_ = true;
    changed_.notify_one();
  });
  thread_ = std::thread([this] { Run(); });
}

void Reactor::Stop() {
  subscription_.reset();
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
    changed_.notify_one();
  }
  if (thread_.joinable()) thread_.join();
  std::lock_guard lock(step_mutex_);
  if (!fence_.has_value()) return;
  const int64_t fence = *fence_;
  fence_.reset();
  // Without it the next worker waits for the lease to run out: no harm.
  (void)Write("ReleaseLease", storage::Keys().Reaction(name_),
              [name = name_, fence](storage::WriteTxn& tx) -> absl::Status {
                ASSIGN_OR_RETURN(const storage::ReactionState* found, tx.FindReaction(name));
                if (found == nullptr || found->fence != fence) return absl::OkStatus();
                storage::ReactionState state = *found;
                state.owner.clear();
                state.lease_until = {};
                return tx.KeepReaction(name, state);
              });
}

void Reactor::Run() {
  bool failing = false;
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait_for(lock, options_.poll, [this] { return stopping_ || nudged_; });
    if (stopping_) return;
    nudged_ = false;
    lock.unlock();
    absl::StatusOr<bool> more = true;
    while (more.ok() && *more) {
      more = Step();
      std::lock_guard look(mutex_);
      if (stopping_) return;
    }
    const bool fails = !more.ok() && !absl::IsFailedPrecondition(more.status());
    // Once for each outage: the poll goes on several times a second.
    if (fails && !failing) {
      runtime::LogWarning(
          Concat("reaction ", name_, " waits: ", FromAbsl(more.status().message())));
    }
    failing = fails;
    lock.lock();
    // Its own units nudge it, too; whoever has to wait waits for the poll, and longer for a lease.
    const auto pause = more.ok() ? kGather : fails ? options_.poll : kLeasePause;
    changed_.wait_for(lock, pause, [this] { return stopping_; });
  }
}

storage::Call Reactor::CallOf(std::string method) const {
  storage::Call call;
  call.tenant = options_.tenant;
  call.principal = principal_;
  call.method = std::move(method);
  call.deadline = std::chrono::steady_clock::now() + kDeadline;
  return call;
}

absl::Status Reactor::Write(std::string method, storage::Keys keys, storage::Body body) {
  auto done = std::make_shared<std::promise<absl::Status>>();
  store_.Write(
      CallOf(std::move(method)), std::move(keys), std::move(body),
      [done](const absl::Status& status, const storage::Committed&) { done->set_value(status); });
  return done->get_future().get();
}

absl::StatusOr<Reactor::Page> Reactor::ReadPage() {
  auto page = std::make_shared<Page>();
  auto done = std::make_shared<std::promise<absl::Status>>();
  store_.Read(
      CallOf("ReadFeed"),
      [page, after = seen_, this](storage::ReadTxn& txn) -> absl::Status {
        *page = Page{};
        ASSIGN_OR_RETURN(storage::FeedHead head, txn.Head());
        if (head.number <= after) {
          page->up_to = after;
          return absl::OkStatus();
        }
        storage::EventQuery query;
        query.after_number = after;
        query.types = reaction_->types(txn.config());
        query.limit = kPage;
        query.only_paths = reaction_->paths();
        ASSIGN_OR_RETURN(page->events, txn.Events(query));
        page->more = page->events.size() == static_cast<size_t>(query.limit);
        page->up_to = page->more ? page->events.back().number : head.number;
        return absl::OkStatus();
      },
      [done](const absl::Status& status) { done->set_value(status); });
  RETURN_IF_ERROR(done->get_future().get());
  return std::move(*page);
}

absl::Status Reactor::TakeLease() {
  // Long enough for a page: nobody else begins one while this worker commits its own.
  const domain::Timestamp now = clock_.Now();
  const int64_t lease = options_.lease.count() * domain::kMicrosPerSecond;
  if (fence_.has_value() && now.micros < lease_until_.micros - lease / 2) return absl::OkStatus();
  struct Outcome {
    storage::ReactionState state;
    bool taken = false;
  };
  auto outcome = std::make_shared<Outcome>();
  RETURN_IF_ERROR(
      Write("TakeLease", storage::Keys().Reaction(name_),
            [outcome, name = name_, owner = options_.owner, lease,
             mine = fence_](storage::WriteTxn& tx) -> absl::Status {
              ASSIGN_OR_RETURN(const storage::ReactionState* found, tx.FindReaction(name));
              storage::ReactionState state = found == nullptr ? storage::ReactionState() : *found;
              const bool own = mine.has_value() && state.fence == *mine;
              outcome->taken = own || state.owner.empty() || state.lease_until <= tx.now();
              if (outcome->taken) {
                if (!own) ++state.fence;
                state.owner = owner;
                state.lease_until = {tx.now().micros + lease};
                RETURN_IF_ERROR(tx.KeepReaction(name, state));
              }
              outcome->state = state;
              return absl::OkStatus();
            }));
  const storage::ReactionState& state = outcome->state;
  const bool changed = !outcome->taken || fence_ != state.fence;
  if (outcome->taken && changed) reaction_->Begin();
  fence_ = outcome->taken ? std::optional<int64_t>(state.fence) : std::nullopt;
  lease_until_ = state.lease_until;
  if (changed) {
    kept_ = state.position;
    seen_ = std::max(outcome->taken ? int64_t{0} : seen_, kept_);
  }
  return outcome->taken ? absl::OkStatus() : LeaseElsewhere();
}

absl::Status Reactor::KeepPosition(int64_t position) {
  if (options_.before_keep) RETURN_IF_ERROR(options_.before_keep());
  auto fenced = std::make_shared<bool>(false);
  RETURN_IF_ERROR(Write(
      "KeepPosition", storage::Keys().Reaction(name_),
      [name = name_, fence = *fence_, position, fenced](storage::WriteTxn& tx) -> absl::Status {
        ASSIGN_OR_RETURN(const storage::ReactionState* found, tx.FindReaction(name));
        *fenced = found == nullptr || found->fence != fence;
        if (*fenced) return absl::OkStatus();
        storage::ReactionState state = *found;
        state.position = position;
        return tx.KeepReaction(name, state);
      }));
  if (*fenced) {
    fence_.reset();
    return LeaseElsewhere();
  }
  kept_ = position;
  return absl::OkStatus();
}

absl::Status Reactor::CountRefusal(const domain::Event& event, const absl::Status& status) {
  const std::optional<domain::Fault> fault = domain::FaultOf(status);
  const std::string reason = fault.has_value() ? fault->reason : std::string("UNKNOWN");
  metrics_.ReactionRefusals(name_, reason).Increment();
  runtime::LogWarning(Concat("reaction ", name_, " leaves event ", event.number, ": ", reason));
  return absl::OkStatus();
}

absl::Status Reactor::React(const Page& page) {
  struct Pending {
    std::vector<absl::Status> statuses;
    std::atomic<size_t> left{0};
    std::promise<void> done;
  };
  std::vector<std::pair<const domain::Event*, Effect>> effects;
  for (const domain::Event& event : page.events) {
    if (event.actor == principal_) continue;
    const commands::Once once{RequestIdOf(event.number), Concat(name_, "/", event.number)};
    if (std::optional<Effect> effect = reaction_->React(event, once)) {
      effects.emplace_back(&event, *std::move(effect));
    }
  }
  if (effects.empty()) return absl::OkStatus();
  auto pending = std::make_shared<Pending>();
  pending->statuses.resize(effects.size());
  pending->left = effects.size();
  for (size_t i = 0; i < effects.size(); ++i) {
    Effect& effect = effects[i].second;
    store_.Write(CallOf(effect.method), std::move(effect.keys), std::move(effect.body),
                 [pending, i](const absl::Status& status, const storage::Committed&) {
                   pending->statuses[i] = status;
                   if (pending->left.fetch_sub(1) == 1) pending->done.set_value();
                 });
  }
  pending->done.get_future().wait();
  absl::Status failure;
  for (size_t i = 0; i < effects.size(); ++i) {
    const absl::Status& status = pending->statuses[i];
    const domain::Event& event = *effects[i].first;
    if (status.ok()) {
      metrics_.ReactionLag(name_).Observe(
          std::max(0.0, static_cast<double>(clock_.Now().micros - event.record_time.micros) /
                            domain::kMicrosPerSecond));
    } else if (IsRefusal(status) || (IsOurFault(status) && failures_ >= kMaxFailures)) {
      RETURN_IF_ERROR(CountRefusal(event, status));
    } else {
      failure = status;
    }
  }
  return failure;
}

absl::Status Reactor::ReactTo(const Page& page) {
  if (!reaction_->by_pages()) return React(page);
  std::vector<domain::Event> events;
  for (const domain::Event& event : page.events) {
    if (event.actor != principal_) events.push_back(event);
  }
  if (events.empty()) return absl::OkStatus();
  RETURN_IF_ERROR(reaction_->ReactToPage(events, {name_, *fence_}));
  metrics_.ReactionLag(name_).Observe(
      std::max(0.0, static_cast<double>(clock_.Now().micros - events.front().record_time.micros) /
                        domain::kMicrosPerSecond));
  return absl::OkStatus();
}

absl::StatusOr<bool> Reactor::Step() {
  std::lock_guard lock(step_mutex_);
  prometheus::Gauge& lag = metrics_.FeedLag(name_);
  if (!position_known_) {
    ASSIGN_OR_RETURN(kept_, store_.ReactionPosition(options_.tenant, name_));
    seen_ = kept_;
    position_known_ = true;
  }
  ASSIGN_OR_RETURN(Page page, ReadPage());
  const bool concerns =
      std::any_of(page.events.begin(), page.events.end(), [this](const domain::Event& event) {
        return event.actor != principal_ && reaction_->React(event, {}).has_value();
      });
  const bool tends = reaction_->wants_to_tend(clock_.Now());
  if (!concerns && !tends && page.up_to - kept_ < kKeepEvery) {
    seen_ = page.up_to;
    if (!page.more) lag.Set(0);
    return page.more;
  }
  if (concerns) {
    lag.Set(std::max(
        0.0, static_cast<double>(clock_.Now().micros - page.events.front().record_time.micros) /
                 domain::kMicrosPerSecond));
  }
  const int64_t before = seen_;
  RETURN_IF_ERROR(TakeLease());
  // The lease is new and somebody else has been further, or less far: what was read is of no use.
  if (seen_ != before) return true;
  if (absl::Status status = ReactTo(page); !status.ok()) {
    ++failures_;
    return status;
  }
  failures_ = 0;
  if (page.up_to != kept_) RETURN_IF_ERROR(KeepPosition(page.up_to));
  seen_ = page.up_to;
  if (!page.more) lag.Set(0);
  if (reaction_->wants_to_tend(clock_.Now())) {
    RETURN_IF_ERROR(reaction_->Tend({name_, *fence_}));
    return page.more || reaction_->wants_to_tend(clock_.Now());
  }
  return page.more;
}

absl::Status Reactor::Drain() {
  bool more = true;
  while (more) {
    ASSIGN_OR_RETURN(more, Step());
  }
  return absl::OkStatus();
}

}  // namespace relais::workers
