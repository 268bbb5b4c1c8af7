#pragma once

/* Shared by packet_drops.bpf.c and its loader. */

/* Reasons of the core, of which 6.18 has about 130; subsystems' own are counted together in the last. */
#define PACKET_DROPS_REASONS 256
