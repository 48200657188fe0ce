#include <cstddef>
#include <memory>
#include <vector>

#include "gtest/gtest.h"
#include "tests/unit/backend_rotation/rotation_oracle.h"

namespace tern {
namespace {

// Every operation's results on one problem, in bytes.
class RotationTranscript {
 public:
  explicit RotationTranscript(int threads) : backend_(TestBackend(threads)) {
    constexpr int64_t kRows = 101, kFirst = 10, kSecond = 37, kColumns = kFirst * kSecond;
    RotationOps& ops = backend_->rotation();
    const Tensor w = Upload(*backend_, RandomMatrix(kRows, kColumns, 1));
    const Tensor s1 = Upload(*backend_, 0.1 * RandomMatrix(kFirst, kFirst, 2));
    const Tensor s2 = Upload(*backend_, 0.1 * RandomMatrix(kSecond, kSecond, 3));
    const Tensor r1 = New(kFirst, kFirst), r2 = New(kSecond, kSecond);
    Record(ops.Cayley(s1, r1), r1);
    Record(ops.Cayley(s2, r2), r2);
    const Tensor inverse = New(kSecond, kSecond);
    Record(ops.InverseTranspose(r2, inverse), inverse);
    const Tensor rotated = New(kRows, kColumns);
    Record(ops.RotateRows(w, r1, r2, rotated), rotated);
    const Tensor moment = Upload(*backend_, RandomMatrix(kColumns, kColumns, 4));
    Record(ops.RotateMoment(moment, r1, r2, moment), moment);
    for (const auto objective : {MixtureObjective::kReleased, MixtureObjective::kPaper}) {
      const Tensor loss = New(1, 2), y = New(kRows, kColumns), d_y = New(kRows, kColumns);
      Record(ops.RotatedMixtureLoss(w, r1, r2, objective, loss, y, d_y), loss);
      Record(absl::OkStatus(), d_y);
      const Tensor d_r1 = New(kFirst, kFirst), d_r2 = New(kSecond, kSecond);
      Record(ops.FactorGradients(y, d_y, r1, r2, d_r1, d_r2), d_r1);
      Record(ops.CayleyGradient(r2, d_r2, d_r2), d_r2);
    }
  }

  const std::vector<std::byte>& bytes() const { return bytes_; }

 private:
  Tensor New(int64_t rows, int64_t cols) { return NewTensor(*backend_, rows, cols); }

  void Record(const absl::Status& status, const Tensor& tensor) {
    EXPECT_TRUE(status.ok()) << status.ToString();
    const size_t size = bytes_.size();
    bytes_.resize(size + tensor.bytes());
    EXPECT_TRUE(backend_->Download(tensor, bytes_.data() + size).ok());
  }

  std::unique_ptr<Backend> backend_;
  std::vector<std::byte> bytes_;
};

TEST(RotationThreadsTest, NoBitDependsOnTheNumberOfThreads) {
  const RotationTranscript one(1);
  EXPECT_EQ(RotationTranscript(2).bytes(), one.bytes());
  EXPECT_EQ(RotationTranscript(3).bytes(), one.bytes());
}

}  // namespace
}  // namespace tern
