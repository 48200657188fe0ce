#ifndef TERN_WORKER_BACKEND_ROTATION_OPS_H_
#define TERN_WORKER_BACKEND_ROTATION_OPS_H_

#include <cstdint>

#include "absl/status/status.h"
#include "worker/backend/tensor.h"

namespace tern {

// What a rotation is learned for (TWLA, KOTMS): to minimise the mean negative log-likelihood of the
// centred rotated rows under a mixture of three Gaussians of width σ at -c, 0 and c, c the mean
// absolute value of the row, and a balance term on r, the responsibilities of the three.
enum class MixtureObjective {
  kReleased,  // weights 1/3 each, σ = c/4, balance 0.1·Σ_k (mean of r_k over the matrix - 1/3)²
  kPaper      // weights 1/4, 1/2, 1/4, σ the row's standard deviation, balance the mean over the
              // rows of 0.1·(mean of r_0 over the row - 1/2)²
};

// Kronecker rotations of the rows of a matrix, and what learning one is made of. A rotation of
// m = n1·n2 columns is two factors r1[n1,n1] and r2[n2,n2]: a row is an n1×n2 matrix X, row-major,
// and becomes r1·X·r2. The transposed rotation has the transposed factors, the inverse one the
// inverse factors.
//
// All is float32 unless said so. Sums that a loss is made of are float64. Outputs must not overlap
// inputs unless said so. Results depend on the arguments alone, never on how many threads compute
// them.
class RotationOps {
 public:
  virtual ~RotationOps() = default;

  // out[t,m] = the rotated rows of x[t,m]. x and out are of one type, float32 or that of
  // activations; out may be x. For rows of bf16 the factors are of fp16 values and orthogonal but
  // for rounding: products are exact, their sums rounded to 11 bits after each factor, and m is at
  // most 2^18.
  virtual absl::Status RotateRows(const Tensor& x, const Tensor& r1, const Tensor& r2,
                                  const Tensor& out) = 0;

  // RotateRows, then ActivationOps::Quantize of the rotated rows, which are not rounded to the type
  // of activations before they are quantized. x and out are activations of one type; out may be x.
  virtual absl::Status QuantizeRotatedRows(const Tensor& x, const Tensor& r1, const Tensor& r2,
                                           int bits, double clip, const Tensor& out) = 0;

  // out[m,m] = R·moment·Rᵀ: the second moment of rotated inputs, R being what the rotation does to
  // a column. out may be moment.
  virtual absl::Status RotateMoment(const Tensor& moment, const Tensor& r1, const Tensor& r2,
                                    const Tensor& out) = 0;

  // inverse[k,k] = r⁻ᵀ for an r[k,k] that is orthogonal but for rounding, ‖rᵀr - I‖ ≤ 0.1. Rotated
  // by r1⁻ᵀ and r2⁻ᵀ, the rows of a weight have with inputs rotated by r1 and r2 the products they
  // had before.
  virtual absl::Status InverseTranspose(const Tensor& r, const Tensor& inverse) = 0;

  // rotation[k,k] = (I + A)⁻¹·(I - A), A = s - sᵀ, s[k,k]: orthogonal to 1e-5 in every element of
  // rᵀr. NaN where s is not finite.
  virtual absl::Status Cayley(const Tensor& s, const Tensor& rotation) = 0;

  // d_s = dL/ds from d_rotation = dL/drotation, rotation = Cayley(s):
  //   dL/dA = -2·(I + A)⁻ᵀ·d_rotation·(I + A)⁻ᵀ, dL/ds = dL/dA - (dL/dA)ᵀ;
  // the solves are products, for (I + A)⁻¹ = (rotation + I) / 2.
  virtual absl::Status CayleyGradient(const Tensor& rotation, const Tensor& d_rotation,
                                      const Tensor& d_s) = 0;

  // y[n,m] = the rotated rows of w[n,m]; loss[1,2] = the negative log-likelihood of `objective` and
  // its balance term; d_y[n,m] = the gradient of their sum with respect to y, none through c and σ.
  // d_y may be empty. A row of equal values has no part in the loss. y is rounded as the device
  // likes best: it is for measuring and learning.
  virtual absl::Status RotatedMixtureLoss(const Tensor& w, const Tensor& r1, const Tensor& r2,
                                          MixtureObjective objective, const Tensor& loss,
                                          const Tensor& y, const Tensor& d_y) = 0;

  // d_r1 = dL/dr1 and d_r2 = dL/dr2, with d_y = dL/dy. With Y and G the rows of y and d_y as
  // matrices, and orthogonal factors:
  //   dL/dr1 = Σ G·(X·r2)ᵀ = (Σ G·Yᵀ)·r1, dL/dr2 = Σ (r1·X)ᵀ·G = r2·(Σ Yᵀ·G).
  virtual absl::Status FactorGradients(const Tensor& y, const Tensor& d_y, const Tensor& r1,
                                       const Tensor& r2, const Tensor& d_r1,
                                       const Tensor& d_r2) = 0;

  // A step of Adam, number 1, 2, …, with β₁ = 0.9, β₂ = 0.999, ε = 1e-8; mean and square are its
  // moments of the gradient, zero before the first step.
  virtual absl::Status AdamStep(const Tensor& gradient, int64_t step, double rate,
                                const Tensor& mean, const Tensor& square, const Tensor& s) = 0;

  // s -= rate·gradient.
  virtual absl::Status DescentStep(const Tensor& gradient, double rate, const Tensor& s) = 0;
};

}  // namespace tern

#endif  // TERN_WORKER_BACKEND_ROTATION_OPS_H_
