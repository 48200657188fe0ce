#include "checkpoint/text/token_stream.h"

#include <malloc.h>

#include <algorithm>
#include <mutex>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "checkpoint/status_macros.h"
#include "checkpoint/text/text_source.h"

namespace tern {
namespace {

// "calibration.jsonl: line 3"
std::string WhereIs(const TextDocument& document, std::span<const std::string> files) {
  const std::string& file = files[document.file];
  return document.line == 0 ? file : absl::StrCat(file, ": line ", document.line);
}

}  // namespace

absl::StatusOr<std::vector<int32_t>> TokenizeDocuments(const TokenSource& source,
                                                       const Tokenizer* tokenizer) {
  if (tokenizer == nullptr) {
    return absl::InvalidArgumentError(
        "the model has no tokenizer: give token ids (a safetensors file with input_ids) in place "
        "of text");
  }
  if (tokenizer->vocab_size() > source.vocab_size) {
    return absl::InvalidArgumentError(
        absl::StrCat("vocabulary mismatch of tokenizer and embedding: the tokenizer has ",
                     tokenizer->vocab_size(), " ids, the embedding ", source.vocab_size, " rows"));
  }
  // A text takes many times its size while it is tokenized, so a process has one in work at a time.
  static std::mutex one_text;
  const std::lock_guard lock(one_text);
  // The allocator would keep the memory for this thread alone.
  const absl::Cleanup give_back = [] { malloc_trim(0); };
  TERN_ASSIGN_OR_RETURN(std::vector<TextDocument> documents,
                        ReadDocuments(source.files, source.text_field));
  std::vector<int32_t> tokens;
  for (size_t i = 0; i < documents.size(); ++i) {
    const TextDocument document = std::move(documents[i]);  // its text goes before the next
    const auto ids = tokenizer->Encode(document.text);
    if (!ids.ok()) {
      return absl::Status(ids.status().code(), absl::StrCat(WhereIs(document, source.files), ": ",
                                                            ids.status().message()));
    }
    tokens.insert(tokens.end(), ids->begin(), ids->end());
    if (source.separator && document.line > 0 && i + 1 < documents.size()) {
      tokens.push_back(*source.separator);
    }
  }
  return tokens;
}

absl::StatusOr<std::optional<TokenWindows>> WindowsFromFile(const TokenSource& source,
                                                            int64_t length) {
  const auto holds_ids = [](const std::string& file) { return HoldsTokenIds(file); };
  const auto file = std::find_if(source.files.begin(), source.files.end(), holds_ids);
  if (file == source.files.end()) return std::nullopt;
  if (source.files.size() > 1) {
    return absl::InvalidArgumentError(
        absl::StrCat(*file, ": token ids cannot be mixed with other files: give this one alone"));
  }
  TERN_ASSIGN_OR_RETURN(TokenWindows windows, ReadTokenIds(*file));
  if (length != 0 && length != windows.length) {
    return absl::InvalidArgumentError(
        absl::StrCat(*file, ": its windows have ", windows.length, " tokens, not ", length));
  }
  const absl::Status in_vocabulary = CheckVocabulary(windows, source.vocab_size);
  if (!in_vocabulary.ok()) {
    return absl::InvalidArgumentError(absl::StrCat(*file, ": ", in_vocabulary.message()));
  }
  return windows;
}

absl::Status KeepFirst(int64_t count, absl::string_view file, TokenWindows& windows) {
  if (count > windows.windows) {
    return absl::InvalidArgumentError(
        absl::StrCat(file, ": has ", windows.windows, " windows, not ", count));
  }
  windows.windows = count;
  windows.ids.resize(static_cast<size_t>(count * windows.length));
  return absl::OkStatus();
}

}  // namespace tern
