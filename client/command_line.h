#ifndef TERN_CLIENT_COMMAND_LINE_H_
#define TERN_CLIENT_COMMAND_LINE_H_

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace tern {

enum class OptionKind {
  kFlag,     // --name
  kText,     // any value that is not empty
  kChoice,   // one of `choices`
  kCount,    // whole number, 0 to 2147483647
  kUint64,   // whole number, 0 to 18446744073709551615
  kSeconds,  // number above or equal to 0, fractions allowed
};

struct Option {
  std::string name;  // without the dashes
  OptionKind kind = OptionKind::kText;
  std::string placeholder = {};  // what help calls the value; empty for flags
  std::string help = {};
  bool repeated = false;
  bool required = false;
  std::vector<std::string> choices = {};
};

// What a command takes. Every positional is required, and stands once unless the last one repeats.
struct CommandSyntax {
  std::string name;     // "jobs list"
  std::string summary;  // one line
  std::vector<std::string> positionals = {};
  bool last_repeats = false;
  std::vector<Option> options = {};
  std::string notes = {};  // further lines of the help text
};

// The arguments of a command, checked against its syntax: values have the form their kind says.
// The getters take names of the syntax.
class Arguments {
 public:
  const std::string& Positional(size_t i) const { return positionals_[i]; }
  size_t positionals() const { return positionals_.size(); }
  bool Has(const std::string& name) const { return values_.count(name) > 0; }
  std::string Text(const std::string& name, const std::string& otherwise = "") const;
  std::vector<std::string> All(const std::string& name) const;
  int32_t Count(const std::string& name, int32_t otherwise = 0) const;
  uint64_t Uint64(const std::string& name, uint64_t otherwise = 0) const;
  absl::Duration Seconds(const std::string& name, absl::Duration otherwise) const;

 private:
  friend absl::StatusOr<Arguments> ParseArguments(const CommandSyntax& syntax,
                                                  std::span<const std::string> words);

  std::vector<std::string> positionals_;
  std::map<std::string, std::vector<std::string>> values_;
};

// Options stand anywhere among the positionals, as `--name value` or `--name=value`; after `--`
// everything is positional. INVALID_ARGUMENT names the option at fault and suggests a near one.
absl::StatusOr<Arguments> ParseArguments(const CommandSyntax& syntax,
                                         std::span<const std::string> words);

// "tern submit MODEL --method METHOD [options]", the summary, every option, the notes.
std::string HelpText(const CommandSyntax& syntax);

// The candidate that `word` was probably meant to be; empty when none is near.
std::string NearestWord(absl::string_view word, const std::vector<std::string>& candidates);

}  // namespace tern

#endif  // TERN_CLIENT_COMMAND_LINE_H_
