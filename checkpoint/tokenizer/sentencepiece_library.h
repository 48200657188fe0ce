#ifndef TERN_CHECKPOINT_TOKENIZER_SENTENCEPIECE_LIBRARY_H_
#define TERN_CHECKPOINT_TOKENIZER_SENTENCEPIECE_LIBRARY_H_

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace tern {

// libsentencepiece behind std types only: its header declares an absl::string_view of its own,
// which cannot meet Abseil's in one source file. Thread-safe.
class SentencePieceLibrary {
 public:
  virtual ~SentencePieceLibrary() = default;

  // Whether the library can be used at all; otherwise `error` says what is missing.
  static bool IsInstalled(std::string& error);

  // Loads a serialized ModelProto; nullptr with the reason in `error` when the library refuses it.
  // Requires IsInstalled.
  static std::unique_ptr<SentencePieceLibrary> Load(std::string_view model, std::string& error);

  // False with the reason in `error` when the library fails.
  virtual bool Encode(std::string_view text, std::vector<int>& ids, std::string& error) const = 0;

  virtual int PieceCount() const = 0;
};

}  // namespace tern

#endif  // TERN_CHECKPOINT_TOKENIZER_SENTENCEPIECE_LIBRARY_H_
