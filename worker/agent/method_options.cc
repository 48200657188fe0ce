#include "worker/agent/method_options.h"

#include "checkpoint/status_macros.h"

namespace tern {
namespace {

using tern::v1::Pt2LlmMethod;

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
      return absl::UnimplementedError("pt2llm.reorder: unknown to this worker");
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
      return absl::UnimplementedError("pt2llm.compensation: unknown to this worker");
  }
}

}  // namespace

absl::StatusOr<Pt2LlmOptions> MethodOptions(const tern::v1::QuantizationSpec& spec) {
  if (!spec.has_pt2llm()) {
    return absl::UnimplementedError("the job's method is unknown to this worker");
  }
  const Pt2LlmMethod& method = spec.pt2llm();
  Pt2LlmOptions options;
  if (method.group_size() != 0) options.group_size = method.group_size();
  TERN_ASSIGN_OR_RETURN(options.reorder, ReorderOf(method.reorder()));
  TERN_ASSIGN_OR_RETURN(options.compensation, CompensationOf(method.compensation()));
  if (method.has_gptaq()) options.gptaq = method.gptaq();
  if (method.has_itf()) options.itf = method.itf();
  if (method.has_aga()) options.aga = method.aga();
  if (method.has_damping()) options.damping = method.damping();
  options.seed = spec.seed();
  TERN_RETURN_IF_ERROR(ValidateOptions(options));
  return options;
}

PackedFormat FormatOf(const Pt2LlmOptions& options) {
  return {.method = "pt2llm",
          .group_size = options.group_size,
          .permuted = options.reorder != Reorder::kNone};
}

}  // namespace tern
