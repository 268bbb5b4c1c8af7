#pragma once

#include <string>
#include <string_view>

namespace proteus::collect {

/// True if a local path lies on storage that other hosts see too, by the kind of file system that holds it (NFS, Ceph,
/// GlusterFS and other FUSE, GFS2, OCFS2, Lustre, CIFS …), as libvirt judges for its own safety check. A path that does
/// not exist lies where its nearest parent does.
///
/// Goes by the table of mounts (proc_pid_mountinfo(5)) and looks at nothing on a shared file system, as one whose
/// server is gone does not answer. mountinfo: that table; where two are mounted in one place the later one counts.
/// Thread: any.
bool on_shared_filesystem(const std::string& path, std::string_view mountinfo);
/// With this process's own table.
bool on_shared_filesystem(const std::string& path);

}  // namespace proteus::collect
