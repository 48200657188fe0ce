#ifndef TERN_CHECKPOINT_TOKENIZER_TOKENIZER_H_
#define TERN_CHECKPOINT_TOKENIZER_TOKENIZER_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace tern {

// Turns text into token ids, the way the model's own tokenizer does when no template and no
// special tokens are asked for (Hugging Face: tokenizer(text, add_special_tokens=False)): no BOS
// or EOS is added. Added tokens (special ones too) that are written out in the text of a
// tokenizer.json model become their one id, as they do at Hugging Face; a tokenizer.model treats
// them as libsentencepiece does (control pieces are text, user-defined pieces are one id).
//
// Thread-safe.
class Tokenizer {
 public:
  virtual ~Tokenizer() = default;

  // INVALID_ARGUMENT when the text is not UTF-8 (names the byte), is larger than 256 MiB (2 MiB for
  // a tokenizer.model, whose library takes a hundred times its size), or when the tokenizer cannot
  // finish it (a pattern that backtracks without end, an expansion without bounds, an unknown
  // character without an unk_token in the vocabulary).
  virtual absl::StatusOr<std::vector<int32_t>> Encode(absl::string_view utf8) const = 0;

  // Largest id + 1, added tokens included.
  virtual int64_t vocab_size() const = 0;
};

// The tokenizer of a Hugging Face model folder: tokenizer.json when there is one, else
// tokenizer.model (sentencepiece). NOT_FOUND when neither is there; INVALID_ARGUMENT when the file
// is malformed or asks for a component that is not supported (the error names it). Both files are
// treated as hostile input.
absl::StatusOr<std::unique_ptr<Tokenizer>> OpenTokenizer(const std::string& model_folder);

}  // namespace tern

#endif  // TERN_CHECKPOINT_TOKENIZER_TOKENIZER_H_
