#include "checkpoint/tokenizer/tokenizer_json.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "checkpoint/status_macros.h"
#include "checkpoint/strict_json.h"
#include "checkpoint/tokenizer/added_tokens.h"
#include "checkpoint/tokenizer/bpe.h"
#include "checkpoint/tokenizer/json_fields.h"
#include "checkpoint/tokenizer/normalizer.h"
#include "checkpoint/tokenizer/pre_tokenizer.h"
#include "checkpoint/tokenizer/text_limits.h"
#include "checkpoint/tokenizer/tokenizer_document.h"

namespace tern {
namespace {

class JsonTokenizer : public Tokenizer {
 public:
  JsonTokenizer(Normalizer normalizer, PreTokenizer pre_tokenizer, AddedTokens added_tokens,
                Bpe bpe, int64_t vocab_size)
      : normalizer_(std::move(normalizer)),
        pre_tokenizer_(std::move(pre_tokenizer)),
        added_tokens_(std::move(added_tokens)),
        bpe_(std::move(bpe)),
        vocab_size_(vocab_size) {}

  int64_t vocab_size() const override { return vocab_size_; }

  absl::StatusOr<std::vector<int32_t>> Encode(absl::string_view utf8) const override {
    TERN_RETURN_IF_ERROR(CheckText(utf8));
    RegexScratch scratch(utf8.size());
    Bpe::Cache cache;
    std::vector<int32_t> ids;
    const auto encode_word = [&](absl::string_view word, bool) {
      return bpe_.Encode(word, cache, ids);
    };
    const auto encode_section = [&](absl::string_view section, size_t start) -> absl::Status {
      std::string text(section);
      TERN_RETURN_IF_ERROR(normalizer_.Apply(text, scratch));
      return added_tokens_.normalized.Split(
          text, scratch, [&](absl::string_view part, size_t offset, std::optional<int32_t> id) {
            if (!id) {
              return pre_tokenizer_.Apply(part, start + offset == 0, scratch, encode_word);
            }
            ids.push_back(*id);
            return absl::OkStatus();
          });
    };
    TERN_RETURN_IF_ERROR(added_tokens_.verbatim.Split(
        utf8, scratch, [&](absl::string_view part, size_t offset, std::optional<int32_t> id) {
          if (!id) return encode_section(part, offset);
          ids.push_back(*id);
          return absl::OkStatus();
        }));
    return ids;
  }

 private:
  Normalizer normalizer_;
  PreTokenizer pre_tokenizer_;
  AddedTokens added_tokens_;
  Bpe bpe_;
  int64_t vocab_size_;
};

// The fields of "model" beside vocabulary and merges.
absl::Status ParseModelFields(const nlohmann::json& model, BpeDefinition& definition) {
  // Files of before 2020 have no type; what has merges is BPE.
  TERN_ASSIGN_OR_RETURN(const absl::string_view type, StringField(model, "model", "type", "BPE"));
  if (type != "BPE") {
    return UnsupportedType("model", type, "BPE (or a tokenizer.model in place of this file)");
  }
  if (!model.contains("merges")) {
    return absl::InvalidArgumentError("model: field \"merges\" is missing");
  }
  const auto dropout = model.find("dropout");
  if (dropout != model.end() && !dropout->is_null() && *dropout != 0.0) {
    return absl::InvalidArgumentError("model: dropout is not null: encoding would be random");
  }
  for (const char* affix : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    TERN_ASSIGN_OR_RETURN(const absl::string_view text, StringField(model, "model", affix, ""));
    if (!text.empty()) {
      return absl::InvalidArgumentError(absl::StrCat("model: ", affix, " \"", Shown(text),
                                                     "\" is not supported; it must be empty"));
    }
  }
  if (model.contains("unk_token") && !model["unk_token"].is_null()) {
    TERN_ASSIGN_OR_RETURN(const absl::string_view unk, StringField(model, "model", "unk_token"));
    definition.unk_token = std::string(unk);
  }
  TERN_ASSIGN_OR_RETURN(definition.fuse_unk, BoolField(model, "model", "fuse_unk", false));
  TERN_ASSIGN_OR_RETURN(definition.byte_fallback,
                        BoolField(model, "model", "byte_fallback", false));
  TERN_ASSIGN_OR_RETURN(definition.ignore_merges,
                        BoolField(model, "model", "ignore_merges", false));
  return absl::OkStatus();
}

const nlohmann::json& Component(const nlohmann::json& root, const char* name) {
  static const nlohmann::json& null = *new nlohmann::json();
  const auto found = root.find(name);
  return found == root.end() ? null : *found;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Tokenizer>> ParseTokenizerJson(absl::string_view json) {
  TERN_ASSIGN_OR_RETURN(TokenizerDocument document, ReadTokenizerDocument(json));
  const nlohmann::json& model = Component(*document.rest, "model");
  if (!model.is_object()) return absl::InvalidArgumentError("model is missing");
  BpeDefinition definition;
  TERN_RETURN_IF_ERROR(ParseModelFields(model, definition));
  if (document.vocabulary.empty()) {
    return absl::InvalidArgumentError("model: field \"vocab\" is missing or empty");
  }
  int64_t vocab_size = 0;
  for (const auto& [token, id] : document.vocabulary) {
    vocab_size = std::max<int64_t>(vocab_size, int64_t{id} + 1);
  }
  definition.vocabulary = std::move(document.vocabulary);
  definition.merges = std::move(document.merges);

  TERN_ASSIGN_OR_RETURN(Normalizer normalizer,
                        Normalizer::Parse(Component(*document.rest, "normalizer")));
  TERN_ASSIGN_OR_RETURN(PreTokenizer pre_tokenizer,
                        PreTokenizer::Parse(Component(*document.rest, "pre_tokenizer")));
  TERN_ASSIGN_OR_RETURN(AddedTokens added_tokens,
                        LoadAddedTokens(Component(*document.rest, "added_tokens"),
                                        definition.vocabulary, normalizer));
  vocab_size = std::max(vocab_size, added_tokens.vocab_size);
  TERN_ASSIGN_OR_RETURN(Bpe bpe, Bpe::Create(std::move(definition)));
  return std::make_unique<JsonTokenizer>(std::move(normalizer), std::move(pre_tokenizer),
                                         std::move(added_tokens), std::move(bpe), vocab_size);
}

}  // namespace tern
