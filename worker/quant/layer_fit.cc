#include "worker/quant/layer_fit.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <span>
#include <utility>

#include "checkpoint/status_macros.h"
#include "worker/quant/column_order.h"
#include "worker/quant/slice.h"

namespace tern {
namespace {

constexpr int kMaxItfRounds = 100;  // about ten are the rule

class LayerFitter {
 public:
  LayerFitter(Backend& backend, const Pt2LlmOptions& options, const LayerProblem& problem,
              GridStorage storage, StageClock& clock)
      : backend_(backend),
        ops_(backend.ternary()),
        options_(options),
        problem_(problem),
        storage_(storage),
        clock_(clock),
        n_(problem.weight.rows()),
        m_(problem.weight.cols()),
        remaining_(m_) {
    std::iota(remaining_.begin(), remaining_.end(), 0);
  }

  absl::StatusOr<std::optional<LayerFit>> Run(const std::function<bool()>& cancelled) {
    clock_.Enter(kFitStage);
    TERN_RETURN_IF_ERROR(AllocateBuffers());
    TERN_RETURN_IF_ERROR(ScoreStaticOrder());
    w_ = problem_.weight;
    inverse_ = problem_.inverse;
    while (!remaining_.empty()) {
      if (cancelled && cancelled()) return absl::CancelledError("the layer's fit was cancelled");
      TERN_ASSIGN_OR_RETURN(const bool positive_definite, FitGroup());
      if (!positive_definite) return std::nullopt;
    }
    TERN_ASSIGN_OR_RETURN(const bool finite, GridIsFinite());
    if (!finite) return std::nullopt;
    return std::move(fit_);
  }

 private:
  absl::StatusOr<Tensor> Floats(int64_t rows, int64_t cols) {
    return backend_.Allocate(ElementType::kF32, rows, cols);
  }

  absl::Status AllocateBuffers() {
    const int64_t g = std::min(options_.group_size, m_);
    const int64_t groups = (m_ + g - 1) / g;
    const int64_t rest = m_ - g;
    TERN_ASSIGN_OR_RETURN(fit_.trits, backend_.Allocate(ElementType::kI8, n_, m_));
    TERN_ASSIGN_OR_RETURN(fit_.alpha, Floats(groups, n_));
    TERN_ASSIGN_OR_RETURN(fit_.mu, Floats(groups, n_));
    TERN_ASSIGN_OR_RETURN(scores_, Floats(1, m_));
    TERN_ASSIGN_OR_RETURN(w_b_, Floats(n_, g));
    for (Tensor& buffer : w_buffers_) {
      TERN_ASSIGN_OR_RETURN(buffer, Floats(n_, rest));
    }
    if (problem_.inverse.empty()) return absl::OkStatus();
    TERN_ASSIGN_OR_RETURN(error_, Floats(n_, g));
    TERN_ASSIGN_OR_RETURN(u_bb_, Floats(g, g));
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
    static_scores_.resize(m_);
    switch (options_.reorder) {
      case Reorder::kSsr:
        break;
      case Reorder::kNone:
        for (int64_t j = 0; j < m_; ++j) static_scores_[j] = -static_cast<float>(j);
        break;
      case Reorder::kRandom:
        static_scores_ = RandomScores(m_, options_.seed);
        break;
      case Reorder::kHessian:
        TERN_RETURN_IF_ERROR(ops_.Diagonal(problem_.hessian, scores_));
        return backend_.Download(scores_, static_scores_.data());
    }
    return absl::OkStatus();
  }

  absl::StatusOr<std::vector<int32_t>> NextOrder() {
    std::vector<float> scores(remaining_.size());
    if (options_.reorder == Reorder::kSsr) {
      const Tensor similarity = Slice(scores_, 0, 1, w_.cols());
      TERN_RETURN_IF_ERROR(ops_.ColumnSimilarity(w_, similarity));
      TERN_RETURN_IF_ERROR(backend_.Download(similarity, scores.data()));
    } else {
      for (size_t i = 0; i < scores.size(); ++i) scores[i] = static_scores_[remaining_[i]];
    }
    return OrderByScore(scores, options_.group_size);
  }

