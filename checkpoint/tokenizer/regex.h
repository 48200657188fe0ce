#ifndef TERN_CHECKPOINT_TOKENIZER_REGEX_H_
#define TERN_CHECKPOINT_TOKENIZER_REGEX_H_

#include <cstddef>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

struct pcre2_real_code_8;
struct pcre2_real_match_context_8;
struct pcre2_real_match_data_8;
struct pcre2_real_jit_stack_8;

namespace tern {

// \w of Rust's regex crate, as the inside of a PCRE2 character class.
inline constexpr char kRustWordClass[] = "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\p{Join_Control}";

// What matching needs besides patterns and text: scratch memory, and an allowance of processor time
// that ends a hostile pattern's backtracking. One for each call of Tokenizer::Encode.
// Thread-compatible; stays on the thread that made it.
class RegexScratch {
 public:
  // The allowance is generous: 5 s plus 2 s for each MiB of text, where text of any kind takes
  // about a tenth of a second.
  explicit RegexScratch(size_t text_bytes);
  ~RegexScratch();
  RegexScratch(const RegexScratch&) = delete;
  RegexScratch& operator=(const RegexScratch&) = delete;

  // INVALID_ARGUMENT once the allowance is used up. Cheap: looks at the clock now and then.
  absl::Status CheckTime();

 private:
  friend class RegexMatches;

  double deadline_seconds_;  // on the thread's processor clock
  int calls_ = 0;
  pcre2_real_match_data_8* match_data_;
  pcre2_real_jit_stack_8* jit_stack_;
  pcre2_real_match_context_8* context_;
};

// A compiled pattern. Thread-safe.
class Regex {
 public:
  // A pattern in Oniguruma's syntax, which tokenizer.json files use. INVALID_ARGUMENT when it does
  // not compile or uses what is not supported (see OnigurumaToPcre2).
  static absl::StatusOr<Regex> Compile(absl::string_view oniguruma_pattern);

  // A pattern that matches exactly `text`.
  static absl::StatusOr<Regex> Literal(absl::string_view text);

  // A pattern in PCRE2's syntax.
  static absl::StatusOr<Regex> CompilePcre2(absl::string_view pattern);

 private:
  friend class RegexMatches;

  struct Free {
    void operator()(pcre2_real_code_8* code) const;
  };

  static absl::StatusOr<Regex> CompileWith(absl::string_view pattern, unsigned options);
  explicit Regex(pcre2_real_code_8* code) : code_(code) {}

  std::unique_ptr<pcre2_real_code_8, Free> code_;
};

// The matches of a pattern in a text from left to right, without overlap. An empty match right
// after the match before it is skipped.
//
//   RegexMatches matches(regex, text, scratch);
//   while (true) {
//     TERN_ASSIGN_OR_RETURN(const std::optional<RegexMatches::Range> match, matches.Next());
//     if (!match) break;
//     ...
//   }
class RegexMatches {
 public:
  struct Range {
    size_t begin, end;  // bytes of the text
  };

  // `text` is well-formed UTF-8. All three must outlive this object.
  RegexMatches(const Regex& regex, absl::string_view text, RegexScratch& scratch)
      : code_(regex.code_.get()), text_(text), scratch_(scratch) {}

  // nullopt after the last. INVALID_ARGUMENT when matching takes more steps, memory or time than
  // any sane pattern.
  absl::StatusOr<std::optional<Range>> Next();

 private:
  const pcre2_real_code_8* code_;
  absl::string_view text_;
  RegexScratch& scratch_;
  size_t position_ = 0;
  std::optional<size_t> last_end_;
};

}  // namespace tern

#endif  // TERN_CHECKPOINT_TOKENIZER_REGEX_H_
