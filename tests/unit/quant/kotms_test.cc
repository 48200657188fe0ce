#include "worker/quant/kotms.h"

#include <cmath>
#include <limits>
#include <memory>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/test_backend.h"
#include "tests/unit/backend_ternary/matrix.h"
#include "tests/unit/checkpoint/status_matchers.h"

namespace tern {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class KotmsTest : public testing::Test {
 protected:
  absl::StatusOr<LearnedRotation> Learn(const Matrix& w, const RotationShape& shape,
                                        const KotmsOptions& options = KotmsOptions()) {
    return LearnRotation(*backend_, Upload(*backend_, w), shape, options, nullptr);
  }

  std::unique_ptr<Backend> backend_ = TestBackend();
};

TEST_F(KotmsTest, BothObjectivesEndBelowTheirStart) {
  const Matrix w = RandomMatrix(40, 120, 1);
  for (const auto objective : {MixtureObjective::kReleased, MixtureObjective::kPaper}) {
    KotmsOptions options;
    options.objective = objective;
    const absl::StatusOr<LearnedRotation> learned = Learn(w, {24, 5}, options);
    ASSERT_THAT(learned, IsOk());
    EXPECT_LT(learned->loss_after, learned->loss_before);
    EXPECT_EQ(learned->rotation.r1.size(), 24 * 24);
    EXPECT_EQ(learned->rotation.r2.size(), 5 * 5);
  }
}

TEST_F(KotmsTest, TheDeviationOfTheStoredFactorsIsThatOfFp16) {
  const LearnedRotation learned = Learn(RandomMatrix(40, 176, 2), {16, 11}).value();
  EXPECT_GT(learned.orthogonality_error, 0);
  EXPECT_LT(learned.orthogonality_error, 0x1p-10);
  const RotationFactors factors = UploadRotation(*backend_, learned.rotation).value();
  for (const Tensor& factor : {factors.r1, factors.r2}) {
    const Matrix r = Download(*backend_, factor);
    EXPECT_LE(LargestDifference(r * Transposed(r), Identity(r.rows())),
              learned.orthogonality_error * 1.001 + 1e-6);
  }
}

TEST_F(KotmsTest, AWeightHiddenBehindARotationIsFoundAgain) {
  // Ternary weights, rotated: what there is to find has a likelihood that no chance rotation has.
  Matrix t = RandomMatrix(96, 64, 3);
  for (double& value : t.values()) value = value > 0.43 ? 0.5 : value < -0.43 ? -0.5 : 0;
  StoredRotation hide{.shape = {8, 8}, .r1 = {}, .r2 = {}};
  const LearnedRotation mild = Learn(RandomMatrix(30, 64, 4), {8, 8}).value();
  hide.r1 = mild.rotation.r1;
  hide.r2 = mild.rotation.r2;
  const RotationFactors factors = UploadRotation(*backend_, hide).value();
  const Tensor hidden = NewTensor(*backend_, 96, 64);
  ASSERT_TRUE(
      backend_->rotation().RotateRows(Upload(*backend_, t), factors.r1, factors.r2, hidden).ok());
  const LearnedRotation learned =
      LearnRotation(*backend_, hidden, {8, 8}, KotmsOptions(), nullptr).value();
  EXPECT_LT(learned.loss_after, learned.loss_before - 0.5);
}

TEST_F(KotmsTest, ShapesWithoutAFactorAreLearnedByTheOther) {
  const Matrix w = RandomMatrix(20, 13, 5);
  for (const RotationShape shape : {RotationShape{13, 1}, RotationShape{1, 13}}) {
    const absl::StatusOr<LearnedRotation> learned = Learn(w, shape);
    ASSERT_THAT(learned, IsOk());
    EXPECT_LT(learned->loss_after, learned->loss_before);
  }
  EXPECT_THAT(Learn(RandomMatrix(20, 1, 6), {1, 1}), IsOk());
}

TEST_F(KotmsTest, AZeroWeightStaysAsItIs) {
  const LearnedRotation learned = Learn(Matrix(8, 24), {6, 4}).value();
  EXPECT_EQ(learned.loss_after, learned.loss_before);
  const RotationFactors factors = UploadRotation(*backend_, learned.rotation).value();
  EXPECT_EQ(Download(*backend_, factors.r1), Identity(6));
}

TEST_F(KotmsTest, ALossThatRisesIsAnErrorThatSaysWhatToChange) {
  // Ternary already: a long step leads away.
  Matrix w = RandomMatrix(64, 64, 7);
  for (double& value : w.values()) value = value > 0.43 ? 1 : value < -0.43 ? -1 : 0;
  KotmsOptions options;
  options.steps = 1;
  options.rate = 1;
  EXPECT_THAT(Learn(w, {8, 8}, options),
              IsError(absl::StatusCode::kInvalidArgument,
                      AllOf(HasSubstr("[64,64]"), HasSubstr("does not converge"),
                            HasSubstr("rotation_rate lower than 1 or rotation to hadamard"))));
}

TEST_F(KotmsTest, AWeightThatIsNotFiniteIsAnError) {
  Matrix w = RandomMatrix(20, 24, 8);
  w(3, 3) = std::numeric_limits<double>::quiet_NaN();
  EXPECT_THAT(Learn(w, {6, 4}),
              IsError(absl::StatusCode::kInvalidArgument, HasSubstr("check it for NaN")));
}

TEST_F(KotmsTest, OptionsOutOfRangeAreRefused) {
  const auto expect_refused = [&](int steps, double rate, const std::string& field) {
    KotmsOptions options;
    options.steps = steps;
    options.rate = rate;
    EXPECT_THAT(Learn(RandomMatrix(4, 6, 9), {3, 2}, options),
                IsError(absl::StatusCode::kInvalidArgument, HasSubstr(field + ":")));
  };
  expect_refused(0, 0.01, "rotation_steps");
  expect_refused(100001, 0.01, "rotation_steps");
  expect_refused(10, 0, "rotation_rate");
  expect_refused(10, 1.5, "rotation_rate");
  expect_refused(10, std::numeric_limits<double>::quiet_NaN(), "rotation_rate");
}

TEST_F(KotmsTest, CanBeCancelledBetweenSteps) {
  int asked = 0;
  const auto cancelled = [&] { return ++asked == 3; };
  EXPECT_THAT(LearnRotation(*backend_, Upload(*backend_, RandomMatrix(10, 12, 10)), {4, 3},
                            KotmsOptions(), cancelled),
              IsError(absl::StatusCode::kCancelled, HasSubstr("rotation")));
  EXPECT_EQ(asked, 3);
}

TEST(KotmsThreadsTest, NoBitDependsOnTheNumberOfThreads) {
  const Matrix w = RandomMatrix(70, 120, 11);
  KotmsOptions options;
  options.steps = 20;
  const auto learn = [&](int threads) {
    const std::unique_ptr<Backend> backend = TestBackend(threads);
    return LearnRotation(*backend, Upload(*backend, w), {12, 10}, options, nullptr).value();
  };
  const LearnedRotation one = learn(1);
  const LearnedRotation three = learn(3);
  EXPECT_EQ(three.rotation.r1, one.rotation.r1);
  EXPECT_EQ(three.rotation.r2, one.rotation.r2);
  EXPECT_EQ(three.loss_after, one.loss_after);
}

}  // namespace
}  // namespace tern
