#include "proto/service/program_flags.h"

#include <cstdlib>
#include <iostream>
#include <map>
#include <optional>
#include <string>

#include "absl/flags/commandlineflag.h"
#include "absl/flags/reflection.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"
#include "proto/service/version.h"

namespace tern {
namespace {

std::string Text(absl::string_view text) { return std::string(text); }

// The command line says --input-roots where absl's flag is named input_roots.
absl::CommandLineFlag* FindByName(absl::string_view name) {
  return absl::FindCommandLineFlag(absl::StrReplaceAll(name, {{"-", "_"}}));
}

[[noreturn]] void PrintHelp(absl::string_view program, absl::string_view summary) {
  std::map<std::string, const absl::CommandLineFlag*> flags;
  for (const auto& [name, flag] : absl::GetAllFlags()) {
    // The rest are those of absl itself.
    if (!absl::StrContains(flag->Filename(), "absl/")) {
      flags[absl::StrReplaceAll(name, {{"_", "-"}})] = flag;
    }
  }
  std::cout << Text(program) << ": " << Text(summary) << "\n\nFlags:\n";
  for (const auto& [name, flag] : flags) {
    std::cout << "  --" << name << "  " << flag->Help();
    if (!flag->DefaultValue().empty()) std::cout << " Default: " << flag->DefaultValue();
    std::cout << "\n";
  }
  std::cout << "  --version  Print the version.\n";
  std::exit(0);
}

// A flag by the name it was given; for "no" and a boolean's name, sets `value` to "false".
absl::CommandLineFlag* FindFlag(absl::string_view name, std::optional<std::string>& value) {
  if (absl::CommandLineFlag* flag = FindByName(name)) return flag;
  if (value.has_value() || !absl::ConsumePrefix(&name, "no")) return nullptr;
  absl::CommandLineFlag* flag = FindByName(name);
  if (flag == nullptr || !flag->IsOfType<bool>()) return nullptr;
  value = "false";
  return flag;
}

}  // namespace

absl::Status ParseProgramFlags(int argc, const char* const* argv, absl::string_view summary) {
  for (int i = 1; i < argc; ++i) {
    absl::string_view name = argv[i];
    if (name == "--help") PrintHelp(argv[0], summary);
    if (name == "--version") {
      std::cout << kVersion << "\n";
      std::exit(0);
    }
    if (!absl::ConsumePrefix(&name, "--") || name.empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat("unexpected argument \"", argv[i], "\": see --help"));
    }
    std::optional<std::string> value;
    if (const size_t equals = name.find('='); equals != absl::string_view::npos) {
      value = Text(name.substr(equals + 1));
      name = name.substr(0, equals);
    }
    absl::CommandLineFlag* const flag = FindFlag(name, value);
    if (flag == nullptr) {
      return absl::InvalidArgumentError(absl::StrCat("unknown flag --", name, ": see --help"));
    }
    if (!value.has_value() && flag->IsOfType<bool>()) value = "true";
    if (!value.has_value()) {
      if (i + 1 == argc) {
        return absl::InvalidArgumentError(absl::StrCat("--", name, " needs a value"));
      }
      value = argv[++i];
    }
    std::string error;
    if (!flag->ParseFrom(*value, &error)) {
      return absl::InvalidArgumentError(absl::StrCat("--", name, ": \"", *value, "\" is not valid",
                                                     error.empty() ? "" : ": ", error));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckDrainTimeout(absl::Duration timeout) {
  if (timeout >= absl::ZeroDuration() && timeout <= absl::Hours(24)) return absl::OkStatus();
  return absl::InvalidArgumentError("--drain-timeout: must be between 0 and 24h");
}

}  // namespace tern
