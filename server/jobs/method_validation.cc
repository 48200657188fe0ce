#include "server/jobs/method_validation.h"

#include <algorithm>
#include <set>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "checkpoint/status_macros.h"
#include "server/jobs/spec_fields.h"

namespace tern {
namespace {

using v1::MixedActivations;
using v1::Pt2LlmMethod;
using v1::TwlaMethod;

constexpr int32_t kMinGroupSize = 16;
constexpr int32_t kMaxGroupSize = 4096;
constexpr int32_t kMaxRotationSteps = 10000;
constexpr double kMaxBeta = 10;
// The width of all blocks but those being probed.
constexpr int32_t kBaselineBits = 8;
constexpr int32_t kCandidates[] = {2, 4, 6, 8};
constexpr int32_t kFixedBits[] = {4, 6, 8, 16};

constexpr int32_t kDefaultGroupSize = 128;
constexpr double kPt2LlmGptaq = 0.25;
constexpr double kPt2LlmDamping = 0.01;
constexpr double kTwlaGptaq = 0;
constexpr double kTwlaDamping = 0.1;
constexpr int32_t kDefaultRotationSteps = 100;
constexpr double kDefaultRotationRate = 1e-2;
constexpr int32_t kDefaultActivationBits = 16;
constexpr double kDefaultAverageBits = 4;
constexpr double kDefaultBeta = 0.5;

bool IsOneOf(int32_t value, const auto& values) {
  return std::find(std::begin(values), std::end(values), value) != std::end(values);
}

absl::Status Unknown(absl::string_view name, int value) {
  return InvalidField(SpecField(name), absl::StrCat("unknown value ", value));
}

// The options every method has. Comparisons are written so that NaN is refused.
template <typename Method>
absl::Status CheckCommon(absl::string_view prefix, const Method& method) {
  TERN_RETURN_IF_ERROR(CheckRange(absl::StrCat(prefix, ".group_size"), method.group_size(),
                                  kMinGroupSize, kMaxGroupSize));
  if (!Pt2LlmMethod::Reorder_IsValid(method.reorder())) {
    return Unknown(absl::StrCat(prefix, ".reorder"), method.reorder());
  }
  if (!Pt2LlmMethod::Compensation_IsValid(method.compensation())) {
    return Unknown(absl::StrCat(prefix, ".compensation"), method.compensation());
  }
  if (method.has_gptaq() && !(method.gptaq() >= 0 && method.gptaq() <= 1)) {
    return InvalidField(SpecField(absl::StrCat(prefix, ".gptaq")),
                        absl::StrCat("is ", method.gptaq(), "; must be 0 to 1"));
  }
  if (method.has_damping() && !(method.damping() > 0 && method.damping() <= 1)) {
    return InvalidField(SpecField(absl::StrCat(prefix, ".damping")),
                        absl::StrCat("is ", method.damping(), "; must be above 0, at most 1"));
  }
  return absl::OkStatus();
}

bool Learns(const TwlaMethod& method) {
  return method.rotation() == TwlaMethod::ROTATION_UNSPECIFIED ||
         method.rotation() == TwlaMethod::ROTATION_KOTMS;
}

absl::Status CheckEnums(const TwlaMethod& method) {
  if (!TwlaMethod::Rotation_IsValid(method.rotation())) {
    return Unknown("twla.rotation", method.rotation());
  }
  if (!TwlaMethod::Objective_IsValid(method.objective())) {
    return Unknown("twla.objective", method.objective());
  }
  if (!TwlaMethod::Factorization_IsValid(method.factorization())) {
    return Unknown("twla.factorization", method.factorization());
  }
  if (!TwlaMethod::Fit_IsValid(method.fit())) return Unknown("twla.fit", method.fit());
  const MixedActivations::Interactions interactions = method.mixed_activations().interactions();
  if (!MixedActivations::Interactions_IsValid(interactions)) {
    return Unknown("twla.mixed_activations.interactions", interactions);
  }
  return absl::OkStatus();
}

absl::Status CheckRotation(const TwlaMethod& method) {
  TERN_RETURN_IF_ERROR(
      CheckRange("twla.rotation_steps", method.rotation_steps(), 1, kMaxRotationSteps));
  if (method.has_rotation_rate() && !(method.rotation_rate() > 0 && method.rotation_rate() <= 1)) {
    return InvalidField(
        SpecField("twla.rotation_rate"),
        absl::StrCat("is ", method.rotation_rate(), "; must be above 0, at most 1"));
  }
  const auto idle = [rotation =
                         TwlaMethod::Rotation_Name(method.rotation())](absl::string_view field) {
    return InvalidField(SpecField(absl::StrCat("twla.", field)),
                        absl::StrCat("has no effect with rotation=", rotation, "; leave it out"));
  };
  if (!Learns(method)) {
    if (method.objective() != TwlaMethod::OBJECTIVE_UNSPECIFIED) return idle("objective");
    if (method.rotation_steps() != 0) return idle("rotation_steps");
    if (method.has_rotation_rate()) return idle("rotation_rate");
  }
  const bool rotates = method.rotation() != TwlaMethod::ROTATION_NONE;
  if (!rotates && method.factorization() != TwlaMethod::FACTORIZATION_UNSPECIFIED) {
    return idle("factorization");
  }
  const bool reorders = method.reorder() != Pt2LlmMethod::REORDER_UNSPECIFIED &&
                        method.reorder() != Pt2LlmMethod::REORDER_NONE;
  if (rotates && reorders) {
    return InvalidField(
        SpecField("twla.reorder"),
        absl::StrCat(
            "is ", Pt2LlmMethod::Reorder_Name(method.reorder()),
            ", but reordering and rotation exclude each other: set reorder=REORDER_NONE or "
            "rotation=ROTATION_NONE"));
  }
  return absl::OkStatus();
}

absl::Status CheckCandidates(const MixedActivations& mixed) {
  const std::string field = SpecField("twla.mixed_activations.candidates");
  std::set<int32_t> seen;
  for (const int32_t bits : mixed.candidates()) {
    if (!IsOneOf(bits, kCandidates)) {
      return InvalidField(field, absl::StrCat("has ", bits, "; there are 2, 4, 6 and 8"));
    }
    if (!seen.insert(bits).second) {
      return InvalidField(field, absl::StrCat("has ", bits, " twice"));
    }
  }
  if (mixed.candidates().empty()) return absl::OkStatus();
  if (!seen.contains(kBaselineBits)) {
    return InvalidField(field, "lacks 8, the baseline that sensitivities are measured against");
  }
  if (seen.size() == 1) {
    return InvalidField(field, "leaves no choice; for 8 bits everywhere set activation_bits=8");
  }
  return absl::OkStatus();
}

absl::Status CheckMixed(const TwlaMethod& method) {
  if (!method.has_mixed_activations()) return absl::OkStatus();
  const MixedActivations& mixed = method.mixed_activations();
  if (method.activation_bits() != 0) {
    return InvalidField(SpecField("twla.activation_bits"),
                        absl::StrCat("is ", method.activation_bits(),
                                     ", but mixed_activations chooses the bits block by block; set "
                                     "one of the two"));
  }
  TERN_RETURN_IF_ERROR(CheckCandidates(mixed));
  const int32_t least = mixed.candidates().empty() ? kCandidates[0]
                                                   : *std::min_element(mixed.candidates().begin(),
                                                                       mixed.candidates().end());
  const double average = mixed.has_average_bits() ? mixed.average_bits() : kDefaultAverageBits;
  if (!(average >= least && average <= kBaselineBits)) {
    return InvalidField(
        SpecField("twla.mixed_activations.average_bits"),
        absl::StrCat("is ", average, mixed.has_average_bits() ? "" : ", the default",
                     "; no choice of the candidates ",
                     average > kBaselineBits ? "uses so many" : "keeps to it", "; must be ", least,
                     " to ", kBaselineBits));
  }
  if (mixed.has_beta() && !(mixed.beta() >= 0 && mixed.beta() <= kMaxBeta)) {
    return InvalidField(SpecField("twla.mixed_activations.beta"),
                        absl::StrCat("is ", mixed.beta(), "; must be 0 to ", kMaxBeta));
  }
  return absl::OkStatus();
}

absl::Status Check(const TwlaMethod& method) {
  TERN_RETURN_IF_ERROR(CheckEnums(method));
  TERN_RETURN_IF_ERROR(CheckCommon("twla", method));
  TERN_RETURN_IF_ERROR(CheckRotation(method));
  if (method.activation_bits() != 0 && !IsOneOf(method.activation_bits(), kFixedBits)) {
    return InvalidField(SpecField("twla.activation_bits"),
                        absl::StrCat("is ", method.activation_bits(), "; there are kernels for ",
                                     absl::StrJoin(kFixedBits, ", ")));
  }
  return CheckMixed(method);
}

void ResolveReorder(Pt2LlmMethod::Reorder otherwise, auto& method) {
  if (method.reorder() == Pt2LlmMethod::REORDER_UNSPECIFIED) method.set_reorder(otherwise);
}

void ResolveCommon(double gptaq, double damping, auto& method) {
  if (method.group_size() == 0) method.set_group_size(kDefaultGroupSize);
  if (method.compensation() == Pt2LlmMethod::COMPENSATION_UNSPECIFIED) {
    method.set_compensation(Pt2LlmMethod::COMPENSATION_EXACT);
  }
  if (!method.has_gptaq()) method.set_gptaq(gptaq);
  if (!method.has_damping()) method.set_damping(damping);
}

void Resolve(Pt2LlmMethod& method) {
  ResolveReorder(Pt2LlmMethod::REORDER_SSR, method);
  ResolveCommon(kPt2LlmGptaq, kPt2LlmDamping, method);
  if (!method.has_itf()) method.set_itf(true);
  if (!method.has_aga()) method.set_aga(true);
}

void ResolveRotation(TwlaMethod& method) {
  if (method.rotation() == TwlaMethod::ROTATION_UNSPECIFIED) {
    method.set_rotation(TwlaMethod::ROTATION_KOTMS);
  }
  if (method.rotation() != TwlaMethod::ROTATION_NONE &&
      method.factorization() == TwlaMethod::FACTORIZATION_UNSPECIFIED) {
    method.set_factorization(TwlaMethod::FACTORIZATION_RELEASED);
  }
  if (!Learns(method)) return;
  if (method.objective() == TwlaMethod::OBJECTIVE_UNSPECIFIED) {
    method.set_objective(TwlaMethod::OBJECTIVE_RELEASED);
  }
  if (method.rotation_steps() == 0) method.set_rotation_steps(kDefaultRotationSteps);
  if (!method.has_rotation_rate()) method.set_rotation_rate(kDefaultRotationRate);
}

void Resolve(MixedActivations& mixed) {
  if (!mixed.has_average_bits()) mixed.set_average_bits(kDefaultAverageBits);
  if (!mixed.has_beta()) mixed.set_beta(kDefaultBeta);
  if (mixed.interactions() == MixedActivations::INTERACTIONS_UNSPECIFIED) {
    mixed.set_interactions(MixedActivations::INTERACTIONS_NEEDED);
  }
  if (mixed.candidates().empty()) {
    mixed.mutable_candidates()->Assign(std::begin(kCandidates), std::end(kCandidates));
  }
  std::sort(mixed.mutable_candidates()->begin(), mixed.mutable_candidates()->end());
}

void Resolve(TwlaMethod& method) {
  ResolveReorder(Pt2LlmMethod::REORDER_NONE, method);
  ResolveCommon(kTwlaGptaq, kTwlaDamping, method);
  ResolveRotation(method);
  if (method.fit() == TwlaMethod::FIT_UNSPECIFIED) method.set_fit(TwlaMethod::FIT_E2M);
  if (!method.has_align()) method.set_align(true);
  if (method.has_mixed_activations()) {
    Resolve(*method.mutable_mixed_activations());
  } else if (method.activation_bits() == 0) {
    method.set_activation_bits(kDefaultActivationBits);
  }
}

}  // namespace

absl::Status ValidateMethod(const v1::QuantizationSpec& spec) {
  if (spec.has_pt2llm()) return CheckCommon("pt2llm", spec.pt2llm());
  if (spec.has_twla()) return Check(spec.twla());
  return InvalidField(SpecField("method"), "must be set; choose pt2llm or twla");
}

void ResolveMethod(v1::QuantizationSpec& spec) {
  if (spec.has_pt2llm()) Resolve(*spec.mutable_pt2llm());
  if (spec.has_twla()) Resolve(*spec.mutable_twla());
}

}  // namespace tern
