#include "worker/quant/kotms.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstdint>
#include <vector>

#include "absl/strings/str_cat.h"
#include "checkpoint/float_conversion.h"
#include "checkpoint/status_macros.h"

namespace tern {
namespace {

constexpr int kMaxSteps = 10000;

// By which the loss may end above its start: the factors are rounded to fp16 meanwhile.
constexpr double kLossRounding = 1e-3;

absl::StatusOr<Tensor> Square(Backend& backend, int64_t k) {
  return backend.Allocate(ElementType::kF32, k, k);
}

absl::StatusOr<Tensor> ZeroSquare(Backend& backend, int64_t k) {
  TERN_ASSIGN_OR_RETURN(Tensor square, Square(backend, k));
  TERN_RETURN_IF_ERROR(backend.Zero(square));
  return square;
}

// One factor while it is learned: r = Cayley(s), from s = 0.
class LearnedFactor {
 public:
  static absl::StatusOr<LearnedFactor> Create(Backend& backend, int64_t k) {
    LearnedFactor factor;
    TERN_ASSIGN_OR_RETURN(factor.s_, ZeroSquare(backend, k));
    TERN_ASSIGN_OR_RETURN(factor.mean_, ZeroSquare(backend, k));
    TERN_ASSIGN_OR_RETURN(factor.square_, ZeroSquare(backend, k));
    TERN_ASSIGN_OR_RETURN(factor.r_, Square(backend, k));
    TERN_ASSIGN_OR_RETURN(factor.d_r_, Square(backend, k));
    TERN_ASSIGN_OR_RETURN(factor.d_s_, Square(backend, k));
    return factor;
  }

  const Tensor& r() const { return r_; }
  const Tensor& d_r() const { return d_r_; }

  absl::Status Rotate(RotationOps& ops) { return ops.Cayley(s_, r_); }

  // Against the gradient in d_r(); `step` counts from 1.
  absl::Status Step(RotationOps& ops, const KotmsOptions& options, int step) {
    TERN_RETURN_IF_ERROR(ops.CayleyGradient(r_, d_r_, d_s_));
    if (options.objective == MixtureObjective::kPaper) {
      return ops.DescentStep(d_s_, options.rate, s_);
    }
    return ops.AdamStep(d_s_, step, options.rate, mean_, square_, s_);
  }

  // r rounded to fp16.
  absl::StatusOr<std::vector<uint16_t>> Stored(Backend& backend) const {
    std::vector<float> values(r_.elements());
    TERN_RETURN_IF_ERROR(backend.Download(r_, values.data()));
    std::vector<uint16_t> bits(values.size());
    FloatToHalf(values, bits);
    return bits;
  }

 private:
  Tensor s_, mean_, square_, r_, d_r_, d_s_;
};

absl::StatusOr<Tensor> Identity(Backend& backend, int64_t n) {
  std::vector<float> values(n * n);
  for (int64_t i = 0; i < n; ++i) values[i * n + i] = 1;
  TERN_ASSIGN_OR_RETURN(Tensor identity, backend.Allocate(ElementType::kF32, n, n));
  TERN_RETURN_IF_ERROR(backend.Upload(values.data(), identity));
  return identity;
}

class Kotms {
 public:
  Kotms(Backend& backend, const Tensor& weight, const KotmsOptions& options)
      : backend_(backend), ops_(backend.rotation()), weight_(weight), options_(options) {}

  absl::StatusOr<LearnedRotation> Learn(const RotationShape& shape,
                                        const std::function<bool()>& cancelled) {
    TERN_ASSIGN_OR_RETURN(LearnedFactor first, LearnedFactor::Create(backend_, shape.n1));
    TERN_ASSIGN_OR_RETURN(LearnedFactor second, LearnedFactor::Create(backend_, shape.n2));
    TERN_ASSIGN_OR_RETURN(y_, backend_.Allocate(ElementType::kF32, weight_.rows(), weight_.cols()));
    TERN_ASSIGN_OR_RETURN(const Tensor d_y,
                          backend_.Allocate(ElementType::kF32, weight_.rows(), weight_.cols()));
    TERN_ASSIGN_OR_RETURN(losses_, backend_.Allocate(ElementType::kF32, 2, 2));
    for (int step = 1; step <= options_.steps; ++step) {
      if (cancelled && cancelled()) {
        return absl::CancelledError("learning the rotation was cancelled");
      }
      TERN_RETURN_IF_ERROR(first.Rotate(ops_));
      TERN_RETURN_IF_ERROR(second.Rotate(ops_));
      // The first loss stays, those of later steps take each other's place.
      TERN_RETURN_IF_ERROR(ops_.RotatedMixtureLoss(weight_, first.r(), second.r(),
                                                   options_.objective,
                                                   losses_.Rows(step == 1 ? 0 : 1, 1), y_, d_y));
      TERN_RETURN_IF_ERROR(
          ops_.FactorGradients(y_, d_y, first.r(), second.r(), first.d_r(), second.d_r()));
      TERN_RETURN_IF_ERROR(first.Step(ops_, options_, step));
      TERN_RETURN_IF_ERROR(second.Step(ops_, options_, step));
    }
    TERN_RETURN_IF_ERROR(first.Rotate(ops_));
    TERN_RETURN_IF_ERROR(second.Rotate(ops_));

    LearnedRotation learned;
    learned.rotation.shape = shape;
    TERN_ASSIGN_OR_RETURN(learned.rotation.r1, first.Stored(backend_));
    TERN_ASSIGN_OR_RETURN(learned.rotation.r2, second.Stored(backend_));
    TERN_RETURN_IF_ERROR(MeasureStored(learned));
    return learned;
  }

