#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "gtest/gtest.h"
#include "tests/unit/backend_ternary/matrix.h"

namespace tern {
namespace {

// Every operation's results on one problem, in bytes.
class Transcript {
 public:
  explicit Transcript(int threads) : backend_(TestBackend(threads)) {
    constexpr int64_t kRows = 101;
    constexpr int64_t kColumns = 333;
    constexpr int64_t kGroup = 128;
    TernaryOps& ops = backend_->ternary();
    const Matrix hessian = RandomHessian(kColumns, 1);
    const Tensor h = Upload(*backend_, hessian);
    const Tensor cross = Upload(*backend_, RandomCross(hessian, 2));
    const Tensor w = Upload(*backend_, RandomMatrix(kRows, kColumns, 3));
    std::vector<int32_t> columns(kColumns);
    for (int32_t i = 0; i < kColumns; ++i) columns[i] = (i * 7 + 5) % kColumns;
    const Tensor order = UploadColumns(*backend_, columns);
    const Tensor group = UploadColumns(*backend_, std::span(columns).first(kGroup));

    const Tensor inverse = New(kColumns, kColumns);
    Record(ops.InvertDamped(h, 0.05, inverse).value());
    Record(inverse);
    const Tensor scores = New(1, kColumns);
    Record(ops.ColumnSimilarity(w, scores));
    Record(scores);
    const Tensor w_b = New(kRows, kGroup);
    Record(ops.GatherColumns(w, group, w_b));
    const Tensor trits = backend_->Allocate(ElementType::kI8, kRows, kGroup).value();
    const Tensor alpha = New(1, kRows);
    const Tensor mu = New(1, kRows);
    const Tensor counts = ZeroCounts(*backend_, 2);
    Record(ops.FitGridByThreshold(w_b, 15, trits, alpha, mu, counts));
    Record(trits);
    Record(alpha);
    Record(mu);
    Record(ops.FitGrid(w_b, 100, trits, alpha, mu, counts));
    Record(counts);
    Record(trits);
    Record(ops.AlignGrid(w_b, trits, h, group, alpha, mu));
    Record(alpha);
    Record(mu);
    const Tensor error = New(kRows, kGroup);
    Record(ops.GridError(w_b, trits, alpha, mu, error));
    Record(error);
    const Tensor u_bb = New(kGroup, kGroup);
    const Tensor u_bb_inverse = New(kGroup, kGroup);
    const Tensor u_br = New(kGroup, kColumns - kGroup);
    const Tensor next_inverse = New(kColumns - kGroup, kColumns - kGroup);
    const Tensor failures = ZeroCounts(*backend_, 1);
    Record(ops.DowndateInverse(inverse, order, u_bb, u_bb_inverse, u_br, next_inverse, failures));
    Record(failures);
    Record(u_bb);
    Record(u_br);
    Record(next_inverse);
    const Tensor p = New(kGroup, kColumns - kGroup);
    Record(ops.AsymmetryTerm(cross, h, order, u_bb, u_br, next_inverse, 0.25, p));
    Record(p);
    for (const Compensation compensation : {Compensation::kExact, Compensation::kReleased}) {
      const Tensor next = New(kRows, kColumns - kGroup);
      Record(ops.CompensateColumns(w, order, error, u_bb_inverse, u_br, p, compensation, next));
      Record(next);
    }
    const double energy = ops.OutputEnergy(w, Tensor(), h).value();
    const auto* bytes = reinterpret_cast<const std::byte*>(&energy);
    bytes_.insert(bytes_.end(), bytes, bytes + sizeof(energy));
  }

  const std::vector<std::byte>& bytes() const { return bytes_; }

 private:
  Tensor New(int64_t rows, int64_t cols) { return NewTensor(*backend_, rows, cols); }

  void Record(const absl::Status& status) { EXPECT_TRUE(status.ok()) << status.ToString(); }
  void Record(bool value) { bytes_.push_back(static_cast<std::byte>(value)); }
  void Record(const Tensor& tensor) {
    const size_t size = bytes_.size();
    bytes_.resize(size + tensor.bytes());
    EXPECT_TRUE(backend_->Download(tensor, bytes_.data() + size).ok());
  }

  std::unique_ptr<Backend> backend_;
  std::vector<std::byte> bytes_;
};

TEST(ThreadCountTest, NoBitDependsOnTheNumberOfThreads) {
  const Transcript one(1);
  EXPECT_EQ(Transcript(2).bytes(), one.bytes());
  EXPECT_EQ(Transcript(3).bytes(), one.bytes());
}

}  // namespace
}  // namespace tern
