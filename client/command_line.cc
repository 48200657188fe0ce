#include "client/command_line.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "checkpoint/status_macros.h"

namespace tern {
namespace {

constexpr size_t kHelpColumn = 30;
constexpr size_t kHelpWidth = 96;

const Option* FindOption(const CommandSyntax& syntax, absl::string_view name) {
  for (const Option& option : syntax.options) {
    if (option.name == name) return &option;
  }
  return nullptr;
}

absl::Status UnknownOption(const CommandSyntax& syntax, absl::string_view name) {
  std::vector<std::string> names;
  for (const Option& option : syntax.options) names.push_back(option.name);
  const std::string nearest = NearestWord(name, names);
  return absl::InvalidArgumentError(
      absl::StrCat("unknown option --", name,
                   nearest.empty() ? absl::StrCat("; see `tern help ", syntax.name, "`")
                                   : absl::StrCat("; did you mean --", nearest, "?")));
}

absl::Status CheckValue(const Option& option, const std::string& value) {
  const auto refuse = [&](absl::string_view wanted) {
    return absl::InvalidArgumentError(
        absl::StrCat("--", option.name, ": \"", value, "\" is not ", wanted));
  };
  switch (option.kind) {
    case OptionKind::kFlag:
      return absl::OkStatus();
    case OptionKind::kText:
      if (value.empty()) {
        return absl::InvalidArgumentError(absl::StrCat("--", option.name, ": the value is empty"));
      }
      return absl::OkStatus();
    case OptionKind::kChoice:
      if (std::count(option.choices.begin(), option.choices.end(), value) == 0) {
        return refuse(absl::StrCat("one of ", absl::StrJoin(option.choices, ", ")));
      }
      return absl::OkStatus();
    case OptionKind::kCount: {
      int32_t number = 0;
      if (!absl::SimpleAtoi(value, &number) || number < 0) {
        return refuse(
            absl::StrCat("a whole number from 0 to ", std::numeric_limits<int32_t>::max()));
      }
      return absl::OkStatus();
    }
    case OptionKind::kUint64: {
      uint64_t number = 0;
      if (!absl::SimpleAtoi(value, &number)) {
        return refuse(
            absl::StrCat("a whole number from 0 to ", std::numeric_limits<uint64_t>::max()));
      }
      return absl::OkStatus();
    }
    case OptionKind::kSeconds: {
      double number = 0;
      if (!absl::SimpleAtod(value, &number) || !std::isfinite(number) || number < 0) {
        return refuse("a number of seconds, 0 or more");
      }
      return absl::OkStatus();
    }
  }
  return absl::InternalError("unhandled option kind");
}

size_t EditDistance(absl::string_view a, absl::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t above = row[j];
      const size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      row[j] = std::min({above + 1, row[j - 1] + 1, replaced});
      diagonal = above;
    }
  }
  return row[b.size()];
}

// `text` broken at blanks into lines of at most `width`.
std::vector<std::string> Wrap(absl::string_view text, size_t width) {
  std::vector<std::string> lines(1);
  for (absl::string_view word : absl::StrSplit(text, ' ', absl::SkipEmpty())) {
    if (!lines.back().empty() && lines.back().size() + 1 + word.size() > width) {
      lines.emplace_back();
    }
    absl::StrAppend(&lines.back(), lines.back().empty() ? "" : " ", word);
  }
  return lines;
}

std::string Positionals(const CommandSyntax& syntax) {
  return absl::StrCat(absl::StrJoin(syntax.positionals, " "), syntax.last_repeats ? "..." : "");
}

std::string Synopsis(const Option& option) {
  if (option.kind == OptionKind::kFlag) return absl::StrCat("--", option.name);
  const std::string value = option.kind == OptionKind::kChoice && option.placeholder.empty()
                                ? absl::StrJoin(option.choices, "|")
                                : option.placeholder;
  return absl::StrCat("--", option.name, " ", value);
}

}  // namespace

std::string Arguments::Text(const std::string& name, const std::string& otherwise) const {
  const auto found = values_.find(name);
  return found == values_.end() ? otherwise : found->second.back();
}

std::vector<std::string> Arguments::All(const std::string& name) const {
  const auto found = values_.find(name);
  return found == values_.end() ? std::vector<std::string>() : found->second;
}

int32_t Arguments::Count(const std::string& name, int32_t otherwise) const {
  int32_t number = otherwise;
  if (Has(name)) (void)absl::SimpleAtoi(Text(name), &number);
  return number;
}

uint64_t Arguments::Uint64(const std::string& name, uint64_t otherwise) const {
  uint64_t number = otherwise;
  if (Has(name)) (void)absl::SimpleAtoi(Text(name), &number);
  return number;
}

