#include "worker/quant/layer_fit.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>
#include <vector>

#include "checkpoint/status_macros.h"
#include "worker/quant/column_order.h"
#include "worker/quant/slice.h"

namespace tern {
namespace {

constexpr int kMaxItfRounds = 100;  // about ten are the rule
constexpr int kE2mRounds = 15;

class LayerFitter {
 public:
  LayerFitter(Backend& backend, const QuantRecipe& options, const LayerProblem& problem,
              GridStorage storage, StageClock& clock)
      : backend_(backend),
        ops_(backend.ternary()),
        options_(options),
        problem_(problem),
        storage_(storage),
        clock_(clock),
        n_(problem.weight.rows()),
        m_(problem.weight.cols()) {}

  absl::StatusOr<std::optional<LayerFit>> Run(const std::function<bool()>& cancelled) {
    TERN_RETURN_IF_ERROR(clock_.Enter(kFitStage));
    TERN_RETURN_IF_ERROR(AllocateBuffers());
    TERN_RETURN_IF_ERROR(ScoreStaticOrder());
    w_ = problem_.weight;
    inverse_ = problem_.inverse;
    for (int64_t done = 0; done < m_; done += std::min(options_.group_size, m_ - done)) {
      if (cancelled && cancelled()) return absl::CancelledError("the layer's fit was cancelled");
      TERN_RETURN_IF_ERROR(FitGroup(done));
    }
    TERN_ASSIGN_OR_RETURN(const bool succeeded, Succeeded());
    if (!succeeded) return std::nullopt;
    return std::move(fit_);
  }

 private:
  absl::StatusOr<Tensor> Floats(int64_t rows, int64_t cols) {
    return backend_.Allocate(ElementType::kF32, rows, cols);
  }

  absl::StatusOr<Tensor> Integers(int64_t count) {
    return backend_.Allocate(ElementType::kI32, 1, count);
  }

  absl::Status AllocateBuffers() {
    const int64_t g = std::min(options_.group_size, m_);
    const int64_t groups = (m_ + g - 1) / g;
    const int64_t rest = m_ - g;
    TERN_ASSIGN_OR_RETURN(fit_.trits, backend_.Allocate(ElementType::kI8, n_, m_));
    TERN_ASSIGN_OR_RETURN(fit_.alpha, Floats(groups, n_));
    TERN_ASSIGN_OR_RETURN(fit_.mu, Floats(groups, n_));
    TERN_ASSIGN_OR_RETURN(fit_.order, Integers(m_));
    TERN_ASSIGN_OR_RETURN(counts_, Integers(2));
    TERN_ASSIGN_OR_RETURN(failures_, Integers(1));
    TERN_RETURN_IF_ERROR(backend_.Zero(counts_));
    TERN_RETURN_IF_ERROR(backend_.Zero(failures_));
    TERN_ASSIGN_OR_RETURN(order_, Integers(m_));
    for (Tensor& buffer : column_buffers_) {
      TERN_ASSIGN_OR_RETURN(buffer, Integers(m_));
    }
    std::vector<int32_t> all(m_);
    std::iota(all.begin(), all.end(), 0);
    TERN_RETURN_IF_ERROR(backend_.Upload(all.data(), column_buffers_[1]));
    remaining_ = column_buffers_[1];
    TERN_ASSIGN_OR_RETURN(scores_, Floats(1, m_));
    TERN_ASSIGN_OR_RETURN(w_b_, Floats(n_, g));
    for (Tensor& buffer : w_buffers_) {
      TERN_ASSIGN_OR_RETURN(buffer, Floats(n_, rest));
    }
    if (problem_.inverse.empty()) return absl::OkStatus();
    TERN_ASSIGN_OR_RETURN(error_, Floats(n_, g));
    TERN_ASSIGN_OR_RETURN(u_bb_, Floats(g, g));
    TERN_ASSIGN_OR_RETURN(u_bb_inverse_, Floats(g, g));
    TERN_ASSIGN_OR_RETURN(u_br_, Floats(g, rest));
    for (Tensor& buffer : inverse_buffers_) {
      TERN_ASSIGN_OR_RETURN(buffer, Floats(rest, rest));
    }
    if (!problem_.cross.empty()) {
      TERN_ASSIGN_OR_RETURN(p_, Floats(g, rest));
    }
    return absl::OkStatus();
  }

