#pragma once

/* The few kernel types that our programs read, with only the fields that they read. It replaces a generated vmlinux.h of
 * 150,000 lines: `preserve_access_index` makes clang record each access by name ("task_struct.sched_info.run_delay"), and
 * at load time libbpf rewrites the offsets to those of the running kernel's own BTF (CO-RE). Order and size of the fields
 * here therefore mean nothing; names and types do. What differs between kernel versions is declared as a flavour, a type
 * whose name has a ___suffix that libbpf ignores, and chosen at load time; each cites the kernel commit. */

#include <linux/bpf.h>
#include <linux/types.h>
#include <stdbool.h>

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

typedef __u8 u8;
typedef __u32 u32;
typedef __s32 s32;
typedef __u64 u64;
typedef __s64 s64;

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct percpu_counter {
  s64 count;
};

/* Since 6.2 (f1a7941243c1 "mm: convert mm's rss stats into percpu_counter"). */
struct mm_struct {
  struct percpu_counter rss_stat[4];
  unsigned long ksm_merging_pages; /* since 5.19 (7609385337a4 "ksm: count ksm merging pages for each process") */
  struct {
    s64 counter;
  } hugetlb_usage; /* where CONFIG_HUGETLB_PAGE is set */
};

/* Before it: one atomic per kind of page. */
struct mm_rss_stat___before_6_2 {
  struct {
    s64 counter;
  } count[4];
};
struct mm_struct___before_6_2 {
  struct mm_rss_stat___before_6_2 rss_stat;
};

struct rq {
  u64 clock; /* of the scheduler; at most a tick old where something runs */
};

struct cfs_rq {
  struct rq *rq;
  int throttled; /* a bit of its own since 6.18 */
  int throttle_count;
};

struct sched_info {
  unsigned long pcount;
  unsigned long long run_delay;
  unsigned long long last_arrival;
};

struct sched_entity {
  u64 sum_exec_runtime;
  u64 prev_sum_exec_runtime; /* the former as the thread came to its CPU */
  u64 nr_migrations;
  struct sched_entity *parent;
  struct cfs_rq *cfs_rq;
};

struct signal_struct {
  int nr_threads;
};

#define MAX_RT_PRIO 100       /* task_struct.prio: below it are real-time and deadline threads */
#define PF_IDLE 0x00000002    /* task_struct.flags: a CPU's idle thread */
#define PF_KTHREAD 0x00200000 /* a thread of the kernel; idle ones are not marked so on all kernels */
#define TASK_DEAD 0x00000080  /* task_struct.__state: it leaves its CPU for the last time */
#define EXIT_DEAD 0x00000010  /* task_struct.exit_state: it is gone, whoever still holds its task_struct */

struct task_struct {
  int pid;
  int tgid;
  int prio;
  unsigned int flags;
  unsigned int __state;
  int exit_state;
  struct sched_entity se;
  struct sched_info sched_info;
  struct mm_struct *mm;
  struct signal_struct *signal;
  unsigned long nvcsw;
  unsigned long nivcsw;
  unsigned long min_flt;
  unsigned long maj_flt;
  u64 gtime;
  u64 start_boottime;
};

/* Before 5.14 (2f064a59a11f "sched: Change task_struct::state"). */
struct task_struct___before_5_14 {
  long state;
};

struct seq_file;

struct bpf_iter_meta {
  struct seq_file *seq;
  u64 seq_num;
};

struct bpf_iter__task {
  struct bpf_iter_meta *meta;
  struct task_struct *task;
};

struct qstr {
  const unsigned char *name;
};
struct dentry {
  struct qstr d_name;
};
struct path {
  struct dentry *dentry;
};
struct file {
  struct path f_path;
  void *private_data;
};

struct bpf_iter__task_file {
  struct bpf_iter_meta *meta;
  struct task_struct *task;
  u32 fd;
  struct file *file;
};

#pragma clang attribute pop

/* Since 6.2 (3f0e6f2b41d3 "bpf: Add bpf_task_from_pid() kfunc"); ids are those of the initial pid namespace. */
extern struct task_struct *bpf_task_from_pid(s32 pid) __ksym __weak;
extern void bpf_task_release(struct task_struct *task) __ksym __weak;
/* Since 6.2 (9bb00b2895cb "bpf: Add kfunc bpf_rcu_read_lock/unlock()"). */
extern void bpf_rcu_read_lock(void) __ksym __weak;
extern void bpf_rcu_read_unlock(void) __ksym __weak;
