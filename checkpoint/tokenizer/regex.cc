#include "checkpoint/tokenizer/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <ctime>

#include "absl/strings/str_cat.h"
#include "checkpoint/status_macros.h"
#include "checkpoint/strict_json.h"
#include "checkpoint/tokenizer/oniguruma_syntax.h"
#include "checkpoint/tokenizer/utf8.h"

namespace tern {
namespace {

constexpr size_t kMaxPatternBytes = 64 << 10;
// Steps of one match: enough to back out of a run of ten million spaces once.
constexpr uint32_t kMatchLimit = 20'000'000;
constexpr uint32_t kHeapLimitKib = 64 << 10;
constexpr size_t kMaxJitStackBytes = 8 << 20;
constexpr int kCallsBetweenClockReads = 16;

double ThreadSeconds() {
  timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

std::string ErrorText(int code) {
  PCRE2_UCHAR buffer[256];
  pcre2_get_error_message(code, buffer, sizeof(buffer));
  return reinterpret_cast<const char*>(buffer);
}

PCRE2_SPTR Bytes(absl::string_view text) {
  // PCRE2 before 10.43 wants a pointer even for no bytes.
  return reinterpret_cast<PCRE2_SPTR>(text.empty() ? "" : text.data());
}

}  // namespace

RegexScratch::RegexScratch(size_t text_bytes)
    : deadline_seconds_(ThreadSeconds() + 5 + 2e-6 * static_cast<double>(text_bytes)),
      match_data_(pcre2_match_data_create(1, nullptr)),
      jit_stack_(pcre2_jit_stack_create(32 << 10, kMaxJitStackBytes, nullptr)),
      context_(pcre2_match_context_create(nullptr)) {
  pcre2_set_match_limit(context_, kMatchLimit);
  pcre2_set_heap_limit(context_, kHeapLimitKib);
  pcre2_jit_stack_assign(context_, nullptr, jit_stack_);
}

RegexScratch::~RegexScratch() {
  pcre2_match_context_free(context_);
  pcre2_jit_stack_free(jit_stack_);
  pcre2_match_data_free(match_data_);
}

absl::Status RegexScratch::CheckTime() {
  if (++calls_ % kCallsBetweenClockReads != 0 || ThreadSeconds() < deadline_seconds_) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      "tokenizing takes far too long: the tokenizer's patterns do not suit this text");
}

void Regex::Free::operator()(pcre2_real_code_8* code) const { pcre2_code_free(code); }

absl::StatusOr<Regex> Regex::Compile(absl::string_view oniguruma_pattern) {
  TERN_ASSIGN_OR_RETURN(const std::string pattern, OnigurumaToPcre2(oniguruma_pattern));
  return CompilePcre2(pattern);
}

absl::StatusOr<Regex> Regex::CompilePcre2(absl::string_view pattern) {
  return CompileWith(pattern, PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C);
}

absl::StatusOr<Regex> Regex::Literal(absl::string_view text) {
  return CompileWith(text, PCRE2_LITERAL);
}

absl::StatusOr<Regex> Regex::CompileWith(absl::string_view pattern, unsigned options) {
  if (pattern.size() > kMaxPatternBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("pattern of ", pattern.size(), " bytes; at most ", kMaxPatternBytes));
  }
  const std::unique_ptr<pcre2_compile_context, void (*)(pcre2_compile_context*)> context(
      pcre2_compile_context_create(nullptr), pcre2_compile_context_free);
  pcre2_set_newline(context.get(), PCRE2_NEWLINE_LF);
  pcre2_set_bsr(context.get(), PCRE2_BSR_UNICODE);
  int error = 0;
  PCRE2_SIZE offset = 0;
  Regex regex(pcre2_compile(Bytes(pattern), pattern.size(), PCRE2_UTF | options, &error, &offset,
                            context.get()));
  if (regex.code_ == nullptr) {
    return absl::InvalidArgumentError(absl::StrCat("pattern \"", Shown(pattern),
                                                   "\" does not compile: ", ErrorText(error),
                                                   " at byte ", offset));
  }
  // Without a JIT for this machine or this pattern, matching interprets: slower, the same matches.
  pcre2_jit_compile(regex.code_.get(), PCRE2_JIT_COMPLETE);
  return regex;
}

absl::StatusOr<std::optional<RegexMatches::Range>> RegexMatches::Next() {
  while (position_ <= text_.size()) {
    TERN_RETURN_IF_ERROR(scratch_.CheckTime());
    const int found = pcre2_match(code_, Bytes(text_), text_.size(), position_, PCRE2_NO_UTF_CHECK,
                                  scratch_.match_data_, scratch_.context_);
    if (found == PCRE2_ERROR_NOMATCH) {
      position_ = text_.size() + 1;
      break;
    }
    if (found < 0) {
      return absl::InvalidArgumentError(absl::StrCat(
          "a pattern of the tokenizer fails at byte ", position_, " of the text it is applied to (",
          ErrorText(found), "): it backtracks without bounds"));
    }
    const PCRE2_SIZE* ends = pcre2_get_ovector_pointer(scratch_.match_data_);
    const Range range{ends[0], ends[1]};
    if (range.begin == range.end && last_end_ == range.end) {
      position_ = range.end + (range.end < text_.size() ? Utf8Length(text_[range.end]) : 1);
      continue;
    }
    position_ = range.end;
    last_end_ = range.end;
    return range;
  }
  return std::nullopt;
}

}  // namespace tern
