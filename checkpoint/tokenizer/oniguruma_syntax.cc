#include "checkpoint/tokenizer/oniguruma_syntax.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "checkpoint/status_macros.h"
#include "checkpoint/strict_json.h"

namespace tern {
namespace {

// Oniguruma's \w as the inside of a PCRE2 character class. A lone \w (and \b) looks Latin-1 up in
// another table, in which ², ³, ¹, ¼, ½ and ¾ are word characters; within a class they are not.
constexpr char kWordInClass[] = "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}";
constexpr char kLoneWord[] =
    "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\x{b2}\\x{b3}\\x{b9}\\x{bc}-\\x{be}";

bool IsPcre2Pattern(const std::string& pattern) {
  int error = 0;
  PCRE2_SIZE offset = 0;
  pcre2_code* code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(),
                                   PCRE2_UTF | PCRE2_UCP, &error, &offset, nullptr);
  pcre2_code_free(code);
  return code != nullptr;
}

class Translator {
 public:
  explicit Translator(absl::string_view pattern) : pattern_(pattern) {}

  absl::StatusOr<std::string> Run() {
    while (!AtEnd()) TERN_RETURN_IF_ERROR(Item());
    return std::move(out_);
  }

 private:
  bool AtEnd() const { return at_ == pattern_.size(); }
  absl::string_view Rest() const { return pattern_.substr(at_); }
  bool Sees(absl::string_view text) const { return absl::StartsWith(Rest(), text); }

  absl::Status Refuse(absl::string_view construct) const {
    return absl::InvalidArgumentError(absl::StrCat("pattern \"", Shown(pattern_), "\": ", construct,
                                                   " at byte ", at_, " is not supported"));
  }

  void Copy(size_t bytes) {
    absl::StrAppend(&out_, pattern_.substr(at_, bytes));
    at_ += bytes;
  }

  void Replace(size_t bytes, absl::string_view with) {
    absl::StrAppend(&out_, with);
    at_ += bytes;
  }

  absl::Status Item() {
    const bool at_group_start = at_group_start_;
    at_group_start_ = false;
    switch (pattern_[at_]) {
      case '\\':
        return Escape();
      case '[':
        return Class();
      case '(':
        return Group(at_group_start);
      case '{':
        return Interval();
      default:
        Copy(1);
        return absl::OkStatus();
    }
  }

  // Escapes that read the same inside and outside a character class.
  absl::Status SharedEscape(char letter) {
    switch (letter) {
      case 's':
        Replace(2, "\\p{White_Space}");
        return absl::OkStatus();
      case 'S':
        Replace(2, "\\P{White_Space}");
        return absl::OkStatus();
      case 'd':
        Replace(2, "\\p{Nd}");
        return absl::OkStatus();
      case 'D':
        Replace(2, "\\P{Nd}");
        return absl::OkStatus();
      case 'v':
        Replace(2, "\\x0b");
        return absl::OkStatus();
      case 'p':
      case 'P':
        return Property();
      case 'x':
        return HexByte();
      case 'u':
        return HexCodePoint();
      case 'n':
      case 'r':
      case 't':
      case 'f':
      case 'a':
      case 'e':
        Copy(2);
        return absl::OkStatus();
      default:
        if (absl::ascii_isalnum(static_cast<unsigned char>(letter))) {
          return Refuse(absl::StrCat("\\", std::string(1, letter)));
        }
        Copy(2);
        return absl::OkStatus();
    }
  }

  absl::Status Escape() {
    if (at_ + 1 == pattern_.size()) return Refuse("a backslash at the end");
    const char letter = pattern_[at_ + 1];
    const std::string word = absl::StrCat("[", kLoneWord, "]");
    switch (letter) {
      case 'w':
        Replace(2, word);
        return absl::OkStatus();
      case 'W':
        Replace(2, absl::StrCat("[^", kLoneWord, "]"));
        return absl::OkStatus();
      case 'h':
        Replace(2, "[0-9a-fA-F]");
        return absl::OkStatus();
      case 'H':
        Replace(2, "[^0-9a-fA-F]");
        return absl::OkStatus();
      case 'b':
        Replace(2, absl::StrCat("(?:(?<=", word, ")(?!", word, ")|(?<!", word, ")(?=", word, "))"));
        return absl::OkStatus();
      case 'B':
        Replace(2, absl::StrCat("(?:(?<=", word, ")(?=", word, ")|(?<!", word, ")(?!", word, "))"));
        return absl::OkStatus();
      case 'A':
      case 'z':
      case 'Z':
      case 'R':
        Copy(2);
        return absl::OkStatus();
      default:
        if (letter >= '1' && letter <= '9') {
          Copy(2);
          return absl::OkStatus();
        }
        return SharedEscape(letter);
    }
  }

  absl::Status ClassEscape() {
    if (at_ + 1 == pattern_.size()) return Refuse("a backslash at the end");
    switch (pattern_[at_ + 1]) {
      case 'w':
        Replace(2, kWordInClass);
        return absl::OkStatus();
      case 'h':
        Replace(2, "0-9a-fA-F");
        return absl::OkStatus();
      case 'b':
        Copy(2);
        return absl::OkStatus();
      case 'W':
      case 'H':
        return Refuse("a negated escape in a character class");
      default:
        return SharedEscape(pattern_[at_ + 1]);
    }
  }

  absl::Status Class() {
    Copy(Sees("[^") ? 2 : 1);
    if (Sees("]")) return Refuse("a character class that starts with ']'");
    while (!AtEnd() && !Sees("]")) {
      if (Sees("[")) return Refuse("a character class in another");
      if (Sees("&&")) return Refuse("an intersection of character classes");
      if (Sees("\\")) {
        TERN_RETURN_IF_ERROR(ClassEscape());
      } else {
        Copy(1);
      }
    }
    if (AtEnd()) return Refuse("a character class without an end");
    Copy(1);
    return absl::OkStatus();
  }

