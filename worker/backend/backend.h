#ifndef TERN_WORKER_BACKEND_BACKEND_H_
#define TERN_WORKER_BACKEND_BACKEND_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "worker/backend/activation_ops.h"
#include "worker/backend/rotation_ops.h"
#include "worker/backend/tensor.h"
#include "worker/backend/ternary_ops.h"
#include "worker/backend/transformer_ops.h"

namespace tern {

// In bytes.
struct DeviceMemory {
  int64_t total = 0;  // that tensors may take
  int64_t used = 0;   // that they take
  int64_t peak = 0;   // the most they took at one time since ResetPeakMemory
};

// Brings host memory into a device's own beside the backend's other work. Used by one thread at a
// time, which may be another than the backend's.
class UploadLane {
 public:
  virtual ~UploadLane() = default;

  // A tensor of what `host` holds, which has been read when this returns. The tensor is not to be
  // used before Finish has returned.
  virtual absl::StatusOr<Tensor> Upload(const void* host, ElementType type, int64_t rows,
                                        int64_t cols) = 0;
  // Waits for what was uploaded so far.
  virtual absl::Status Finish() = 0;
};

// A device the methods run on. The methods are written once, over these operations; each is as
// coarse as a fused kernel wants it. Tensors must come from the same backend. Shapes are the
// caller's duty (checked by assertions); a returned error is the device's: out of memory
// (RESOURCE_EXHAUSTED with what was asked and what was free), or a failed call naming the
// operation.
//
// A device may lag behind: calls return once their work is queued, which is done in the order of
// the calls, and what goes wrong in it may come back from a later call. What hands values to the
// host (Download, OutputEnergy, …) waits for the work before it.
//
// Results depend on the arguments alone, never on how many threads compute them. Calls of one
// backend are made from one thread at a time; tensors may be released by any.
class Backend {
 public:
  // A point in a backend's work.
  using Mark = std::shared_ptr<const void>;

  virtual ~Backend() = default;

  // The kind of device: results of backends of one name are equal to the bit. "cpu", "NVIDIA H200
  // (bf16)".
  virtual std::string name() const = 0;

  // Of the device's own, where it has any.
  virtual std::optional<DeviceMemory> memory() const = 0;
  // Counts the peak anew from now on.
  virtual absl::Status ResetPeakMemory() = 0;

  // What activations, and the linear weights they are multiplied by, are best held in: kF32 or
  // kBF16. The operations below take either wherever they say "activations".
  virtual ElementType activation_type() const = 0;
  // About how many tokens a batch of a forward pass should have.
  virtual int64_t batch_tokens() const = 0;

  // The point after everything called so far, and the seconds from one to a later one.
  virtual absl::StatusOr<Mark> Now() = 0;
  virtual absl::StatusOr<double> Seconds(const Mark& from, const Mark& to) = 0;

  // Uninitialised memory.
  virtual absl::StatusOr<Tensor> Allocate(ElementType type, int64_t rows, int64_t cols) = 0;
  // Uninitialised memory of the host's, where the device has its own and that may not suffice.
  // Operations take such tensors, at the pace of the way between: what is used more than once is
  // best copied to the device first.
  virtual absl::StatusOr<Tensor> AllocateOnHost(ElementType type, int64_t rows, int64_t cols) = 0;
  // Gives memory that is kept for later tensors back to the system.
  virtual absl::Status ReleaseUnused() = 0;
  // The fault that leaves the device of no further use to this process, if there was one.
  virtual absl::Status Health() = 0;
  // nullptr where the device has no memory of its own.
  virtual UploadLane* upload_lane() = 0;
  // Host memory of tensor.bytes() bytes, row-major.
  virtual absl::Status Upload(const void* host, const Tensor& tensor) = 0;
  virtual absl::Status Download(const Tensor& tensor, void* host) = 0;
  virtual absl::Status Copy(const Tensor& from, const Tensor& to) = 0;
  virtual absl::Status Zero(const Tensor& tensor) = 0;

  // to = from, rounded to the nearest of its type, ties to even; kF32, kBF16, kF16.
  virtual absl::Status Convert(const Tensor& from, const Tensor& to) = 0;

  // y[t,n] = x[t,k] · w[n,k]ᵀ (+ bias[1,n] float32 unless empty), added to y's old value when
  // `accumulate`. x and w are activations of one type; y is of theirs or float32.
  virtual absl::Status Linear(const Tensor& x, const Tensor& w, const Tensor& bias, bool accumulate,
                              const Tensor& y) = 0;

  // Second moments, float32, over calibration inputs, which are activations. Several calls add up;
  // FinishMoment then scales by 1/N and, for a Gram matrix, mirrors the computed triangle.
  //   AccumulateGram:  h[m,m] += xᵀ·x      (lower triangle)
  //   AccumulateCross: g[m,m] += x_fpᵀ·x
  virtual absl::Status AccumulateGram(const Tensor& x, const Tensor& h) = 0;
  virtual absl::Status AccumulateCross(const Tensor& x_fp, const Tensor& x, const Tensor& g) = 0;
  virtual absl::Status FinishMoment(const Tensor& moment, double scale, bool symmetric) = 0;

  // What a transformer's forward pass, low-bit activations, ternary fitting and rotations are made
  // of.
  virtual TransformerOps& transformer() = 0;
  virtual ActivationOps& activations() = 0;
  virtual TernaryOps& ternary() = 0;
  virtual RotationOps& rotation() = 0;
};

}  // namespace tern

#endif  // TERN_WORKER_BACKEND_BACKEND_H_