absl::Duration Arguments::Seconds(const std::string& name, absl::Duration otherwise) const {
  double number = 0;
  if (!Has(name) || !absl::SimpleAtod(Text(name), &number)) return otherwise;
  return absl::Seconds(number);
}

absl::StatusOr<Arguments> ParseArguments(const CommandSyntax& syntax,
                                         std::span<const std::string> words) {
  Arguments arguments;
  bool options_ended = false;
  for (size_t i = 0; i < words.size(); ++i) {
    const std::string& word = words[i];
    if (options_ended || word == "-" || !absl::StartsWith(word, "-")) {
      arguments.positionals_.push_back(word);
      continue;
    }
    if (word == "--") {
      options_ended = true;
      continue;
    }
    if (!absl::StartsWith(word, "--")) {
      return absl::InvalidArgumentError(
          absl::StrCat("unknown option ", word, "; options start with two dashes"));
    }
    const size_t equals = word.find('=');
    const std::string name = word.substr(2, equals == std::string::npos ? equals : equals - 2);
    const Option* option = FindOption(syntax, name);
    if (option == nullptr) return UnknownOption(syntax, name);

    std::string value;
    if (equals != std::string::npos) {
      if (option->kind == OptionKind::kFlag) {
        return absl::InvalidArgumentError(absl::StrCat("--", name, " takes no value"));
      }
      value = word.substr(equals + 1);
    } else if (option->kind != OptionKind::kFlag) {
      const bool next_is_option =
          i + 1 < words.size() && absl::StartsWith(words[i + 1], "--") &&
          FindOption(syntax, absl::string_view(words[i + 1]).substr(2)) != nullptr;
      if (i + 1 == words.size() || next_is_option) {
        return absl::InvalidArgumentError(absl::StrCat("--", name, " needs a value"));
      }
      value = words[++i];
    }
    TERN_RETURN_IF_ERROR(CheckValue(*option, value));
    std::vector<std::string>& values = arguments.values_[name];
    if (!values.empty() && !option->repeated) {
      return absl::InvalidArgumentError(absl::StrCat("--", name, " is given twice"));
    }
    values.push_back(std::move(value));
  }

  if (arguments.positionals_.size() < syntax.positionals.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat(syntax.positionals[arguments.positionals_.size()], " is missing; usage: tern ",
                     syntax.name, " ", Positionals(syntax), " [options]"));
  }
  if (arguments.positionals_.size() > syntax.positionals.size() && !syntax.last_repeats) {
    return absl::InvalidArgumentError(
        absl::StrCat("unexpected argument \"", arguments.positionals_[syntax.positionals.size()],
                     "\"; see `tern help ", syntax.name, "`"));
  }
  for (const Option& option : syntax.options) {
    if (option.required && !arguments.Has(option.name)) {
      return absl::InvalidArgumentError(absl::StrCat(Synopsis(option), " is missing"));
    }
  }
  return arguments;
}

std::string HelpText(const CommandSyntax& syntax) {
  std::string text = absl::StrCat("Usage: tern ", syntax.name);
  if (!syntax.positionals.empty()) absl::StrAppend(&text, " ", Positionals(syntax));
  for (const Option& option : syntax.options) {
    if (option.required) absl::StrAppend(&text, " ", Synopsis(option));
  }
  absl::StrAppend(&text, syntax.options.empty() ? "\n\n" : " [options]\n\n", syntax.summary, "\n");
  if (!syntax.options.empty()) absl::StrAppend(&text, "\nOptions:\n");
  for (const Option& option : syntax.options) {
    std::string line = absl::StrCat("  ", Synopsis(option), option.repeated ? " ..." : "");
    if (line.size() + 2 > kHelpColumn) {
      absl::StrAppend(&text, line, "\n");
      line.clear();
    }
    for (const std::string& help : Wrap(option.help, kHelpWidth - kHelpColumn)) {
      line.resize(kHelpColumn, ' ');
      absl::StrAppend(&text, line, help, "\n");
      line.clear();
    }
  }
  if (!syntax.notes.empty()) absl::StrAppend(&text, "\n", syntax.notes);
  return text;
}

std::string NearestWord(absl::string_view word, const std::vector<std::string>& candidates) {
  std::string nearest;
  size_t least = std::max<size_t>(2, word.size() / 3) + 1;
  for (const std::string& candidate : candidates) {
    const size_t distance = EditDistance(word, candidate);
    if (distance < least) {
      least = distance;
      nearest = candidate;
    }
  }
  return nearest;
}

}  // namespace tern
