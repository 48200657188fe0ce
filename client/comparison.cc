#include "client/comparison.h"

#include <nlohmann/json.hpp>
#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "client/format_values.h"

namespace tern {
namespace {

using v1::QuantizationJob;

constexpr char kFullPrecision[] = "full precision";
constexpr double kUnquantizedActivationBits = 16;

// What a row of the table says; unset cells stay empty.
struct Figures {
  std::optional<double> perplexity;
  std::optional<double> kl_divergence;
  std::optional<double> bits_per_weight;
  std::optional<double> model_bits_per_weight;
  std::optional<double> activation_bits;
  std::optional<double> seconds;
};

Figures FiguresOf(const v1::JobReport& report) {
  Figures figures;
  if (report.has_perplexity()) figures.perplexity = report.perplexity().quantized();
  if (report.has_kl_divergence()) figures.kl_divergence = report.kl_divergence();
  figures.bits_per_weight = report.bits_per_weight().quantized_layers();
  figures.model_bits_per_weight = report.bits_per_weight().model();
  figures.activation_bits = report.has_activation_bits() ? report.activation_bits().average_bits()
                                                         : kUnquantizedActivationBits;
  double seconds = 0;
  for (const auto& [stage, value] : report.seconds()) {
    if (stage != "total") seconds += value;
  }
  figures.seconds = seconds;
  return figures;
}

Figures FullPrecision(const std::vector<ComparedJob>& jobs) {
  Figures figures;
  for (const ComparedJob& compared : jobs) {
    if (compared.job.state() != QuantizationJob::SUCCEEDED) continue;
    const v1::JobReport& report = compared.job.report();
    if (report.has_perplexity()) {
      figures.perplexity = report.perplexity().full_precision();
      figures.kl_divergence = 0;
    }
    if (report.model().parameters() > 0) {
      figures.bits_per_weight = 8.0 * static_cast<double>(report.model().weight_bytes()) /
                                static_cast<double>(report.model().parameters());
      figures.model_bits_per_weight = figures.bits_per_weight;
    }
    figures.activation_bits = kUnquantizedActivationBits;
    break;
  }
  return figures;
}

// Text as a cell of a Markdown table.
std::string Cell(const std::string& text) {
  return absl::StrReplaceAll(Printable(text), {{"|", "\\|"}});
}

std::string Number(const std::optional<double>& value, int decimals) {
  return value ? absl::StrFormat("%.*f", decimals, *value) : "";
}

std::string Row(const std::string& name, const std::string& perplexity, const Figures& figures) {
  return absl::StrFormat("| %s | %s | %s | %s | %s | %s | %s |\n", Cell(name), perplexity,
                         Number(figures.kl_divergence, 4), Number(figures.bits_per_weight, 3),
                         Number(figures.model_bits_per_weight, 3),
                         Number(figures.activation_bits, 2), Number(figures.seconds, 1));
}

std::string OutcomeText(const QuantizationJob& job) {
  if (job.state() == QuantizationJob::CANCELLED) return "cancelled";
  return absl::StrCat("failed: ", Cell(job.error().message()));
}

void AddFigures(const Figures& figures, nlohmann::ordered_json& row) {
  const auto add = [&row](const char* name, const std::optional<double>& value) {
    if (value) row[name] = *value;
  };
  add("perplexity", figures.perplexity);
  add("kl_divergence", figures.kl_divergence);
  add("bits_per_weight", figures.bits_per_weight);
  add("model_bits_per_weight", figures.model_bits_per_weight);
  add("activation_bits", figures.activation_bits);
  add("seconds", figures.seconds);
}

}  // namespace

absl::StatusOr<ComparedSpec> ParseComparedSpec(const std::string& text) {
  const auto refuse = [&text](absl::string_view what) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", text, "\": ", what, "; a SPEC is 'NAME: method=METHOD KEY=VALUE ...'"));
  };
  ComparedSpec spec;
  absl::string_view rest = text;
  const size_t colon = rest.find(':');
  if (colon != absl::string_view::npos && colon < rest.find('=')) {
    spec.name = std::string(absl::StripAsciiWhitespace(rest.substr(0, colon)));
    if (spec.name.empty()) return refuse("the name is empty");
    rest.remove_prefix(colon + 1);
  }
  for (const absl::string_view word :
       absl::StrSplit(rest, absl::ByAnyChar(" \t\n"), absl::SkipEmpty())) {
    absl::string_view value = word;
    if (!absl::ConsumePrefix(&value, "method=")) {
      if (!absl::StrContains(word, '=')) return refuse(absl::StrCat(word, " has no value"));
      spec.settings.emplace_back(word);
      continue;
    }
    if (!spec.method.empty()) return refuse("method is given twice");
    spec.method = std::string(value);
  }
  if (spec.method.empty()) return refuse("method is missing");
  if (spec.name.empty()) {
    spec.name = absl::StrCat(spec.method, spec.settings.empty() ? "" : " ",
                             absl::StrJoin(spec.settings, " "));
  }
  return spec;
}

std::string ComparisonMarkdown(const std::vector<ComparedJob>& jobs) {
  std::string table =
      "| method | perplexity | KL divergence | bits per weight | whole model | activation bits | "
      "worker seconds |\n|---|---:|---:|---:|---:|---:|---:|\n";
  const Figures full = FullPrecision(jobs);
  absl::StrAppend(&table, Row(kFullPrecision, Number(full.perplexity, 3), full));
  for (const ComparedJob& compared : jobs) {
    if (compared.job.state() != QuantizationJob::SUCCEEDED) {
      absl::StrAppend(&table, Row(compared.spec.name, OutcomeText(compared.job), Figures()));
      continue;
    }
    const Figures figures = FiguresOf(compared.job.report());
    absl::StrAppend(&table, Row(compared.spec.name, Number(figures.perplexity, 3), figures));
  }
  return table;
}

nlohmann::ordered_json ComparisonJson(const std::string& id, const std::vector<ComparedJob>& jobs) {
  nlohmann::ordered_json full = {{"name", kFullPrecision}};
  AddFigures(FullPrecision(jobs), full);
  nlohmann::ordered_json rows = nlohmann::ordered_json::array({std::move(full)});
  for (const ComparedJob& compared : jobs) {
    const QuantizationJob& job = compared.job;
    nlohmann::ordered_json row = {{"name", compared.spec.name},
                                  {"job", job.name()},
                                  {"state", QuantizationJob::State_Name(job.state())},
                                  {"method", compared.spec.method},
                                  {"settings", compared.spec.settings}};
    if (job.state() == QuantizationJob::SUCCEEDED) {
      AddFigures(FiguresOf(job.report()), row);
      row["digest"] = job.report().digest();
    } else if (job.has_error()) {
      row["error"] = job.error().message();
    }
    rows.push_back(std::move(row));
  }
  return {{"comparison", id}, {"rows", std::move(rows)}};
}

}  // namespace tern
