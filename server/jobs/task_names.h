#ifndef TERN_SERVER_JOBS_TASK_NAMES_H_
#define TERN_SERVER_JOBS_TASK_NAMES_H_

#include <cstdint>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "server/store/records.h"

namespace tern {

inline constexpr char kScanTask[] = "scan";
inline constexpr char kAssembleTask[] = "assemble";
inline std::string RotateTask(int32_t block) { return absl::StrCat("rotate/", block); }
inline std::string QuantizeTask(int32_t block) { return absl::StrCat("quantize/", block); }
inline std::string SensitivityTask(int32_t block) { return absl::StrCat("sensitivity/", block); }
// The block's `round`th, from 1 on.
inline std::string InteractionTask(int32_t block, int32_t round) {
  return absl::StrCat("interaction/", block, "/", round);
}
inline std::string EvaluateTask(int32_t part) { return absl::StrCat("evaluate/", part); }

// "scan", "rotate", "quantize", "sensitivity", "interaction", "assemble", "evaluate".
inline absl::string_view TaskKindName(TaskKind kind) {
  switch (kind) {
    case TaskKind::kScan:
      return "scan";
    case TaskKind::kRotate:
      return "rotate";
    case TaskKind::kQuantize:
      return "quantize";
    case TaskKind::kSensitivity:
      return "sensitivity";
    case TaskKind::kInteraction:
      return "interaction";
    case TaskKind::kAssemble:
      return "assemble";
    case TaskKind::kEvaluate:
      return "evaluate";
  }
  return "unknown";
}

}  // namespace tern

#endif  // TERN_SERVER_JOBS_TASK_NAMES_H_
