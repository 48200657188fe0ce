#ifndef TERN_WORKER_BACKEND_ACTIVATION_OPS_H_
#define TERN_WORKER_BACKEND_ACTIVATION_OPS_H_

#include "absl/status/status.h"
#include "worker/backend/tensor.h"

namespace tern {

// The least and the most bits that activations are quantized to.
inline constexpr int kLeastActivationBits = 2;
inline constexpr int kMostActivationBits = 8;

// Low-bit activations, per token, asymmetric and dynamic, as evaluation simulates them: values are
// replaced by those that a kernel on `bits`-bit integers would compute with.
//
// With l = min(0, min x), h = max(0, max x) and N = 2^bits - 1, a row x has
//   scale = clip·(h - l)/N, zero point z = round(-l·N/(h - l)), which is one of 0 … N;
//   q = clamp(round(x/scale) + z, 0, N), and the value scale·(q - z).
// Zero is always among the values, and with clip = 1 every value of x is within scale/2 of its own.
// A row of one value is left as it is, and so is one whose scale were below the smallest normal
// float32. round() takes ties to even; all arithmetic rounds once an operation, in the same order
// on every device, so that devices agree to the bit. What is not finite makes its row not finite.
class ActivationOps {
 public:
  virtual ~ActivationOps() = default;

  // out[t,m] = the values of x[t,m], which are activations of one type; they are rounded to it. 0 <
  // clip <= 1. out may be x.
  virtual absl::Status Quantize(const Tensor& x, int bits, double clip, const Tensor& out) = 0;

  // error[t,m] = the values of x[t,m] less x, rounded once to the type of both; it may be x.
  virtual absl::Status QuantizationError(const Tensor& x, int bits, double clip,
                                         const Tensor& error) = 0;

  // sum[1,1] += Σ y², float32; the sum of one call is float64 before it is added.
  virtual absl::Status AddSquares(const Tensor& y, const Tensor& sum) = 0;
};

}  // namespace tern

#endif  // TERN_WORKER_BACKEND_ACTIVATION_OPS_H_
