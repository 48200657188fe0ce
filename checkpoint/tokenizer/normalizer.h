#ifndef TERN_CHECKPOINT_TOKENIZER_NORMALIZER_H_
#define TERN_CHECKPOINT_TOKENIZER_NORMALIZER_H_

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "checkpoint/tokenizer/regex.h"

namespace tern {

// One step of tokenizer.json's "normalizer". Thread-safe.
class NormalizerStep {
 public:
  virtual ~NormalizerStep() = default;

  // Rewrites well-formed UTF-8 into well-formed UTF-8, at most `max_bytes` of it
  // (INVALID_ARGUMENT).
  virtual absl::Status Apply(std::string& text, size_t max_bytes, RegexScratch& scratch) const = 0;
};

// The "normalizer" of tokenizer.json: null, NFC, Prepend, Replace (String and Regex patterns), and
// Sequences of them. Thread-safe.
class Normalizer {
 public:
  // INVALID_ARGUMENT names the component that is malformed or not supported.
  static absl::StatusOr<Normalizer> Parse(const nlohmann::json& component);

  // Rewrites `text` in place. INVALID_ARGUMENT when it grows past 8 times its size + 64 KiB.
  absl::Status Apply(std::string& text, RegexScratch& scratch) const;

 private:
  std::vector<std::unique_ptr<NormalizerStep>> steps_;
};

}  // namespace tern

#endif  // TERN_CHECKPOINT_TOKENIZER_NORMALIZER_H_
