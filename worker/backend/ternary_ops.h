#ifndef TERN_WORKER_BACKEND_TERNARY_OPS_H_
#define TERN_WORKER_BACKEND_TERNARY_OPS_H_

#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "worker/backend/tensor.h"

namespace tern {

// How the error E of a group is spread over the columns after it (see CompensateColumns).
enum class Compensation { kExact, kReleased };

// A ternary matrix as checkpoints store it: its columns in the order of quantization, groups of
// `group_size` one after the other (the last may be narrower).
struct PackedTernary {
  Tensor trits;  // U8 [n, ceil(m/5)], five a byte: Σ (t_i + 1)·3^i, little end first
  Tensor alpha;  // F16 [n, groups]
  Tensor mu;     // F16 [n, groups]
  Tensor perm;   // I32 [1,m]: column c is column perm[c] of the weight; empty: c
};

// What ternarizing one group of columns of a linear layer, and compensating its error in the
// columns after it, is made of. Notation as in PT²-LLM: a layer's weight is w[n,·], out × in; its
// inputs' second moment is h[m,m]; a group's n × g part is approximated by α_i·T_ij + μ_i, one
// (α, μ) per row, T in {-1, 0, 1}.
//
// Trits are I8, lists of columns and counts I32, all else float32. The grid of a group is
// alpha[1,n] and mu[1,n]. Sums that decide α and μ are float64. `order` arranges the columns of the
// matrix it comes with: a group's g first, in their order of quantization, then the others.
//
// Results depend on the arguments alone, never on how many threads compute them. Outputs must not
// overlap inputs unless said so.
class TernaryOps {
 public:
  virtual ~TernaryOps() = default;

  // diagonal[1,m] of h[m,m].
  virtual absl::Status Diagonal(const Tensor& h, const Tensor& diagonal) = 0;

  // to[:,c] = from[:, columns[c]]; from is float32 or I32.
  virtual absl::Status GatherColumns(const Tensor& from, const Tensor& columns,
                                     const Tensor& to) = 0;

  // w[:, columns[c]] = 0.
  virtual absl::Status ZeroColumns(const Tensor& columns, const Tensor& w) = 0;

  // Arranges columns for the next group by scores[1,m]: in order[1,m] first the `group` columns of
  // largest score, in falling order of score and, at equal score, rising order of index; then the
  // others in rising order of index. NaN counts as the smallest score.
  virtual absl::Status OrderColumns(const Tensor& scores, int64_t group, const Tensor& order) = 0;

  // Structural similarity (PT²-LLM §3.3): scores[1,m], score_j = u_j · mean_k(u_k) with
  // u_j = w_j / ‖w_j‖, and 0 for a zero column.
  virtual absl::Status ColumnSimilarity(const Tensor& w, const Tensor& scores) = 0;

  // Fits trits[n,g], alpha and mu to w[n,g] in the Euclidean norm. The initial grid (eq. 4, 5):
  //   μ = mean(w), Δ = 0.75·mean|w - μ|, t = ±1 beyond ±Δ and else 0, α = Σ t(w - μ) / Σ|t|.
  // Then, at most `max_rounds` times, ITF (eq. 9, 10):
  //   α = (g·Σwt - Σt·Σw) / (g·Σt² - (Σt)²), μ = (Σw - α·Σt) / g,
  //   t = the nearest of -1, 0, 1 to (w - μ) / α, and 0 half-way,
  // until t no longer changes; every row stops by itself. While t is constant, α keeps its last
  // value. max_rounds = 0 leaves the initial grid. Adds to counts[1,2] the rounds of all rows, and
  // the rows whose t ended constant, where α is not determined.
  virtual absl::Status FitGrid(const Tensor& w, int max_rounds, const Tensor& trits,
                               const Tensor& alpha, const Tensor& mu, const Tensor& counts) = 0;

  // Fits trits[n,g], alpha and mu to w[n,g] as the first stage of E2M-ATQ (TWLA): FitGrid's initial
  // grid, and then `rounds` times, with the residual e = w - (α·t + μ),
  //   μ += mean(e), Δ = 0.75·mean|w - μ|, t = ±1 beyond ±Δ and else 0, α = Σ t(w - μ) / Σ|t|.
  // While t is zero, so is α. Adds to `counts` as FitGrid does.
  virtual absl::Status FitGridByThreshold(const Tensor& w, int rounds, const Tensor& trits,
                                          const Tensor& alpha, const Tensor& mu,
                                          const Tensor& counts) = 0;

