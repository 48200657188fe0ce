#include "worker/backend/cuda/split_product.h"

#include <algorithm>
#include <cassert>

#include "checkpoint/status_macros.h"
#include "worker/backend/cuda/cuda_status.h"
#include "worker/backend/cuda/split_tf32.h"

namespace tern {
namespace {

constexpr int kLowOfLeft = 2;   // high, high, low
constexpr int kLowOfRight = 1;  // high, low, high

// Rows of a symmetric result that are computed at a time, up to its diagonal.
constexpr int64_t kPanel = 1024;

// The three parts of each operand, depth after depth, along the axis that the product sums over:
// beside each other where that axis runs along the rows as stored, else below each other.
class Parts {
 public:
  // `beside`: the axis runs along the rows. `depth` of one term.
  static absl::StatusOr<Parts> Make(DeviceContext& device, const DeviceMatrix& shape, bool beside,
                                    int64_t terms, int low_part) {
    const int64_t rows = beside ? shape.rows : 3 * terms * shape.rows;
    const int64_t cols = beside ? 3 * terms * shape.cols : shape.cols;
    TERN_ASSIGN_OR_RETURN(Tensor parts, device.Allocate(ElementType::kF32, rows, cols));
    return Parts(std::move(parts), beside, low_part);
  }

  void Fill(cudaStream_t stream, const DeviceMatrix& from, float factor, int64_t term) const {
    const int64_t offset = beside_ ? from.cols : from.rows * from.cols;
    LaunchSplit(stream, static_cast<const float*>(from.data), from.rows, from.cols, from.stride,
                factor, {.to_stride = parts_.cols(), .part_offset = offset, .low_part = low_part_},
                parts_.data<float>() + 3 * term * offset);
  }

  const Tensor& tensor() const { return parts_; }

 private:
  Parts(Tensor parts, bool beside, int low_part)
      : parts_(std::move(parts)), beside_(beside), low_part_(low_part) {}

  Tensor parts_;
  bool beside_;
  int low_part_;
};

DeviceMatrix Oriented(const Tensor& parts, bool transposed) {
  const DeviceMatrix matrix(parts);
  return transposed ? matrix.Transposed() : matrix;
}

}  // namespace

absl::StatusOr<SplitOperands> SplitTerms(DeviceContext& device, std::span<const ProductTerm> terms,
                                         const char* operation) {
  const DeviceMatrix& left = terms[0].left;
  const DeviceMatrix& right = terms[0].right;
  const auto count = static_cast<int64_t>(terms.size());
  TERN_ASSIGN_OR_RETURN(const Parts left_parts,
                        Parts::Make(device, left, !left.transposed, count, kLowOfLeft));
  TERN_ASSIGN_OR_RETURN(const Parts right_parts,
                        Parts::Make(device, right, right.transposed, count, kLowOfRight));
  for (int64_t i = 0; i < count; ++i) {
    const ProductTerm& term = terms[i];
    assert(term.left.transposed == left.transposed && term.left.rows == left.rows &&
           term.left.cols == left.cols);
    assert(term.right.transposed == right.transposed && term.right.rows == right.rows &&
           term.right.cols == right.cols);
    left_parts.Fill(device.stream(), term.left, term.factor, i);
    right_parts.Fill(device.stream(), term.right, 1, i);
  }
  TERN_RETURN_IF_ERROR(Launched(operation));
  return SplitOperands{left_parts.tensor(), right_parts.tensor(),
                       Oriented(left_parts.tensor(), left.transposed),
                       Oriented(right_parts.tensor(), right.transposed)};
}

absl::Status MultiplyAdd(DeviceContext& device, Arithmetic arithmetic,
                         std::span<const ProductTerm> terms, float beta, const DeviceMatrix& c,
                         const char* operation) {
  if (arithmetic == Arithmetic::kTf32) {
    TERN_ASSIGN_OR_RETURN(const SplitOperands split, SplitTerms(device, terms, operation));
    return Multiply(device.cublas(), split.left, split.right, 1, beta, c, operation, arithmetic);
  }
  for (const ProductTerm& term : terms) {
    TERN_RETURN_IF_ERROR(
        Multiply(device.cublas(), term.left, term.right, term.factor, beta, c, operation));
    beta = 1;
  }
  return absl::OkStatus();
}

absl::Status MultiplyAddUpper(DeviceContext& device, Arithmetic arithmetic, const ProductTerm& term,
                              float beta, const DeviceMatrix& c, const char* operation) {
  const bool split = arithmetic == Arithmetic::kTf32;
  SplitOperands operands{Tensor(), Tensor(), term.left, term.right};
  if (split) {
    TERN_ASSIGN_OR_RETURN(operands, SplitTerms(device, std::span(&term, 1), operation));
  }
  const float factor = split ? 1 : term.factor;  // which the parts hold
  for (int64_t row = 0; row < c.rows; row += kPanel) {
    const int64_t rows = std::min(kPanel, c.rows - row);
    const int64_t cols = c.cols - row;
    TERN_RETURN_IF_ERROR(Multiply(device.cublas(), operands.left.ViewRows(row, rows),
                                  operands.right.ViewCols(row, cols), factor, beta,
                                  c.Block(row, row, rows, cols), operation, arithmetic));
  }
  return absl::OkStatus();
}

}  // namespace tern
