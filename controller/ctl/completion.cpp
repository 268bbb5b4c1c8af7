#include "controller/ctl/completion.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <string>
#include <vector>

namespace proteus::ctl {
namespace {

using Words = std::vector<std::string>;

std::string joined(const Words& words) {
  return fmt::format("{}", fmt::join(words, " "));
}

Words long_options(const CLI::App& app) {
  Words words;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) words.push_back("--" + name);
  }
  return words;
}

std::vector<const CLI::App*> commands_below(const CLI::App& command) {
  return command.get_subcommands([](const CLI::App*) { return true; });
}

/// What a command's case puts into `words`. first: what it takes besides its options.
std::string words_for(const CLI::App& command, const std::string& first) {
  const std::vector<const CLI::App*> below = commands_below(command);
  Words words = long_options(command);
  if (below.empty()) return fmt::format("words=\"{}{}\"", first, joined(words));
  std::string cases;
  for (const CLI::App* verb : below) {
    words.insert(words.begin(), verb->get_name());
    cases += fmt::format(" {}) words=\"{}\" ;;", verb->get_name(), joined(long_options(*verb)));
  }
  return fmt::format("case $verb in{} *) words=\"{}\" ;; esac", cases, joined(words));
}

}  // namespace

std::string completion_script(const CLI::App& app, const std::string& shell) {
  std::string commands;
  std::string cases;
  for (const CLI::App* command : commands_below(app)) {
    const std::string name = command->get_name();
    commands += (commands.empty() ? "" : " ") + name;
    std::string first;
    if (name == "forecast" || name == "accuracy") first = "$(proteusctl vms 2>/dev/null | awk 'NR>1 {print $1}') ";
    if (name == "query") first = "$(proteusctl kpis 2>/dev/null | awk 'NR>1 {print $1}') ";
    if (name == "maintenance") first = "$(proteusctl hosts 2>/dev/null | awk 'NR>1 && $1 !~ /:$/ {print $1}') on off ";
    if (name == "completion") first = "bash zsh ";
    cases += fmt::format("    {}) {} ;;\n", name, words_for(*command, first));
  }
  std::string script = shell == "zsh" ? "autoload -U +X bashcompinit && bashcompinit\n" : "";
  script +=
      "_proteusctl() {\n"
      "  local current=${COMP_WORDS[COMP_CWORD]} command= verb= words= word\n"
      "  local before=\n"
      "  for word in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do\n"
      "    case $before in --url | --token-file | --ca-file) before=; continue ;; esac\n"
      "    before=$word\n"
      "    case $word in\n"
      "      -*) ;;\n"
      "      *) if [[ -z $command ]]; then command=$word; else verb=$word; break; fi ;;\n"
      "    esac\n"
      "  done\n"
      "  case $command in\n";
  script += cases;
  script += fmt::format("    *) words=\"{} {}\" ;;\n", commands, joined(long_options(app)));
  script +=
      "  esac\n"
      "  local is_value=yes\n"
      "  case ${COMP_WORDS[COMP_CWORD-1]} in\n"
      "    --token-file | --ca-file | --svg) COMPREPLY=($(compgen -f -- \"$current\")); return ;;\n"
      "    --host) words=\"$(proteusctl hosts 2>/dev/null | awk 'NR>1 && $1 !~ /:$/ {print $1}')\" ;;\n"
      "    --vm) words=\"$(proteusctl vms 2>/dev/null | awk 'NR>1 {print $1}')\" ;;\n"
      "    --kpi) words=\"$(proteusctl kpis 2>/dev/null | awk 'NR>1 {print $1}')\" ;;\n"
      "    --fn) words=\"mean min max last p95 rate increase quantile\" ;;\n"
      "    --across) words=\"sum mean min max\" ;;\n"
      "    --by) words=\"host vm entity\" ;;\n"
      "    --kind) words=\"decision action transition operator agent started outcome command update signal cycle "
      "forecast_state learning_state profile_state\" ;;\n"
      "    --resource) words=\"cpu memory block_io network\" ;;\n"
      "    --format) words=\"csv openmetrics arrow\" ;;\n"
      "    *) is_value= ;;\n"
      "  esac\n"
      // Not compgen -W, which runs what stands in $( ): guests' names are whatever their owners call them.
      "  COMPREPLY=()\n"
      "  while IFS= read -r word; do\n"
      "    case $word in\n"
      "      '') ;;\n"
      "      \"$current\"*) printf -v word %q \"$word\"; COMPREPLY+=(\"$word\") ;;\n"
      "    esac\n"
      "  done <<< \"${words// /$'\\n'}\"\n"
      "  [[ $is_value || $current == -* ]] && return\n"
      "  case $command in\n"
      "    export | learning | policy | record | replay | simulate | tune)\n"
      "      COMPREPLY+=($(compgen -f -- \"$current\")) ;;\n"
      "  esac\n"
      "}\n"
      "complete -F _proteusctl proteusctl\n";
  return script;
}

}  // namespace proteus::ctl
