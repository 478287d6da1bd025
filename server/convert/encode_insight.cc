#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "server/convert/encode.h"
#include "server/domain/funnel.h"

namespace relais::convert {
namespace {

int64_t LeadsOf(const storage::FunnelGroup& group) {
  int64_t leads = 0;
  for (const auto& [stage, count] : group.by_stage) leads += count;
  return leads;
}

void EncodePart(const domain::Ratio& in, v1::Ratio* out) {
  out->set_numerator(in.numerator);
  out->set_denominator(in.denominator);
  if (std::optional<double> value = in.value()) out->set_value(*value);
}

void EncodePart(const domain::CycleLength& in, v1::CycleLength* out) {
  out->set_count(in.count);
  if (in.median_days) out->set_median_days(*in.median_days);
  if (in.mean_days) out->set_mean_days(*in.mean_days);
  if (in.p90_days) out->set_p90_days(*in.p90_days);
}

void EncodePart(const storage::FunnelGroup& in, v1::FunnelRow* out) {
  int64_t leads = LeadsOf(in);
  out->set_key(in.key);
  out->set_leads(leads);
  for (const auto& [stage, count] : in.by_stage) {
    (*out->mutable_by_stage())[std::string(domain::NameOf(stage))] = count;
  }
  out->set_reached_prospect(in.reached_prospect);
  out->set_reached_opportunity(in.reached_opportunity);
  out->set_reached_customer(in.reached_customer);
  EncodePart(domain::Ratio{in.reached_prospect, leads}, out->mutable_lead_to_prospect());
  EncodePart(domain::Ratio{in.reached_opportunity, in.reached_prospect},
             out->mutable_prospect_to_opportunity());
  EncodePart(domain::Ratio{in.reached_customer, in.reached_opportunity},
             out->mutable_opportunity_to_customer());
  EncodePart(domain::Ratio{in.reached_customer, leads}, out->mutable_lead_to_customer());
  EncodePart(domain::SummarizeCycles(in.cycle_days), out->mutable_cycle());
  out->set_open_opportunities(in.open_opportunities);
  out->set_won_opportunities(in.won_opportunities);
  out->set_lost_opportunities(in.lost_opportunities);
  EncodePart(domain::Ratio{in.won_opportunities, in.won_opportunities + in.lost_opportunities},
             out->mutable_win_rate());
}

storage::FunnelGroup Total(absl::Span<const storage::FunnelGroup> groups) {
  storage::FunnelGroup total;
  for (const storage::FunnelGroup& group : groups) {
    for (const auto& [stage, count] : group.by_stage) total.by_stage[stage] += count;
    total.reached_prospect += group.reached_prospect;
    total.reached_opportunity += group.reached_opportunity;
    total.reached_customer += group.reached_customer;
    total.open_opportunities += group.open_opportunities;
    total.won_opportunities += group.won_opportunities;
    total.lost_opportunities += group.lost_opportunities;
    total.cycle_days.insert(total.cycle_days.end(), group.cycle_days.begin(),
                            group.cycle_days.end());
  }
  return total;
}

}  // namespace

void Encode(absl::Span<const storage::FunnelGroup> groups, storage::FunnelBreakdown breakdown,
            const storage::FeedHead& head, v1::Funnel* out) {
  EncodePart(Total(groups), out->mutable_total());
  if (breakdown != storage::FunnelBreakdown::kNone) {
    std::vector<std::pair<int64_t, const storage::FunnelGroup*>> rows;
    for (const storage::FunnelGroup& group : groups) {
      bool in_time = breakdown == storage::FunnelBreakdown::kFirstTouchMonth;
      rows.emplace_back(in_time ? 0 : -LeadsOf(group), &group);
    }
    std::sort(rows.begin(), rows.end(), [](const auto& a, const auto& b) {
      return std::tie(a.first, a.second->key) < std::tie(b.first, b.second->key);
    });
    for (const auto& [order, group] : rows) EncodePart(*group, out->add_rows());
  }
  out->set_as_of_number(head.number);
  Encode(head.record_time, out->mutable_as_of_time());
}

}  // namespace relais::convert
