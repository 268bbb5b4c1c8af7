#include "tests/bench/empty_hook.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <unistd.h>

namespace proteus::bench {

EmptyHook::EmptyHook() {
  // in the machine's own two instructions: return 0
  const bpf_insn code[] = {{BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, 0}, {BPF_JMP | BPF_EXIT, 0, 0, 0, 0}};
  LIBBPF_OPTS(bpf_prog_load_opts, options, .expected_attach_type = BPF_TRACE_RAW_TP);
  options.attach_btf_id = static_cast<__u32>(libbpf_find_vmlinux_btf_id("sched_switch", BPF_TRACE_RAW_TP));
  program_ = bpf_prog_load(BPF_PROG_TYPE_TRACING, "empty", "GPL", code, 2, &options);
  if (program_ >= 0) link_ = bpf_raw_tracepoint_open(nullptr, program_);
}

EmptyHook::~EmptyHook() {
  if (link_ >= 0) ::close(link_);
  if (program_ >= 0) ::close(program_);
}

}  // namespace proteus::bench