  // Oniguruma's \p{Han} is the script of a character; PCRE2's takes its script extensions too.
  absl::Status Property() {
    const size_t end = Rest().find('}');
    if (Rest().substr(2, 1) != "{" || end == absl::string_view::npos) {
      return Refuse("a property without braces");
    }
    const char letter = pattern_[at_ + 1];
    absl::string_view name = Rest().substr(3, end - 3);
    const bool negated = !name.empty() && name[0] == '^';
    if (negated) name.remove_prefix(1);
    for (const char c : name) {
      if (!absl::ascii_isalnum(static_cast<unsigned char>(c)) && c != '_' && c != ' ' && c != '-') {
        return Refuse(absl::StrCat("property ", Shown(Rest().substr(0, end + 1))));
      }
    }
    const bool script = IsPcre2Pattern(absl::StrCat("\\p{sc:", name, "}"));
    const std::string rewritten = absl::StrCat("\\", std::string(1, letter), "{",
                                               negated ? "^" : "", script ? "sc:" : "", name, "}");
    if (!IsPcre2Pattern(rewritten)) {
      return Refuse(absl::StrCat("property ", Shown(Rest().substr(0, end + 1))));
    }
    Replace(end + 1, rewritten);
    return absl::OkStatus();
  }

  size_t HexDigitsAt(size_t offset, size_t most) const {
    size_t count = 0;
    while (count < most && at_ + offset + count < pattern_.size() &&
           absl::ascii_isxdigit(static_cast<unsigned char>(pattern_[at_ + offset + count]))) {
      ++count;
    }
    return count;
  }

  absl::Status HexByte() {
    if (Rest().substr(2, 1) == "{") {
      const size_t digits = HexDigitsAt(3, 8);
      if (digits == 0 || Rest().substr(3 + digits, 1) != "}") return Refuse("this \\x{...}");
      Copy(digits + 4);
      return absl::OkStatus();
    }
    // From 0x80 on Oniguruma means a byte of UTF-8, not a character.
    const size_t digits = HexDigitsAt(2, 2);
    if (digits == 0 || (digits == 2 && pattern_[at_ + 2] >= '8')) {
      return Refuse("\\x without a value up to 7f");
    }
    Copy(2 + digits);
    return absl::OkStatus();
  }

  absl::Status HexCodePoint() {
    if (HexDigitsAt(2, 4) != 4) return Refuse("\\u without four hexadecimal digits");
    Replace(6, absl::StrCat("\\x{", Rest().substr(2, 4), "}"));
    return absl::OkStatus();
  }

  absl::Status Group(bool at_group_start) {
    if (Sees("(*")) return Refuse("(*");
    if (!Sees("(?")) {
      Copy(1);
      at_group_start_ = true;
      return absl::OkStatus();
    }
    for (const absl::string_view opening : {"(?:", "(?=", "(?!", "(?>", "(?<=", "(?<!"}) {
      if (Sees(opening)) {
        Copy(opening.size());
        at_group_start_ = true;
        return absl::OkStatus();
      }
    }
    return Options(at_group_start);
  }

  // (?im-im:...) and (?im-im). Ruby's m lets the dot match newlines, PCRE2's s.
  absl::Status Options(bool at_group_start) {
    const size_t length = Rest().find_first_of(":)");
    const absl::string_view options =
        length == absl::string_view::npos ? "" : Rest().substr(2, length - 2);
    if (options.empty() || options.find_first_not_of("im-") != absl::string_view::npos) {
      return Refuse(Shown(Rest().substr(0, 3)));
    }
    // (?i) halfway encloses all alternatives that follow in Oniguruma, only the rest of its own in
    // PCRE2; at the start of a group both are the whole group.
    if (pattern_[at_ + length] == ')' && !at_group_start) {
      return Refuse("an option switched halfway through a group");
    }
    out_ += "(?";
    for (const char option : options) out_ += option == 'm' ? 's' : option;
    out_ += pattern_[at_ + length];
    at_ += length + 1;
    at_group_start_ = true;
    return absl::OkStatus();
  }

  absl::Status Interval() {
    size_t end = at_ + 1;
    const auto skip_digits = [&] {
      const size_t start = end;
      while (end < pattern_.size() &&
             absl::ascii_isdigit(static_cast<unsigned char>(pattern_[end])))
        ++end;
      return end > start;
    };
    const bool has_minimum = skip_digits();
    const bool has_comma = end < pattern_.size() && pattern_[end] == ',';
    if (has_comma) ++end;
    const bool has_maximum = has_comma && skip_digits();
    const bool closed = end < pattern_.size() && pattern_[end] == '}';
    if (!closed || (!has_minimum && !has_maximum)) {
      Copy(1);
      return absl::OkStatus();
    }
    if (!has_minimum) return Refuse("{,n}");
    const char suffix = end + 1 < pattern_.size() ? pattern_[end + 1] : '\0';
    if (suffix == '+') return Refuse("+ after an interval");
    if (suffix == '?' && !has_comma) return Refuse("{n}?");
    Copy(end + 1 - at_);
    return absl::OkStatus();
  }

  const absl::string_view pattern_;
  size_t at_ = 0;
  std::string out_;
  bool at_group_start_ = true;
};

}  // namespace

absl::StatusOr<std::string> OnigurumaToPcre2(absl::string_view pattern) {
  return Translator(pattern).Run();
}

}  // namespace tern