  // Activation-aware alignment (AGA, eq. 12): alpha and mu that minimise (w - ŵ)·C·(w - ŵ)ᵀ in
  // every row of w[n,g], trits unchanged, C = h[columns, columns]. With a = tCtᵀ, b = tC1, d =
  // 1ᵀC1, y₁ = wCtᵀ, y₂ = wC1:
  //   α = (d·y₁ - b·y₂) / (a·d - b²), μ = (a·y₂ - b·y₁) / (a·d - b²).
  // Where a·d - b² vanishes against a·d the row keeps its grid.
  virtual absl::Status AlignGrid(const Tensor& w, const Tensor& trits, const Tensor& h,
                                 const Tensor& columns, const Tensor& alpha, const Tensor& mu) = 0;

  // Every value becomes the nearest fp16 one, ties to even, at most ±65504.
  virtual absl::Status RoundToHalf(const Tensor& values) = 0;

  // error[n,g] = w - (alpha·trits + mu).
  virtual absl::Status GridError(const Tensor& w, const Tensor& trits, const Tensor& alpha,
                                 const Tensor& mu, const Tensor& error) = 0;

  // inverse[m,m] = (h + damping·I)⁻¹, both triangles; an element of h's diagonal that is not
  // positive (a dead input) counts as 1. False when the damped matrix is not positive definite;
  // then `inverse` holds nothing of use.
  virtual absl::StatusOr<bool> InvertDamped(const Tensor& h, double damping,
                                            const Tensor& inverse) = 0;

  // With B the first g of `order` and R the rest, for inverse[m,m] = (H_{B∪R})⁻¹:
  //   u_bb[g,g] = U_BB, upper: U_BBᵀ·U_BB = inverse_BB; u_bb_inverse[g,g] = U_BB⁻¹;
  //   u_br[g,m-g] = U_BR = U_BB⁻ᵀ·inverse_BR;
  //   next[m-g,m-g] = inverse_RR - U_BRᵀ·U_BR = (H_RR)⁻¹, R in the order given.
  // When inverse_BB is not positive definite, adds 1 to failures[1,1], and the results are of no
  // use.
  virtual absl::Status DowndateInverse(const Tensor& inverse, const Tensor& order,
                                       const Tensor& u_bb, const Tensor& u_bb_inverse,
                                       const Tensor& u_br, const Tensor& next,
                                       const Tensor& failures) = 0;

  // The part of P = lambda·triu(D·Uᵀ, 1)·U that carries group B to the columns R after it
  // (asymmetric calibration, GPTAQ), D = cross - h:
  //   p[g,m-g] = lambda·(D_BR·next + strict_upper(D_BB·U_BBᵀ + D_BR·U_BRᵀ)·U_BR).
  // cross and h are whole; `columns` names B and R in them, B = the first g, g = u_bb.rows();
  // u_bb, u_br and next are as DowndateInverse left them.
  virtual absl::Status AsymmetryTerm(const Tensor& cross, const Tensor& h, const Tensor& columns,
                                     const Tensor& u_bb, const Tensor& u_br, const Tensor& next,
                                     double lambda, const Tensor& p) = 0;

  // next[n,m-g] = w_R - F·U_BR + w_B·p, for w[n,m] and B, R as in DowndateInverse, with
  //   kExact:    F = error·U_BB⁻¹, optimal for the given error;
  //   kReleased: F = error / diag(U_BB), column by column.
  // p is empty where there is no asymmetric term.
  virtual absl::Status CompensateColumns(const Tensor& w, const Tensor& order, const Tensor& error,
                                         const Tensor& u_bb_inverse, const Tensor& u_br,
                                         const Tensor& p, Compensation compensation,
                                         const Tensor& next) = 0;

  // tr((w - w_hat)·h·(w - w_hat)ᵀ) for symmetric h; w_hat is zero when empty.
  virtual absl::StatusOr<double> OutputEnergy(const Tensor& w, const Tensor& w_hat,
                                              const Tensor& h) = 0;

  // The stored form of a fit: trits holds the [n,g] of each group after the one before, alpha and
  // mu are [groups,n], all rounded to fp16 already. `packed.perm` is the caller's.
  virtual absl::Status Pack(const Tensor& trits, const Tensor& alpha, const Tensor& mu,
                            int64_t group_size, const PackedTernary& packed) = 0;

  // w[n,m] = α·T + μ in the weight's own order of columns, float32 or bf16.
  virtual absl::Status Unpack(const PackedTernary& packed, int64_t group_size, const Tensor& w) = 0;
};

}  // namespace tern

#endif  // TERN_WORKER_BACKEND_TERNARY_OPS_H_
