#include "worker/quant/pt2llm_options.h"

#include "absl/strings/str_cat.h"

namespace tern {
namespace {

constexpr int64_t kMinGroupSize = 16;
constexpr int64_t kMaxGroupSize = 4096;

}  // namespace

// Comparisons are written so that NaN fails them.
absl::Status ValidateOptions(const Pt2LlmOptions& options) {
  if (options.group_size < kMinGroupSize || options.group_size > kMaxGroupSize) {
    return absl::InvalidArgumentError(absl::StrCat("group_size: ", options.group_size,
                                                   " is not between ", kMinGroupSize, " and ",
                                                   kMaxGroupSize));
  }
  if (!(options.gptaq >= 0 && options.gptaq <= 1)) {
    return absl::InvalidArgumentError(
        absl::StrCat("gptaq: ", options.gptaq, " is not between 0 (off) and 1"));
  }
  if (!(options.damping > 0 && options.damping <= 1)) {
    return absl::InvalidArgumentError(
        absl::StrCat("damping: ", options.damping, " is not above 0 and at most 1"));
  }
  return absl::OkStatus();
}

}  // namespace tern
