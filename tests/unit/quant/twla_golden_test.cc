#include <memory>
#include <string>

#include "checkpoint/rotation_shape.h"
#include "gtest/gtest.h"
#include "tests/test_backend.h"
#include "tests/unit/quant/golden_layer.h"
#include "worker/quant/kotms.h"

namespace tern {
namespace {

class TwlaGoldenTest : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    if (!HasShared("golden")) GTEST_SKIP() << "needs the shared folder: golden";
    golden_ = std::make_unique<GoldenLayer>(GetParam());
    backend_ = TestBackend();
    weight_ = golden_->Get("weight");
  }

  // The likelihood and balance of the released objective.
  Matrix Loss(const Tensor& r1, const Tensor& r2) {
    const Tensor loss = NewTensor(*backend_, 1, 2);
    const Tensor y = NewTensor(*backend_, weight_.rows(), weight_.cols());
    EXPECT_TRUE(backend_->rotation()
                    .RotatedMixtureLoss(Upload(*backend_, weight_), r1, r2,
                                        MixtureObjective::kReleased, loss, y, Tensor())
                    .ok());
    return Download(*backend_, loss);
  }

  RotationShape Shape() const { return {golden_->Get("r1").rows(), golden_->Get("r2").rows()}; }

  std::unique_ptr<GoldenLayer> golden_;
  std::unique_ptr<Backend> backend_;
  Matrix weight_;
};

TEST_P(TwlaGoldenTest, TheReleasedFactorisation) {
  EXPECT_EQ(RotationShapeOf(weight_.rows(), weight_.cols(), RotationFactorization::kReleased),
            Shape());
}

TEST_P(TwlaGoldenTest, RowsRotatedByTheReferencesFactors) {
  const Tensor rotated = NewTensor(*backend_, weight_.rows(), weight_.cols());
  ASSERT_TRUE(backend_->rotation()
                  .RotateRows(Upload(*backend_, weight_), Upload(*backend_, golden_->Get("r1")),
                              Upload(*backend_, golden_->Get("r2")), rotated)
                  .ok());
  EXPECT_LT(LargestDifference(Download(*backend_, rotated), golden_->Get("rotated")), 1e-5);
}

// The likelihood is the mean over all weights; float32 of either side.
TEST_P(TwlaGoldenTest, TheLossBeforeAndAfter) {
  const auto [n1, n2] = Shape();
  EXPECT_NEAR(Loss(Upload(*backend_, Identity(n1)), Upload(*backend_, Identity(n2)))(0, 0),
              golden_->Get("nll_before")(0, 0), 1e-5);
  EXPECT_NEAR(
      Loss(Upload(*backend_, golden_->Get("r1")), Upload(*backend_, golden_->Get("r2")))(0, 0),
      golden_->Get("nll_after")(0, 0), 1e-5);
}

// After a hundred steps matrices differ by how rounding went, what was reached does not. (Measured
// here: 7e-5 of it.)
TEST_P(TwlaGoldenTest, LearningReachesTheSameLoss) {
  const absl::StatusOr<LearnedRotation> learned =
      LearnRotation(*backend_, Upload(*backend_, weight_), Shape(), KotmsOptions(), nullptr);
  ASSERT_TRUE(learned.ok()) << learned.status();
  const RotationFactors stored = UploadRotation(*backend_, learned->rotation).value();
  const double reached = golden_->Get("nll_after")(0, 0);
  const Matrix loss = Loss(stored.r1, stored.r2);
  EXPECT_NEAR(loss(0, 0), reached, 0.01 * std::abs(reached));
  EXPECT_NEAR(learned->loss_after, loss(0, 0) + loss(0, 1), 1e-6);
}

// T is the reference's but for ties, of which there are none here: Ŵ has no element that is off.
TEST_P(TwlaGoldenTest, E2mReconstructsTheFirstGroupAsTheReferenceUnderTheUndampedHessian) {
  const Matrix group = Columns(weight_, 0, 128);
  const int64_t n = group.rows();
  const Tensor w = Upload(*backend_, group);
  const Tensor trits = backend_->Allocate(ElementType::kI8, n, 128).value();
  const Tensor alpha = NewTensor(*backend_, 1, n);
  const Tensor mu = NewTensor(*backend_, 1, n);
  TernaryOps& ops = backend_->ternary();
  ASSERT_TRUE(ops.FitGridByThreshold(w, 15, trits, alpha, mu, ZeroCounts(*backend_, 2)).ok());
  ASSERT_TRUE(ops.AlignGrid(w, trits, Upload(*backend_, golden_->Get("hessian")),
                            UploadColumns(*backend_, Range(128)), alpha, mu)
                  .ok());
  const Tensor error = NewTensor(*backend_, n, 128);
  ASSERT_TRUE(ops.GridError(w, trits, alpha, mu, error).ok());
  EXPECT_LT(
      LargestDifference(group - Download(*backend_, error), golden_->Get("e2m_reconstruction")),
      1e-3);
}

INSTANTIATE_TEST_SUITE_P(Layers, TwlaGoldenTest, testing::Values("twla-small", "twla-wide"),
                         [](const auto& info) { return info.param.substr(5); });

}  // namespace
}  // namespace tern