 private:
  absl::Status MeasureStored(LearnedRotation& learned) {
    TERN_ASSIGN_OR_RETURN(const RotationFactors factors,
                          UploadRotation(backend_, learned.rotation));
    TERN_RETURN_IF_ERROR(ops_.RotatedMixtureLoss(
        weight_, factors.r1, factors.r2, options_.objective, losses_.Rows(1, 1), y_, Tensor()));
    float losses[4];
    TERN_RETURN_IF_ERROR(backend_.Download(losses_, losses));
    learned.loss_before = static_cast<double>(losses[0]) + losses[1];
    learned.loss_after = static_cast<double>(losses[2]) + losses[3];
    if (!std::isfinite(learned.loss_before)) {
      return absl::InvalidArgumentError(
          absl::StrCat("rotation: the mixture's loss on the weight [", weight_.rows(), ",",
                       weight_.cols(), "] is not finite; check it for NaN and infinite values"));
    }
    // Not the other way round: NaN fails this.
    const double rounding = kLossRounding * std::max(1.0, std::abs(learned.loss_before));
    if (!(learned.loss_after <= learned.loss_before + rounding)) {
      return absl::InvalidArgumentError(absl::StrCat(
          "rotation of a weight [", weight_.rows(), ",", weight_.cols(),
          "] does not converge: the loss is ", learned.loss_before, " at first and ",
          learned.loss_after, " after ", options_.steps, " steps; set a rotation_rate lower than ",
          options_.rate, " or rotation to hadamard"));
    }
    learned.orthogonality_error = OrthogonalityError(learned.rotation);
    return absl::OkStatus();
  }

  Backend& backend_;
  RotationOps& ops_;
  const Tensor& weight_;
  const KotmsOptions& options_;
  Tensor y_, losses_;
};

}  // namespace

// Comparisons are written so that NaN fails them.
absl::Status ValidateOptions(const KotmsOptions& options) {
  if (options.steps < 1 || options.steps > kMaxSteps) {
    return absl::InvalidArgumentError(
        absl::StrCat("rotation_steps: ", options.steps, " is not between 1 and ", kMaxSteps));
  }
  if (!(options.rate > 0 && options.rate <= 1)) {
    return absl::InvalidArgumentError(
        absl::StrCat("rotation_rate: ", options.rate, " is not above 0 and at most 1"));
  }
  return absl::OkStatus();
}

absl::StatusOr<LearnedRotation> LearnRotation(Backend& backend, const Tensor& weight,
                                              const RotationShape& shape,
                                              const KotmsOptions& options,
                                              const std::function<bool()>& cancelled) {
  assert(shape.n1 * shape.n2 == weight.cols());
  TERN_RETURN_IF_ERROR(ValidateOptions(options));
  return Kotms(backend, weight, options).Learn(shape, cancelled);
}

absl::StatusOr<MixtureLosses> MeasureRotation(Backend& backend, const Tensor& weight,
                                              const RotationFactors& factors,
                                              MixtureObjective objective) {
  TERN_ASSIGN_OR_RETURN(const Tensor one, Identity(backend, factors.r1.rows()));
  TERN_ASSIGN_OR_RETURN(const Tensor two, Identity(backend, factors.r2.rows()));
  TERN_ASSIGN_OR_RETURN(const Tensor y,
                        backend.Allocate(ElementType::kF32, weight.rows(), weight.cols()));
  TERN_ASSIGN_OR_RETURN(const Tensor losses, backend.Allocate(ElementType::kF32, 2, 2));
  RotationOps& ops = backend.rotation();
  TERN_RETURN_IF_ERROR(
      ops.RotatedMixtureLoss(weight, one, two, objective, losses.Rows(0, 1), y, Tensor()));
  TERN_RETURN_IF_ERROR(ops.RotatedMixtureLoss(weight, factors.r1, factors.r2, objective,
                                              losses.Rows(1, 1), y, Tensor()));
  float values[4];
  TERN_RETURN_IF_ERROR(backend.Download(losses, values));
  return MixtureLosses{.before = static_cast<double>(values[0]) + values[1],
                       .after = static_cast<double>(values[2]) + values[3]};
}

}  // namespace tern