  // The scores of an order that does not change from group to group.
  absl::Status ScoreStaticOrder() {
    if (options_.reorder == Reorder::kSsr) return absl::OkStatus();
    TERN_ASSIGN_OR_RETURN(static_scores_, Floats(1, m_));
    if (options_.reorder == Reorder::kHessian) {
      return ops_.Diagonal(problem_.hessian, static_scores_);
    }
    const std::vector<float> scores =
        options_.reorder == Reorder::kRandom ? RandomScores(m_, options_.seed) : FallingScores(m_);
    return backend_.Upload(scores.data(), static_scores_);
  }

  absl::Status ScoreRemaining(const Tensor& scores) {
    if (options_.reorder == Reorder::kSsr) return ops_.ColumnSimilarity(w_, scores);
    return ops_.GatherColumns(static_scores_, remaining_, scores);
  }

  // `done` columns have been quantized.
  absl::Status FitGroup(int64_t done) {
    TERN_RETURN_IF_ERROR(clock_.Enter(kFitStage));
    const int64_t width = m_ - done;
    const int64_t g = std::min(options_.group_size, width);
    const Tensor scores = Slice(scores_, 0, 1, width);
    const Tensor order = Slice(order_, 0, 1, width);
    TERN_RETURN_IF_ERROR(ScoreRemaining(scores));
    TERN_RETURN_IF_ERROR(ops_.OrderColumns(scores, g, order));
    const Tensor columns = Slice(column_buffers_[0], 0, 1, width);  // of the weight, in order
    TERN_RETURN_IF_ERROR(ops_.GatherColumns(remaining_, order, columns));
    const Tensor group = Slice(columns, 0, 1, g);
    TERN_RETURN_IF_ERROR(backend_.Copy(group, Slice(fit_.order, done, 1, g)));

    const Tensor w_b = Slice(w_b_, 0, n_, g);
    TERN_RETURN_IF_ERROR(ops_.GatherColumns(w_, Slice(order, 0, 1, g), w_b));
    const Tensor trits = Slice(fit_.trits, done * n_, n_, g);
    const Tensor alpha = fit_.alpha.Rows(done / options_.group_size, 1);
    const Tensor mu = fit_.mu.Rows(done / options_.group_size, 1);
    TERN_RETURN_IF_ERROR(FitGrid(w_b, group, trits, alpha, mu));
    if (g < width) {
      TERN_RETURN_IF_ERROR(PassOn(order, columns, w_b, trits, alpha, mu));
    }
    remaining_ = Slice(columns, g, 1, width - g);
    std::swap(column_buffers_[0], column_buffers_[1]);
    return absl::OkStatus();
  }

  absl::Status FitGrid(const Tensor& w_b, const Tensor& group, const Tensor& trits,
                       const Tensor& alpha, const Tensor& mu) {
    if (options_.fit == GridFit::kE2m) {
      TERN_RETURN_IF_ERROR(ops_.FitGridByThreshold(w_b, kE2mRounds, trits, alpha, mu, counts_));
    } else {
      const int rounds = options_.fit == GridFit::kItf ? kMaxItfRounds : 0;
      TERN_RETURN_IF_ERROR(ops_.FitGrid(w_b, rounds, trits, alpha, mu, counts_));
    }
    if (options_.align) {
      TERN_RETURN_IF_ERROR(ops_.AlignGrid(w_b, trits, problem_.hessian, group, alpha, mu));
    }
    if (storage_ == GridStorage::kFloat) return absl::OkStatus();
    TERN_RETURN_IF_ERROR(ops_.RoundToHalf(alpha));
    return ops_.RoundToHalf(mu);
  }

