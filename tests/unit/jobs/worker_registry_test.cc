#include "server/jobs/worker_registry.h"

#include <gtest/gtest.h>

#include "tests/unit/jobs/fake_clock.h"

namespace tern {
namespace {

class WorkerRegistryTest : public ::testing::Test {
 protected:
  void Report(const std::string& id, int64_t memory = 0, std::vector<WarmState> warm = {}) {
    WorkerInfo worker;
    worker.id = id;
    worker.memory_bytes = memory;
    worker.warm = std::move(warm);
    registry_.Report(worker);
  }

  FakeClock clock_;
  WorkerRegistry registry_{clock_, absl::Seconds(60), absl::Minutes(10)};
};

TEST_F(WorkerRegistryTest, ASilentWorkerIsLostAndLaterForgotten) {
  Report("b");
  clock_.Advance(absl::Seconds(61));
  Report("a");
  auto workers = registry_.List();
  ASSERT_EQ(workers.size(), 2U);
  EXPECT_EQ(workers[0].id, "a");
  EXPECT_FALSE(workers[0].lost);
  EXPECT_TRUE(workers[1].lost);
  clock_.Advance(absl::Minutes(9) + absl::Seconds(30));
  registry_.ForgetSilent();
  workers = registry_.List();
  ASSERT_EQ(workers.size(), 1U);
  EXPECT_EQ(workers[0].id, "a");
}

TEST_F(WorkerRegistryTest, AWorkerThatSeemsToBeGoneIsLostUntilItReportsAgain) {
  const WarmState state{"uid", 1, 5};
  Report("a", 0, {state});
  const absl::Time seen = clock_.Now();
  clock_.Advance(absl::Seconds(1));
  Report("a", 0, {state});
  registry_.MarkLost("a", seen);
  EXPECT_FALSE(registry_.List()[0].lost);
  registry_.MarkLost("a", clock_.Now());
  registry_.MarkLost("unknown", clock_.Now());
  EXPECT_TRUE(registry_.List()[0].lost);
  EXPECT_FALSE(registry_.HeldByAnother(state, "b"));
  Report("a");
  EXPECT_FALSE(registry_.List()[0].lost);
}

TEST_F(WorkerRegistryTest, AStateIsHeldByAnotherThatLivesAndIsNotDraining) {
  const WarmState state{"uid", 1, 5};
  Report("a", 0, {state});
  EXPECT_TRUE(registry_.HeldByAnother(state, "b"));
  EXPECT_FALSE(registry_.HeldByAnother(state, "a"));
  EXPECT_FALSE(registry_.HeldByAnother({"uid", 1, 6}, "b"));
  clock_.Advance(absl::Seconds(61));
  EXPECT_FALSE(registry_.HeldByAnother(state, "b"));
  WorkerInfo draining;
  draining.id = "a";
  draining.warm = {state};
  draining.draining = true;
  registry_.Report(draining);
  EXPECT_FALSE(registry_.HeldByAnother(state, "b"));
}

TEST_F(WorkerRegistryTest, ActivitiesAreFoundByJob) {
  Report("a");
  Report("b");
  registry_.SetActivity("a", WorkerActivity{"uid", "name", "scan", 1, "load", 0.5});
  registry_.SetActivity("unknown", WorkerActivity{"uid", "name", "scan", 1, "load", 0.5});
  ASSERT_EQ(registry_.ActiveOn("uid").size(), 1U);
  EXPECT_EQ(registry_.ActiveOn("uid")[0].id, "a");
  EXPECT_TRUE(registry_.ActiveOn("other").empty());
  registry_.Remove("a");
  EXPECT_TRUE(registry_.ActiveOn("uid").empty());
}

}  // namespace
}  // namespace tern
