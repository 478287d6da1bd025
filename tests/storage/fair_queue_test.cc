// The queue of writes and the pace it empties at, without threads and without a clock.
#include "storage/engine/fair_queue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

namespace relais::storage {
namespace {

using std::chrono::milliseconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

struct Item {
  Call call;
  int weight = 1;
  std::string name;
};
using Queue = FairQueue<Item>;

const Queue::Time kNow = Queue::Time(std::chrono::hours(1));

std::unique_ptr<Item> ItemOf(const std::string& tenant, const std::string& name, int weight = 1) {
  auto item = std::make_unique<Item>();
  item->call.tenant = domain::TenantId(tenant);
  item->weight = weight;
  item->name = name;
  return item;
}

std::vector<std::string> NamesOf(const Queue::Items& items) {
  std::vector<std::string> names;
  for (const auto& item : items) names.push_back(item->name);
  return names;
}

std::vector<std::string> TakeFrom(Queue& queue, int max_weight) {
  Queue::Items dropped;
  return NamesOf(queue.Take(max_weight, kNow, kNow, dropped));
}

// Adds items of weight one until the queue refuses one; says how many it took.
int Fill(Queue& queue, const std::string& tenant) {
  int taken = 0;
  for (;; ++taken) {
    auto item = ItemOf(tenant, "");
    if (!queue.Admits(*item)) return taken;
    queue.Add(std::move(item));
  }
}

TEST(FairQueueTest, TenantsTakeTurnsAndEachIsServedInOrder) {
  Queue queue(100);
  for (int i = 1; i <= 5; ++i) queue.Add(ItemOf("a", "a" + std::to_string(i)));
  queue.Add(ItemOf("b", "b1"));
  EXPECT_THAT(TakeFrom(queue, 2), ElementsAre("a1", "a2"));
  EXPECT_THAT(TakeFrom(queue, 2), ElementsAre("b1"));
  queue.Add(ItemOf("b", "b2"));
  EXPECT_THAT(TakeFrom(queue, 2), ElementsAre("a3", "a4"));
  EXPECT_THAT(TakeFrom(queue, 2), ElementsAre("b2"));
  EXPECT_THAT(TakeFrom(queue, 2), ElementsAre("a5"));
  EXPECT_TRUE(queue.empty());
  EXPECT_EQ(queue.weight(), 0);
}

TEST(FairQueueTest, WeightBoundsABatchButOneItemAlwaysFits) {
  Queue queue(1000);
  for (int weight : {100, 30, 30, 30}) queue.Add(ItemOf("a", std::to_string(weight), weight));
  EXPECT_THAT(TakeFrom(queue, 64), ElementsAre("100"));
  EXPECT_THAT(TakeFrom(queue, 64), ElementsAre("30", "30"));
  EXPECT_EQ(queue.weight(), 30);
}

TEST(FairQueueTest, WhatGoesBeforeANewcomerIsOneTurnOfEachOther) {
  Queue queue(1000);
  for (int i = 0; i < 250; ++i) queue.Add(ItemOf("loud", ""));
  for (int i = 0; i < 10; ++i) queue.Add(ItemOf("quiet", ""));
  EXPECT_EQ(queue.Ahead(*ItemOf("new", ""), 64), 64 + 10);
  EXPECT_EQ(queue.Ahead(*ItemOf("quiet", ""), 64), 64 + 10);
  EXPECT_EQ(queue.Ahead(*ItemOf("loud", ""), 64), 250 + 10);
  EXPECT_EQ(queue.Ahead(*ItemOf("new", "", 100), 64), 2 * 64 + 10);
}

TEST(FairQueueTest, OneTenantCannotFillTheQueue) {
  Queue queue(80);
  EXPECT_EQ(Fill(queue, "greedy"), 70);
  EXPECT_GT(Fill(queue, "other"), 0);
  EXPECT_LE(queue.weight(), 80);
}

TEST(FairQueueTest, TenantsThatPushAlikeGetAlike) {
  Queue queue(150);
  int a = 0, b = 0;
  for (bool grew = true; grew;) {
    grew = false;
    for (auto [tenant, count] : {std::pair("a", &a), std::pair("b", &b)}) {
      auto item = ItemOf(tenant, "");
      if (!queue.Admits(*item)) continue;
      queue.Add(std::move(item));
      ++*count;
      grew = true;
    }
  }
  EXPECT_NEAR(a, 70, 1);
  EXPECT_NEAR(b, 70, 1);
}

TEST(FairQueueTest, AnItemHasRoomAsAWholeOrNotAtAll) {
  Queue queue(100);
  queue.Add(ItemOf("a", "", 60));
  EXPECT_FALSE(queue.Admits(*ItemOf("b", "", 41)));
  EXPECT_TRUE(queue.Admits(*ItemOf("b", "", 40)));
  Queue empty(100);
  EXPECT_TRUE(empty.Admits(*ItemOf("a", "", 1000))) << "or it could never be done";
}

TEST(FairQueueTest, WhoeverIsGoneIsDroppedAndCountsForNothing) {
  Queue queue(100);
  auto expired = ItemOf("a", "expired", 50);
  expired->call.deadline = kNow;
  auto cancelled = ItemOf("a", "cancelled", 40);
  cancelled->call.cancelled = std::make_shared<std::atomic<bool>>(true);
  queue.Add(std::move(expired));
  queue.Add(std::move(cancelled));
  queue.Add(ItemOf("a", "waits"));
  Queue::Items dropped;
  EXPECT_THAT(NamesOf(queue.Take(1, kNow, kNow, dropped)), ElementsAre("waits"));
  EXPECT_THAT(NamesOf(dropped), ElementsAre("expired", "cancelled"));
  EXPECT_EQ(queue.weight(), 0);
}

TEST(FairQueueTest, WhoCannotWaitForTheEndLeavesThePlaceToOneWhoCan) {
  Queue queue(100);
  auto hasty = ItemOf("a", "hasty");
  hasty->call.deadline = kNow + milliseconds(99);
  auto patient = ItemOf("a", "patient");
  patient->call.deadline = kNow + milliseconds(100);
  queue.Add(std::move(hasty));
  queue.Add(std::move(patient));
  Queue::Items dropped;
  EXPECT_THAT(NamesOf(queue.Take(64, kNow, kNow + milliseconds(100), dropped)),
              ElementsAre("patient"));
  EXPECT_THAT(NamesOf(dropped), ElementsAre("hasty"));
}

TEST(FairQueueTest, ATenantOfWhomAllAreGoneCostsNoTurn) {
  Queue queue(100);
  auto gone = ItemOf("a", "gone");
  gone->call.deadline = kNow;
  queue.Add(std::move(gone));
  queue.Add(ItemOf("b", "b1"));
  Queue::Items dropped;
  EXPECT_THAT(NamesOf(queue.Take(64, kNow, kNow, dropped)), ElementsAre("b1"));
  EXPECT_THAT(NamesOf(dropped), ElementsAre("gone"));
  EXPECT_THAT(TakeFrom(queue, 64), IsEmpty());
}

TEST(FairQueueTest, SweepTakesOutThoseWhoAreGoneAndKeepsTheOrder) {
  Queue queue(100);
  for (int i = 1; i <= 4; ++i) {
    auto item = ItemOf("a", "a" + std::to_string(i));
    if (i % 2 == 0) item->call.deadline = kNow;
    queue.Add(std::move(item));
  }
  auto only = ItemOf("b", "b1");
  only->call.deadline = kNow;
  queue.Add(std::move(only));
  EXPECT_THAT(NamesOf(queue.Sweep(kNow)), ElementsAre("a2", "a4", "b1"));
  EXPECT_EQ(queue.weight(), 2);
  EXPECT_THAT(TakeFrom(queue, 64), ElementsAre("a1", "a3"));
  EXPECT_TRUE(queue.empty());
}

TEST(FairQueueTest, WhatIsPutBackComesFirstAfterTheOthersTurns) {
  Queue queue(100);
  queue.Add(ItemOf("a", "a1"));
  queue.Add(ItemOf("a", "a2"));
  queue.Add(ItemOf("b", "b1"));
  Queue::Items dropped;
  Queue::Items first = queue.Take(0, kNow, kNow, dropped);
  ASSERT_THAT(NamesOf(first), ElementsAre("a1"));
  queue.PutBack(std::move(first[0]));
  EXPECT_THAT(TakeFrom(queue, 0), ElementsAre("b1"));
  EXPECT_THAT(TakeFrom(queue, 0), ElementsAre("a1"));
  EXPECT_THAT(TakeFrom(queue, 0), ElementsAre("a2"));
}

TEST(PaceTest, TheWaitGrowsWithTheBacklogAndFallsWithTheWriters) {
  Pace one(/*full=*/64, /*writers=*/1), two(64, 2);
  for (int i = 0; i < 50; ++i) {
    one.Learn(64, milliseconds(128));
    two.Learn(64, milliseconds(128));
  }
  auto millis = [](Pace::Duration wait) {
    return std::chrono::duration<double, std::milli>(wait).count();
  };
  EXPECT_NEAR(millis(one.Wait(500)), 1000, 1);
  EXPECT_NEAR(millis(one.Wait(5000)), 10'000, 10);
  EXPECT_NEAR(millis(two.Wait(500)), 500, 1);
  EXPECT_NEAR(millis(one.Batch()), 128, 1);
}

TEST(PaceTest, SmallBatchesTeachNothing) {
  Pace pace(64, 1);
  for (int i = 0; i < 50; ++i) pace.Learn(64, milliseconds(64));
  const Pace::Duration before = pace.Wait(100);
  for (int i = 0; i < 50; ++i) pace.Learn(1, milliseconds(20));
  EXPECT_EQ(pace.Wait(100), before);
}

TEST(PaceTest, AFewBatchesAreEnoughToSeeThatStorageBecameSlow) {
  Pace pace(64, 1);
  for (int i = 0; i < 50; ++i) pace.Learn(64, milliseconds(10));
  for (int i = 0; i < 5; ++i) pace.Learn(64, milliseconds(128));
  EXPECT_GT(pace.Wait(64), milliseconds(100));
}

}  // namespace
}  // namespace relais::storage
