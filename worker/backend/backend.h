#ifndef TERN_WORKER_BACKEND_BACKEND_H_
#define TERN_WORKER_BACKEND_BACKEND_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "worker/backend/tensor.h"
#include "worker/backend/ternary_ops.h"
#include "worker/backend/transformer_ops.h"

namespace tern {

// A device the methods run on. The methods are written once, over these operations; each is as
// coarse as a fused kernel wants it. Tensors must come from the same backend. Shapes are the
// caller's duty (checked by assertions); a returned error is the device's: out of memory
// (RESOURCE_EXHAUSTED with what was asked and what was free), or a failed call naming the
// operation.
//
// Results depend on the arguments alone, never on how many threads compute them. Calls of one
// backend are made from one thread at a time.
class Backend {
 public:
  virtual ~Backend() = default;

  virtual std::string name() const = 0;  // "cpu"

  // Uninitialised memory.
  virtual absl::StatusOr<Tensor> Allocate(ElementType type, int64_t rows, int64_t cols) = 0;
  // Host memory of tensor.bytes() bytes, row-major.
  virtual absl::Status Upload(const void* host, const Tensor& tensor) = 0;
  virtual absl::Status Download(const Tensor& tensor, void* host) = 0;
  virtual absl::Status Copy(const Tensor& from, const Tensor& to) = 0;
  virtual absl::Status Zero(const Tensor& tensor) = 0;

  // y[t,n] = x[t,k] · w[n,k]ᵀ (+ bias[1,n] unless empty), added to y's old value when `accumulate`.
  virtual absl::Status Linear(const Tensor& x, const Tensor& w, const Tensor& bias, bool accumulate,
                              const Tensor& y) = 0;

  // Second moments over calibration inputs, float32. Several calls add up; FinishMoment then
  // scales by 1/N and, for a Gram matrix, mirrors the computed triangle.
  //   AccumulateGram:  h[m,m] += xᵀ·x      (lower triangle)
  //   AccumulateCross: g[m,m] += x_fpᵀ·x
  virtual absl::Status AccumulateGram(const Tensor& x, const Tensor& h) = 0;
  virtual absl::Status AccumulateCross(const Tensor& x_fp, const Tensor& x, const Tensor& g) = 0;
  virtual absl::Status FinishMoment(const Tensor& moment, double scale, bool symmetric) = 0;

  // What a transformer's forward pass is made of, and what ternary fitting is made of.
  virtual TransformerOps& transformer() = 0;
  virtual TernaryOps& ternary() = 0;
};

}  // namespace tern

#endif  // TERN_WORKER_BACKEND_BACKEND_H_