  // Leaves in w_ and inverse_ the columns after the group, compensated for its error.
  absl::Status PassOn(const Tensor& order, const Tensor& columns, const Tensor& w_b,
                      const Tensor& trits, const Tensor& alpha, const Tensor& mu) {
    const int64_t g = w_b.cols();
    const int64_t rest = w_.cols() - g;
    const Tensor next_w = Slice(w_buffers_[0], 0, n_, rest);
    if (inverse_.empty()) {
      TERN_RETURN_IF_ERROR(ops_.GatherColumns(w_, Slice(order, g, 1, rest), next_w));
    } else {
      TERN_RETURN_IF_ERROR(clock_.Enter(kFactorizeStage));
      const Tensor u_bb = Slice(u_bb_, 0, g, g);
      const Tensor u_bb_inverse = Slice(u_bb_inverse_, 0, g, g);
      const Tensor u_br = Slice(u_br_, 0, g, rest);
      const Tensor next_inverse = Slice(inverse_buffers_[0], 0, rest, rest);
      TERN_RETURN_IF_ERROR(
          ops_.DowndateInverse(inverse_, order, u_bb, u_bb_inverse, u_br, next_inverse, failures_));

      TERN_RETURN_IF_ERROR(clock_.Enter(kCompensateStage));
      const Tensor error = Slice(error_, 0, n_, g);
      TERN_RETURN_IF_ERROR(ops_.GridError(w_b, trits, alpha, mu, error));
      Tensor p;
      if (!p_.empty()) {
        p = Slice(p_, 0, g, rest);
        TERN_RETURN_IF_ERROR(ops_.AsymmetryTerm(problem_.cross, problem_.hessian, columns, u_bb,
                                                u_br, next_inverse, options_.gptaq, p));
      }
      TERN_RETURN_IF_ERROR(ops_.CompensateColumns(w_, order, error, u_bb_inverse, u_br, p,
                                                  options_.compensation, next_w));
      inverse_ = next_inverse;
      std::swap(inverse_buffers_[0], inverse_buffers_[1]);
    }
    w_ = next_w;
    std::swap(w_buffers_[0], w_buffers_[1]);
    return absl::OkStatus();
  }

  // Whether every factorisation succeeded and the grid is finite.
  absl::StatusOr<bool> Succeeded() {
    int32_t failures = 0;
    TERN_RETURN_IF_ERROR(backend_.Download(failures_, &failures));
    if (failures > 0) return false;
    int32_t counts[2];
    TERN_RETURN_IF_ERROR(backend_.Download(counts_, counts));
    fit_.rounds = counts[0];
    fit_.constant_rows = counts[1];
    std::vector<float> values(fit_.alpha.elements());
    for (const Tensor& tensor : {fit_.alpha, fit_.mu}) {
      TERN_RETURN_IF_ERROR(backend_.Download(tensor, values.data()));
      const auto finite = [](float value) { return std::isfinite(value); };
      if (!std::all_of(values.begin(), values.end(), finite)) return false;
    }
    return true;
  }

  Backend& backend_;
  TernaryOps& ops_;
  const QuantRecipe& options_;
  const LayerProblem& problem_;
  const GridStorage storage_;
  StageClock& clock_;
  const int64_t n_, m_;

  LayerFit fit_;
  Tensor remaining_;      // columns of the weight not yet quantized
  Tensor w_;              // those, as compensated so far
  Tensor inverse_;        // of their block of the damped H
  Tensor static_scores_;  // by column of the weight

  Tensor scores_, order_, w_b_, error_, u_bb_, u_bb_inverse_, u_br_, p_, counts_, failures_;
  Tensor w_buffers_[2], inverse_buffers_[2], column_buffers_[2];  // the first is free
};

}  // namespace

absl::StatusOr<std::optional<LayerFit>> FitLayer(Backend& backend, const QuantRecipe& options,
                                                 const LayerProblem& problem, GridStorage storage,
                                                 const std::function<bool()>& cancelled,
                                                 StageClock& clock) {
  return LayerFitter(backend, options, problem, storage, clock).Run(cancelled);
}

}  // namespace tern
