#include "checkpoint/text/calibration.h"

#include <numeric>
#include <utility>

#include "absl/strings/str_cat.h"
#include "checkpoint/status_macros.h"
#include "checkpoint/text/split_mix.h"
#include "checkpoint/text/token_stream.h"

namespace tern {
namespace {

// Far above any use, and their product far below overflow.
constexpr int64_t kMaxSamples = int64_t{1} << 24;
constexpr int64_t kMaxLength = int64_t{1} << 24;

absl::Status CheckRange(absl::string_view field, int64_t value, int64_t least, int64_t most) {
  if (value >= least && value <= most) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("calibration ", field, " is ", value,
                                                 "; it must be from ", least, " to ", most));
}

// The first `count` of a seeded shuffle (Fisher-Yates) of 0 ... slots - 1; count <= slots.
std::vector<int64_t> DrawSlots(int64_t count, int64_t slots, uint64_t seed) {
  std::vector<int64_t> order(static_cast<size_t>(slots));
  std::iota(order.begin(), order.end(), 0);
  SplitMix64 random(seed);
  for (int64_t i = 0; i < count; ++i) {
    const auto other = i + static_cast<int64_t>(random.Below(static_cast<uint64_t>(slots - i)));
    std::swap(order[i], order[other]);
  }
  order.resize(static_cast<size_t>(count));
  return order;
}

}  // namespace

absl::StatusOr<TokenWindows> SampleCalibration(const CalibrationSpec& spec,
                                               const Tokenizer* tokenizer) {
  TERN_RETURN_IF_ERROR(CheckRange("samples", spec.samples, 0, kMaxSamples));
  TERN_RETURN_IF_ERROR(CheckRange("length", spec.length, 0, kMaxLength));
  const TokenSource source{spec.files, spec.text_field, spec.vocab_size, spec.separator};
  TERN_ASSIGN_OR_RETURN(std::optional<TokenWindows> from_file,
                        WindowsFromFile(source, spec.length));
  if (from_file) {
    if (spec.samples > 0) {
      TERN_RETURN_IF_ERROR(KeepFirst(spec.samples, spec.files[0], *from_file));
    }
    return *std::move(from_file);
  }

  TERN_RETURN_IF_ERROR(CheckRange("samples", spec.samples, 1, kMaxSamples));
  TERN_RETURN_IF_ERROR(CheckRange("length", spec.length, 1, kMaxLength));
  TERN_ASSIGN_OR_RETURN(const std::vector<int32_t> tokens, TokenizeDocuments(source, tokenizer));
  const auto total = static_cast<int64_t>(tokens.size());
  if (total / spec.length < spec.samples) {
    return absl::InvalidArgumentError(
        absl::StrCat("too little calibration text: it has ", total, " tokens, but ", spec.samples,
                     " samples of ", spec.length, " need ", spec.samples * spec.length));
  }
  TokenWindows windows;
  windows.windows = spec.samples;
  windows.length = spec.length;
  windows.ids.reserve(static_cast<size_t>(spec.samples * spec.length));
  for (const int64_t slot : DrawSlots(spec.samples, total / spec.length, spec.seed)) {
    const auto begin = tokens.begin() + slot * spec.length;
    windows.ids.insert(windows.ids.end(), begin, begin + spec.length);
  }
  TERN_RETURN_IF_ERROR(CheckVocabulary(windows, spec.vocab_size));
  return windows;
}

}  // namespace tern