  // False when the group's block of the inverse is not positive definite.
  absl::StatusOr<bool> FitGroup() {
    clock_.Enter(kFitStage);
    TERN_ASSIGN_OR_RETURN(const std::vector<int32_t> order, NextOrder());
    std::vector<int32_t> columns(order.size());  // of the weight
    for (size_t i = 0; i < order.size(); ++i) columns[i] = remaining_[order[i]];

    const auto width = static_cast<int64_t>(order.size());
    const int64_t g = std::min(options_.group_size, width);
    const Tensor w_b = Slice(w_b_, 0, n_, g);
    TERN_RETURN_IF_ERROR(ops_.GatherColumns(w_, std::span(order).first(g), w_b));
    const auto done = static_cast<int64_t>(fit_.order.size());
    const Tensor trits = Slice(fit_.trits, done * n_, n_, g);
    const Tensor alpha = fit_.alpha.Rows(done / options_.group_size, 1);
    const Tensor mu = fit_.mu.Rows(done / options_.group_size, 1);
    TERN_RETURN_IF_ERROR(FitGrid(w_b, std::span(columns).first(g), trits, alpha, mu));

    if (g < width) {
      TERN_ASSIGN_OR_RETURN(const bool passed_on, PassOn(order, columns, w_b, trits, alpha, mu));
      if (!passed_on) return false;
    }
    fit_.order.insert(fit_.order.end(), columns.begin(), columns.begin() + g);
    remaining_.assign(columns.begin() + g, columns.end());
    return true;
  }

  absl::Status FitGrid(const Tensor& w_b, std::span<const int32_t> columns, const Tensor& trits,
                       const Tensor& alpha, const Tensor& mu) {
    TERN_ASSIGN_OR_RETURN(const GridFit grid,
                          ops_.FitGrid(w_b, options_.itf ? kMaxItfRounds : 0, trits, alpha, mu));
    fit_.grid.rounds += grid.rounds;
    fit_.grid.constant_rows += grid.constant_rows;
    if (options_.aga) {
      TERN_RETURN_IF_ERROR(ops_.AlignGrid(w_b, trits, problem_.hessian, columns, alpha, mu));
    }
    if (storage_ == GridStorage::kFloat) return absl::OkStatus();
    TERN_RETURN_IF_ERROR(ops_.RoundToHalf(alpha));
    return ops_.RoundToHalf(mu);
  }

  // Leaves in w_ and inverse_ the columns after the group, compensated for its error. False when
  // the group's block of the inverse is not positive definite.
  absl::StatusOr<bool> PassOn(const std::vector<int32_t>& order,
                              const std::vector<int32_t>& columns, const Tensor& w_b,
                              const Tensor& trits, const Tensor& alpha, const Tensor& mu) {
    const int64_t g = w_b.cols();
    const int64_t rest = w_.cols() - g;
    const Tensor next_w = Slice(w_buffers_[0], 0, n_, rest);
    if (inverse_.empty()) {
      TERN_RETURN_IF_ERROR(ops_.GatherColumns(w_, std::span(order).subspan(g), next_w));
    } else {
      clock_.Enter(kFactorizeStage);
      const Tensor u_bb = Slice(u_bb_, 0, g, g);
      const Tensor u_br = Slice(u_br_, 0, g, rest);
      const Tensor next_inverse = Slice(inverse_buffers_[0], 0, rest, rest);
      TERN_ASSIGN_OR_RETURN(const bool positive_definite,
                            ops_.DowndateInverse(inverse_, order, u_bb, u_br, next_inverse));
      if (!positive_definite) return false;

      clock_.Enter(kCompensateStage);
      const Tensor error = Slice(error_, 0, n_, g);
      TERN_RETURN_IF_ERROR(ops_.GridError(w_b, trits, alpha, mu, error));
      Tensor p;
      if (!p_.empty()) {
        p = Slice(p_, 0, g, rest);
        TERN_RETURN_IF_ERROR(ops_.AsymmetryTerm(problem_.cross, problem_.hessian, columns, u_bb,
                                                u_br, next_inverse, options_.gptaq, p));
      }
      TERN_RETURN_IF_ERROR(
          ops_.CompensateColumns(w_, order, error, u_bb, u_br, p, options_.compensation, next_w));
      inverse_ = next_inverse;
      std::swap(inverse_buffers_[0], inverse_buffers_[1]);
    }
    w_ = next_w;
    std::swap(w_buffers_[0], w_buffers_[1]);
    return true;
  }

  absl::StatusOr<bool> GridIsFinite() {
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
  const Pt2LlmOptions& options_;
  const LayerProblem& problem_;
  const GridStorage storage_;
  StageClock& clock_;
  const int64_t n_, m_;

  LayerFit fit_;
  std::vector<int32_t> remaining_;    // columns of the weight not yet quantized
  Tensor w_;                          // those, as compensated so far
  Tensor inverse_;                    // of their block of the damped H
  std::vector<float> static_scores_;  // by column of the weight

  Tensor scores_, w_b_, error_, u_bb_, u_br_, p_;
  Tensor w_buffers_[2], inverse_buffers_[2];  // the first is free
};

}  // namespace

absl::StatusOr<std::optional<LayerFit>> FitLayer(Backend& backend, const Pt2LlmOptions& options,
                                                 const LayerProblem& problem, GridStorage storage,
                                                 const std::function<bool()>& cancelled,
                                                 StageClock& clock) {
  return LayerFitter(backend, options, problem, storage, clock).Run(cancelled);
}

}  // namespace tern
