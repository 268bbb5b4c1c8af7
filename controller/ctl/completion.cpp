#include "controller/ctl/completion.h"

#include <fmt/core.h>

#include <CLI/CLI.hpp>

namespace proteus::ctl {
namespace {

std::string long_options(const CLI::App& app) {
  std::string words;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) words += (words.empty() ? "--" : " --") + name;
  }
  return words;
}

/// Its options, and the commands below it with theirs.
std::string words_of(const CLI::App& command) {
  std::string words = long_options(command);
  for (const CLI::App* below : command.get_subcommands([](const CLI::App*) { return true; })) {
    words += " " + below->get_name() + " " + long_options(*below);
  }
  return words;
}

}  // namespace

std::string completion_script(const CLI::App& app, const std::string& shell) {
  std::string commands;
  std::string cases;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    const std::string name = command->get_name();
    commands += (commands.empty() ? "" : " ") + name;
    std::string words = "\"" + words_of(*command) + "\"";
    if (name == "forecast" || name == "accuracy")
      words = "\"$(proteusctl vms 2>/dev/null | awk 'NR>1 {print $1}') " + long_options(*command) + "\"";
    if (name == "query")
      words = "\"$(proteusctl kpis 2>/dev/null | awk 'NR>1 {print $1}') " + long_options(*command) + "\"";
    if (name == "policy") words = "\"check test diff --json --record --limit --at\"";
    if (name == "maintenance")
      words = "\"$(proteusctl hosts 2>/dev/null | awk 'NR>1 {print $1}') on off " + long_options(*command) + "\"";
    cases += fmt::format("    {}) words={} ;;\n", name, words);
  }
  std::string script = shell == "zsh" ? "autoload -U +X bashcompinit && bashcompinit\n" : "";
  script +=
      "_proteusctl() {\n"
      "  local current=${COMP_WORDS[COMP_CWORD]} command= words= word\n"
      "  local before=\n"
      "  for word in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do\n"
      "    case $before in --url | --token-file | --ca-file) before=; continue ;; esac\n"
      "    before=$word\n"
      "    case $word in -*) ;; *) command=$word; break ;; esac\n"
      "  done\n"
      "  case $command in\n";
  script += cases;
  script += fmt::format("    *) words=\"{} {}\" ;;\n", commands, long_options(app));
  script +=
      "  esac\n"
      "  case ${COMP_WORDS[COMP_CWORD-1]} in\n"
      "    --host) words=\"$(proteusctl hosts 2>/dev/null | awk 'NR>1 {print $1}')\" ;;\n"
      "    --vm) words=\"$(proteusctl vms 2>/dev/null | awk 'NR>1 {print $1}')\" ;;\n"
      "    --kpi) words=\"$(proteusctl kpis 2>/dev/null | awk 'NR>1 {print $1}')\" ;;\n"
      "    --fn) words=\"mean min max last p95 rate increase quantile\" ;;\n"
      "    --across) words=\"sum mean min max\" ;;\n"
      "    --by) words=\"host vm entity\" ;;\n"
      "    --kind) words=\"decision action transition operator agent started outcome command update signal cycle\" ;;\n"
      "    --format) words=\"csv openmetrics arrow\" ;;\n"
      "  esac\n"
      "  COMPREPLY=($(compgen -W \"$words\" -- \"$current\"))\n"
      "  case $command in record | replay | simulate | forecast | policy) COMPREPLY+=($(compgen -f -- \"$current\")) "
      ";; esac\n"
      "}\n"
      "complete -F _proteusctl proteusctl\n";
  return script;
}

}  // namespace proteus::ctl
