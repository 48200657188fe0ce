#include "worker/agent/method_options.h"

#include <optional>
#include <vector>

#include "checkpoint/status_macros.h"

namespace tern {
namespace {

using tern::v1::Pt2LlmMethod;
using tern::v1::TwlaMethod;

constexpr double kTwlaDamping = 0.1;
constexpr int kFullActivationBits = 16;

absl::StatusOr<Reorder> ReorderOf(Pt2LlmMethod::Reorder reorder) {
  switch (reorder) {
    case Pt2LlmMethod::REORDER_UNSPECIFIED:
    case Pt2LlmMethod::REORDER_SSR:
      return Reorder::kSsr;
    case Pt2LlmMethod::REORDER_NONE:
      return Reorder::kNone;
    case Pt2LlmMethod::REORDER_RANDOM:
      return Reorder::kRandom;
    case Pt2LlmMethod::REORDER_HESSIAN:
      return Reorder::kHessian;
    default:
      return absl::UnimplementedError("reorder: unknown to this worker");
  }
}

absl::StatusOr<Compensation> CompensationOf(Pt2LlmMethod::Compensation compensation) {
  switch (compensation) {
    case Pt2LlmMethod::COMPENSATION_RELEASED:
      return Compensation::kReleased;
    case Pt2LlmMethod::COMPENSATION_UNSPECIFIED:
    case Pt2LlmMethod::COMPENSATION_EXACT:
      return Compensation::kExact;
    default:
      return absl::UnimplementedError("compensation: unknown to this worker");
  }
}

absl::StatusOr<GridFit> FitOf(TwlaMethod::Fit fit) {
  switch (fit) {
    case TwlaMethod::FIT_UNSPECIFIED:
    case TwlaMethod::FIT_E2M:
      return GridFit::kE2m;
    case TwlaMethod::FIT_ITF:
      return GridFit::kItf;
    default:
      return absl::UnimplementedError("twla.fit: unknown to this worker");
  }
}

absl::StatusOr<std::optional<RotationFormat>> RotationOf(const TwlaMethod& method) {
  RotationFormat rotation;
  switch (method.rotation()) {
    case TwlaMethod::ROTATION_UNSPECIFIED:
    case TwlaMethod::ROTATION_KOTMS:
      rotation.kind = RotationKind::kKotms;
      break;
    case TwlaMethod::ROTATION_HADAMARD:
      rotation.kind = RotationKind::kHadamard;
      break;
    case TwlaMethod::ROTATION_NONE:
      return std::nullopt;
    default:
      return absl::UnimplementedError("twla.rotation: unknown to this worker");
  }
  switch (method.factorization()) {
    case TwlaMethod::FACTORIZATION_UNSPECIFIED:
    case TwlaMethod::FACTORIZATION_RELEASED:
      rotation.factorization = RotationFactorization::kReleased;
      return rotation;
    case TwlaMethod::FACTORIZATION_BALANCED:
      rotation.factorization = RotationFactorization::kBalanced;
      return rotation;
    default:
      return absl::UnimplementedError("twla.factorization: unknown to this worker");
  }
}

absl::StatusOr<KotmsOptions> KotmsOf(const TwlaMethod& method) {
  KotmsOptions kotms;
  switch (method.objective()) {
    case TwlaMethod::OBJECTIVE_UNSPECIFIED:
    case TwlaMethod::OBJECTIVE_RELEASED:
      kotms.objective = MixtureObjective::kReleased;
      break;
    case TwlaMethod::OBJECTIVE_PAPER:
      kotms.objective = MixtureObjective::kPaper;
      break;
    default:
      return absl::UnimplementedError("twla.objective: unknown to this worker");
  }
  if (method.rotation_steps() != 0) kotms.steps = method.rotation_steps();
  if (method.has_rotation_rate()) kotms.rate = method.rotation_rate();
  return kotms;
}

// The widths that blocks may come to have.
std::vector<int> ActivationBitsOf(const TwlaMethod& method) {
  if (method.has_mixed_activations()) {
    const auto& candidates = method.mixed_activations().candidates();
    return {candidates.begin(), candidates.end()};
  }
  const int bits = method.activation_bits();
  return bits == 0 || bits == kFullActivationBits ? std::vector<int>() : std::vector<int>{bits};
}

absl::StatusOr<QuantRecipe> Pt2LlmRecipe(const Pt2LlmMethod& method) {
  QuantRecipe recipe;
  if (method.group_size() != 0) recipe.group_size = method.group_size();
  TERN_ASSIGN_OR_RETURN(recipe.reorder, ReorderOf(method.reorder()));
  TERN_ASSIGN_OR_RETURN(recipe.compensation, CompensationOf(method.compensation()));
  if (method.has_gptaq()) recipe.gptaq = method.gptaq();
  if (method.has_itf() && !method.itf()) recipe.fit = GridFit::kInitial;
  if (method.has_aga()) recipe.align = method.aga();
  if (method.has_damping()) recipe.damping = method.damping();
  return recipe;
}

absl::StatusOr<QuantRecipe> TwlaRecipe(const TwlaMethod& method) {
  QuantRecipe recipe;
  TERN_ASSIGN_OR_RETURN(recipe.rotation, RotationOf(method));
  TERN_ASSIGN_OR_RETURN(recipe.kotms, KotmsOf(method));
  if (method.group_size() != 0) recipe.group_size = method.group_size();
  recipe.reorder = Reorder::kNone;
  if (method.reorder() != Pt2LlmMethod::REORDER_UNSPECIFIED) {
    TERN_ASSIGN_OR_RETURN(recipe.reorder, ReorderOf(method.reorder()));
  }
  TERN_ASSIGN_OR_RETURN(recipe.fit, FitOf(method.fit()));
  if (method.has_align()) recipe.align = method.align();
  TERN_ASSIGN_OR_RETURN(recipe.compensation, CompensationOf(method.compensation()));
  recipe.gptaq = method.gptaq();  // unset: off
  recipe.damping = method.has_damping() ? method.damping() : kTwlaDamping;
  recipe.activation_bits = ActivationBitsOf(method);
  return recipe;
}

}  // namespace

absl::StatusOr<QuantRecipe> MethodOptions(const tern::v1::QuantizationSpec& spec) {
  absl::StatusOr<QuantRecipe> recipe =
      absl::UnimplementedError("the job's method is unknown to this worker");
  if (spec.has_pt2llm()) recipe = Pt2LlmRecipe(spec.pt2llm());
  if (spec.has_twla()) recipe = TwlaRecipe(spec.twla());
  TERN_RETURN_IF_ERROR(recipe.status());
  recipe->seed = spec.seed();
  TERN_RETURN_IF_ERROR(ValidateOptions(*recipe));
  return recipe;
}

absl::StatusOr<PackedFormat> FormatOf(const tern::v1::QuantizationSpec& spec) {
  TERN_ASSIGN_OR_RETURN(const QuantRecipe recipe, MethodOptions(spec));
  return PackedFormat{.method = spec.has_twla() ? "twla" : "pt2llm",
                      .group_size = recipe.group_size,
                      .permuted = recipe.reorder != Reorder::kNone,
                      .rotation = recipe.rotation,
                      .activations = {}};
}

}  // namespace tern
